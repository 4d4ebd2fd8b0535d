"""What is sent to endpoints, when, and what becomes of the answer; against real HTTP servers."""

import threading
import time
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.db import connection, transaction
from django.utils import timezone
from standardwebhooks import Webhook, WebhookVerificationError

from accounts.models import WebhookDelivery, WebhookEndpoint, WebhookEvent
from accounts.services import deliveries, events, outbox, redelivery
from accounts.services.endpoints import subscribes
from accounts.tests.factories import SECRET, SocialAccountFactory, WebhookEndpointFactory
from accounts.tests.receivers import EVERYTHING, emit, run

pytestmark = pytest.mark.django_db(transaction=True)
URL = "/api/v1/webhooks"
MINUTE = timedelta(minutes=1)


# --- what arrives ------------------------------------------------------------


def test_an_event_arrives_signed_and_the_library_verifies_it(receiver: Any) -> None:
    endpoint = WebhookEndpointFactory(url=receiver.url)
    event = emit(endpoint, data={**EVERYTHING, "reason": "because"})
    assert run() == 1
    [message] = receiver.messages
    assert message.path == "/hook"
    assert message.id == str(event.pk)
    assert message.headers["content-type"] == "application/json"
    assert message.headers["user-agent"] == "PostFuze-Analytics"
    assert abs(int(message.headers["webhook-timestamp"]) - time.time()) < 5
    body = message.verified(SECRET)
    assert sorted(body) == ["data", "timestamp", "type"]
    assert body["type"] == "post.published"
    assert body["data"] == {**EVERYTHING, "reason": "because"}
    assert body["timestamp"].startswith(f"{event.created_at:%Y-%m-%dT%H:%M:%S}") and body["timestamp"].endswith("Z")
    delivery = WebhookDelivery.objects.get()
    assert (delivery.status, delivery.attempts, delivery.response_status) == ("delivered", 1, 204)
    assert delivery.next_attempt_at is None and delivery.duration_ms is not None
    assert run() == 0 and len(receiver.messages) == 1


def test_what_was_tampered_with_is_refused(receiver: Any) -> None:
    emit(WebhookEndpointFactory(url=receiver.url))
    run()
    [message] = receiver.messages
    hook = Webhook(SECRET)
    changed = message.body.replace(b"published", b"publushed")
    later = str(int(message.headers["webhook-timestamp"]) + 1)
    for body, headers in (
        (changed, message.headers),
        (message.body + b" ", message.headers),
        (message.body, {**message.headers, "webhook-id": "another"}),
        (message.body, {**message.headers, "webhook-timestamp": later}),
        (message.body, {**message.headers, "webhook-signature": "v1,AAAA"}),
        (message.body, {name: text for name, text in message.headers.items() if name != "webhook-signature"}),
    ):
        with pytest.raises(WebhookVerificationError):
            hook.verify(body, headers)
    with pytest.raises(WebhookVerificationError):
        message.verified("whsec_" + "A" * 44)
    assert hook.verify(message.body, message.headers)["type"] == "post.published"


@pytest.mark.parametrize("minutes", [6, -6])
def test_what_is_replayed_or_comes_late_is_refused(receiver: Any, monkeypatch: Any, minutes: int) -> None:
    emit(WebhookEndpointFactory(url=receiver.url))
    then = timezone.now() - timedelta(minutes=minutes)
    monkeypatch.setattr(deliveries.timezone, "now", lambda: then)
    run()
    monkeypatch.undo()
    [message] = receiver.messages
    with pytest.raises(WebhookVerificationError, match="too"):
        message.verified(SECRET)
    with time_machine.travel(then, tick=False):
        assert message.verified(SECRET)["type"] == "post.published"


def test_while_a_secret_is_rotated_both_verify(receiver: Any, api: Any, organization: Any) -> None:
    endpoint = WebhookEndpointFactory(organization=organization, url=receiver.url)
    new = api.post(f"{URL}/{endpoint.pk}/rotate-secret").json()["signing_secret"]
    emit(endpoint)
    run()
    [message] = receiver.messages
    assert len(message.headers["webhook-signature"].split(" ")) == 2
    assert message.verified(SECRET) == message.verified(new)
    past = timezone.now() - MINUTE
    WebhookEndpoint.objects.update(previous_secret_expires_at=past)
    emit(endpoint)
    run()
    assert receiver.messages[1].verified(new)
    with pytest.raises(WebhookVerificationError):
        receiver.messages[1].verified(SECRET)


# --- who is told ------------------------------------------------------------


def test_an_event_goes_to_those_who_subscribe_in_its_organization_and_mode(receiver: Any) -> None:
    def at(path: str, **more: Any) -> WebhookEndpoint:
        return WebhookEndpointFactory(url=f"{receiver.url}/{path}", **more)

    named = at("named", events=["post.error", "post.published"])
    organization = named.organization
    at("all", organization=organization)
    at("other-event", organization=organization, events=["post.error", "analytics.captured"])
    at("off", organization=organization, is_enabled=False)
    at("live", organization=organization, mode="live")
    at("stranger")
    emit(named)
    run()
    assert sorted(message.path for message in receiver.messages) == ["/hook/all", "/hook/named"]
    assert len({message.id for message in receiver.messages}) == 1


def test_everything_does_not_mean_captured_snapshots(receiver: Any) -> None:
    endpoint = WebhookEndpointFactory(url=receiver.url)
    emit(endpoint, "analytics.captured")
    run()
    assert receiver.messages == []
    WebhookEndpoint.objects.update(events=["analytics.captured"])
    emit(endpoint, "analytics.captured")
    run()
    assert len(receiver.messages) == 1


def test_what_happened_before_an_endpoint_was_made_is_not_sent_to_it(receiver: Any) -> None:
    account = SocialAccountFactory()
    events.emit(account.organization_id, account.mode, "post.published", EVERYTHING)
    WebhookEndpointFactory(url=receiver.url, organization=account.organization)
    run()
    assert receiver.messages == [] and WebhookEvent.objects.get().dispatched_at is not None


def test_an_event_of_a_transaction_that_fails_is_never_sent(receiver: Any) -> None:
    endpoint = WebhookEndpointFactory(url=receiver.url)
    with transaction.atomic():
        emit(endpoint)
        transaction.set_rollback(True)
    run()
    assert receiver.messages == [] and not WebhookEvent.objects.exists()


def test_an_accounts_event_has_the_account_and_a_reason(receiver: Any) -> None:
    account = SocialAccountFactory()
    WebhookEndpointFactory(url=receiver.url, organization=account.organization)
    events.emit_account_event(account, "account.token_expired", reason="The token was refused.")
    run()
    body = receiver.messages[0].verified(SECRET)
    assert (body["data"]["id"], body["data"]["reason"]) == (str(account.pk), "The token was refused.")
    assert "access_token" not in body["data"]


def test_many_events_are_dispatched_once_each_in_batches(monkeypatch: Any) -> None:
    monkeypatch.setattr(outbox, "BATCH", 3)
    endpoint = WebhookEndpointFactory()
    for _ in range(7):
        emit(endpoint)
    assert outbox.dispatch() == 7
    assert outbox.dispatch() == 0
    assert WebhookDelivery.objects.count() == 7


def test_an_endpoint_can_be_deleted_while_an_event_is_dispatched_to_it(
    api: Any, organization: Any, monkeypatch: Any
) -> None:
    endpoint = WebhookEndpointFactory(organization=organization)
    other = WebhookEndpointFactory(organization=organization)
    emit(endpoint)
    answers: list[int] = []

    def delete() -> None:
        answers.append(api.delete(f"/api/v1/webhooks/{endpoint.pk}").status_code)
        connection.close()

    deleting = threading.Thread(target=delete)

    def deleted_meanwhile(*given: Any) -> bool:
        if not deleting.ident:
            deleting.start()
            deleting.join(1)  # until it is done, or waits for this transaction
        return subscribes(*given)

    monkeypatch.setattr(outbox, "subscribes", deleted_meanwhile)
    assert outbox.dispatch() == 1
    deleting.join()
    assert answers == [204]
    assert [delivery.endpoint for delivery in WebhookDelivery.objects.all()] == [other]


# --- by hand ------------------------------------------------------------


def test_a_test_event_is_sent_at_once_and_answered_for(receiver: Any, api: Any, organization: Any) -> None:
    receiver.answer = lambda message: (202, b"thanks", {})
    endpoint = WebhookEndpointFactory(url=receiver.url, organization=organization, events=["post.error"])
    response = api.post(f"{URL}/{endpoint.pk}/test")
    body = response.json()
    assert response.status_code == 200
    assert (body["event_type"], body["status"], body["response_status"]) == ("webhook.test", "delivered", 202)
    assert (body["response_body"], body["attempts"], len(body["history"])) == ("thanks", 1, 1)
    [message] = receiver.messages
    assert message.id == body["event_id"]
    assert message.verified(SECRET)["type"] == "webhook.test"
    assert api.get(f"{URL}/{endpoint.pk}/deliveries").json()["data"] == [body]
    run()
    assert len(receiver.messages) == 1


def test_a_test_that_fails_is_not_repeated_and_is_not_held_against_the_endpoint(
    receiver: Any,
    api: Any,
    organization: Any,
) -> None:
    receiver.answer = lambda message: 500
    endpoint = WebhookEndpointFactory(url=receiver.url, organization=organization)
    body = api.post(f"{URL}/{endpoint.pk}/test").json()
    assert (body["status"], body["response_status"], body["next_attempt_at"]) == ("failed", 500, None)
    endpoint.refresh_from_db()
    assert endpoint.failing_since is None and endpoint.is_enabled


def test_a_redelivery_bears_the_old_id_and_a_new_time(receiver: Any, api: Any, organization: Any) -> None:
    endpoint = WebhookEndpointFactory(url=receiver.url, organization=organization)
    emit(endpoint)
    run()
    delivery = WebhookDelivery.objects.get()
    with time_machine.travel(timezone.now() + timedelta(hours=1)):
        body = api.post(f"{URL}/{endpoint.pk}/deliveries/{delivery.pk}/redeliver").json()
        first, second = receiver.messages
        assert second.verified(SECRET)
    assert (body["id"], body["status"], body["attempts"]) == (str(delivery.pk), "delivered", 1)
    assert len(body["history"]) == 2
    assert (second.id, second.body) == (first.id, first.body)
    assert int(second.headers["webhook-timestamp"]) - int(first.headers["webhook-timestamp"]) >= 3599


def test_a_redelivery_that_fails_is_tried_on_the_schedule_again(receiver: Any, api: Any, organization: Any) -> None:
    receiver.answer = lambda message: 500
    endpoint = WebhookEndpointFactory(url=receiver.url, organization=organization)
    emit(endpoint)
    run()
    WebhookDelivery.objects.update(status="failed", attempts=10, next_attempt_at=None)
    body = api.post(f"{URL}/{endpoint.pk}/deliveries/{WebhookDelivery.objects.get().pk}/redeliver").json()
    assert (body["status"], body["attempts"]) == ("pending", 1)
    assert body["next_attempt_at"] is not None


def test_a_redelivery_waits_for_whoever_is_at_the_endpoint(receiver: Any, api: Any, organization: Any) -> None:
    endpoint = WebhookEndpointFactory(url=receiver.url, organization=organization)
    emit(endpoint)
    run()
    mine = deliveries.claim(endpoint.pk)
    body = api.post(f"{URL}/{endpoint.pk}/deliveries/{WebhookDelivery.objects.get().pk}/redeliver").json()
    assert (body["status"], len(receiver.messages)) == ("pending", 1)
    deliveries.release(endpoint.pk, mine)
    run()
    assert len(receiver.messages) == 2


# --- retention ------------------------------------------------------------


def test_what_is_older_than_the_retention_is_forgotten(settings: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(redelivery, "CHUNK", 2)
    settings.WEBHOOK_RETENTION = timedelta(days=3)
    endpoint = WebhookEndpointFactory()
    for _ in range(8):
        emit(endpoint)
    outbox.dispatch()
    emit(endpoint)  # not dispatched yet: whatever its age, somebody is to be told
    old = timezone.now() - timedelta(days=3, minutes=1)
    WebhookEvent.objects.filter(dispatched_at=None).update(created_at=old)
    kept = list(WebhookDelivery.objects.order_by("created_at").values_list("pk", flat=True)[:3])
    WebhookDelivery.objects.exclude(pk__in=kept).update(created_at=old)
    WebhookEvent.objects.exclude(deliveries__in=kept).update(created_at=old)
    WebhookEvent.objects.filter(deliveries=kept[0]).update(created_at=old)
    assert redelivery.forget_old() == 10
    assert sorted(WebhookDelivery.objects.values_list("pk", flat=True)) == sorted(kept)
    assert WebhookEvent.objects.count() == 4
    assert redelivery.forget_old() == 0

"""What fails is tried again on a schedule, and holds up nobody else; against real HTTP servers."""

import threading
import time
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from accounts.models import WebhookDelivery, WebhookEndpoint
from accounts.services import deliveries, messenger, outbox
from accounts.tests.factories import SECRET, WebhookEndpointFactory
from accounts.tests.receivers import emit, run

pytestmark = pytest.mark.django_db(transaction=True)
URL = "/api/v1/webhooks"
MINUTE = timedelta(minutes=1)


def make_due(**of: Any) -> None:
    """As if the time to the next attempt had passed."""
    WebhookDelivery.objects.filter(status="pending", **of).update(next_attempt_at=timezone.now() - MINUTE)


# --- failures and the schedule ------------------------------------------------------------


def test_what_fails_is_tried_on_the_documented_schedule_under_the_same_id(receiver: Any) -> None:
    receiver.answer = lambda message: (500, b"not today", {})
    emit(WebhookEndpointFactory(url=receiver.url))
    waits = [5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400]
    for number, wait in enumerate(waits, start=1):
        before = timezone.now()
        assert run() == 1
        delivery = WebhookDelivery.objects.get()
        assert (delivery.status, delivery.attempts) == ("pending", number)
        after = delivery.next_attempt_at - timedelta(seconds=wait)
        assert before - timedelta(milliseconds=2) <= after <= timezone.now() + timedelta(milliseconds=2)
        assert run() == 0, "not before its time"
        make_due()
    assert run() == 1
    delivery = WebhookDelivery.objects.get()
    assert (delivery.status, delivery.attempts, delivery.next_attempt_at) == ("failed", 10, None)
    assert (delivery.response_status, delivery.response_body) == (500, "not today")
    assert [each["response_status"] for each in delivery.history] == [500] * 10
    assert run() == 0
    assert len(receiver.messages) == 10 and len({message.id for message in receiver.messages}) == 1
    assert len({message.body for message in receiver.messages}) == 1
    assert all(message.verified(SECRET) for message in receiver.messages)


def test_what_failed_first_arrives_later(receiver: Any) -> None:
    answers = iter([503, 200])
    receiver.answer = lambda message: next(answers)
    endpoint = WebhookEndpointFactory(url=receiver.url)
    emit(endpoint)
    run()
    endpoint.refresh_from_db()
    assert endpoint.failing_since is not None
    make_due()
    run()
    endpoint.refresh_from_db()
    assert WebhookDelivery.objects.get().status == "delivered"
    assert endpoint.failing_since is None and endpoint.last_delivered_at is not None


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_a_failure_and_is_not_followed(make_receiver: Any, status: int) -> None:
    target, receiver = make_receiver(), make_receiver()
    receiver.answer = lambda message: (status, b"", {"Location": target.url})
    emit(WebhookEndpointFactory(url=receiver.url))
    run()
    delivery = WebhookDelivery.objects.get()
    assert (delivery.status, delivery.response_status) == ("pending", status)
    assert delivery.error == "Redirects are not followed."
    assert target.messages == []


def test_an_answer_is_kept_in_its_first_kilobyte_and_cleaned(receiver: Any) -> None:
    long = b"\x00\xff<script>" + "é".encode() * 5000
    receiver.answer = lambda message: (400, long, {"Content-Type": "text/html"})
    emit(WebhookEndpointFactory(url=receiver.url))
    run()
    kept = WebhookDelivery.objects.get().response_body
    assert len(kept) == 1024
    assert "\x00" not in kept and kept.endswith("é") and "<script>" in kept


def test_a_large_answer_is_read_no_further_and_counts(receiver: Any) -> None:
    receiver.answer = lambda message: (200, b"x" * 5_000_000, {})
    emit(WebhookEndpointFactory(url=receiver.url))
    run()
    delivery = WebhookDelivery.objects.get()
    assert (delivery.status, delivery.response_body) == ("delivered", "x" * 1024)


def test_a_receiver_that_does_not_answer_in_time_is_a_failure(receiver: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(deliveries, "SECONDS", 0.3)
    receiver.answer = lambda message: time.sleep(4) or 200
    emit(WebhookEndpointFactory(url=receiver.url))
    began = time.monotonic()
    run()
    assert time.monotonic() - began < 4
    delivery = WebhookDelivery.objects.get()
    assert delivery.response_status is None and delivery.response_body == ""
    assert "receiver" in delivery.error and "in time" in delivery.error
    assert 250 <= delivery.duration_ms < 4000


def test_ten_seconds_is_what_a_receiver_has() -> None:
    assert deliveries.SECONDS == 10
    assert deliveries.CLAIM_LAPSES.total_seconds() > 2 * deliveries.SECONDS


def test_a_410_disables_the_endpoint_at_once(receiver: Any, api: Any, organization: Any) -> None:
    receiver.answer = lambda message: 410
    endpoint = WebhookEndpointFactory(url=receiver.url, organization=organization)
    for _ in range(2):
        emit(endpoint)
    run()
    assert len(receiver.messages) == 1
    assert sorted(WebhookDelivery.objects.values_list("status", flat=True)) == ["failed", "pending"]
    shown = api.get(f"{URL}/{endpoint.pk}").json()
    assert (shown["is_enabled"], shown["disabled_reason"]) == (False, "gone")
    emit(endpoint)
    run()
    assert WebhookDelivery.objects.count() == 2, "nothing is recorded for a disabled endpoint"
    receiver.answer = lambda message: 204
    api.patch(f"{URL}/{endpoint.pk}", {"is_enabled": True})
    run()
    assert len(receiver.messages) == 2, "what waited is sent when it is enabled"


def failing(receiver: Any, since: timedelta, last: timedelta) -> WebhookEndpoint:
    now = timezone.now()
    receiver.answer = lambda message: 500
    endpoint = WebhookEndpointFactory(url=receiver.url, failing_since=now - since, last_failed_at=now - last)
    emit(endpoint)
    run()
    endpoint.refresh_from_db()
    return endpoint


def test_five_days_of_nothing_but_failure_disable_an_endpoint(receiver: Any) -> None:
    endpoint = failing(receiver, timedelta(days=5, minutes=1), timedelta(hours=20))
    assert (endpoint.is_enabled, endpoint.disabled_reason) == (False, "failing")
    assert endpoint.disabled_at is not None


def test_four_days_do_not(receiver: Any) -> None:
    endpoint = failing(receiver, timedelta(days=4, hours=23), timedelta(hours=20))
    assert endpoint.is_enabled and endpoint.failing_since < timezone.now() - timedelta(days=4)


def test_nor_does_a_failure_after_days_of_quiet(receiver: Any) -> None:
    endpoint = failing(receiver, timedelta(days=9), timedelta(days=6))
    assert endpoint.is_enabled and endpoint.failing_since > timezone.now() - MINUTE


# --- side by side ------------------------------------------------------------


def test_a_dead_receiver_delays_nobody(make_receiver: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(deliveries, "SECONDS", 4.0)
    dead, well = make_receiver(), make_receiver()
    dead.answer = lambda message: time.sleep(8) or 200
    stuck = WebhookEndpointFactory(url=dead.url)
    others = [WebhookEndpointFactory(url=f"{well.url}/{n}") for n in range(5)]
    for _ in range(3):
        emit(stuck)
    began = time.monotonic()
    thread = threading.Thread(target=lambda: (run(6), connection.close()))
    thread.start()
    time.sleep(0.5)
    for endpoint in others:
        emit(endpoint)
        emit(endpoint)
    while len(well.messages) < 10 and time.monotonic() - began < 10:
        time.sleep(0.02)
    assert len(well.messages) == 10
    assert max(message.at for message in well.messages) - began < 4, "before the dead one has timed out"
    thread.join()
    first = [message.at for message in dead.messages]
    assert len(first) >= 2 and all(b - a >= 3.9 for a, b in pairwise(first)), "one at a time"


def test_dead_receivers_in_any_number_leave_threads_for_others(
    make_receiver: Any,
    monkeypatch: Any,
) -> None:
    monkeypatch.setattr(deliveries, "SECONDS", 5.0)
    monkeypatch.setattr(messenger, "WORKING", 2)
    monkeypatch.setattr(messenger, "FAILING", 1)
    dead, well = make_receiver(), make_receiver()
    dead.answer = lambda message: time.sleep(10) or 200
    for _ in range(6):
        emit(WebhookEndpointFactory(url=dead.url, failing_since=timezone.now(), last_failed_at=timezone.now()))
    emit(WebhookEndpointFactory(url=well.url))
    began = time.monotonic()
    run(1)
    assert well.messages[0].at - began < 4.5


def test_two_at_a_time_deliver_everything_once(receiver: Any) -> None:
    endpoints = [WebhookEndpointFactory(url=receiver.url) for _ in range(4)]
    for endpoint in endpoints:
        for _ in range(5):
            emit(endpoint)
    threads = [threading.Thread(target=lambda: (run(), connection.close())) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    run()
    assert len(receiver.messages) == len({message.id for message in receiver.messages}) == 20
    assert set(WebhookDelivery.objects.values_list("status", flat=True)) == {"delivered"}
    assert not WebhookEndpoint.objects.exclude(claim=None).exists()


def test_the_events_of_an_endpoint_arrive_in_order_while_all_is_well(receiver: Any) -> None:
    endpoint = WebhookEndpointFactory(url=receiver.url)
    ids = [str(emit(endpoint).pk) for _ in range(10)]
    run()
    assert [message.id for message in receiver.messages] == ids


def test_a_claim_of_a_dead_worker_lapses(receiver: Any) -> None:
    endpoint = WebhookEndpointFactory(url=receiver.url)
    emit(endpoint)
    assert deliveries.claim(endpoint.pk) is not None
    assert deliveries.claim(endpoint.pk) is None
    assert run() == 0
    WebhookEndpoint.objects.update(claimed_until=timezone.now() - MINUTE)
    assert run() == 1 and len(receiver.messages) == 1


def test_of_two_attempts_at_the_same_time_the_one_that_ends_first_is_noted(receiver: Any) -> None:
    answers = iter([500, 503])
    receiver.answer = lambda message: next(answers)
    endpoint = WebhookEndpointFactory(url=receiver.url)
    emit(endpoint)
    outbox.dispatch()
    mine, theirs = deliveries.next_due(endpoint.pk), deliveries.next_due(endpoint.pk)
    assert mine is not None and theirs is not None
    deliveries.attempt(mine)
    noted = WebhookDelivery.objects.values().get()
    deliveries.attempt(theirs)
    assert len(receiver.messages) == 2 and WebhookDelivery.objects.values().get() == noted
    assert (noted["attempts"], noted["response_status"]) == (1, 500)


# --- what no key opens ------------------------------------------------------------


def test_a_secret_that_no_key_opens_keeps_its_event_and_nobody_elses(receiver: Any, settings: Any, caplog: Any) -> None:
    keys = settings.TOKEN_ENCRYPTION_KEYS
    locked = WebhookEndpointFactory(url=receiver.url)
    settings.TOKEN_ENCRYPTION_KEYS = ["MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTI="]
    emit(locked)
    emit(WebhookEndpointFactory(url=receiver.url))
    run()
    assert len(receiver.messages) == 1
    kept = WebhookDelivery.objects.get(endpoint=locked)
    assert (kept.status, kept.attempts, kept.error) == ("pending", 1, "The signing secret cannot be read.")
    assert kept.next_attempt_at > timezone.now() and [each["error"] for each in kept.history] == [kept.error]
    assert "TOKEN_ENCRYPTION_KEYS" in caplog.text and str(locked.pk) in caplog.text
    settings.TOKEN_ENCRYPTION_KEYS = keys
    make_due()
    assert run() == 1
    assert receiver.messages[1].verified(SECRET)


def test_a_lost_key_is_not_held_against_the_endpoint(receiver: Any) -> None:
    locked = WebhookEndpointFactory(url=receiver.url, secret="nonsense")
    emit(locked)
    run()
    locked.refresh_from_db()
    assert (locked.failing_since, locked.last_failed_at, locked.claim) == (None, None, None)


def test_a_test_with_a_secret_that_no_key_opens_fails_and_says_why(receiver: Any, api: Any, organization: Any) -> None:
    locked = WebhookEndpointFactory(url=receiver.url, secret="nonsense", organization=organization)
    answer = api.post(f"{URL}/{locked.pk}/test")
    assert answer.status_code == 200
    body = answer.json()
    assert (body["status"], body["attempts"], body["error"]) == ("failed", 1, "The signing secret cannot be read.")
    assert receiver.messages == []

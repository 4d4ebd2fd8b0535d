"""The admin of webhooks: no secret is shown, and staff may send again, switch and test."""

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.urls import reverse
from django.utils import timezone

from accounts.models import WebhookDelivery, WebhookEndpoint, WebhookEvent
from accounts.services import deliveries, redelivery
from accounts.tests.factories import SECRET, WebhookEndpointFactory
from accounts.tests.receivers import emit
from accounts.tests.receivers import run as deliver
from accounts.tests.test_admin import listing, page, run, signed_in, staff  # noqa: F401

pytestmark = pytest.mark.django_db(transaction=True)


def delivered(receiver: Any, **more: Any) -> WebhookDelivery:
    emit(WebhookEndpointFactory(url=receiver.url, **more))
    deliver()
    return WebhookDelivery.objects.get()


def test_no_page_shows_a_secret(staff: Any, receiver: Any) -> None:  # noqa: F811
    delivery = delivered(receiver)
    stored = WebhookEndpoint.objects.get().secret
    rows = (delivery, delivery.endpoint, delivery.event)
    for address in [*(page(row) for row in rows), *(listing(type(row)) for row in rows), reverse("admin:index")]:
        answer = staff.get(address)
        assert answer.status_code == 200
        assert SECRET not in answer.content.decode() and stored not in answer.content.decode()


def test_machine_written_rows_can_only_be_looked_at(staff: Any, receiver: Any) -> None:  # noqa: F811
    delivery = delivered(receiver)
    for row in (delivery, delivery.endpoint):
        before = type(row).objects.filter(pk=row.pk).values().get()
        assert staff.post(page(row), {"url": "https://8.8.8.8", "status": "failed"}).status_code == 403
        assert staff.post(page(row, "delete"), {"post": "yes"}).status_code == 403
        assert type(row).objects.filter(pk=row.pk).values().get() == before


def test_a_delivery_is_shown_with_the_answer_escaped(staff: Any, receiver: Any) -> None:  # noqa: F811
    receiver.answer = lambda message: (500, b"<script>alert(1)</script>", {})
    content = staff.get(page(delivered(receiver))).content.decode()
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in content and "<script>alert(1)" not in content


def test_a_delivery_is_shown_with_the_url_it_went_to(staff: Any, receiver: Any) -> None:  # noqa: F811
    delivery = delivered(receiver)
    WebhookEndpoint.objects.update(url="https://moved.example/hook")
    assert receiver.url in staff.get(page(delivery)).content.decode()
    staff.post(page(delivery, "redeliver"))
    waiting = staff.get(page(delivery)).content.decode()
    assert receiver.url in waiting and "https://moved.example/hook" in waiting
    WebhookEndpoint.objects.update(url=f"{receiver.url}/moved")
    deliver()
    assert f"{receiver.url}/moved" in staff.get(page(delivery)).content.decode()
    delivery.refresh_from_db()
    assert delivery.url == f"{receiver.url}/moved"


def test_deliveries_are_found_by_ids_and_filtered(
    staff: Any,  # noqa: F811
    receiver: Any,
    django_assert_max_num_queries: Any,
) -> None:
    one = delivered(receiver)
    receiver.answer = lambda message: 500
    for _ in range(12):
        emit(WebhookEndpointFactory(url=receiver.url))
    deliver()

    def found(**query: Any) -> list[Any]:
        return list(staff.get(listing(WebhookDelivery), query).context["cl"].result_list)

    for term in (one.pk, one.event_id, one.endpoint_id, one.endpoint.organization_id):
        assert found(q=str(term)) == [one]
    assert found(q="nonsense") == []
    assert found(status__exact="delivered") == [one]
    with django_assert_max_num_queries(8):
        assert len(found()) == 13


def test_staff_send_again(staff: Any, receiver: Any) -> None:  # noqa: F811
    delivery = delivered(receiver)
    assert staff.get(page(delivery, "redeliver")).status_code == 200
    assert deliver() == 0, "looking changes nothing"
    staff.post(page(delivery, "redeliver"))
    deliver()
    run(staff, WebhookDelivery, "redeliver_selected", delivery)
    deliver()
    assert [message.id for message in receiver.messages] == [str(delivery.event_id)] * 3
    WebhookEndpoint.objects.update(is_enabled=False)
    answer = staff.post(page(delivery, "redeliver"), follow=True)
    assert "disabled endpoint" in answer.content.decode()
    delivery.refresh_from_db()
    assert delivery.status == "delivered"


def test_staff_switch_and_test_endpoints(staff: Any, receiver: Any) -> None:  # noqa: F811
    endpoint = WebhookEndpointFactory(url=receiver.url)
    staff.get(page(endpoint, "disable"))
    staff.get(page(endpoint, "send_test"))
    assert receiver.messages == []
    staff.post(page(endpoint, "disable"))
    endpoint.refresh_from_db()
    assert not endpoint.is_enabled
    assert "enable it first" in staff.post(page(endpoint, "send_test"), follow=True).content.decode()
    staff.post(page(endpoint, "enable"))
    staff.post(page(endpoint, "send_test"))
    assert [message.verified(SECRET)["type"] for message in receiver.messages] == ["webhook.test"]


def test_a_test_that_has_to_wait_is_said_to_follow(staff: Any, receiver: Any) -> None:  # noqa: F811
    endpoint = WebhookEndpointFactory(url=receiver.url)
    deliveries.claim(endpoint.pk)
    content = staff.post(page(endpoint, "send_test"), follow=True).content.decode()
    assert "the test follows" in content and "It answered" not in content
    assert receiver.messages == []


def test_staff_do_only_what_they_may(signed_in: Any, receiver: Any) -> None:  # noqa: F811
    delivery = delivered(receiver)
    client = signed_in("view_webhookendpoint", "view_webhookdelivery")
    assert client.get(page(delivery)).status_code == client.get(page(delivery.endpoint)).status_code == 200
    for action in ("enable", "disable", "send_test"):
        assert client.post(page(delivery.endpoint, action)).status_code == 403
    assert client.post(page(delivery, "redeliver")).status_code == 403
    run(client, WebhookDelivery, "redeliver_selected", delivery)
    assert deliver() == 0 and len(receiver.messages) == 1


def test_the_first_page_gives_notice_of_endpoints_that_were_disabled(
    client: Any,
    staff: Any,  # noqa: F811
) -> None:
    then = timezone.now() - timedelta(hours=3)
    off = {"is_enabled": False, "disabled_at": then}
    WebhookEndpointFactory(url="https://well.example/")
    WebhookEndpointFactory(url="https://off.example/", disabled_reason="owner", **off)
    assert "Webhooks that were disabled" not in staff.get(reverse("admin:index")).content.decode()
    WebhookEndpointFactory(url="https://gone.example/", disabled_reason="gone", **off)
    WebhookEndpointFactory(url="https://failing.example/", disabled_reason="failing", **off)
    content = staff.get(reverse("admin:index")).content.decode()
    assert "https://gone.example/" in content and "answered 410 gone" in content
    assert "https://failing.example/" in content and "nothing but failure for days" in content
    assert "well.example" not in content and "off.example" not in content
    client.force_login(User.objects.create_user("some", is_staff=True))
    assert "gone.example" not in client.get(reverse("admin:index")).content.decode()


def test_sending_again_later_makes_nothing_due_that_is_disabled() -> None:
    endpoint = WebhookEndpointFactory(is_enabled=False)
    event = WebhookEvent.objects.create(organization=endpoint.organization, mode="test", type="x", data={})
    WebhookDelivery.objects.create(endpoint=endpoint, event=event, status="failed", next_attempt_at=None)
    assert redelivery.redeliver_later(WebhookDelivery.objects.all()) == 0
    assert WebhookDelivery.objects.get().status == "failed"

"""Deliveries by hand: tests, and again what was delivered or failed before; and forgetting old ones."""

import uuid
from datetime import timedelta

from django.conf import settings
from django.db import models, transaction
from django.db.models.functions import Now
from django.utils import timezone

from accounts.models import DeliveryStatus, WebhookDelivery, WebhookEndpoint, WebhookEvent, WebhookMark
from accounts.services import deliveries, messenger

CHUNK = 1000
TOO_LATE = timedelta(days=1)


class Disabled(Exception):
    """Nothing is sent to a disabled endpoint."""

    def __init__(self) -> None:
        super().__init__("The endpoint is disabled; enable it first.")


def send_test(endpoint: WebhookEndpoint) -> WebhookDelivery:
    """Send an endpoint a test event, now and once. Returns the delivery as it ended."""
    with transaction.atomic():
        endpoint = WebhookEndpoint.objects.select_for_update().get(pk=endpoint.pk)
        if not endpoint.is_enabled:
            raise Disabled
        event = WebhookEvent.objects.create(
            organization_id=endpoint.organization_id,
            mode=endpoint.mode,
            type=deliveries.TEST,
            data={"endpoint_id": str(endpoint.pk), "message": "This endpoint receives events."},
            dispatched_at=timezone.now(),
        )
        delivery = WebhookDelivery.objects.create(event=event, endpoint=endpoint)
    return _deliver_now(delivery)


def redeliver(delivery: WebhookDelivery) -> WebhookDelivery:
    """Send a delivery again now, under its old id; if it fails the schedule begins anew. Returns it as it stands."""
    if not delivery.endpoint.is_enabled:
        raise Disabled
    _make_due(delivery.pk)
    return _deliver_now(delivery)


def redeliver_later(chosen: models.QuerySet[WebhookDelivery]) -> int:
    """Make deliveries to enabled endpoints due, for staff. Returns how many."""
    ids = list(chosen.filter(endpoint__is_enabled=True).values_list("pk", flat=True))
    with transaction.atomic():
        due = sum(_make_due(pk) for pk in ids)
        messenger.wake()
    return due


def _make_due(pk: uuid.UUID) -> int:
    again = {"status": DeliveryStatus.PENDING, "attempts": 0, "next_attempt_at": Now()}
    return WebhookDelivery.objects.filter(pk=pk).update(**again)


def _deliver_now(delivery: WebhookDelivery) -> WebhookDelivery:
    """In this thread; if somebody is delivering to the endpoint already, they will come to it."""
    mine = deliveries.claim(delivery.endpoint_id)
    if mine is None:
        messenger.wake()
    else:
        try:
            fresh = _of(delivery.pk).filter(status=DeliveryStatus.PENDING).first()
            if fresh is not None:
                deliveries.attempt(fresh)
        finally:
            deliveries.release(delivery.endpoint_id, mine)
    return _of(delivery.pk).get()


def _of(pk: uuid.UUID) -> models.QuerySet[WebhookDelivery]:
    return WebhookDelivery.objects.filter(pk=pk).select_related("endpoint", "event")


# --- retention ------------------------------------------------------------


def forget_old() -> int:
    """Delete deliveries and events older than WEBHOOK_RETENTION, in chunks. Returns how many rows.

    Of snapshots that came faster than they may be told, what is a day late is not told any more.
    """
    before = timezone.now() - settings.WEBHOOK_RETENTION
    old = WebhookDelivery.objects.filter(created_at__lt=before)
    told = WebhookEvent.objects.filter(created_at__lt=before, dispatched_at__isnull=False, deliveries=None)
    late = WebhookMark.objects.filter(created_at__lt=timezone.now() - TOO_LATE)
    return _delete(old) + _delete(told) + _delete(late)


def _delete(rows: models.QuerySet) -> int:
    total = 0
    while ids := list(rows.order_by("created_at").values_list("pk", flat=True)[:CHUNK]):
        total += rows.model._default_manager.filter(pk__in=ids).delete()[0]
    return total

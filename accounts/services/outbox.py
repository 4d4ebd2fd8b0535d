"""From the outbox to endpoints: a delivery for each event and each endpoint that subscribes to it."""

from collections import defaultdict
from collections.abc import Iterable
from uuid import UUID

from django.db import transaction
from django.db.models.functions import Now

from accounts.models import WebhookDelivery, WebhookEndpoint, WebhookEvent
from accounts.services.endpoints import subscribes

BATCH = 500


def dispatch() -> int:
    """Write the deliveries of all events that have none yet. Returns how many events there were."""
    total = 0
    while True:
        with transaction.atomic():
            count = _dispatch_batch()
        total += count
        if count < BATCH:
            return total


def _dispatch_batch() -> int:
    waiting = WebhookEvent.objects.filter(dispatched_at=None).defer("data").order_by("created_at")
    events = list(waiting.select_for_update(skip_locked=True)[:BATCH])
    if not events:
        return 0
    endpoints = _enabled(event.organization_id for event in events)
    WebhookDelivery.objects.bulk_create(
        (
            WebhookDelivery(event=event, endpoint=endpoint, next_attempt_at=Now())
            for event in events
            for endpoint in endpoints[event.organization_id, event.mode]
            if subscribes(endpoint.events, event.type) and endpoint.created_at <= event.created_at
        ),
        ignore_conflicts=True,
    )
    WebhookEvent.objects.filter(pk__in=[event.pk for event in events]).update(dispatched_at=Now())
    return len(events)


def _enabled(organizations: Iterable[UUID]) -> dict[tuple[UUID, str], list[WebhookEndpoint]]:
    """Locked, in one order for all who lock several, so that none is deleted before its deliveries are written."""
    found: dict[tuple[UUID, str], list[WebhookEndpoint]] = defaultdict(list)
    enabled = WebhookEndpoint.objects.filter(organization__in=set(organizations), is_enabled=True).order_by("pk")
    for endpoint in enabled.only("organization_id", "mode", "events", "created_at").select_for_update(no_key=True):
        found[endpoint.organization_id, endpoint.mode].append(endpoint)
    return found

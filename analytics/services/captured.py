"""Telling of new snapshots: noted while they are stored, told at most once a minute."""

from collections import defaultdict
from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet, prefetch_related_objects
from django.utils import timezone

from accounts.models import EventType, WebhookEndpoint, WebhookEvent, WebhookMark
from accounts.services import events
from accounts.services.endpoints import subscribers, subscribes
from analytics.models import PostAnalytics, Target
from analytics.rows import ROW_COLUMNS, post_row

EVERY = timedelta(minutes=1)
MARKED_TOGETHER = 100


def note(stored: Mapping[Target, PostAnalytics]) -> None:
    """Note new snapshots, whosever they are, in the transaction that stores them; nothing if nobody wants to hear."""
    prefetch_related_objects(list(stored), "account")
    owned: dict[tuple[UUID, str], list[int]] = defaultdict(list)
    for target, row in stored.items():
        owned[target.account.organization_id, target.account.mode].append(row.pk)
    marks = [
        WebhookMark(organization_id=organization_id, mode=mode, snapshot_ids=ids[first : first + MARKED_TOGETHER])
        for (organization_id, mode), ids in owned.items()
        if subscribers.includes(organization_id, mode)
        for first in range(0, len(ids), MARKED_TOGETHER)
    ]
    if marks:
        WebhookMark.objects.bulk_create(marks)


def tell() -> int:
    """One event for each organization and mode with new snapshots, if a minute has passed. Returns how many."""
    owners = WebhookMark.objects.order_by().values_list("organization_id", "mode").distinct()
    return sum(_tell_owner(organization_id, mode) for organization_id, mode in list(owners))


def _tell_owner(organization_id: UUID, mode: str) -> bool:
    owned = {"organization_id": organization_id, "mode": mode}
    with transaction.atomic():
        # Locked, so that nobody else tells the same organization at the same time.
        enabled = WebhookEndpoint.objects.select_for_update().filter(**owned, is_enabled=True).order_by("pk")
        listening = any(subscribes(each.events, EventType.ANALYTICS_CAPTURED) for each in enabled)
        marks = WebhookMark.objects.filter(**owned)
        if not listening:
            marks.delete()
            return False
        just_told = WebhookEvent.objects.filter(
            **owned, type=EventType.ANALYTICS_CAPTURED, created_at__gt=timezone.now() - EVERY
        )
        return not just_told.exists() and _tell_of(marks, organization_id, mode)


def _tell_of(marks: QuerySet[WebhookMark], organization_id: UUID, mode: str) -> bool:
    """Tell of the oldest marks, as many as fit into one delivery; the others are told next time."""
    told: list[WebhookMark] = []
    ids: list[int] = []
    for mark in marks.order_by("id")[: settings.WEBHOOK_CAPTURED_ROWS]:
        if ids and len(ids) + len(mark.snapshot_ids) > settings.WEBHOOK_CAPTURED_ROWS:
            break
        told.append(mark)
        ids += mark.snapshot_ids
    WebhookMark.objects.filter(pk__in=[mark.pk for mark in told]).delete()
    rows = _rows(ids, organization_id, mode)
    if rows:
        events.emit(organization_id, mode, EventType.ANALYTICS_CAPTURED, {"snapshots": rows})
    return bool(rows)


def _rows(ids: list[int], organization_id: UUID, mode: str) -> list[dict[str, Any]]:
    """What there is to tell of snapshots; of nobody else's, whatever was noted."""
    owned = {"target__post__organization_id": organization_id, "target__post__mode": mode}
    alive = PostAnalytics.objects.filter(**owned, pk__in=ids, target__deleted_at=None).order_by("captured_at", "id")
    columns = alive.values(*ROW_COLUMNS, "target__post_id")
    return [{"post_id": str(row["target__post_id"]), **post_row(row)} for row in columns]

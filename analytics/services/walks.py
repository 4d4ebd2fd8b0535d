"""Walking through snapshots page by page, in the order of their indexes, from where a walk was left."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from analytics.models import AccountMetrics, Heartbeat, PostAnalytics
from postfuze.api.pagination import after

ORDER = ("captured_at", "id")
Place = tuple[datetime, int]
"""The row that a walk has passed: when it was captured, and its id."""
TABLES: dict[str, type[PostAnalytics] | type[AccountMetrics]] = {
    model._meta.db_table: model for model in (PostAnalytics, AccountMetrics)
}


def beyond(rows: QuerySet[Any], place: Place | None) -> QuerySet[Any]:
    """The rows that a walk has still before it."""
    return rows if place is None else rows.filter(after(ORDER, place))


def pages(rows: QuerySet[Any], *, size: int, place: Place | None = None) -> Iterator[list[dict[str, Any]]]:
    """Pages of rows, as columns, among them those of `ORDER`. Each is read when it is asked for."""
    more = True
    while more:
        page = list(beyond(rows, place).order_by(*ORDER)[:size])
        more = len(page) == size
        if page:
            place = place_of(page[-1])
            yield page


def place_of(row: Mapping[str, Any]) -> Place:
    return row["captured_at"], row["id"]


# --- where a walk was left, in the row that tells of it ---------------------------------------------------------------


def told(name: str) -> dict[str, Any]:
    """What a piece of work has noted."""
    detail: dict[str, Any] | None = Heartbeat.objects.filter(name=name).values_list("detail", flat=True).first()
    return detail or {}


def places(name: str) -> dict[str, Place]:
    """How far each stream of a piece of work has come."""
    stored: Mapping[str, Any] = told(name).get("places", {})
    read = {stream: (parse_datetime(place[0]), int(place[1])) for stream, place in stored.items()}
    return {stream: (at, pk) for stream, (at, pk) in read.items() if at is not None}


def note(name: str, stream: str = "", place: Place | None = None, **detail: Any) -> None:
    """Say how far a stream has come, and what else there is to tell; without a stream, only that."""
    with transaction.atomic():
        row, _ = Heartbeat.objects.select_for_update().get_or_create(name=name, defaults={"at": timezone.now()})
        known = {each: told for each, told in row.detail.get("places", {}).items() if each != stream}
        known |= {stream: [place[0].isoformat(), place[1]]} if place is not None else {}
        row.at, row.detail = timezone.now(), row.detail | detail | {"places": known}
        row.save(update_fields=["at", "detail"])

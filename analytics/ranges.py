"""Ranges and intervals of series, as query parameters."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request
from rest_framework.views import APIView

from analytics.selectors import INTERVALS
from postfuze.api import ids, times
from postfuze.api.pagination import KeysetPagination
from postfuze.api.problems import Problem, invalid

_TIME = {"oneOf": [{"type": "string", "format": "date-time"}, {"type": "number"}]}
PARAMETERS = [
    OpenApiParameter("since", _TIME, description="Inclusive."),
    OpenApiParameter("until", _TIME, description="Exclusive."),
    OpenApiParameter("interval", str, enum=INTERVALS, description="Keep the last snapshot of each UTC bucket."),
    OpenApiParameter("limit", {"type": "integer", "minimum": 1, "maximum": 5000, "default": 500}),
    OpenApiParameter("cursor", str),
]


class AccountSeriesPagination(KeysetPagination):
    order = ("captured_at", "id")
    default_limit = 500
    max_limit = 5000

    def begin(self, request: Request, view: APIView) -> datetime:
        """When the walk began that a request goes on with, or begins. Its cursors remember it."""
        now = timezone.now()
        cursor = request.query_params.get("cursor")
        carried = self.load(cursor, self.salt(request, view))[len(self.order) :] if cursor else []
        try:
            begun_at = datetime.fromisoformat(carried[0]) if carried else now
        except (TypeError, ValueError):
            begun_at = now
        self.carried = (begun_at,)
        return begun_at


class PostSeriesPagination(AccountSeriesPagination):
    order = ("captured_at", "target_id", "id")


@dataclass(frozen=True)
class Range:
    """`[since, until)`; an open end is None."""

    since: datetime | None
    until: datetime | None
    interval: str | None

    def as_of(self, begun_at: datetime) -> "Range":
        """The same for a walk that began then: a snapshot that came later would end a bucket a second time."""
        if self.interval is None:
            return self
        end = begun_at + timedelta(microseconds=1)
        return replace(self, until=min(self.until or end, end))

    @property
    def is_bounded(self) -> bool:
        return self.since is not None or self.until is not None


def parse(request: Request) -> Range:
    """The range that a request asks for; 400 `invalid_range` if it is none."""
    since, until = _instant(request, "since"), _instant(request, "until")
    if since is not None and until is not None and since > until:
        message = "since must not be after until."
        raise Problem("invalid_range", message, errors=[{"field": "since", "message": message}])
    interval = request.query_params.get("interval")
    if interval is not None and interval not in INTERVALS:
        raise invalid("interval", f"Expected one of {', '.join(INTERVALS)}.")
    return Range(since, until, interval)


def _instant(request: Request, name: str) -> datetime | None:
    text = request.query_params.get(name)
    if text is None:
        return None
    try:
        return times.parse(text)
    except ValueError as error:
        raise Problem("invalid_range", f"{name}: {error}", errors=[{"field": name, "message": str(error)}]) from error


def uuid_parameter(request: Request, name: str) -> UUID | None:
    """An id in a filter; a 400 that names it if it is none."""
    text = request.query_params.get(name)
    if text is None:
        return None
    try:
        return ids.parse(text)
    except ValueError as error:
        raise invalid(name, str(error)) from None


def includes_raw(request: Request) -> bool:
    """Whether raw payloads are asked for."""
    text = request.query_params.get("include")
    if text is not None and text != "raw":
        raise invalid("include", "Expected raw.")
    return text == "raw"

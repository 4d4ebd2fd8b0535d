"""Parking what a platform's rate limit concerns, for all processes."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from django.utils import timezone

from accounts.models import Gate


class DatabaseGates:
    """The platform's closed gates, read once when first asked. One for each conversation."""

    def __init__(self, platform: str) -> None:
        self._platform = platform
        self._closed: dict[str, datetime] | None = None

    def closed_until(self, keys: Iterable[str]) -> datetime | None:
        if self._closed is None:
            gates = Gate.objects.filter(platform=self._platform, not_before__gt=timezone.now())
            self._closed = dict(gates.values_list("key", "not_before"))
        found = [self._closed[key] for key in keys if key in self._closed]
        return max(found, default=None)

    def close(self, key: str, until: datetime, reason: str) -> None:
        close(self._platform, key, until, reason)
        if self._closed is not None:
            self._closed[key] = max(until, self._closed.get(key, until))


def close(platform: str, key: str, until: datetime, reason: str) -> None:
    """Park `key` until an instant; a gate that is closed for longer stays so."""
    fresh = {"not_before": until, "reason": reason[:64], "updated_at": timezone.now()}
    if not Gate.objects.filter(key=key, not_before__lt=until).update(**fresh):
        Gate.objects.bulk_create([Gate(key=key, platform=platform, **fresh)], ignore_conflicts=True)


def open_expired() -> int:
    """Remove gates that are long open."""
    return Gate.objects.filter(not_before__lt=timezone.now() - timedelta(days=2)).delete()[0]

"""Parking what a platform's rate limit concerns, for all processes."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.utils import timezone

from accounts.models import Gate, Mode
from platforms.rates import Parked

OPENED = "opened by staff"


@dataclass(frozen=True)
class Opened:
    """A gate that staff opened."""

    key: str
    platform: str
    mode: str
    at: datetime


class DatabaseGates:
    """The platform's closed gates, read once when first asked. One for each conversation.

    Calls in test mode reach other hosts than live ones of the same name, so their gates have names of their own.
    """

    def __init__(self, platform: str, mode: str = Mode.LIVE) -> None:
        self._platform = platform
        self._prefix = "" if mode == Mode.LIVE else f"{mode}/"
        self._closed: dict[str, Parked] | None = None

    def parked(self, keys: Iterable[str]) -> Parked | None:
        """What parks one of `keys` for the longest, or None."""
        closed = self._loaded()
        return max((closed[self._prefix + key] for key in keys if self._prefix + key in closed), default=None)

    def load(self, closed: Mapping[str, Parked]) -> None:
        """Take over what was read already, so that no database is needed until a gate is closed."""
        self._closed = dict(closed)

    def _loaded(self) -> dict[str, Parked]:
        if self._closed is None:
            gates = Gate.objects.filter(platform=self._platform, not_before__gt=timezone.now()).order_by()
            self._closed = {key: Parked(*rest) for key, *rest in gates.values_list("key", "not_before", "reason")}
        return self._closed

    def close(self, key: str, until: datetime, reason: str) -> None:
        """Park `key`; a gate is never opened early."""
        key = self._prefix + key
        close(self._platform, key, until, reason)
        if self._closed is not None:
            fresh = Parked(until, reason)
            self._closed[key] = max(fresh, self._closed.get(key, fresh))


def close(platform: str, key: str, until: datetime, reason: str) -> None:
    """Park `key` until an instant; a gate that is closed for longer stays so."""
    fresh = {"not_before": until, "reason": reason[:64], "updated_at": timezone.now()}
    shorter = Gate.objects.filter(key=key, not_before__lt=until)
    if not shorter.update(**fresh):
        Gate.objects.bulk_create([Gate(key=key, platform=platform, **fresh)], ignore_conflicts=True)
        shorter.update(**fresh)  # another process may have made it, for a shorter time


def open_now(keys: Iterable[str]) -> int:
    """Let calls through again, for staff. Returns how many gates were closed. What waits is made due by `resume`."""
    now = timezone.now()
    closed = Gate.objects.filter(key__in=list(keys), not_before__gt=now)
    return closed.update(not_before=now, reason=OPENED, updated_at=now)


def opened() -> list[Opened]:
    """Gates that staff opened and behind which work may still wait."""
    found = Gate.objects.filter(reason=OPENED).order_by("key")
    return [Opened(gate.key, gate.platform, _mode_of(gate.key), gate.updated_at) for gate in found]


def _mode_of(key: str) -> str:
    mode, slash, _ = key.partition("/")
    return mode if slash and mode in Mode.values else Mode.LIVE.value


def note_resumed(key: str) -> None:
    """Nothing waits behind an opened gate any more."""
    Gate.objects.filter(key=key, reason=OPENED).update(reason=f"{OPENED}, resumed")


def open_expired() -> int:
    """Remove gates that are long open."""
    return Gate.objects.filter(not_before__lt=timezone.now() - timedelta(days=2)).delete()[0]

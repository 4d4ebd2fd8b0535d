"""How often a platform may be called: its documented rules, and the counting of calls against them."""

import logging
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import NamedTuple, Protocol, get_args
from zoneinfo import ZoneInfo

from limits import RateLimitItemPerSecond
from limits.errors import StorageError
from limits.storage import MemoryStorage, Storage
from limits.strategies import FixedWindowRateLimiter, MovingWindowRateLimiter

from platforms.errors import Scope

logger = logging.getLogger(__name__)

PAUSE_SECONDS = 10


@dataclass(frozen=True)
class Limit:
    """A documented rule: at most `calls` per sliding window of `seconds`, or per calendar day of the named `zone`.

    `scope` says who shares it: all accounts of one OAuth app, one account, or everybody calling one host.
    `group` is the endpoint group that it counts; empty means every call.
    """

    calls: int
    seconds: int = 86400
    zone: str = ""
    scope: Scope = "account"
    group: str = ""


@dataclass(frozen=True)
class Owner:
    """Whose budget a call spends."""

    app: str
    account: str
    host: str = ""

    def key(self, platform: str, scope: Scope, group: str = "") -> str:
        """The name under which a limit is counted and a gate is closed."""
        who = {"app": self.app, "account": self.account, "host": self.host, "platform": ""}[scope]
        return ":".join((platform, scope, who, group))


class Parked(NamedTuple):
    """Until when something is parked, and the code of the error that parked it, or `spent`."""

    until: datetime
    reason: str


class Gates(Protocol):
    """What is parked until an instant, shared by all processes."""

    def parked(self, keys: Iterable[str]) -> Parked | None:
        """What parks one of `keys` for the longest, or None."""

    def close(self, key: str, until: datetime, reason: str) -> None:
        """Park `key`; a gate is never opened early."""


def closed_by(gates: Gates, owner: Owner, platform: str, group: str) -> tuple[Parked | None, Scope]:
    """Until when a call is parked, and by whose gate: the account's only if no wider one is closed."""
    longest: Parked | None = None
    widest: Scope = "account"
    for scope in get_args(Scope):
        closed = gates.parked(owner.key(platform, scope, each) for each in {"", group})
        if closed is not None:
            longest = max(closed, longest or closed)
            widest = widest if scope == "account" else scope
    return longest, widest


class NoGates:
    """For callers without a database: nothing is ever parked."""

    def parked(self, keys: Iterable[str]) -> Parked | None:
        return None

    def close(self, key: str, until: datetime, reason: str) -> None:
        return None


def next_midnight(zone: str, now: float) -> datetime:
    """The first instant of the next calendar day in `zone`."""
    local = datetime.fromtimestamp(now, ZoneInfo(zone))
    return datetime.combine(local.date() + timedelta(days=1), datetime.min.time(), ZoneInfo(zone)).astimezone(UTC)


class Meter:
    """Counts calls against documented limits.

    `share` is the part of every budget that this process may spend where nothing is shared between processes.
    `reserved` is the part that only live reads may spend.
    """

    def __init__(self, storage: Storage, *, share: float = 1.0, reserved: float = 0.2) -> None:
        self._storage = storage
        self._sliding = MovingWindowRateLimiter(storage)
        self._fixed = FixedWindowRateLimiter(storage)
        self._share = share
        self._reserved = reserved
        self._instead: Meter | None = None
        self._down_until = 0.0
        self._lock = threading.Lock()

    def take(self, platform: str, limits: Sequence[Limit], owner: Owner, *, live: bool) -> datetime | None:
        """Count one call. None if every limit had room, else the instant at which the refusing ones will have.

        Counted in this process alone while the storage does not answer: that must cost neither calls nor limits. Nor
        much time: the storage is left alone for a while then.
        """
        if time.monotonic() < self._down_until:
            return self._alone()._take(platform, limits, owner, live=live)
        try:
            return self._take(platform, limits, owner, live=live)
        except self._storage_errors as error:
            self._down_until = time.monotonic() + PAUSE_SECONDS
            told = "limits are counted by this process alone for %s s: %s"
            logger.error(told, PAUSE_SECONDS, type(error).__name__)
            return self._alone()._take(platform, limits, owner, live=live)

    def _alone(self) -> "Meter":
        with self._lock:
            self._instead = self._instead or Meter(MemoryStorage(), share=self._share, reserved=self._reserved)
            return self._instead

    @property
    def _storage_errors(self) -> tuple[type[Exception], ...]:
        if isinstance(self._storage, MemoryStorage):
            return ()
        own = self._storage.base_exceptions
        return (StorageError, *own) if isinstance(own, tuple) else (StorageError, own)

    def _take(self, platform: str, limits: Sequence[Limit], owner: Owner, *, live: bool) -> datetime | None:
        counters = [self._counter(platform, limit, owner) for limit in limits]
        refused = [counter for counter in counters if not counter.has_room(self._reserved if not live else 0.0)]
        for counter in () if refused else counters:  # all have room, or none is counted
            if not counter.hit():
                refused.append(counter)
        return max((counter.free_at() for counter in refused), default=None)

    def _counter(self, platform: str, limit: Limit, owner: Owner) -> "_Counter":
        calls = max(1, int(limit.calls * self._share))
        key = owner.key(platform, limit.scope, limit.group)
        if limit.zone:  # counted by date; two days are longer than any
            key = f"{key}:{next_midnight(limit.zone, time.time()).isoformat()}"
            return _Counter(self._fixed, RateLimitItemPerSecond(calls, 2 * 86400), key, limit)
        return _Counter(self._sliding, RateLimitItemPerSecond(calls, limit.seconds), key, limit)


@dataclass(frozen=True)
class _Counter:
    """One limit's count for one owner."""

    strategy: MovingWindowRateLimiter | FixedWindowRateLimiter
    item: RateLimitItemPerSecond
    key: str
    limit: Limit

    def has_room(self, reserved: float) -> bool:
        """Whether a call fits, with the reserved part left alone."""
        kept = int(self.item.amount * reserved)
        return self.strategy.get_window_stats(self.item, self.key).remaining > kept

    def hit(self) -> bool:
        return self.strategy.hit(self.item, self.key)

    def free_at(self) -> datetime:
        if self.limit.zone:
            return next_midnight(self.limit.zone, time.time())
        reset = self.strategy.get_window_stats(self.item, self.key).reset_time
        return datetime.fromtimestamp(max(reset, time.time() + 1), UTC)


def retry_after(headers: Mapping[str, str], now: datetime) -> datetime | None:
    """`Retry-After` in seconds or as a date. https://www.rfc-editor.org/rfc/rfc9110#field.retry-after"""
    value = headers.get("retry-after", "").strip()
    if value.isascii() and value.isdecimal():
        return now + timedelta(seconds=min(int(value[:20]), 10**7))
    try:
        named = parsedate_to_datetime(value)
    except (ValueError, OverflowError):
        return None
    return named if named.tzinfo else named.replace(tzinfo=UTC)

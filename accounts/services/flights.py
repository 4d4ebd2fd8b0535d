"""Sharing: requests for the same thing at the same time share one platform call, its result and its failure.

Within a process by futures, across processes by a row (PostgreSQL; SQLite serves one web process).
"""

import json
import logging
import threading
import time
import uuid
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from math import ceil
from typing import Any

from django.db import connection, transaction
from django.db.models.functions import Now
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from accounts.models import Flight
from platforms.batching import Batcher
from platforms.client import CALL_SECONDS, CONVERSATION_SECONDS
from platforms.errors import PlatformError

logger = logging.getLogger(__name__)

LASTS = timedelta(seconds=12)  # that a flight outlives its process; while that lives it is renewed
RENEWED_EVERY = 4.0
AT_MOST = CALL_SECONDS + CONVERSATION_SECONDS + 30  # a token exchange, a conversation, storing
POLL_SECONDS = 0.05
TELL_PAUSES = (0.05, 0.5)
KEPT_SECONDS = 10.0
TIMEOUT_CODE = "deadline_exceeded"


@dataclass(frozen=True)
class Failure:
    """A failed pull, as callers are told of it."""

    code: str
    detail: str
    retryable: bool
    retry_at: datetime | None = None

    @classmethod
    def of(cls, error: PlatformError) -> "Failure":
        return cls(error.code, error.detail, error.retryable, error.retry_at)

    @property
    def retry_after(self) -> int | None:
        """Whole seconds from now, where an instant is known; rounded up: who comes earlier is refused again."""
        if self.retry_at is None:
            return None
        return max(0, ceil((self.retry_at - timezone.now()).total_seconds()))


Landing = Failure | None
"""How a call ended: None is success."""
Work = Callable[[list[str]], dict[str, Landing]]


def late() -> Failure:
    """What an asker is told whose deadline passed first."""
    return Failure(TIMEOUT_CODE, "The platform did not answer before the deadline.", True)


class _Desk:
    """The calls of this process that are under way or have just ended, by key."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._flights: dict[str, tuple[Future[Landing], float | None]] = {}

    def join(self, keys: Sequence[str], since: float) -> tuple[dict[str, Future[Landing]], dict[str, Future[Landing]]]:
        """(new, shared) futures by key. A call that ended after `since` began at the same time as the asker."""
        new: dict[str, Future[Landing]] = {}
        shared: dict[str, Future[Landing]] = {}
        with self._lock:
            self._forget()
            for key in keys:
                known = self._flights.get(key)
                if known is not None and (known[1] is None or known[1] >= since):
                    shared[key] = known[0]
                else:
                    new[key] = Future()
                    self._flights[key] = (new[key], None)
        return new, shared

    def land(self, key: str, future: "Future[Landing]", landing: Landing) -> None:
        with self._lock:
            if self._flights.get(key, (None,))[0] is future:
                self._flights[key] = (future, time.monotonic())
        if not future.done():
            future.set_result(landing)

    def _forget(self) -> None:
        if len(self._flights) > 1000:
            old = time.monotonic() - KEPT_SECONDS
            self._flights = {k: f for k, f in self._flights.items() if f[1] is None or f[1] > old}


_desk = _Desk()


def share(
    groups: dict[tuple[str, ...], Work],
    pool_of: Callable[[tuple[str, ...]], ThreadPoolExecutor],
    *,
    since: float,
    deadline: float,
) -> dict[str, Landing]:
    """Run each group's work, or wait for whoever is at it; what is not there by `deadline` is late.

    `since` and `deadline` are instants of `time.monotonic()`: when the asker's request began, and when it must end.
    """
    waiting: dict[str, Future[Landing]] = {}
    starting: list[_Start] = []
    for keys, work in groups.items():
        new, shared = _desk.join(keys, since)
        waiting |= shared | new
        if new:
            starting.append(_Start(new, work, keys))
    if starting:
        _start(starting, pool_of, since)
    give_back()  # whoever waits here needs no connection, and the pool's threads do
    landings: dict[str, Landing] = {}
    for key, future in waiting.items():
        try:
            landings[key] = future.result(timeout=max(0.0, deadline - time.monotonic()))
        except TimeoutError:
            landings[key] = late()
    return landings


def give_back() -> None:
    """Leave the thread's database connection to others: who waits while holding one may wait for ever."""
    if not connection.in_atomic_block:
        connection.close()


@dataclass(frozen=True)
class _Start:
    """A group's calls that nobody in this process is at yet."""

    futures: dict[str, "Future[Landing]"]
    work: Work
    keys: tuple[str, ...]
    holder: uuid.UUID = field(default_factory=uuid.uuid4)


def _start(groups: list[_Start], pool_of: Callable[[tuple[str, ...]], ThreadPoolExecutor], since: float) -> None:
    """Begin what nobody in another process is at, and watch the rest."""
    waiting = list(groups)
    try:
        owned = _take_off({key: group.holder for group in groups for key in group.futures}, since)
        for group in groups:
            for key in group.futures.keys() - owned:
                _watcher.watch(key, group.futures[key])
            ours = {key: future for key, future in group.futures.items() if key in owned}
            if ours:
                _leases.hold(group.holder, ours.keys())
                pool_of(group.keys).submit(_fly, ours, group.work, group.holder)
            waiting.remove(group)
    except BaseException:  # else nobody would ever land them, and everybody who asks later would wait for them
        for group in waiting:
            _leases.release(group.holder)
            for key, future in group.futures.items():
                _desk.land(key, future, _failed())
        raise


def _fly(futures: dict[str, "Future[Landing]"], work: Work, holder: uuid.UUID) -> None:
    """In the pool: do the work, tell everybody. The thread's database connection is given back."""
    landings: dict[str, Landing] = {}
    try:
        landings = work(list(futures))
    except Exception:
        logger.exception("a live call failed: %s", ", ".join(futures))
        landings = dict.fromkeys(futures, _failed())
    finally:
        landings = {key: landings.get(key, _failed()) for key in futures}
        _tell(holder, landings)
        for key, future in futures.items():
            _desk.land(key, future, landings[key])
        _leases.release(holder)
        connection.close()


def _tell(holder: uuid.UUID, landings: dict[str, Landing]) -> None:
    """Other processes how it ended. If that cannot be written it is tried again: they wait for as long as it is not."""
    for pause in (*TELL_PAUSES, 0.0):
        try:
            _reporter.do((holder, landings))
            return
        except Exception:
            logger.exception("other processes cannot be told how %s ended", ", ".join(landings))
            give_back()
            time.sleep(pause)


def _failed() -> Failure:
    return Failure("platform_error", "The call could not be made.", True)


# --- across processes ------------------------------------------------------------


# Rows are locked in the order in which `_take_off` does, or two processes would wait for each other's.
_UPDATE_OURS = """
    WITH ours AS MATERIALIZED (
        SELECT key, said.outcome
        FROM {table} AS flight
        JOIN unnest(%s::text[], %s::uuid[], %s::jsonb[]) AS said (key, holder, outcome) USING (key, holder)
        WHERE flight.finished_at IS NULL
        ORDER BY key COLLATE "C"
        FOR UPDATE OF flight
    )
    UPDATE {table} AS flight SET {change} FROM ours WHERE flight.key = ours.key
"""
Said = tuple[str, uuid.UUID, str | None]
"""A flight's key, its holder, and the outcome as JSON."""


def _update_ours(said: Sequence[Said], change: str, *values: Any) -> None:
    """Change those flights that are under way and still have the holder that is named."""
    if said and _is_shared():
        columns = [list(column) for column in zip(*said, strict=True)]
        with connection.cursor() as cursor:
            cursor.execute(_UPDATE_OURS.format(table=Flight._meta.db_table, change=change), [*columns, *values])


def _is_shared() -> bool:
    return connection.vendor == "postgresql"


def _take_off(holders: dict[str, uuid.UUID], since: float) -> set[str]:
    """Which keys nobody else is at. Ended flights count as under way if they ended after `since`."""
    if not _is_shared():
        return set(holders)
    table = Flight._meta.db_table
    rows = ",".join(["(%s, %s, clock_timestamp() + %s, NULL, NULL)"] * len(holders))
    values: list[Any] = []
    for key in sorted(holders):
        values += [key, holders[key], LASTS]
    ago = timedelta(seconds=max(0.0, time.monotonic() - since))
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {table} (key, holder, in_flight_until, finished_at, outcome) VALUES {rows} "
            "ON CONFLICT (key) DO UPDATE SET holder = EXCLUDED.holder, in_flight_until = EXCLUDED.in_flight_until, "
            "finished_at = NULL, outcome = NULL "
            f"WHERE {table}.finished_at < clock_timestamp() - %s "
            f"OR ({table}.finished_at IS NULL AND {table}.in_flight_until < clock_timestamp()) RETURNING key",
            [*values, ago],
        )
        return {row[0] for row in cursor.fetchall()}


Report = tuple[uuid.UUID, dict[str, Landing]]


def _touch_down(reports: list[Report]) -> list[None]:
    """Tell other processes how flights ended, in one statement."""
    said = [(key, holder, _outcome(landing)) for holder, landings in reports for key, landing in landings.items()]
    _update_ours(said, "finished_at = STATEMENT_TIMESTAMP(), outcome = ours.outcome")
    return [None] * len(reports)


def _renew(said: Sequence[Said]) -> None:
    """Let flights outlive their process for a while longer."""
    _update_ours(said, "in_flight_until = STATEMENT_TIMESTAMP() + %s", LASTS)


def _outcome(landing: Landing) -> str:
    """A landing as JSON."""
    outcome = {} if landing is None else asdict(landing)
    if outcome.get("retry_at"):
        outcome["retry_at"] = outcome["retry_at"].isoformat()
    return json.dumps(outcome)


_reporter = Batcher(lambda reports: _touch_down(reports), rest=give_back)


class _Leases:
    """Keeps this process's own flights from lapsing while they last."""

    def __init__(self) -> None:
        self._lock = threading.Condition()
        self._held: dict[uuid.UUID, tuple[Collection[str], float]] = {}
        self._thread: threading.Thread | None = None

    def hold(self, holder: uuid.UUID, keys: Collection[str]) -> None:
        """Renew the flights of `holder` from now on."""
        if not _is_shared():
            return
        with self._lock:
            self._held[holder] = (keys, time.monotonic() + AT_MOST)
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="leases", daemon=True)
                self._thread.start()
            self._lock.notify()

    def release(self, holder: uuid.UUID) -> None:
        """They have ended."""
        with self._lock:
            self._held.pop(holder, None)

    def _run(self) -> None:
        while True:
            with self._lock:
                while not self._held:
                    self._lock.wait()
            time.sleep(RENEWED_EVERY)
            now = time.monotonic()
            with self._lock:
                self._held = {holder: held for holder, held in self._held.items() if held[1] > now}
                ours = [(key, holder, None) for holder, (keys, _) in self._held.items() for key in keys]
            try:
                _renew(ours)
            except Exception:  # then others may call as well, which harms nobody
                logger.exception("flights could not be renewed")
            finally:
                connection.close()


class _Watcher:
    """Waits for flights of other processes: one thread and one query a round for all of them."""

    def __init__(self) -> None:
        self._lock = threading.Condition()
        self._watched: dict[str, Future[Landing]] = {}
        self._thread: threading.Thread | None = None

    def watch(self, key: str, future: "Future[Landing]") -> None:
        """Land `future` when the flight does."""
        with self._lock:
            self._watched[key] = future
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="flights", daemon=True)
                self._thread.start()
            self._lock.notify()

    def _run(self) -> None:
        while True:
            with self._lock:
                if not self._watched:
                    connection.close()
                    self._lock.wait()
                keys = list(self._watched)
            try:
                landed = _landed(keys)
            except Exception:  # the database is away: whoever waits has a deadline
                logger.exception("flights of other processes cannot be watched")
                connection.close()
                landed = {}
            with self._lock:
                futures = [(key, self._watched.pop(key), landing) for key, landing in landed.items()]
            for key, future, landing in futures:
                _desk.land(key, future, landing)
            time.sleep(POLL_SECONDS)


def _landed(keys: list[str]) -> dict[str, Landing]:
    """Flights that have ended, or whose process has died."""
    rows = {
        row["key"]: row
        for row in Flight.objects.filter(key__in=keys)
        .annotate(now=Now())
        .values("key", "finished_at", "in_flight_until", "outcome", "now")
    }
    landed: dict[str, Landing] = {}
    for key in keys:
        row = rows.get(key)
        if row is None or (row["finished_at"] is None and row["in_flight_until"] < row["now"]):
            landed[key] = Failure("platform_unavailable", "The call was cut off.", True)
        elif row["finished_at"] is not None:
            outcome = row["outcome"]
            retry_at = parse_datetime(outcome["retry_at"]) if outcome.get("retry_at") else None
            landed[key] = Failure(**(outcome | {"retry_at": retry_at})) if outcome else None
    return landed


_watcher = _Watcher()
_leases = _Leases()


def forget_landed() -> int:
    """Remove rows of flights that ended long ago; not those that somebody takes off at this moment."""
    ended = Flight.objects.filter(in_flight_until__lt=timezone.now() - timedelta(days=1))
    with transaction.atomic():
        return Flight.objects.filter(pk__in=ended.select_for_update(skip_locked=True)).delete()[0]

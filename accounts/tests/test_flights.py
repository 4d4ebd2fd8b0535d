"""One call for all who ask at the same time, in one process and in several."""

import threading
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import timedelta
from typing import Any

import pytest
from django.db import DatabaseError, OperationalError, connection, transaction
from django.utils import timezone

from accounts.models import Flight
from accounts.services import flights
from accounts.services.flights import Failure, Landing
from accounts.tests.processes import Process, wait_for

pytestmark = pytest.mark.django_db(transaction=True)
BROKEN = Failure("rate_limited", "Later.", True, timezone.now() + timedelta(minutes=5))


def test_who_waits_as_told_does_not_come_back_too_early() -> None:
    ends_at = timezone.now() + timedelta(seconds=60)
    assert Failure("rate_limited", "Later.", True, ends_at).retry_after == 60
    assert Failure("rate_limited", "Later.", True, ends_at - timedelta(hours=1)).retry_after == 0


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(8) as pool:
        yield pool


@pytest.fixture
def key() -> str:
    return f"target:{uuid.uuid4()}"


class Work:
    """Counts its calls and ends as it is told."""

    def __init__(self, landing: Landing = None, *, seconds: float = 0.5) -> None:
        self.landing = landing
        self.seconds = seconds
        self.asked: list[list[str]] = []

    def __call__(self, keys: list[str]) -> dict[str, Landing]:
        self.asked.append(sorted(keys))
        time.sleep(self.seconds)
        return dict.fromkeys(keys, self.landing)


def ask(keys: str | tuple[str, ...], work: Callable[..., Any], pool: Any, *, since: float = 0.0, seconds: float = 5.0):
    now = time.monotonic()
    groups = {(keys,) if isinstance(keys, str) else keys: work}
    try:
        return flights.share(groups, lambda _: pool, since=since or now, deadline=now + seconds)
    finally:
        connection.close()


def at_once(number: int, asker: Callable[[], Any]) -> list[Any]:
    with ThreadPoolExecutor(number) as askers:
        return [future.result() for future in [askers.submit(asker) for _ in range(number)]]


@pytest.mark.parametrize("landing", [None, BROKEN])
def test_ten_askers_at_the_same_time_share_one_call_and_how_it_ends(pool: Any, key: str, landing: Landing) -> None:
    work = Work(landing)
    assert at_once(10, lambda: ask(key, work, pool)) == [{key: landing}] * 10
    assert work.asked == [[key]]


def test_who_asks_after_the_answer_gets_a_call_of_their_own(pool: Any, key: str) -> None:
    work = Work(seconds=0.01)
    for _ in range(2):
        ask(key, work, pool)
    assert len(work.asked) == 2


def test_who_began_before_the_answer_came_shares_it(pool: Any, key: str) -> None:
    work = Work(seconds=0.01)
    began = time.monotonic()
    ask(key, work, pool)
    assert ask(key, work, pool, since=began) == {key: None}
    assert len(work.asked) == 1


def test_only_what_nobody_asks_for_yet_is_asked_for(pool: Any, key: str) -> None:
    first, second = Work(), Work()
    with ThreadPoolExecutor(1) as asker:
        one = asker.submit(ask, (key, f"{key}-a"), first, pool)
        wait_for(lambda: first.asked)
        assert ask((key, f"{key}-b"), second, pool) == {key: None, f"{key}-b": None}
        assert one.result() == {key: None, f"{key}-a": None}
    assert (first.asked, second.asked) == ([[key, f"{key}-a"]], [[f"{key}-b"]])


def test_what_comes_after_the_deadline_is_late_but_still_finished(pool: Any, key: str) -> None:
    done = threading.Event()

    def work(keys: list[str]) -> dict[str, Landing]:
        time.sleep(0.3)
        done.set()
        return dict.fromkeys(keys)

    found = ask(key, work, pool, seconds=0.1)[key]
    assert found is not None and (found.code, found.retryable) == ("deadline_exceeded", True)
    assert done.wait(2)


def test_work_that_crashes_fails_for_everybody_and_is_logged(pool: Any, key: str, caplog: Any) -> None:
    calls = []

    def work(keys: list[str]) -> dict[str, Landing]:
        calls.append(keys)
        time.sleep(0.5)
        raise RuntimeError("a bug")

    found = at_once(4, lambda: ask(key, work, pool))
    assert {each[key].code for each in found} == {"platform_error"}
    assert len(calls) == 1 and "a bug" in caplog.text
    assert ask(key, Work(seconds=0), pool) == {key: None}


def test_work_that_forgets_a_key_fails_for_that_one(pool: Any, key: str) -> None:
    found = ask((key, f"{key}-b"), lambda keys: {key: None}, pool)
    assert found[key] is None
    assert found[f"{key}-b"].code == "platform_error"


def test_a_database_that_is_away_blocks_nobody_who_asks_later(pool: Any, key: str, monkeypatch: Any) -> None:
    def fail(*_: Any) -> None:
        raise DatabaseError("away")

    with monkeypatch.context() as patched:
        patched.setattr(flights, "_take_off", fail)
        with pytest.raises(DatabaseError):
            ask(key, Work(), pool)
        patched.undo()
        patched.setattr(flights, "_touch_down", fail)
        assert ask((key, f"{key}-b"), Work(seconds=0), pool) == {key: None, f"{key}-b": None}


def test_a_landing_that_could_not_be_written_once_blinds_nobody(pool: Any, key: str, monkeypatch: Any) -> None:
    real, failures = flights._touch_down, [OperationalError("the connection is lost")]

    def touch_down(reports: list[Any]) -> Any:
        if failures:
            raise failures.pop()
        return real(reports)

    monkeypatch.setattr(flights, "_touch_down", touch_down)
    for _ in range(2):
        assert ask(key, Work(seconds=0), pool, seconds=2) == {key: None}


# --- between processes -----------------------------------------------------------------------------------------------


@pytest.fixture
def two() -> Iterator[list[Process]]:
    if connection.vendor != "postgresql":
        pytest.skip("on SQLite there is one web process; DATABASE_URL names no PostgreSQL database")
    with ExitStack() as stack:
        yield [process.ready() for process in [stack.enter_context(Process()) for _ in range(2)]]


@pytest.fixture
def rows(key: str) -> list[Flight]:
    """Flights that are stored in another order than that of their keys, and sorted in another one by most languages."""
    if connection.vendor != "postgresql":
        pytest.skip("SQLite locks no rows; DATABASE_URL names no PostgreSQL database")
    now = timezone.now()
    return [Flight.objects.create(key=f"{key}{end}", holder=uuid.uuid4(), in_flight_until=now) for end in "aB"]


def in_thread(work: Callable[..., Any], *given: Any) -> Any:
    try:
        return work(*given)
    finally:
        connection.close()


def somebody_waits() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM pg_locks WHERE NOT granted AND pg_backend_pid() = ANY(pg_blocking_pids(pid))")
        return cursor.fetchone() is not None


WRITERS: dict[str, Callable[[list[Flight]], Any]] = {
    "take off": lambda rows: flights._take_off({row.key: uuid.uuid4() for row in rows}, time.monotonic()),
    "touch down": lambda rows: flights._touch_down([(row.holder, {row.key: None}) for row in rows]),
    "renew": lambda rows: flights._renew([(row.key, row.holder, None) for row in rows]),
}


@pytest.mark.parametrize("writer", WRITERS)
def test_whoever_writes_flights_locks_them_in_the_order_of_their_keys(rows: list[Flight], writer: str) -> None:
    last, first = rows
    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            Flight.objects.select_for_update().get(pk=first.pk)
            written = pool.submit(in_thread, WRITERS[writer], rows)
            wait_for(somebody_waits)
            Flight.objects.select_for_update(nowait=True).get(pk=last.pk)
        written.result(5)


def test_old_flights_are_removed_but_for_one_that_is_taken_off_now(rows: list[Flight]) -> None:
    Flight.objects.update(in_flight_until=timezone.now() - timedelta(days=2))
    with transaction.atomic():
        Flight.objects.select_for_update().get(pk=rows[0].pk)
        with ThreadPoolExecutor(1) as pool:
            assert pool.submit(in_thread, flights.forget_landed).result(5) == 1
    assert Flight.objects.get() == rows[0]


PROBES = """
from concurrent.futures import ThreadPoolExecutor
account = SocialAccount.objects.get(pk="{pk}")
def ask(_):
    now = time.monotonic()
    found = health.check(account, since=now, deadline=now + {seconds})
    return [found.error_code, found.checked_live]
with ThreadPoolExecutor(5) as pool:
    answer = list(pool.map(ask, range(5)))
"""


@pytest.mark.parametrize("fault", [None, "server_error"])
def test_ten_requests_at_two_processes_cause_one_call(sandbox: Any, two: list[Process], fault: str | None) -> None:
    account = sandbox.connect("x")
    faults = [{"kind": fault}] if fault else []
    sandbox.switch("x", latency_ms=2000, faults=faults)
    for process in two:
        process.begin(PROBES.format(pk=account.pk, seconds=8))
    found = [answer for process in two for answer in process.result()]
    assert found == [["platform_unavailable" if fault else None, True]] * 10
    assert sandbox.calls("x") == 1


def test_a_killed_process_is_taken_over_when_its_flight_lapses(sandbox: Any, two: list[Process]) -> None:
    account = sandbox.connect("x")
    sandbox.fault("x", "hang", times=1)
    two[0].begin(PROBES.format(pk=account.pk, seconds=8))
    wait_for(lambda: sandbox.calls("x"))
    two[0].kill()
    assert two[1].run(PROBES.format(pk=account.pk, seconds=0.3)) == [["platform_unavailable", True]] * 5
    assert sandbox.calls("x") == 1
    soon = timezone.now() + timedelta(seconds=15)
    assert Flight.objects.filter(in_flight_until__lt=soon).update(in_flight_until=timezone.now()) == 1
    time.sleep(0.2)  # those who still waited are told that it was cut off
    assert two[1].run(PROBES.format(pk=account.pk, seconds=8)) == [[None, True]] * 5
    assert sandbox.calls("x") == 2


def test_a_flight_does_not_lapse_while_its_process_lives(sandbox: Any, two: list[Process]) -> None:
    account = sandbox.connect("x")
    sandbox.switch("x", latency_ms=4000)
    two[0].run("flights.RENEWED_EVERY, flights.LASTS = 0.2, flights.timedelta(seconds=2)")
    two[0].begin(PROBES.format(pk=account.pk, seconds=8))
    wait_for(lambda: sandbox.calls("x"))
    time.sleep(2.5)
    assert two[1].run(PROBES.format(pk=account.pk, seconds=8)) == [[None, True]] * 5
    assert two[0].result() == [[None, True]] * 5
    assert sandbox.calls("x") == 1

"""Documented limits, counted."""

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from limits.storage import MemoryStorage

from platforms import rates
from platforms.rates import Limit, Meter, Owner, next_midnight

NOW = datetime(2026, 11, 23, 10, 30, tzinfo=UTC)
OWNER = Owner(app="app", account="account", host="host")


@pytest.fixture
def clock() -> Any:
    with time_machine.travel(NOW, tick=False) as traveller:
        yield traveller


def take(meter: Meter, *limits: Limit, owner: Owner = OWNER, live: bool = True) -> datetime | None:
    return meter.take("x", limits, owner, live=live)


def test_a_sliding_window_lets_a_call_through_when_its_oldest_leaves(clock: Any) -> None:
    meter, limit = Meter(MemoryStorage()), Limit(2, 60)
    assert take(meter, limit) is None
    clock.shift(20)
    assert take(meter, limit) is None
    assert take(meter, limit) == NOW + timedelta(seconds=60)
    clock.shift(41)
    assert take(meter, limit) is None
    assert take(meter, limit) == NOW + timedelta(seconds=80)


def test_a_refused_call_is_counted_by_no_limit(clock: Any) -> None:
    meter, wide, narrow = Meter(MemoryStorage()), Limit(3, 600), Limit(1, 60, scope="app")
    assert take(meter, wide, narrow) is None
    for _ in range(5):
        assert take(meter, wide, narrow) is not None
    clock.shift(61)
    assert take(meter, wide, narrow) is None
    clock.shift(61)
    assert take(meter, wide, narrow) is None


def test_the_latest_of_the_refusing_limits_says_when(clock: Any) -> None:
    meter, limits = Meter(MemoryStorage()), (Limit(1, 60), Limit(1, 600, scope="app"))
    take(meter, *limits)
    assert take(meter, *limits) == NOW + timedelta(seconds=600)


def test_each_scope_has_a_count_of_its_own(clock: Any) -> None:
    meter = Meter(MemoryStorage())
    others = {
        "account": Owner("app", "other", "host"),
        "app": Owner("other", "account", "host"),
        "host": Owner("app", "account", "other"),
    }
    for scope, other in others.items():
        limit = Limit(1, 60, scope=scope)  # type: ignore[arg-type]
        assert take(meter, limit) is None
        assert take(meter, limit, owner=other) is None
        assert take(meter, limit) is not None


def test_groups_are_counted_apart(clock: Any) -> None:
    meter = Meter(MemoryStorage())
    assert take(meter, Limit(1, 60, group="a")) is None
    assert take(meter, Limit(1, 60, group="b")) is None
    assert take(meter, Limit(1, 60, group="a")) is not None


@pytest.mark.parametrize(("reserved", "expected"), [(0.2, 8), (0.5, 5), (0.0, 10)])
def test_a_part_is_kept_for_live_reads(clock: Any, reserved: float, expected: int) -> None:
    meter, limit = Meter(MemoryStorage(), reserved=reserved), Limit(10, 60)
    assert sum(take(meter, limit, live=False) is None for _ in range(20)) == expected
    assert sum(take(meter, limit, live=True) is None for _ in range(20)) == 10 - expected


@pytest.mark.parametrize(("share", "expected"), [(1.0, 10), (0.5, 5), (0.01, 1)])
def test_a_process_spends_its_share_and_at_least_one_call(clock: Any, share: float, expected: int) -> None:
    meter, limit = Meter(MemoryStorage(), share=share), Limit(10, 60)
    assert sum(take(meter, limit) is None for _ in range(20)) == expected


@pytest.mark.parametrize(
    ("zone", "now", "midnight"),
    [
        ("UTC", "2026-11-23T10:30+00:00", "2026-11-24T00:00+00:00"),
        ("America/Los_Angeles", "2026-11-23T07:59+00:00", "2026-11-23T08:00+00:00"),
        ("America/Los_Angeles", "2026-11-23T08:01+00:00", "2026-11-24T08:00+00:00"),
        ("America/Los_Angeles", "2026-11-01T07:30+00:00", "2026-11-02T08:00+00:00"),
        ("America/Los_Angeles", "2026-03-08T08:30+00:00", "2026-03-09T07:00+00:00"),
    ],
)
def test_a_day_ends_at_midnight_in_its_zone_also_when_the_clocks_change(zone: str, now: str, midnight: str) -> None:
    instant = datetime.fromisoformat(now)
    assert next_midnight(zone, instant.timestamp()) == datetime.fromisoformat(midnight)
    with time_machine.travel(instant, tick=False) as clock:
        meter, limit = Meter(MemoryStorage()), Limit(2, zone=zone)
        assert take(meter, limit) is None and take(meter, limit) is None
        assert take(meter, limit) == datetime.fromisoformat(midnight)
        clock.move_to(datetime.fromisoformat(midnight) - timedelta(seconds=1))
        assert take(meter, limit) is not None
        clock.move_to(datetime.fromisoformat(midnight))
        assert take(meter, limit) is None


class Down(MemoryStorage):
    """A storage whose server is away; `asked` counts how often that was found out."""

    def __init__(self) -> None:
        super().__init__()
        self.is_away, self.asked = True, 0

    def get_moving_window(self, *args: Any) -> tuple[float, int]:
        if self.is_away:
            self.asked += 1
            raise ConnectionError("gone")
        return super().get_moving_window(*args)


@pytest.fixture
def down(monkeypatch: pytest.MonkeyPatch) -> Down:
    monkeypatch.setattr(Meter, "_storage_errors", (ConnectionError,))
    return Down()


def test_limits_still_hold_when_the_shared_storage_does_not_answer(clock: Any, down: Down) -> None:
    meter = Meter(down)
    assert sum(take(meter, Limit(3, 60)) is None for _ in range(9)) == 3


def test_a_storage_that_does_not_answer_is_asked_again_after_a_while(down: Down, monkeypatch: Any) -> None:
    monkeypatch.setattr(rates, "PAUSE_SECONDS", 0.2)
    meter, limit = Meter(down), Limit(3, 60)
    for asked in (1, 2):
        for _ in range(3):
            take(meter, limit)
        assert down.asked == asked
        time.sleep(0.25)
    assert take(meter, limit) is not None
    down.is_away = False
    assert take(meter, limit) is not None  # it is left alone for a while
    time.sleep(0.25)
    assert take(meter, limit) is None

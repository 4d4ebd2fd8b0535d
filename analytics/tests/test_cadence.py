from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.cadence import FIRST_RETRY, interval, retry_delay

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
CADENCE = ((DAY, HOUR / 2), (7 * DAY, 6 * HOUR), (90 * DAY, DAY), (None, 7 * DAY))


@pytest.mark.parametrize(
    ("age", "step"),
    [
        (-HOUR, HOUR / 2),
        (timedelta(), HOUR / 2),
        (DAY - timedelta(seconds=1), HOUR / 2),
        (DAY, 6 * HOUR),
        (7 * DAY, DAY),
        (90 * DAY, 7 * DAY),
        (9000 * DAY, 7 * DAY),
    ],
)
def test_the_older_a_post_the_less_often_it_is_collected(age, step):
    assert interval(CADENCE, age) == step


def test_beyond_a_last_bound_its_own_step_goes_on():
    assert interval(((DAY, HOUR),), 5 * DAY) == HOUR


def test_the_delay_doubles_from_five_minutes():
    delays = [retry_delay(failures, cap=7 * DAY, spread=0.5) for failures in (1, 2, 3, 4)]
    assert delays == [FIRST_RETRY * factor for factor in (1, 2, 4, 8)]


@given(st.integers(1, 10**6), st.timedeltas(timedelta(minutes=1), 7 * DAY), st.floats(0, 1))
def test_a_delay_is_never_longer_than_the_cadence_nor_shorter_than_four_minutes(failures, cap, spread):
    delay = retry_delay(failures, cap=cap, spread=spread)
    assert min(cap, FIRST_RETRY * 0.8) <= delay <= cap

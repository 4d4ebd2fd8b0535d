"""When something is due again. Pure."""

from collections.abc import Sequence
from datetime import timedelta

Cadence = Sequence[tuple[timedelta | None, timedelta]]
FIRST_RETRY = timedelta(minutes=5)


def interval(cadence: Cadence, age: timedelta) -> timedelta:
    """How long until a post of this age is collected again. The last step has no bound."""
    for bound, step in cadence:
        if bound is None or age < bound:
            return step
    return cadence[-1][1]


def retry_delay(failures: int, *, cap: timedelta, spread: float) -> timedelta:
    """5 minutes doubled with each failure in a row (from 1), at most `cap`; `spread` from 0 to 1 varies it by 20 %."""
    doubled = FIRST_RETRY * 2 ** min(failures - 1, 12)
    return min(doubled * (0.8 + 0.4 * spread), cap)

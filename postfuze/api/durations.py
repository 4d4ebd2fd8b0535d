"""Durations as people write them."""

import re
from datetime import timedelta

UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def duration(value: str) -> timedelta:
    """`30m`, `6h`, `7d`; ValueError for what is none, or is nothing."""
    match = re.fullmatch(r"(\d{1,6})([smhdw])", value.strip(), re.ASCII)
    if not match or int(match[1]) == 0:
        raise ValueError(f"expected a duration as 30m, 6h or 7d, not {value!r}")
    return timedelta(**{UNITS[match[2]]: int(match[1])})

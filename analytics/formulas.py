"""Numbers derived from numbers. Pure."""

from collections.abc import Iterable, Mapping
from decimal import ROUND_HALF_UP, Decimal

from platforms.dimensions import Dimension

ENGAGEMENTS = (Dimension.LIKES, Dimension.COMMENTS, Dimension.SHARES, Dimension.SAVES)
_FOUR = Decimal("0.0001")


def engagement_rate(values: Mapping[str, int | None]) -> float | None:
    """Engagements by impressions, or by reach where impressions is null; rounded half up to four decimals.

    Null when no engagement was reported, or there is nothing to divide by.
    """
    reported = [value for name in ENGAGEMENTS if (value := values.get(name)) is not None]
    impressions = values.get(Dimension.IMPRESSIONS)
    seen = impressions if impressions is not None else values.get(Dimension.REACH)
    if not reported or not seen:
        return None
    return float((Decimal(sum(reported)) / Decimal(seen)).quantize(_FOUR, ROUND_HALF_UP))


def totals(rows: Iterable[Mapping[str, int | None]]) -> dict[str, int]:
    """Sums by dimension, with null as 0."""
    sums = {f"total_{dimension}": 0 for dimension in Dimension}
    for row in rows:
        for dimension in Dimension:
            sums[f"total_{dimension}"] += row[dimension] or 0
    return sums

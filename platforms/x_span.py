"""Which part of a timeline X is asked for: it bills every post that it lists."""

from datetime import UTC, datetime, timedelta

from platforms.wanted import Wanted

PAGE = 100
SMALLEST = 5
FIRST = datetime(2010, 11, 6, 0, 0, 1, tzinfo=UTC)
"""No earlier start is taken."""
SETTLED = timedelta(minutes=1)


def span(wanted: Wanted) -> dict[str, str]:
    """The days as instants, and pages of one size that hold as many posts as are wanted."""
    pages = -(-wanted.most // PAGE)
    told = {"max_results": str(max(SMALLEST, -(-wanted.most // pages)))}
    if wanted.begins_at is not None and wanted.begins_at > FIRST:
        told["start_time"] = _text(wanted.begins_at)
    if wanted.ends_at is not None and FIRST < wanted.ends_at < datetime.now(UTC) - SETTLED:
        told["end_time"] = _text(wanted.ends_at)
    return told


def _text(instant: datetime) -> str:
    return instant.strftime("%Y-%m-%dT%H:%M:%SZ")

"""Which of an account's posts are wanted of a listing."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta


@dataclass(frozen=True)
class Wanted:
    """Posts of the days from `since` to `until`, both included, in UTC; `most` of them, the newest."""

    since: date | None = None
    until: date | None = None
    most: int = 100

    @property
    def begins_at(self) -> datetime | None:
        return datetime.combine(self.since, time(), UTC) if self.since else None

    @property
    def ends_at(self) -> datetime | None:
        """The first instant that is not wanted any more."""
        return (
            datetime.combine(self.until + timedelta(days=1), time(), UTC)
            if self.until and self.until < date.max
            else None
        )

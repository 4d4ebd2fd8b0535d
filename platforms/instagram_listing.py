"""Instagram's listing of an account's own media, with insights: fewest calls, but one odd medium spoils a page."""

import re
from dataclasses import dataclass, field
from typing import Any

from platforms.base import Account, Call, Listed, Listing, Raw, Request
from platforms.errors import AccountNotFound, Gone, PlatformError, ScopeMissing, TryLater
from platforms.graph_errors import MetricRefused, NoInsights, TooMuchData, Unexplained
from platforms.graph_insights import rows_by_id, text_at
from platforms.instagram_memory import is_old, is_past
from platforms.instagram_metrics import KIND, METRICS, NODE, lacks_kind, media_raw, media_reasons, node_fields
from platforms.payloads import instant

PAGE = 50
SMALL = 10
"""A page that one medium spoils is asked for in pages of this size: the others keep their insights."""
IDLE_PAGES = 20
"""After this many pages without a wanted medium the rest is read one by one."""
PATIENCE = 2
"""A page that failed this often in a row without a reason may be spoilt by a medium, too."""
PLAIN = "plain:"
"""Marks the cursor of a page that is asked for without insights."""


@dataclass
class Walk:
    """What a walk through the listing found, and how its next page is to be asked for."""

    wanted: frozenset[str]
    account: Account
    fields: tuple[str, ...] = NODE
    nodes: dict[str, Raw] = field(default_factory=dict)
    metrics: tuple[str, ...] = METRICS
    size: int = PAGE
    after: str = ""
    idle: int = 0
    plain: bool = False
    small: int = 0
    """How many media are still to be read in small pages."""
    spoilt: int = 0
    """How many pages in a row were asked for without insights because a medium spoils them."""
    stubborn: bool = False
    """Whether a page kept failing without a reason, and was asked for without insights for that."""
    denied: bool = False
    answered: bool = False
    ended: bool = False
    failure: TryLater | None = None

    @property
    def worthwhile(self) -> bool:
        """Whether another page may still save calls: one by one, each medium costs two."""
        missing = len(self.wanted) - len(self.nodes)
        return not self.ended and self.idle < min(IDLE_PAGES, 2 * missing)

    @property
    def limit(self) -> int:
        return min(SMALL, self.size) if self.small else self.size

    def request(self) -> Request:
        names = ",".join(self.fields) + ("" if self.plain else f",insights.metric({','.join(self.metrics)})")
        after = {"after": self.after} if self.after else {}
        params = {"limit": str(self.limit), "fields": names, **after}
        return Request(f"{self.account.network_unique_id}/media", params=params, group="media")

    def ease(self, error: PlatformError, *, whole: bool) -> bool:
        """Make the request for a refused page lighter; False if that cannot be. `whole`: not in smaller pages."""
        if isinstance(error, TooMuchData) and self.size > SMALL:
            self.size //= 2
            return True
        if lacks_kind(error, self.account):
            self.fields = tuple(name for name in self.fields if name != KIND)
            return True
        if self.plain:
            return False
        left = error.left(self.metrics) if isinstance(error, MetricRefused) and error.general else ()
        if left and left != self.metrics:
            self.account.retired.update(set(self.metrics) - set(left))
            self.metrics = left
        elif isinstance(error, ScopeMissing):
            self.denied = self.plain = True
        elif not self._is_spoilt(error):
            return False
        elif whole or self.small or self.spoilt > 1:
            self.plain, self.spoilt = True, self.spoilt + 1
            self.stubborn |= isinstance(error, Unexplained)
        else:
            self.small = self.size
        return True

    def _is_spoilt(self, error: PlatformError) -> bool:
        failed = int(self.account.memory.get("failed_pages") or 0)
        return isinstance(error, MetricRefused | NoInsights) or (isinstance(error, Unexplained) and failed >= PATIENCE)

    def take(self, page: Any) -> dict[str, Raw]:
        """Keep what is wanted of a page, and move on to the next; answers with the rows of this one."""
        rows = rows_by_id(page)
        hits = {i: media_raw(row) for i, row in rows.items() if i in self.wanted}
        self.idle = 0 if hits.keys() - self.nodes.keys() else self.idle + 1
        self.nodes |= hits
        paging = page.get("paging") or {}
        after = str((paging.get("cursors") or {}).get("after") or "")
        self.ended = "next" not in paging or after in ("", self.after)
        self.after, self.answered = after, True
        self.spoilt = self.spoilt if self.plain else 0
        self.small = max(0, self.small - self.limit) if self.spoilt < 2 else 0
        oldest = str(next(reversed(rows.values()), {}).get("timestamp") or "")
        self.plain = self.denied or is_past(oldest, self.account)
        self.small = 0 if self.plain else self.small
        return rows


def walk(seen: Walk) -> Call[None]:
    """Media of the listing, with insights where a page has them, until it cannot save calls any more."""
    memory = seen.account.memory
    while seen.worthwhile:
        try:
            page = yield from _next_page(seen)
        except TryLater as error:
            seen.failure = error  # what was found is kept
            if isinstance(error, Unexplained):
                memory["failed_pages"] = int(memory.get("failed_pages") or 0) + 1
            return
        seen.take(page)
    if not seen.stubborn:
        memory.pop("failed_pages", None)


def list_media(account: Account, cursor: str) -> Call[Listing]:
    """A page of the account's media. Those whose insights have to be asked for apart come without numbers."""
    seen = Walk(
        frozenset(),
        account,
        fields=(*node_fields(account), "permalink"),
        metrics=account.unretired(METRICS),
        after=cursor.removeprefix(PLAIN),
        plain=cursor.startswith(PLAIN),
    )
    rows = seen.take((yield from _next_page(seen, whole=True)))
    posts = tuple(_listed(media_id, row, account) for media_id, row in rows.items())
    return Listing(posts, "" if seen.ended else (PLAIN if seen.plain else "") + seen.after)


def _listed(media_id: str, item: Raw, account: Account) -> Listed:
    if not re.fullmatch("[0-9]{5,25}", media_id):
        raise TypeError("expected media ids of digits")
    raw = media_raw(item)
    made_at = instant(item.get("timestamp"))
    complete = "insights" in raw or (made_at is not None and is_old(raw, account))
    reasons = media_reasons(raw, account) if complete else {}
    return Listed(media_id, text_at(item, "permalink"), made_at, raw if complete else None, reasons)


def _next_page(seen: Walk, *, whole: bool = False) -> Call[Any]:
    """A page of the listing, asked for more lightly where it is refused."""
    while True:
        try:
            return (yield seen.request())
        except Gone as error:
            raise AccountNotFound(error.detail) from error
        except PlatformError as error:
            if not seen.ease(error, whole=whole):
                raise

"""Facebook's listing of a Page's posts, with insights and counts, and how it is read where some is refused."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from platforms.base import Account, Call, Raw, Request
from platforms.errors import (
    AccountNotFound,
    DeadlineExceeded,
    Gone,
    NeedsOwner,
    PlatformError,
    RateLimited,
    Rejected,
    ScopeMissing,
    TryLater,
)
from platforms.facebook_metrics import METRICS, REACH, post_raw
from platforms.graph_errors import MetricRefused, TooMuchData
from platforms.graph_insights import next_cursor, rows_by_id, sift
from platforms.payloads import instant

NODE = "id,created_time,status_type,shares,attachments{media_type,type}"
# Gated by pages_read_user_content: read apart, so that a refusal costs only these.
COUNTS = "id,comments.summary(true).limit(0),reactions.summary(true).limit(0)"
PAGE = 50
COUNTS_PAGE = 100
SMALLEST_PAGE = 10
IDLE_PAGES = 20
"""After this many pages without a wanted post the rest is read one by one."""
PATIENCE = 2
"""A listing that failed this often in a row is left when it fails again: one post may be the cause."""
REACH_AGAIN = timedelta(days=7)


@dataclass
class Walk:
    """A walk through the listing: what it found, and how its next page is to be asked for."""

    wanted: frozenset[str]
    fields: str
    size: int
    metrics: tuple[str, ...] = ()
    rows: dict[str, Raw] = field(default_factory=dict)
    after: str = ""
    idle: int = 0
    plain: bool = False
    """Whether the next page is asked for without insights: one post on it spoils them."""
    sifted: bool = False
    """Whether it was looked for a metric that all posts lack, and none was found."""
    denied: bool = False
    off: bool = False
    """Whether nothing more is asked of what this walk reads."""
    answered: bool = False
    given_up: bool = False
    """Whether it was left before its end, for a page that keeps failing."""
    ended: bool = False
    failure: TryLater | None = None

    @property
    def worthwhile(self) -> bool:
        """Whether another page may still save calls."""
        missing = len(self.wanted) - len(self.rows)
        return not (self.ended or self.off or self.failure) and self.idle < min(IDLE_PAGES, 2 * missing)

    @property
    def has_insights(self) -> bool:
        return bool(self.metrics) and not self.plain and not self.denied

    def request(self, account: Account) -> Request:
        more = f",insights.metric({','.join(self.metrics)}).period(lifetime)" if self.has_insights else ""
        after = {"after": self.after} if self.after else {}
        params = {"limit": str(self.size), "fields": self.fields + more, **after}
        return Request(f"{account.network_unique_id}/published_posts", params=params, group="listing")

    def take(self, page: Any) -> None:
        """Keep what is wanted of a page, and move on to the next."""
        rows = rows_by_id(page)
        hits = {i: post_raw(rows[i], listed=self.has_insights) for i in rows if i in self.wanted}
        self.idle = 0 if hits.keys() - self.rows.keys() else self.idle + 1
        self.rows |= hits
        self.after = next_cursor(page, self.after, linked=True)
        self.ended, self.answered, self.plain = not self.after, True, False


class Walks:
    """Two walks through a Page's listing: for posts with their insights, and for counts that a permission gates."""

    def __init__(self, ids: Sequence[str], account: Account) -> None:
        hidden = account.retired | ({REACH} if _lacks_reach(account) else set())
        metrics = tuple(name for name in METRICS if name not in hidden)
        self.account = account
        self.posts = Walk(frozenset(ids), NODE, PAGE, metrics, denied=not metrics)
        self.counts = Walk(frozenset(ids), COUNTS, COUNTS_PAGE)

    def complete(self, post_id: str) -> Raw | None:
        """What the walks found of a post, if nothing more is to be asked of it."""
        row, counts = self.posts.rows.get(post_id), self.counts.rows.get(post_id)
        if row is None or not ("insights" in row or self.posts.denied):
            return None
        if counts is None and not self.counts.off and self.posts.failure is None:
            return None
        return row | (counts or {})

    def walk(self) -> Call[None]:
        """Both walks side by side: cursors of different page sizes do not depend on each other."""
        while not self.posts.failure and (walks := [walk for walk in (self.posts, self.counts) if walk.worthwhile]):
            answers = yield tuple(walk.request(self.account) for walk in walks)
            for walk, answer in zip(walks, answers, strict=True):
                if not isinstance(answer, PlatformError):
                    walk.take(answer)
                elif isinstance(answer, TooMuchData) and walk.size > SMALLEST_PAGE:
                    walk.size //= 2
                elif walk is self.counts:
                    self._do_without_counts(answer)
                else:
                    yield from self._ease(answer)
        if self.posts.failure is None and self.posts.answered:
            if not self.posts.given_up:
                self.account.memory.pop("failed_pages", None)
            self.remember_reach()

    def _do_without_counts(self, error: PlatformError) -> None:
        if isinstance(error, NeedsOwner) and not isinstance(error, ScopeMissing):
            raise error
        self.counts.denied, self.counts.off = isinstance(error, ScopeMissing), True

    def _ease(self, error: PlatformError) -> Call[None]:
        """Make the request for a refused page lighter; raise or note what cannot be cured so."""
        posts = self.posts
        if isinstance(error, Gone):
            raise AccountNotFound(error.detail)
        if isinstance(error, TryLater):
            self._give_up(error)
        elif not (posts.has_insights and isinstance(error, Rejected | ScopeMissing)):
            raise error
        elif isinstance(error, MetricRefused):
            left = posts.metrics if posts.sifted else (yield from self.sift(posts.metrics, error, self._on_page))
            posts.plain = posts.sifted = left == posts.metrics
            posts.metrics = left
        elif isinstance(error, Rejected):
            posts.plain = True
        else:
            posts.denied = REACH not in posts.metrics
            posts.metrics = without_reach(posts.metrics)

    def _give_up(self, error: TryLater) -> None:
        """Leave the listing. What it did not show fails with it, unless one post may be what spoils it."""
        failed = int(self.account.memory.get("failed_pages") or 0)
        passing = isinstance(error, RateLimited | DeadlineExceeded)
        if not passing:
            self.account.memory["failed_pages"] = failed + 1
        if not isinstance(error, TooMuchData) and (passing or failed < PATIENCE):
            self.posts.failure = error
        self.posts.ended = self.posts.given_up = True

    def _on_page(self, names: Sequence[str]) -> Request:
        """Metrics of the next post of the listing: that is one which is there."""
        return replace(self.posts, metrics=tuple(names), fields="id", size=1).request(self.account)

    def sift(
        self, metrics: tuple[str, ...], refusal: MetricRefused, request: Callable[[tuple[str, ...]], Request]
    ) -> Call[tuple[str, ...]]:
        """The metrics that are left after a refusal, which mostly does not say what it refuses."""
        left = yield from sift(metrics, refusal, request)
        if not left:  # then it is the post that is of another kind
            return metrics
        if refusal.general:
            self.account.retired.update(set(metrics) - set(left))
        return left

    def remember_reach(self) -> None:
        """Pages with few followers have no reach. Not a lost permission, as long as the other metrics answer."""
        posts, memory = self.posts, self.account.memory
        if posts.denied or REACH in self.account.retired:
            return
        if REACH in posts.metrics:
            memory.pop("no_reach_since", None)
        elif not _lacks_reach(self.account):
            memory["no_reach_since"] = datetime.now(UTC).isoformat()


def _lacks_reach(account: Account) -> bool:
    since = instant(account.memory.get("no_reach_since"))
    return since is not None and datetime.now(UTC) - since < REACH_AGAIN


def without_reach(metrics: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(name for name in metrics if name != REACH)

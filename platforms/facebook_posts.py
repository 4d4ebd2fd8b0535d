"""Facebook posts: the listing with insights, batches for the rest, and fewer metrics where some are refused."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from platforms.base import Account, Call, Item, Raw, Request, instant
from platforms.errors import (
    AccountNotFound,
    DeadlineExceeded,
    Gone,
    MalformedPayload,
    NeedsOwner,
    PlatformError,
    RateLimited,
    Rejected,
    ScopeMissing,
    TryLater,
)
from platforms.facebook_metrics import METRICS, REACH, STORY_METRICS, insights_of, post_raw, post_reading
from platforms.graph import GraphPlatform
from platforms.graph_batch import ask
from platforms.graph_errors import MetricRefused, TooMuchData
from platforms.graph_insights import next_cursor, rows_by_id, sift

NODE = "id,created_time,status_type,shares,attachments{media_type,type}"
# Gated by pages_read_user_content: read apart, so that a refusal costs only these.
COUNTS = "id,comments.summary(true).limit(0),reactions.summary(true).limit(0)"
PAGE = 50
COUNTS_PAGE = 100
SMALLEST_PAGE = 10
SINGLES = 2
"""Up to this many posts are read one by one, rather than looked for in the listing."""
IDLE_PAGES = 20
"""After this many pages without a wanted post the rest is read one by one."""
IN_TURN = 80
PATIENCE = 2
"""A listing that failed this often in a row is left when it fails again: one post may be the cause."""
REACH_AGAIN = timedelta(days=7)


@dataclass
class _Walk:
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
    denied: bool = False
    off: bool = False
    """Whether nothing more is asked of what this walk reads."""
    answered: bool = False
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


def read_posts(ids: Sequence[str], platform: GraphPlatform, account: Account) -> Call[dict[str, Item]]:
    """Raw answers by post id."""
    reading = _Reading(ids, platform, account)
    if len(ids) > SINGLES:
        yield from reading.walk()
    found: dict[str, Item] = {post_id: raw for post_id in ids if (raw := reading.complete(post_id)) is not None}
    rest = [post_id for post_id in ids if post_id not in found]
    failure: PlatformError | None = reading.posts.failure
    while rest and failure is None:
        turn, rest = rest[:IN_TURN], rest[IN_TURN:]
        read = yield from reading.singly(turn)
        found |= read
        failed = [item for item in read.values() if isinstance(item, TryLater | NeedsOwner)]
        failure = failed[0] if len(failed) == len(turn) else None
    if failure is not None and all(isinstance(item, PlatformError) for item in found.values()):
        raise failure
    denied = reading.posts.denied or _looks_denied(found.values(), account)
    uncounted = reading.counts.denied
    told = {i: post_reading(item, account, denied=denied, uncounted=uncounted) for i, item in found.items()}
    return told | dict.fromkeys(rest, failure) if failure is not None else told


def _looks_denied(items: Iterable[Item], account: Account) -> bool:
    """Without `read_insights` every post may answer with no metrics, rather than with an error."""
    told = [item["insights"]["data"] for item in items if isinstance(item, dict) and "insights" in item]
    return "read_insights" not in account.scopes and bool(told) and not any(told)


class _Reading:
    """One conversation about posts of a Page, and what it has learnt so far."""

    def __init__(self, ids: Sequence[str], platform: GraphPlatform, account: Account) -> None:
        hidden = account.retired | ({REACH} if _lacks_reach(account) else set())
        metrics = tuple(name for name in METRICS if name not in hidden)
        self.platform, self.account = platform, account
        self.posts = _Walk(frozenset(ids), NODE, PAGE, metrics, denied=not metrics)
        self.counts = _Walk(frozenset(ids), COUNTS, COUNTS_PAGE)

    def complete(self, post_id: str) -> Raw | None:
        """What the walks found of a post, if nothing more is to be asked of it."""
        row, counts = self.posts.rows.get(post_id), self.counts.rows.get(post_id)
        if row is None or not ("insights" in row or self.posts.denied):
            return None
        if counts is None and not self.counts.off and self.posts.failure is None:
            return None
        return row | (counts or {})

    # --- the listing ---------------------------------------------------------------------------------------------

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
            self.account.memory.pop("failed_pages", None)
            self._remember_reach()

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
        elif not posts.has_insights:
            raise error
        elif isinstance(error, MetricRefused):
            left = yield from self._sift(min(posts.wanted), posts.metrics, error)
            posts.plain = left == posts.metrics
            posts.metrics = left
        elif isinstance(error, ScopeMissing):
            posts.denied = REACH not in posts.metrics
            posts.metrics = _without_reach(posts.metrics)
        else:
            raise error

    def _give_up(self, error: TryLater) -> None:
        """Leave the listing. What it did not show fails with it, unless one post may be what spoils it."""
        failed = int(self.account.memory.get("failed_pages") or 0)
        passing = isinstance(error, RateLimited | DeadlineExceeded)
        if not passing:
            self.account.memory["failed_pages"] = failed + 1
        if not isinstance(error, TooMuchData) and (passing or failed < PATIENCE):
            self.posts.failure = error
        self.posts.ended = True

    # --- one by one ----------------------------------------------------------------------------------------------

    def singly(self, ids: Sequence[str]) -> Call[dict[str, Item]]:
        """What is still missing of each post."""
        posts, counts, parts = self.posts, self.counts, {}
        for i in ids:
            if i not in posts.rows:
                parts[i, "node"] = Request(i, params={"fields": NODE}, group="node")
            if not posts.denied and "insights" not in posts.rows.get(i, {}):
                parts[i, "insights"] = _insights(i, posts.metrics)
            if not counts.off and i not in counts.rows:
                parts[i, "counts"] = Request(i, params={"fields": COUNTS}, group="node")
        told = yield from ask(list(parts.values()), self.platform, self.account)
        answers: dict[tuple[str, str], Any] = dict(zip(parts, told, strict=True))
        insights = {i: answers[i, "insights"] for i in ids if (i, "insights") in answers}
        yield from self._ask_again(insights)
        counts.denied |= any(isinstance(answers.get((i, "counts")), ScopeMissing) for i in ids)
        return {
            i: _join(i, answers.get((i, "node"), posts.rows.get(i)), insights.get(i), self._counts(i, answers))
            for i in ids
        }

    def _counts(self, post_id: str, answers: dict[tuple[str, str], Any]) -> Raw:
        answer = answers.get((post_id, "counts"), self.counts.rows.get(post_id))
        return post_raw(answer) if isinstance(answer, dict) else {}

    def _ask_again(self, insights: dict[str, Any]) -> Call[None]:
        """Ask with fewer metrics, or a story's, where some were refused."""
        asked = dict.fromkeys(insights, self.posts.metrics)
        for _ in range(3):
            gated = [i for i in insights if isinstance(insights[i], ScopeMissing) and REACH in asked[i]]
            refused = [i for i in insights if isinstance(insights[i], MetricRefused) and asked[i] != STORY_METRICS]
            again = {i: _without_reach(asked[i]) for i in gated}
            if refused:
                left = yield from self._sift(refused[0], asked[refused[0]], insights[refused[0]])
                shrunk = left != asked[refused[0]]
                self.posts.metrics = left if shrunk else self.posts.metrics
                again |= dict.fromkeys(refused, left if shrunk and left else STORY_METRICS)
            if not again:
                break
            answers = yield from ask([_insights(i, again[i]) for i in again], self.platform, self.account)
            insights |= zip(again, answers, strict=True)
            asked |= again
            if any(isinstance(insights[i], dict) for i in gated):
                self.posts.metrics = _without_reach(self.posts.metrics)
                self._remember_reach()
        self.posts.denied |= any(isinstance(insights[i], ScopeMissing) for i in insights)

    def _sift(self, post_id: str, metrics: tuple[str, ...], refusal: MetricRefused) -> Call[tuple[str, ...]]:
        """The metrics that are left after a refusal, which mostly does not say what it refuses."""
        left = yield from sift(metrics, refusal, lambda names: _insights(post_id, names))
        if not left:  # then it is the post that is of another kind
            return metrics
        if refusal.general:
            self.account.retired.update(set(metrics) - set(left))
        return left

    def _remember_reach(self) -> None:
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


def _without_reach(metrics: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(name for name in metrics if name != REACH)


def _insights(post_id: str, metrics: Sequence[str]) -> Request:
    return Request(f"{post_id}/insights", params={"metric": ",".join(metrics), "period": "lifetime"}, group="insights")


def _join(post_id: str, node: Any, insights: Any, counts: Raw) -> Raw | PlatformError:
    """One post's raw answer. What was refused of it costs only its columns."""
    if isinstance(node, PlatformError) and (isinstance(node, Gone) or not isinstance(insights, dict)):
        return node
    if isinstance(insights, PlatformError) and not isinstance(insights, Rejected | ScopeMissing):
        return insights
    if not isinstance(node, dict | PlatformError):
        return MalformedPayload("The post is no object.")
    raw = post_raw(node) if isinstance(node, dict) else {"id": post_id}
    if raw.get("id") != post_id:
        return MalformedPayload("The answer is about another post than the one asked for.")
    told = raw.pop("insights", None) if insights is None else insights_of(insights)
    if told is None and isinstance(insights, dict):
        return MalformedPayload("The insights are no list of metrics.")
    return counts | raw | ({"insights": told} if told is not None else {})

"""Facebook posts: many from the listing, the rest in batches, with fewer metrics where some are refused."""

from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any

from platforms.base import Account, Call, Item, Raw, Request
from platforms.errors import (
    Gone,
    MalformedPayload,
    NeedsOwner,
    PlatformError,
    Rejected,
    ScopeMissing,
    TryLater,
)
from platforms.facebook_listing import COUNTS, NODE, Walks, without_reach
from platforms.facebook_metrics import REACH, STORY_METRICS, insights_of, post_raw, post_reading
from platforms.graph import GraphPlatform
from platforms.graph_batch import ask
from platforms.graph_errors import MetricRefused

SINGLES = 2
"""Up to this many posts are read one by one, rather than looked for in the listing."""
IN_TURN = 80


def read_posts(ids: Sequence[str], platform: GraphPlatform, account: Account) -> Call[dict[str, Item]]:
    """Raw answers by post id."""
    walks = Walks(ids, account)
    if len(ids) > SINGLES:
        yield from walks.walk()
    found: dict[str, Item] = {post_id: raw for post_id in ids if (raw := walks.complete(post_id)) is not None}
    rest = [post_id for post_id in ids if post_id not in found]
    failure: PlatformError | None = walks.posts.failure
    while rest and failure is None:
        turn, rest = rest[:IN_TURN], rest[IN_TURN:]
        read = yield from _Turn(walks, platform, account).read(turn)
        found |= read
        failed = [item for item in read.values() if isinstance(item, TryLater | NeedsOwner)]
        failure = failed[0] if len(failed) == len(turn) else None
    if failure is not None and all(isinstance(item, PlatformError) for item in found.values()):
        raise failure
    denied = walks.posts.denied or _looks_denied(found.values(), account)
    uncounted = walks.counts.denied
    told = {i: post_reading(item, account, denied=denied, uncounted=uncounted) for i, item in found.items()}
    return told | dict.fromkeys(rest, failure) if failure is not None else told


def _looks_denied(items: Iterable[Item], account: Account) -> bool:
    """Without `read_insights` every post may answer with no metrics, rather than with an error."""
    told = [item["insights"]["data"] for item in items if isinstance(item, dict) and "insights" in item]
    return "read_insights" not in account.scopes and bool(told) and not any(told)


class _Turn:
    """Posts that are read by themselves, at the same time."""

    def __init__(self, walks: Walks, platform: GraphPlatform, account: Account) -> None:
        self.walks, self.posts, self.counts = walks, walks.posts, walks.counts
        self.platform, self.account = platform, account

    def read(self, ids: Sequence[str]) -> Call[dict[str, Item]]:
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
            again = {i: without_reach(asked[i]) for i in gated}
            if refused:
                one = partial(_insights, refused[0])
                left = yield from self.walks.sift(asked[refused[0]], insights[refused[0]], one)
                shrunk = left != asked[refused[0]]
                self.posts.metrics = left if shrunk else self.posts.metrics
                again |= dict.fromkeys(refused, left if shrunk and left else STORY_METRICS)
            if not again:
                break
            answers = yield from ask([_insights(i, again[i]) for i in again], self.platform, self.account)
            insights |= zip(again, answers, strict=True)
            asked |= again
            if any(isinstance(insights[i], dict) for i in gated):
                self.posts.metrics = without_reach(self.posts.metrics)
                self.walks.remember_reach()
        self.posts.denied |= any(isinstance(insights[i], ScopeMissing) for i in insights)


def _insights(post_id: str, metrics: Sequence[str]) -> Request:
    return Request(f"{post_id}/insights", params={"metric": ",".join(metrics), "period": "lifetime"}, group="insights")


def _join(post_id: str, node: Any, insights: Any, counts: Raw) -> Raw | PlatformError:
    """One post's raw answer. What was refused of it costs only its columns."""
    if isinstance(node, PlatformError) and (isinstance(node, Gone) or not isinstance(insights, dict)):
        return node
    if isinstance(insights, PlatformError) and not isinstance(insights, Rejected | ScopeMissing | Gone):
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

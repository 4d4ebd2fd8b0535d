"""Instagram media: many from the listing, the rest one by one, with fewer metrics where some are refused."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
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
from platforms.graph_errors import MetricRefused, NoInsights, TooFewViewers
from platforms.graph_insights import insight_values
from platforms.instagram_listing import Walk, walk
from platforms.instagram_memory import is_old, recall, remember, remember_old
from platforms.instagram_metrics import (
    METRICS,
    STORY_METRICS,
    fewer_metrics,
    insights_request,
    lacks_kind,
    media_raw,
    media_reading,
    node_fields,
)

SINGLES = 2
"""Up to this many media are read one by one, rather than looked for in the listing."""
IN_TURN = 40
ATTEMPTS = 5
"""So often is a medium asked with fewer metrics: by leaving out those that were refused, and in the end the rest."""
Ask = Callable[[Sequence[Request]], Call[list[Any]]]


def read_media(
    ids: Sequence[str], account: Account, *, ask: Ask, probe: Callable[[], Call[None]]
) -> Call[dict[str, Item]]:
    """Raw answers by media id.

    `ask` sends reads at the same time. `probe` proves the account where a medium is gone: one out of reach looks the
    same, and so does another's token.
    """
    unlisted = {*recall(account, "unlisted"), *recall(account, "stories")}
    seen = Walk(frozenset(ids) - unlisted, account, node_fields(account), metrics=account.unretired(METRICS))
    if len(seen.wanted) > SINGLES:
        yield from walk(seen)
    found: dict[str, Item] = {
        i: media_reading(raw, account, denied=seen.denied)
        for i, raw in seen.nodes.items()
        if "insights" in raw or seen.denied or is_old(raw, account)
    }
    rest = [i for i in ids if i not in found]
    rest.sort(key=lambda i: str(seen.nodes.get(i, {}).get("timestamp", "9")), reverse=True)
    failure: PlatformError | None = seen.failure
    while rest and failure is None:
        turn, rest = rest[:IN_TURN], rest[IN_TURN:]
        read = yield from _Turn(turn, seen, account, ask).read()
        found |= read
        failed = [item for item in read.values() if isinstance(item, TryLater | NeedsOwner)]
        failure = failed[0] if len(failed) == len(turn) else None
    if failure is not None and all(isinstance(item, PlatformError) for item in found.values()):
        raise failure
    if not seen.answered and any(isinstance(item, Gone) for item in found.values()):
        yield from probe()
    return found | dict.fromkeys(rest, failure) if failure is not None else found


@dataclass
class _Turn:
    """Media that are read by themselves, at the same time."""

    ids: Sequence[str]
    seen: Walk
    account: Account
    ask: Ask

    def read(self) -> Call[dict[str, Item]]:
        """Node and insights of each; then insights again where a metric was refused."""
        nodes, insights = yield from self._ask()
        yield from self._ask_again(nodes, insights)
        self.seen.denied |= any(isinstance(answer, ScopeMissing) for answer in insights.values())
        self._remember(nodes, insights)
        read = {i: _join(i, nodes[i], insights.get(i)) for i in self.ids}
        lacking = {i for i in self.ids if self.seen.denied and not isinstance(insights.get(i), dict)}
        return {
            i: item if isinstance(item, PlatformError) else media_reading(item, self.account, denied=i in lacking)
            for i, item in read.items()
        }

    def _ask(self) -> Call[tuple[dict[str, Any], dict[str, Any]]]:
        known = {i: self.seen.nodes[i] for i in self.ids if i in self.seen.nodes}
        unknown = [i for i in self.ids if i not in known]
        asked = [i for i in self.ids if not self.seen.denied and not is_old(known.get(i, {"id": i}), self.account)]
        requests = self._nodes(unknown) + [insights_request(i, self._metrics(i, known.get(i))) for i in asked]
        answers = (yield from self.ask(requests)) if requests else []
        nodes = known | dict(zip(unknown, answers, strict=False))
        if any(lacks_kind(nodes[i], self.account) for i in unknown):
            again = [i for i in unknown if isinstance(nodes[i], Rejected)]
            nodes |= zip(again, (yield from self.ask(self._nodes(again))), strict=True)
        return nodes, dict(zip(asked, answers[len(unknown) :], strict=True))

    def _nodes(self, ids: Sequence[str]) -> list[Request]:
        fields = ",".join(node_fields(self.account))
        return [Request(i, params={"fields": fields}, group="node") for i in ids]

    def _metrics(self, media_id: str, node: Any) -> tuple[str, ...]:
        kind = node.get("media_product_type") if isinstance(node, dict) else None
        story = kind == "STORY" or (kind is None and media_id in recall(self.account, "stories"))
        return self.account.unretired(STORY_METRICS if story else METRICS)

    def _ask_again(self, nodes: Mapping[str, Any], insights: dict[str, Any]) -> Call[None]:
        """Ask with fewer metrics where one was refused, until something is left to read."""
        asked: dict[str, Sequence[str]] = {i: self._metrics(i, self.seen.nodes.get(i)) for i in insights}
        for attempt in range(ATTEMPTS):
            refused = [i for i in insights if isinstance(insights[i], MetricRefused) and isinstance(nodes[i], dict)]
            fewer = {i: self._fewer(i, asked[i], nodes[i], insights[i], attempt) for i in refused}
            again = {i: metrics for i, metrics in fewer.items() if metrics}
            if not again:
                break
            answers = yield from self.ask([insights_request(i, metrics) for i, metrics in again.items()])
            asked |= again
            insights |= zip(again, answers, strict=True)

    def _fewer(
        self, media_id: str, asked: Sequence[str], node: Raw, refusal: MetricRefused, attempt: int
    ) -> Sequence[str]:
        own, left = self._metrics(media_id, node), refusal.left(asked)
        # Of what kind a medium is must be known: a story lacks metrics that no other has lost.
        if refusal.general and left and tuple(asked) == own and "media_product_type" in node:
            self.account.retired.update(set(asked) - set(left))
        return fewer_metrics(asked, left, own, patient=attempt < ATTEMPTS - 2)

    def _remember(self, nodes: Mapping[str, Any], insights: Mapping[str, Any]) -> None:
        """Stories, and what a walk to its end did not show, are not in the listing; and what has no insights."""
        there = [i for i in self.ids if isinstance(nodes[i], dict)]
        remember(self.account, "stories", [i for i in there if nodes[i].get("media_product_type") == "STORY"])
        if self.seen.answered and self.seen.ended:
            remember(self.account, "unlisted", [i for i in there if i not in self.seen.nodes])
        told = {i: isinstance(insights[i], NoInsights) for i in self.ids if i in insights}
        remember_old(self.account, told, {i: nodes[i] for i in there})


def _join(media_id: str, node: Any, insights: Any) -> Raw | PlatformError:
    """One medium's raw answer. What was refused of its insights costs only those."""
    if isinstance(node, Gone) or (isinstance(node, PlatformError) and isinstance(insights, PlatformError | None)):
        return node
    raw = {"id": media_id} if isinstance(node, PlatformError) else media_raw(node)
    if raw.get("id") != media_id:
        return MalformedPayload("The answer is about another medium than the one asked for.")
    if insights is None or isinstance(insights, NoInsights | MetricRefused | TooFewViewers | ScopeMissing | Gone):
        return raw
    if isinstance(insights, PlatformError):
        return insights
    if not isinstance(insights, dict) or not isinstance(insights.get("data"), list):
        return MalformedPayload("The insights are no list of metrics.")
    return raw | {"insights": insight_values(insights)}

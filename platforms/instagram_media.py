"""Instagram media: which metrics each kind has, how many are read in few calls, and what their answers hold."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from platforms.base import Account, Call, Item, Listed, Listing, Raw, Reading, Request, instant, objects, pick
from platforms.dimensions import Dimension, Reason
from platforms.errors import (
    AccountNotFound,
    Gone,
    MalformedPayload,
    NeedsOwner,
    PlatformError,
    ScopeMissing,
    TryLater,
)
from platforms.graph import (
    MetricRefused,
    NoInsights,
    TooFewViewers,
    TooMuchData,
    insight_values,
    insights_by_name,
)
from platforms.payloads import count, to_count

NODE = ("id", "media_type", "media_product_type", "timestamp", "like_count", "comments_count")
# Valid for FEED and REELS alike.
METRICS = ("views", "reach", "likes", "comments", "shares", "saved", "total_interactions")
STORY_METRICS = ("views", "reach", "shares", "replies", "total_interactions", "link_clicks")
FIELDS = {
    Dimension.IMPRESSIONS: "views",
    Dimension.REACH: "reach",
    Dimension.LIKES: "likes",
    Dimension.COMMENTS: "comments",
    Dimension.SHARES: "shares",
    Dimension.SAVES: "saved",
    Dimension.CLICKS: "link_clicks",
    Dimension.VIDEO_VIEWS: "views",
}
PAGE = 50
SINGLES = 2
"""Up to this many media are read one by one, rather than looked for in the listing."""
IDLE_PAGES = 20
"""After this many pages without a wanted medium the rest is read one by one."""
IN_TURN = 40
REMEMBERED = 500
PLAIN = "plain:"
"""Marks the cursor of a page that is asked for without insights."""


@dataclass
class _Listing:
    """What a walk through the listing found, and how its next page is to be asked for."""

    wanted: frozenset[str]
    fields: tuple[str, ...] = NODE
    nodes: dict[str, Raw] = field(default_factory=dict)
    metrics: tuple[str, ...] = METRICS
    size: int = PAGE
    after: str = ""
    idle: int = 0
    plain: bool = False
    denied: bool = False
    old: bool = False
    """Whether all that follows is older than the account's conversion, and has no insights."""
    answered: bool = False
    ended: bool = False
    failure: TryLater | None = None

    @property
    def worthwhile(self) -> bool:
        """Whether another page may still save calls: one by one, each medium costs two."""
        missing = len(self.wanted) - len(self.nodes)
        return not self.ended and self.idle < min(IDLE_PAGES, 2 * missing)

    def request(self, account: Account) -> Request:
        names = ",".join(self.fields) + ("" if self.plain else f",insights.metric({','.join(self.metrics)})")
        after = {"after": self.after} if self.after else {}
        params = {"limit": str(self.size), "fields": names, **after}
        return Request(f"{account.network_unique_id}/media", params=params, group="media")

    def ease(self, error: PlatformError, account: Account) -> bool:
        """Make the request for a refused page lighter; False if that cannot be."""
        if isinstance(error, TooMuchData) and self.size > 10:
            self.size //= 2
            return True
        if self.plain or not isinstance(error, MetricRefused | NoInsights | ScopeMissing):
            return False
        left = error.left(self.metrics) if isinstance(error, MetricRefused) and error.general else ()
        if left and left != self.metrics:
            account.retired.update(set(self.metrics) - set(left))
            self.metrics = left
            return True
        self.denied |= isinstance(error, ScopeMissing)
        self.old |= isinstance(error, NoInsights)
        self.plain = True
        return True

    def take(self, page: Any, account: Account) -> None:
        """Keep what is wanted of a page, and move on to the next."""
        media = objects(page["data"])
        stamps = [str(item.get("timestamp") or "") for item in media]
        if self.old and self.plain and any(stamps):  # the oldest of a page with one such medium is one itself
            _remember_old(account, min(filter(None, stamps)))
        hits = {item["id"]: _media(item) for item in media if item["id"] in self.wanted}
        self.idle = 0 if hits.keys() - self.nodes.keys() else self.idle + 1
        self.nodes |= hits
        paging = page.get("paging") or {}
        after = str((paging.get("cursors") or {}).get("after") or "")
        self.ended = "next" not in paging or after in ("", self.after)
        self.after = after
        self.answered = True
        self.plain = self.denied or self.old or _is_old({"timestamp": stamps[-1] if stamps else ""}, account)


def read_media(ids: Sequence[str], account: Account, alive: Request) -> Call[dict[str, Item]]:
    """Raw answers by media id. `alive` is asked where a medium is gone: an account out of reach looks the same."""
    unlisted = frozenset(account.memory.get("unlisted", ()))
    seen = _Listing(frozenset(ids) - unlisted, metrics=account.unretired(METRICS))
    if len(seen.wanted) > SINGLES:
        yield from _walk(seen, account)
    found: dict[str, Item] = {
        i: _reading(raw, account, denied=seen.denied)
        for i, raw in seen.nodes.items()
        if "insights" in raw or seen.denied or _is_old(raw, account)
    }
    rest = [i for i in ids if i not in found]
    rest.sort(key=lambda i: str(seen.nodes.get(i, {}).get("timestamp", "9")), reverse=True)
    failure: PlatformError | None = seen.failure
    while rest and failure is None:
        turn, rest = rest[:IN_TURN], rest[IN_TURN:]
        read = yield from _read_singly(turn, seen, account)
        found |= read
        failed = [item for item in read.values() if isinstance(item, TryLater | NeedsOwner)]
        failure = failed[0] if len(failed) == len(turn) else None
    if failure is not None and all(isinstance(item, PlatformError) for item in found.values()):
        raise failure
    if not seen.answered and any(isinstance(item, Gone) for item in found.values()):
        try:
            yield alive
        except Gone as error:
            raise AccountNotFound(error.detail) from error
    return found | dict.fromkeys(rest, failure) if failure is not None else found


def list_media(account: Account, cursor: str) -> Call[Listing]:
    """A page of the account's media. Those whose insights have to be asked for apart come without numbers."""
    seen = _Listing(
        frozenset(),
        fields=(*NODE, "permalink"),
        metrics=account.unretired(METRICS),
        after=cursor.removeprefix(PLAIN),
        plain=cursor.startswith(PLAIN),
    )
    page = yield from _next_page(seen, account)
    seen.take(page, account)
    posts = tuple(_listed(item, account) for item in objects(page["data"]))
    return Listing(posts, "" if seen.ended else (PLAIN if seen.plain else "") + seen.after)


def _listed(item: Raw, account: Account) -> Listed:
    if not re.fullmatch("[0-9]{5,25}", item["id"]):
        raise TypeError("expected media ids of digits")
    raw, url = _media(item), item.get("permalink")
    made_at = instant(item.get("timestamp"))
    whole = "insights" in raw or (made_at is not None and _is_old(raw, account))
    reasons = _reasons(raw, account, denied=False) if whole else {}
    return Listed(item["id"], url if isinstance(url, str) else "", made_at, raw if whole else None, reasons)


def _walk(seen: _Listing, account: Account) -> Call[None]:
    """Media of the listing, with insights where a page has them, until it cannot save calls any more."""
    while seen.worthwhile:
        try:
            page = yield from _next_page(seen, account)
        except TryLater as error:
            seen.failure = error  # what was found is kept
            return
        seen.take(page, account)


def _next_page(seen: _Listing, account: Account) -> Call[Any]:
    """A page of the listing, asked for more lightly where it is refused."""
    while True:
        try:
            return (yield seen.request(account))
        except Gone as error:
            raise AccountNotFound(error.detail) from error
        except PlatformError as error:
            if not seen.ease(error, account):
                raise


def _read_singly(ids: Sequence[str], seen: _Listing, account: Account) -> Call[dict[str, Item]]:
    """Node and insights of each, side by side; then insights again where a metric was refused."""
    unknown = [i for i in ids if i not in seen.nodes]
    known = {i: seen.nodes[i] for i in ids if i in seen.nodes}
    reading = [i for i in ids if not seen.denied and not _is_old(known.get(i, {}), account)]
    asked = {i: _first_metrics(known.get(i), account) for i in reading}
    requests = [Request(i, params={"fields": ",".join(NODE)}, group="node") for i in unknown]
    requests += [_insights(i, metrics) for i, metrics in asked.items()]
    answers = (yield tuple(requests)) if requests else ()
    nodes: dict[str, Any] = known | dict(zip(unknown, answers, strict=False))
    insights: dict[str, Any] = dict(zip(asked, answers[len(unknown) :], strict=True))
    yield from _ask_again(asked, nodes, insights, account)
    seen.denied |= any(isinstance(answer, ScopeMissing) for answer in insights.values())
    read = {i: _join(i, nodes[i], insights.get(i), account) for i in ids}
    _remember_unlisted(account, [i for i in ids if i not in seen.nodes and _is_unlisted(read[i], seen)])
    denied = {i for i in ids if seen.denied and not isinstance(insights.get(i), dict)}
    return {
        i: _reading(item, account, denied=i in denied) if isinstance(item, dict) else item for i, item in read.items()
    }


def _ask_again(
    asked: Mapping[str, Sequence[str]], nodes: Mapping[str, Any], insights: dict[str, Any], account: Account
) -> Call[None]:
    """Ask with fewer metrics where one was refused, until something is left to read."""
    asked = dict(asked)
    for _ in range(3):
        again: dict[str, Sequence[str]] = {}
        for media_id, metrics in asked.items():
            refusal = insights[media_id]
            if isinstance(refusal, MetricRefused) and isinstance(nodes[media_id], dict):
                own, left = _first_metrics(nodes[media_id], account), refusal.left(metrics)
                if refusal.general and left and metrics == own:
                    account.retired.update(set(metrics) - set(left))
                again[media_id] = _next_metrics(metrics, left, own)
        again = {media_id: metrics for media_id, metrics in again.items() if metrics}
        if not again:
            break
        asked |= again
        insights |= zip(again, (yield tuple(_insights(i, metrics) for i, metrics in again.items())), strict=True)


def _insights(media_id: str, metrics: Sequence[str]) -> Request:
    return Request(f"{media_id}/insights", params={"metric": ",".join(metrics)}, group="insights")


def _first_metrics(node: Raw | None, account: Account) -> tuple[str, ...]:
    story = node is not None and node.get("media_product_type") == "STORY"
    return account.unretired(STORY_METRICS if story else METRICS)


def _next_metrics(asked: Sequence[str], left: Sequence[str], own: Sequence[str]) -> Sequence[str]:
    """What to ask for after a refusal: the kind's own metrics, then those not refused, then fewer and fewer."""
    if "replies" in own and "replies" not in asked and "likes" in asked:
        return own
    if left and len(left) < len(asked):
        return left
    return ("views", "reach") if len(asked) > 2 else ("reach",) if tuple(asked) == ("views", "reach") else ()


def _join(media_id: str, node: Any, insights: Any, account: Account) -> Raw | PlatformError:
    """One medium's raw answer. What was refused of its insights costs only those."""
    if isinstance(node, Gone) or (isinstance(node, PlatformError) and isinstance(insights, PlatformError | None)):
        return node
    raw = {"id": media_id} if isinstance(node, PlatformError) else _media(node)
    if raw.get("id") != media_id:
        return MalformedPayload("The answer is about another medium than the one asked for.")
    if isinstance(insights, NoInsights):
        _remember_old(account, str(raw.get("timestamp") or ""))
    if insights is None or isinstance(insights, NoInsights | MetricRefused | TooFewViewers | ScopeMissing | Gone):
        return raw
    if isinstance(insights, PlatformError):
        return insights
    if not isinstance(insights, dict) or not isinstance(insights.get("data"), list):
        return MalformedPayload("The insights are no list of metrics.")
    return raw | {"insights": insight_values(insights)}


def _media(item: Any) -> Raw:
    """A medium without free text, names and titles."""
    raw = pick(item, NODE)
    insights = item.get("insights") if isinstance(item, dict) else None
    if isinstance(insights, dict) and isinstance(insights.get("data"), list):
        raw["insights"] = insight_values(insights)
    return raw


def _reading(raw: Raw, account: Account, *, denied: bool) -> Item:
    """A raw answer with the reasons for its nulls that it cannot show by itself."""
    reasons = _reasons(raw, account, denied=denied)
    return Reading(raw, reasons) if reasons else raw


def _reasons(raw: Raw, account: Account, *, denied: bool) -> dict[str, Reason]:
    reasons: dict[str, Reason] = {}
    for dimension, value in media_metrics(raw).items():
        if value is None and FIELDS[dimension] in account.retired:
            reasons[dimension] = Reason.RETIRED
        elif value is None and denied and dimension is not Dimension.CLICKS:
            reasons[dimension] = Reason.SCOPE_MISSING
    return reasons


def media_metrics(raw: Raw) -> dict[Dimension, int | None]:
    """Our columns from one medium's raw answer."""
    insights = insights_by_name(raw.get("insights"))
    values = {dimension: to_count(insights.get(name), name) for dimension, name in FIELDS.items()}
    if values[Dimension.LIKES] is None:
        values[Dimension.LIKES] = count(raw, "like_count")
    if values[Dimension.COMMENTS] is None:
        values[Dimension.COMMENTS] = to_count(insights.get("replies"), "replies")
    if values[Dimension.COMMENTS] is None and raw.get("media_product_type") != "STORY":
        values[Dimension.COMMENTS] = count(raw, "comments_count")
    if raw.get("media_type") != "VIDEO":  # an album may hold videos, but does not say how often they were seen
        values[Dimension.VIDEO_VIEWS] = 0 if raw.get("media_type") == "IMAGE" else None
    return values


# --- what is remembered of an account ----------------------------------------------------------------------------


def _is_old(node: Raw, account: Account) -> bool:
    """Whether a medium is known to be from before the account became professional."""
    until = str(account.memory.get("no_insights_until") or "")
    return bool(until) and str(node.get("timestamp") or "9") <= until


def _remember_old(account: Account, timestamp: str) -> None:
    """Media from before the conversion never have insights, and each fails the page of the listing that it is on."""
    account.memory["no_insights_until"] = max(str(account.memory.get("no_insights_until") or ""), timestamp)


def _is_unlisted(item: Raw | PlatformError, seen: _Listing) -> bool:
    """Stories are not in the listing; what a walk to its end did not show is not either."""
    return isinstance(item, dict) and (item.get("media_product_type") == "STORY" or (seen.answered and seen.ended))


def _remember_unlisted(account: Account, ids: Sequence[str]) -> None:
    known = [i for i in account.memory.get("unlisted", ()) if i not in ids]
    if ids:
        account.memory["unlisted"] = [*known, *ids][-REMEMBERED:]

"""What answers about Instagram media hold: the metrics of each kind, the parts that are kept, and our columns."""

from collections.abc import Sequence
from typing import Any

from platforms.base import Account, Item, Raw, Reading, Request, pick
from platforms.dimensions import Dimension, Reason
from platforms.errors import Rejected
from platforms.graph_insights import insight_values, insights_by_name, text_id
from platforms.payloads import count, to_count

KIND = "media_product_type"
NODE = ("id", "media_type", KIND, "timestamp", "like_count", "comments_count")
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


def node_fields(account: Account) -> tuple[str, ...]:
    """The fields of a medium, without one that the host is known not to have."""
    return NODE if not account.memory.get("no_kind") else tuple(name for name in NODE if name != KIND)


def lacks_kind(answer: object, account: Account) -> bool:
    """Whether a read was refused for naming the kind of media, which is documented for one host only: remember it."""
    refused = isinstance(answer, Rejected) and KIND in answer.detail and not account.memory.get("no_kind")
    if refused:
        account.memory["no_kind"] = True
    return refused


def insights_request(media_id: str, metrics: Sequence[str]) -> Request:
    """The metrics of one medium."""
    return Request(f"{media_id}/insights", params={"metric": ",".join(metrics)}, group="insights")


def fewer_metrics(
    asked: Sequence[str], left: Sequence[str], own: Sequence[str], *, patient: bool = True
) -> Sequence[str]:
    """What to ask for after a refusal: the kind's own metrics, then those not refused, then fewer and fewer.

    No longer `patient`, only what every kind has is asked for.
    """
    if "replies" in own and "replies" not in asked and "likes" in asked:
        return own
    left = left if patient else tuple(name for name in ("views", "reach") if name in left)
    if left and len(left) < len(asked):
        return left
    return ("views", "reach") if len(asked) > 2 else ("reach",) if tuple(asked) == ("views", "reach") else ()


def media_raw(item: Any) -> Raw:
    """A medium without free text, names and titles."""
    raw = pick(item, NODE)
    raw |= {"id": text_id(raw)} if text_id(raw) else {}
    insights = item.get("insights") if isinstance(item, dict) else None
    if isinstance(insights, dict) and isinstance(insights.get("data"), list):
        raw["insights"] = insight_values(insights)
    return raw


def media_reading(raw: Raw, account: Account, *, denied: bool) -> Item:
    """A raw answer with the reasons for its nulls that it cannot show by itself."""
    reasons = media_reasons(raw, account, denied=denied)
    return Reading(raw, reasons) if reasons else raw


def media_reasons(raw: Raw, account: Account, *, denied: bool = False) -> dict[str, Reason]:
    """Why numbers of a medium are missing, where its raw answer does not show it."""
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

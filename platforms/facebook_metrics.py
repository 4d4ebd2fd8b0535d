"""What answers about Facebook posts hold: the parts that are kept, and our columns."""

from collections.abc import Mapping
from typing import Any

from platforms.base import Account, Item, Raw, Reading, objects, pick
from platforms.dimensions import Dimension, Reason
from platforms.graph_insights import insight_values, insights_by_name, summed, text_id
from platforms.payloads import count, lookup

REACH = "post_total_media_view_unique"
REACTIONS = "post_reactions_by_type_total"
ACTIVITY = "post_activity_by_action_type"
# https://developers.facebook.com/docs/graph-api/reference/insights
METRICS = ("post_media_view", REACH, "post_clicks", REACTIONS, ACTIVITY, "post_video_views")
STORY_METRICS = (
    "story_media_view",
    "story_total_media_view_unique",
    "story_interaction",
    "pages_fb_story_replies",
    "pages_fb_story_shares",
)
FIELDS: Mapping[Dimension, str | tuple[str, ...]] = {
    Dimension.IMPRESSIONS: "post_media_view",
    Dimension.REACH: REACH,
    Dimension.LIKES: ("reactions", "summary", "total_count"),
    Dimension.COMMENTS: ("comments", "summary", "total_count"),
    Dimension.SHARES: ("shares", "count"),
    Dimension.CLICKS: "post_clicks",
    Dimension.VIDEO_VIEWS: "post_video_views",
}
# The metrics that hold a column, by kind: posts, Page stories, videos that are no post. The first that answers counts.
SOURCES: Mapping[Dimension, tuple[tuple[str, ...], ...]] = {
    Dimension.IMPRESSIONS: (("post_media_view",), ("story_media_view",)),
    Dimension.REACH: ((REACH,), ("story_total_media_view_unique",), ("post_impressions_unique",)),
    Dimension.LIKES: ((REACTIONS,), ("post_video_likes_by_reaction_type",)),
    Dimension.COMMENTS: ((ACTIVITY, "comment"), ("pages_fb_story_replies",), ("post_video_social_actions", "comment")),
    Dimension.SHARES: (("pages_fb_story_shares",), ("post_video_social_actions", "share")),
    Dimension.CLICKS: (("post_clicks",),),
    Dimension.VIDEO_VIEWS: (("post_video_views",), ("total_video_views",), ("blue_reels_play_count",)),
}


def post_raw(row: Any, *, listed: bool = False) -> Raw:
    """A post without free text, names and links. `listed`: of a page that was asked for insights."""
    raw = pick(row, ("id", "created_time", "status_type", "views"))
    raw |= {"id": text_id(raw)} if text_id(raw) else {}
    if "shares" in row:
        raw["shares"] = pick(row["shares"], ("count",))
    if "attachments" in row:
        data = lookup(row, ("attachments", "data"))
        found = data if isinstance(data, list) else [None]
        raw["attachments"] = {"data": [pick(item, ("media_type", "type")) for item in found]}
    for name in ("comments", "reactions"):
        if name in row:
            raw[name] = {"summary": pick(lookup(row, (name, "summary")), ("total_count",))}
    insights = insights_of(row.get("insights", {"data": []} if listed else None))
    return raw if insights is None else raw | {"insights": insights}


def insights_of(answer: Any) -> Raw | None:
    """Insights without titles and links, and without what is not computed yet; None where they are none."""
    if not isinstance(answer, dict) or not isinstance(answer.get("data"), list):
        return None
    kept = insight_values(answer)
    kept["data"] = [entry for entry in kept["data"] if not _is_pending(entry)]
    return kept


def _is_pending(entry: Raw) -> bool:
    """Whether a story's number is not computed yet: 0, as of the first day of 1970."""
    values = entry.get("values")
    first = values[0] if isinstance(values, list) and values else None
    return str(lookup(first, "end_time") or "").startswith("1970-01")


def post_metrics(raw: Raw) -> dict[Dimension, int | None]:
    """Our columns from one post's raw answer."""
    insights = insights_by_name(raw.get("insights"))
    values = {dimension: _first(insights, sources) for dimension, sources in SOURCES.items()}
    for dimension in (Dimension.LIKES, Dimension.COMMENTS, Dimension.SHARES):
        told = count(raw, FIELDS[dimension])  # what Facebook itself shows: insights count reshares in
        values[dimension] = values[dimension] if told is None else told
    if values[Dimension.SHARES] is None and "shares" not in raw and "created_time" in raw:
        values[Dimension.SHARES] = 0  # left out of a node where there are none
    if values[Dimension.VIDEO_VIEWS] is None:
        values[Dimension.VIDEO_VIEWS] = 0 if _is_no_video(raw) else count(raw, "views")
    return values


def _first(insights: Mapping[str, Any], sources: tuple[tuple[str, ...], ...]) -> int | None:
    for name, *key in sources:
        value = insights.get(name)
        told = lookup(value, tuple(key)) if key else value
        number = summed([told], name)
        if number is not None:
            return number
    return None


def _is_no_video(raw: Raw) -> bool:
    """Whether the answer shows it. An album may hold videos."""
    data = lookup(raw, ("attachments", "data"))
    if data is None:
        status = raw.get("status_type")
        return "created_time" in raw and isinstance(status, str) and "video" not in status
    kinds = [item.get("media_type") for item in objects(data)] if isinstance(data, list) else []
    return bool(kinds) and all(isinstance(kind, str) and kind not in ("video", "album") for kind in kinds)


def post_reading(item: Item, account: Account, *, denied: bool, uncounted: bool) -> Item:
    """A raw answer with the reasons for its nulls that it cannot show: insights or counts that were refused."""
    if not isinstance(item, dict):
        return item
    reasons: dict[str, Reason] = {}
    for dimension, value in post_metrics(item).items():
        if value is not None:
            continue
        if FIELDS[dimension] in account.retired:
            reasons[dimension] = Reason.RETIRED
        elif uncounted if dimension in (Dimension.LIKES, Dimension.COMMENTS) else denied:
            reasons[dimension] = Reason.SCOPE_MISSING
    return Reading(item, reasons) if reasons else item

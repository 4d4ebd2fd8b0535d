"""X posts: what their raw answers count, and how old they are."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from platforms.base import Raw, by_key
from platforms.dimensions import Dimension
from platforms.payloads import count, lookup, to_count

FIELDS: Mapping[Dimension, str | tuple[str, ...]] = {
    Dimension.IMPRESSIONS: ("post", "public_metrics", "impression_count"),
    Dimension.LIKES: ("post", "public_metrics", "like_count"),
    Dimension.COMMENTS: ("post", "public_metrics", "reply_count"),
    Dimension.SHARES: ("post", "public_metrics", "repost_count"),
    Dimension.SAVES: ("post", "public_metrics", "bookmark_count"),
    Dimension.CLICKS: ("private", "non_public_metrics", "url_link_clicks"),
    Dimension.VIDEO_VIEWS: "media",
}
PRIVATE_DAYS = timedelta(days=30)
SNOWFLAKE_EPOCH_MS = 1288834974657


def post_metrics(raw: Raw) -> dict[Dimension, int | None]:
    """Our columns from one post's raw answer."""
    values: dict[Dimension, int | None] = {
        dim: count(raw, path) for dim, path in FIELDS.items() if dim is not Dimension.VIDEO_VIEWS
    }
    if values[Dimension.SHARES] is None:
        values[Dimension.SHARES] = count(raw, ("post", "public_metrics", "retweet_count"))
    values[Dimension.VIDEO_VIEWS] = _video_views(raw)
    return values


def _video_views(raw: Raw) -> int | None:
    """Of the first video: a count belongs to the media. 0 where the answer shows that there is none."""
    keys = media_keys(raw)
    media = by_key(raw.get("media"), "media_key")
    for item in media.values():
        if item.get("type") == "video":
            return to_count(lookup(item, ("public_metrics", "view_count")), "view_count")
    told = keys is not None and all(isinstance(item.get("type"), str) for item in media.values())
    return 0 if told and keys is not None and len(media) == len(keys) else None


def media_keys(raw: Raw) -> list[str] | None:
    """The keys of a post's media; None where the answer is too odd to tell."""
    post = raw.get("post")
    if not isinstance(post, dict) or "id" not in post:
        return None
    attachments = post.get("attachments")
    keys = attachments.get("media_keys") if isinstance(attachments, dict) else attachments
    if keys is None:
        return []
    return keys if isinstance(keys, list) and all(isinstance(key, str) for key in keys) else None


def created_at(post_id: str) -> datetime:
    """When a post was made: ids are snowflakes. Ids from before them count as old."""
    return datetime.fromtimestamp(((int(post_id) >> 22) + SNOWFLAKE_EPOCH_MS) / 1000, UTC)


def is_young(made_at: datetime | None) -> bool:
    return made_at is not None and datetime.now(UTC) - made_at < PRIVATE_DAYS

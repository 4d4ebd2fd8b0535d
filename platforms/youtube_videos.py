"""YouTube's videos: reading and listing."""

import re
from collections.abc import Sequence
from typing import Any

from platforms.base import Item, Listed, Raw, by_ids, pick
from platforms.payloads import instant, lookup

VIDEO = r"([A-Za-z0-9_-]{11})"
COUNTS = ("viewCount", "likeCount", "commentCount")


def by_id(answer: Any, ids: Sequence[str]) -> dict[str, Item]:
    """Videos by id. An answer that bears neither items nor its kind is none, and tells of no missing video."""
    empty = answer.get("kind") and answer.get("items") is None
    return by_ids([] if empty else answer["items"], ids, _counted)


def _counted(video: Any) -> tuple[str, Raw]:
    if not re.fullmatch(VIDEO, video["id"]):
        raise ValueError("expected ids of videos")
    return video["id"], {"id": video["id"], "statistics": pick(video.get("statistics"), COUNTS)}


def upload(item: Raw) -> Listed | None:
    """A published upload. With the owner's token private and scheduled ones are listed as well."""
    video_id, published_at = item["contentDetails"]["videoId"], instant(item["contentDetails"].get("videoPublishedAt"))
    if not re.fullmatch(VIDEO, video_id):
        raise ValueError("expected ids of videos")
    if published_at is None or lookup(item, ("status", "privacyStatus")) == "private":
        return None
    return Listed(video_id, f"https://www.youtube.com/watch?v={video_id}", published_at)

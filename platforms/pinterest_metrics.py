"""Pinterest pins: what their raw answers hold and count."""

import re
from collections.abc import Mapping
from typing import Any

from platforms.base import Raw, pick
from platforms.dimensions import Dimension
from platforms.payloads import instant, lookup, to_count
from platforms.pinterest_analytics import VIDEO_METRIC, covers, total

FIELDS = {
    Dimension.IMPRESSIONS: "IMPRESSION",
    Dimension.LIKES: "TOTAL_REACTIONS",
    Dimension.COMMENTS: "TOTAL_COMMENTS",
    Dimension.SAVES: "SAVE",
    Dimension.CLICKS: "PIN_CLICK",
    Dimension.VIDEO_VIEWS: VIDEO_METRIC,
}
LIFETIME = {
    Dimension.IMPRESSIONS: "impression",
    Dimension.LIKES: "reaction",
    Dimension.COMMENTS: "comment",
    Dimension.CLICKS: "pin_click",
}
WINDOWED = (Dimension.IMPRESSIONS, Dimension.CLICKS, Dimension.SAVES, Dimension.VIDEO_VIEWS)
"""What a window's total stands in for, where it is as long as a pin's life."""
NODE = ("id", "created_at", "board_id", "creative_type", "is_owner", "parent_pin_id", "pin_metrics")


def pin_raw(pin: Any) -> Raw:
    """A pin without free text."""
    raw = pick(pin, NODE)
    if not isinstance(raw["id"], str) or not re.fullmatch("[0-9]{1,19}", raw["id"]):
        raise TypeError("expected a pin id of digits")
    media_type = lookup(pin, ("media", "media_type"))
    return raw if media_type is None else raw | {"media_type": media_type}


def pin_metrics(raw: Raw) -> dict[Dimension, int | None]:
    """Our columns: lifetime counts, and the totals of a window only where it is as long as the pin's life."""
    pin, analytics = raw.get("pin"), raw.get("analytics")
    if not isinstance(pin, dict):
        return {}
    blocks = (lookup(pin, ("pin_metrics", name)) for name in ("lifetime_metrics", "all_time"))
    lifetime: Mapping[str, Any] = next((block for block in blocks if block and isinstance(block, dict)), {})
    values = {dimension: to_count(lifetime.get(name), name) for dimension, name in LIFETIME.items()}
    for dimension in (Dimension.LIKES, Dimension.COMMENTS):
        if values[dimension] is None:
            name = FIELDS[dimension]
            values[dimension] = to_count(lookup(analytics, ("lifetime_metrics", name)), name)
    whole = covers(analytics, created_on(pin))
    for dimension in WINDOWED:
        if values.get(dimension) is None:
            told = whole and (dimension is not Dimension.VIDEO_VIEWS or is_video(pin))
            values[dimension] = total(analytics, FIELDS[dimension]) if told else None
    return values


def created_on(pin: Raw) -> str:
    """The day, in UTC, on which a pin was made; empty, and before any other, if it does not tell."""
    made_at = instant(pin.get("created_at"))
    return str(made_at.date()) if made_at else ""


def is_video(pin: Raw) -> bool:
    return pin.get("media_type") == "video" or pin.get("creative_type") in ("VIDEO", "MAX_VIDEO")

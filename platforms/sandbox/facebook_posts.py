"""Facebook: post ids, which carry when a post was made, by which Page, and what it is; their nodes and insights."""

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from platforms.sandbox import graph
from platforms.sandbox.wire import Answer, Call
from platforms.sandbox.world import mix, numbers, owner_bits

EPOCH = 1514764800
POST, VIDEO = 10**15, 2 * 10**15
KINDS = ("photo", "video", "link", "text")
STATUS = {"photo": "added_photos", "video": "added_video", "link": "shared_story", "text": "mobile_status_update"}
_METRICS = frozenset(
    {
        *("post_media_view", "post_total_media_view_unique", "post_clicks", "post_clicks_by_type"),
        *("post_reactions_by_type_total", "post_activity_by_action_type", "post_video_views"),
        *("post_video_view_time", "post_video_avg_time_watched"),
    }
)
_GATED = frozenset({"comments", "reactions", "likes"})
_NODE = frozenset(
    {"id", "created_time", "status_type", "shares", "attachments", "permalink_url", "message", "insights"}
)


@dataclass(frozen=True, slots=True)
class Post:
    """What a post's number says."""

    id: str
    made_at: float
    owner: int
    kind: str

    def belongs_to(self, page_id: str) -> bool:
        """Whether the Page made it."""
        return owner_bits(page_id, 16) == self.owner


def kind_at(page_id: str, at: float) -> str:
    """What a Page posted at an instant."""
    return KINDS[mix(f"kind:{page_id}:{int(at)}") & 3]


def encode(page_id: str, at: float) -> str:
    """The id of a post."""
    number = (int(at) - EPOCH) * 4 + KINDS.index(kind_at(page_id, at)) << 16 | owner_bits(page_id, 16)
    return f"{page_id}_{POST + number}"


@lru_cache(maxsize=65536)
def decode(post_id: str) -> Post | None:
    """What an id says, a post's or a video's; None if it cannot be one."""
    page_id, _, digits = post_id.rpartition("_")
    if not re.fullmatch(r"[12]\d{15}", digits) or bool(page_id) != (digits[0] == "1"):
        return None
    number = int(digits) % POST
    seconds, kind = divmod(number >> 16, 4)
    post = Post(post_id, float(EPOCH + seconds), number & 0xFFFF, KINDS[kind])
    return post if page_id or post.kind == "video" else None


def node(call: Call, post: Post, page_id: str) -> dict[str, Any]:
    """A post with the fields that were asked for, insights included."""
    asked = graph.fields(call.request.first("fields", "id,created_time,message"))
    graph.check_fields(asked, _NODE | _GATED)
    readable = call.state.switches["content_scope"] and call.allows("pages_read_user_content")
    if _GATED & set(asked) and not readable:
        words = "(#10) This endpoint requires the 'pages_read_user_content' permission"
        raise graph.refuse(words, 10, status=403)
    facts = _facts(post, call.now, page_id)
    found = {name: facts[name] for name in asked if name in facts}
    if "insights" in asked:
        found["insights"] = insights(call, post, asked["insights"]).payload
    return {**found, "id": post.id}


def _facts(post: Post, now: float, page_id: str) -> dict[str, Any]:
    counts = numbers(post.id, now - post.made_at)
    facts: dict[str, Any] = {
        "created_time": graph.iso(post.made_at),
        "status_type": STATUS[post.kind],
        "permalink_url": f"https://www.facebook.com/{page_id}/posts/{post.id.rpartition('_')[2]}",
        "message": f"Sandbox post {post.id[-6:]}",
        "comments": _summary(counts.comments, order="ranked", can_comment=True),
        "reactions": _summary(counts.likes, viewer_reaction="NONE"),
        "likes": _summary(counts.likes, can_like=True),
    }
    if counts.shares:
        facts["shares"] = {"count": counts.shares}
    if post.kind != "text":
        kind = "album" if post.kind == "photo" and mix(f"album:{post.id}") & 3 == 0 else post.kind
        facts["attachments"] = {"data": [{"media_type": kind, "type": f"{kind}_inline", "title": "Sandbox"}]}
    return facts


def _summary(count: int, **more: Any) -> dict[str, Any]:
    return {"data": [], "summary": {**more, "total_count": count}}


def video(call: Call, post: Post, page_id: str) -> Answer:
    """A video's own node, which names its post."""
    asked = graph.fields(call.request.first("fields", "id"))
    graph.check_fields(asked, {"id", "views", "post_id", "created_time", "length"})
    number = str(int(post.id) - VIDEO + POST)
    views = numbers(f"{page_id}_{number}", call.now - post.made_at).video_views
    facts = {"views": views, "post_id": number, "created_time": graph.iso(post.made_at)}
    return Answer({**{name: facts[name] for name in asked if name in facts}, "id": post.id})


def insights(call: Call, post: Post, metrics: list[str]) -> Answer:
    """A post's insights. One name that there is not refuses the whole call, and does not say which."""
    if not metrics:
        raise graph.refuse("(#3001) No metric was specified", 3001, subcode=1504028)
    if set(metrics) - (_METRICS - call.withdrawn()):
        raise graph.refuse("(#100) The value must be a valid insights metric", 100)
    check_scope(call)
    if post.id in call.state.switches["poison"]:
        raise graph.refuse("An unknown error occurred", 1, status=500)
    if "post_total_media_view_unique" in metrics and call.state.switches["low_reach"]:
        raise graph.refuse("(#200) Provide valid app ID", 200)
    if is_silent(call):
        return Answer({"data": []})
    counts = _counts(post, call.now)
    expanded = "period(lifetime)" in call.request.first("fields")
    periods = ["lifetime"] if expanded or call.request.first("period") == "lifetime" else ["day", "lifetime"]
    data = [
        graph.lifetime(post.id, name, counts[name], period)
        for name in dict.fromkeys(metrics)
        for period in periods
        if name in counts
    ]
    token = graph.token_text(call.request)
    link = f"https://{call.request.host}/v26.0/{post.id}/insights?access_token={token}&since=1"
    return Answer({"data": data, "paging": {"previous": link, "next": link}})


def is_silent(call: Call) -> bool:
    """Whether insights come back empty, as they do without the scope for them."""
    return call.state.switches["insights_scope"] == "empty" or not call.allows("read_insights")


def check_scope(call: Call) -> None:
    """Refuse insights to a token that may not read them."""
    if call.state.switches["insights_scope"] == "refused":
        raise graph.refuse("(#200) Requires read_insights permission to manage the object", 200, status=403)


def _counts(post: Post, now: float) -> dict[str, Any]:
    one = numbers(post.id, now - post.made_at)
    reactions = {"like": one.likes - one.likes // 8, "love": one.likes // 8}
    actions = {"like": one.likes, "comment": one.comments, "share": one.shares}
    counts = {
        "post_media_view": one.impressions,
        "post_total_media_view_unique": one.reach,
        "post_clicks": one.clicks,
        "post_clicks_by_type": {"other clicks": one.clicks},
        "post_reactions_by_type_total": {name: count for name, count in reactions.items() if count},
        "post_activity_by_action_type": {name: count for name, count in actions.items() if count},
    }
    if post.kind == "video":
        counts |= {"post_video_views": one.video_views, "post_video_view_time": one.video_views * 4200}
        counts["post_video_avg_time_watched"] = 4200 if one.video_views else 0
    return counts

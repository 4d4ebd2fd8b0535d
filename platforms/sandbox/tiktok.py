"""TikTok Display API v2: videos, users and publish ids."""

from collections.abc import Sequence
from typing import Any

from platforms.sandbox import tiktok_oauth
from platforms.sandbox.state import Fault
from platforms.sandbox.tiktok_oauth import data_error
from platforms.sandbox.tokens import Claims
from platforms.sandbox.wire import Answer, Call, Refused, SandboxRequest, Wire, listed
from platforms.sandbox.world import followers, following, mix, numbers, owner_bits, posts_count

WINDOW = 60
LIMITS = {"video_query": 600, "video_list": 600, "user_info": 600, "publish_status": 30}
MOST = 20
_ROUTES = {
    ("POST", "/v2/video/query/"): "video_query",
    ("POST", "/v2/video/list/"): "video_list",
    ("GET", "/v2/user/info/"): "user_info",
    ("POST", "/v2/post/publish/status/fetch/"): "publish_status",
    ("POST", "/v2/oauth/token/"): "token",
    ("POST", "/v2/oauth/revoke/"): "revoke",
    ("GET", "/v2/auth/authorize/"): "authorize",
    ("POST", "/v2/auth/authorize/"): "authorize",
}
_VIDEO_FIELDS = (
    *("id", "create_time", "cover_image_url", "share_url", "video_description", "duration", "height", "width", "title"),
    *("embed_html", "embed_link", "like_count", "comment_count", "share_count", "view_count", "is_aigc"),
)
_USER_FIELDS = {
    "user.info.basic": ("open_id", "union_id", "avatar_url", "avatar_url_100", "avatar_large_url", "display_name"),
    "user.info.profile": ("bio_description", "profile_deep_link", "is_verified", "username"),
    "user.info.stats": ("follower_count", "following_count", "likes_count", "video_count"),
}
_SCOPE_OF = {"video_query": "video.list", "video_list": "video.list", "user_info": "user.info.basic"}
_REFUSALS = {
    "server_error": (500, "internal_error", "Something went wrong. Please try again later."),
    "token_expired": (401, "access_token_invalid", "The access token is invalid or not found in the request."),
    "scope_missing": (401, "scope_not_authorized", "The user did not authorize the scope required."),
    "scope_permission_missed": (400, "scope_permission_missed", "Some fields need more scopes."),
}


class TikTok(Wire):
    """The API of TikTok, its token endpoint included."""

    key = "tiktok"
    hosts = ("open.tiktokapis.com", "www.tiktok.com")
    switches = {
        "rate_limits": True,
        "limits": {},  # {"video_query": 10} replaces the documented numbers
        "publish": "resolved",  # resolved, empty, processing, failed: what is told of publish ids
        "missing_counts": [],  # count fields that videos come without
        "short_pages": False,  # every page of the listing but the last holds half of what it could
        **tiktok_oauth.SWITCHES,
    }
    token_groups = frozenset({"token", "revoke", "authorize"})
    own_faults = frozenset({"scope_permission_missed"})

    def group(self, request: SandboxRequest) -> str:
        return _ROUTES.get((request.method, request.path), "other")

    def answer(self, call: Call) -> Answer:
        if call.group in self.token_groups:
            return tiktok_oauth.answer(call)
        if call.group == "other":
            return data_error(404, "unsupported_path", "Unsupported path (Janus)")
        claims = call.claims = tiktok_oauth.authenticate(call)
        tiktok_oauth.need(call, _SCOPE_OF.get(call.group, "user.info.basic"))
        self._spend(call, claims)
        return Answer({"data": self._data(call, claims), "error": tiktok_oauth.OK})

    def _spend(self, call: Call, claims: Claims) -> None:
        if not call.state.switches["rate_limits"]:
            return
        limit = call.state.switches["limits"].get(call.group, LIMITS[call.group])
        owner = claims.account_id if call.group == "publish_status" else ""
        left, _ = call.state.spend(f"{call.group}:{owner}", limit=limit, seconds=WINDOW, now=call.now)
        if left < 0:
            raise Refused(_rate_limited())

    def _data(self, call: Call, claims: Claims) -> dict[str, Any]:
        if call.group == "user_info":
            return {"user": _user(call, claims)}
        body = call.request.json()
        if not isinstance(body, dict):
            raise Refused(_invalid("The request body is not JSON"))
        if call.group == "publish_status":
            return _publish_status(call, body)
        fields = _fields(call, _VIDEO_FIELDS)
        if call.group == "video_query":
            return {"videos": _query(call, claims, body, fields)}
        return _page(self, call, claims, body, fields)

    def refusal(self, call: Call, fault: Fault) -> Answer:
        if fault.kind == "rate_limited":
            answer = _rate_limited()
            if fault.retry_after is not None:
                answer.headers["Retry-After"] = str(int(fault.retry_after))
            return answer
        if call.group in self.token_groups:
            name = "invalid_grant" if fault.kind == "refuse_refresh" else "server_error"
            return tiktok_oauth.token_error(call, name)
        status, code, message = _REFUSALS[fault.kind]
        return data_error(status, code, message)

    def post_id(self, account_id: str, at: float) -> str:
        return str(int(at) << 32 | owner_bits(account_id, 22) << 10 | int(at % 1 * 1024))

    def tokens(self, account_id: str, now: float, lifetime: float | None, **extra: Any) -> dict[str, Any]:
        return tiktok_oauth.grant(account_id, now, lifetime)


def _rate_limited() -> Answer:
    return data_error(429, "rate_limit_exceeded", "The API rate limit was exceeded. Please try again later.")


def _invalid(message: str) -> Answer:
    return data_error(400, "invalid_params", message)


def _fields(call: Call, known: Sequence[str]) -> list[str]:
    asked = call.request.listed("fields")
    wrong = [name for name in asked if name not in known or name in call.withdrawn()]
    if wrong or not asked:
        raise Refused(_invalid(f"Invalid fields: {', '.join(wrong)}" if wrong else "fields is required"))
    return asked


def _made_at(video_id: str) -> float:
    return (int(video_id) >> 32) + (int(video_id) & 0x3FF) / 1024


def _query(call: Call, claims: Claims, body: dict[str, Any], fields: list[str]) -> list[dict[str, Any]]:
    """The caller's own videos among those asked for; others are left out without a word."""
    filters = body.get("filters")
    ids = filters.get("video_ids") if isinstance(filters, dict) else None
    if not isinstance(ids, list) or not 1 <= len(ids) <= MOST:
        raise Refused(_invalid(f"The number of video_ids must be between 1 and {MOST}"))
    if not all(isinstance(one, str) and one.isdecimal() for one in ids):
        raise Refused(_invalid("A video id is not a number"))
    own = [one for one in ids if int(one) >> 10 & 0x3FFFFF == owner_bits(claims.account_id, 22)]
    there = [one for one in own if one not in call.state.deleted and _made_at(one) <= call.now]
    return [_video(call, one, fields) for one in there]


def _page(wire: TikTok, call: Call, claims: Claims, body: dict[str, Any], fields: list[str]) -> dict[str, Any]:
    """Videos older than the cursor, which is in milliseconds, newest first."""
    size, cursor = body.get("max_count", 10), body.get("cursor")
    if type(size) is not int or not 1 <= size <= MOST:
        raise Refused(_invalid(f"max_count must be between 1 and {MOST}"))
    if cursor is not None and type(cursor) is not int:
        raise Refused(_invalid("cursor must be a UTC timestamp in milliseconds"))
    before = call.now if cursor is None else cursor / 1000
    older = [one for one in listed(wire, call.state, claims.account_id, call.now) if int(one) >> 32 < before]
    if call.state.switches["short_pages"] and len(older) > size:
        size //= 2
    page = older[:size]
    last = (int(page[-1]) >> 32) * 1000 if page else int(before * 1000)
    return {"videos": [_video(call, one, fields) for one in page], "cursor": last, "has_more": len(older) > size}


def _video(call: Call, video_id: str, fields: list[str]) -> dict[str, Any]:
    counts = numbers(video_id, call.now - _made_at(video_id))
    everything: dict[str, Any] = {
        "id": video_id,
        "create_time": int(video_id) >> 32,
        "share_url": f"https://www.tiktok.com/@sandbox/video/{video_id}?utm_campaign=sandbox",
        "title": f"Sandbox video {video_id[-6:]}",
        "video_description": f"Sandbox video {video_id[-6:]}",
        "duration": 5 + mix(f"duration:{video_id}") % 55,
        "view_count": counts.impressions,
        "like_count": counts.likes,
        "comment_count": counts.comments,
        "share_count": counts.shares,
    }
    missing = call.state.switches["missing_counts"]
    return {name: everything.get(name, "") for name in fields if name not in missing}


def _user(call: Call, claims: Claims) -> dict[str, Any]:
    """The fields asked for; one whose scope was not granted fails the whole request."""
    asked = _fields(call, [name for names in _USER_FIELDS.values() for name in names])
    for scope, names in _USER_FIELDS.items():
        if set(names) & set(asked):
            tiktok_oauth.need(call, scope)
    account = call.state.account(claims.account_id)
    made = posts_count(claims.account_id, call.now, posts=account.posts, span_days=account.span_days)
    everything: dict[str, Any] = {
        "open_id": claims.account_id,
        "union_id": f"union-{mix(claims.account_id)}",
        "display_name": f"sandbox_{claims.account_id[-6:]}",
        "username": f"sandbox_{claims.account_id[-6:]}",
        "avatar_url": "https://p16-sign-va.tiktokcdn.com/sandbox.jpeg",
        "follower_count": followers(claims.account_id, call.now),
        "following_count": following(claims.account_id),
        "likes_count": followers(claims.account_id, call.now) * 7,
        "video_count": made,
    }
    return {name: everything.get(name, "") for name in asked}


def _publish_status(call: Call, body: dict[str, Any]) -> dict[str, Any]:
    """What became of a publish id, which ends in the id of its video."""
    publish_id = body.get("publish_id")
    if not isinstance(publish_id, str) or "." not in publish_id or not publish_id.rpartition(".")[2].isdecimal():
        raise Refused(data_error(400, "invalid_publish_id", "The publish id does not exist"))
    told = call.state.switches["publish"]
    status = {"processing": "PROCESSING_DOWNLOAD", "failed": "FAILED"}.get(told, "PUBLISH_COMPLETE")
    ids = [int(publish_id.rpartition(".")[2])] if told == "resolved" else []
    return {"status": status, "fail_reason": "", "publicaly_available_post_id": ids, "uploaded_bytes": 0}

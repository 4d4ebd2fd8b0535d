"""Instagram on the Graph API, with Instagram Login and with Facebook Login."""

import json
from collections.abc import Callable
from typing import Any, NamedTuple

from platforms.sandbox import graph, instagram_insights, instagram_oauth, meta_consent
from platforms.sandbox.instagram_media import Media, decode, encode, kind_at
from platforms.sandbox.state import Fault
from platforms.sandbox.tokens import Claims
from platforms.sandbox.wire import Answer, Call, SandboxRequest, Wire, listed
from platforms.sandbox.world import followers, following, mix, numbers, posts_count

HOSTS = {"graph.instagram.com": "instagram", "graph.facebook.com": "facebook"}
_OAUTH = {
    ("graph.instagram.com", "refresh_access_token"): "refresh_access_token",
    ("graph.instagram.com", "access_token"): "token",
    ("api.instagram.com", "oauth/access_token"): "token",
    ("graph.facebook.com", "oauth/access_token"): "token",
    ("www.instagram.com", "oauth/authorize"): "authorize",
    ("www.facebook.com", "dialog/oauth"): "authorize",
}
_EDGES = {
    **{"insights": "insights", "media": "media", "stories": "stories", "children": "children"},
    **dict.fromkeys(meta_consent.PAGE_EDGES, "pages"),
    "businesses": "businesses",
}
# Fields that exist and that the sandbox leaves out of its answers.
_UNTOLD = frozenset(
    {
        *(
            "id",
            "insights",
            "media_product_type",
            "total_views_count",
            "media_url",
            "thumbnail_url",
            "owner",
            "children",
        ),
        *("alt_text", "is_comment_enabled", "legacy_instagram_media_id", "biography", "website", "ig_id"),
    }
)


class Reader(NamedTuple):
    """Who reads, over which host."""

    account_id: str
    login: str


class Instagram(Wire):
    """Media, their insights and the account, behind two hosts with tokens of their own."""

    key = "instagram"
    hosts = (*HOSTS, "api.instagram.com", "www.instagram.com", "www.facebook.com")
    switches = {
        "poison": [],  # media ids posted before the account was converted
        "il_product_type": True,  # whether graph.instagram.com tells `media_product_type`
        "profile_views": "facebook",  # facebook, both, none: where the account metric is still answered
        "usage_percent": 1,  # what the usage headers say; 100 and more refuses
        "regain_minutes": 30,
        **instagram_oauth.SWITCHES,
    }
    token_groups = frozenset({"refresh_access_token", "token", "authorize"})
    own_faults = frozenset({"wrong_login", "app_limited"})

    def group(self, request: SandboxRequest) -> str:
        parts = graph.path_parts(request)
        if group := _OAUTH.get((request.host, "/".join(parts))):
            return group
        if request.method == "POST" and not parts:
            return "batch"
        if len(parts) == 2:
            return _EDGES.get(parts[1], "other")
        return "node" if len(parts) == 1 else "other"

    def answer(self, call: Call) -> Answer:
        request = call.request
        if call.group in self.token_groups:
            return instagram_oauth.answer(call)
        if request.host not in HOSTS:
            return graph.error("Unknown path components", 2500)
        if request.first("ids"):
            return graph.error("The ids query parameter is deprecated in v26.0+", 100, status=500)
        if call.group == "batch":
            return graph.batch(call) if request.host == "graph.facebook.com" else _unsupported("post")
        login = HOSTS[request.host]
        if login == "facebook" and meta_consent.inspects(call):
            return instagram_oauth.debug_token(call)
        claims = call.claims = instagram_oauth.check(call, login)
        answer = self._limited(call, claims) or _read(self, call, claims)
        answer.headers.update(_usage(call, claims.account_id))
        return answer

    def _limited(self, call: Call, claims: Claims) -> Answer | None:
        if call.state.switches["usage_percent"] < 100:
            return None
        return graph.error("(#80002) There have been too many calls to this Instagram account.", 80002)

    def refusal(self, call: Call, fault: Fault) -> Answer:
        if fault.kind == "rate_limited":
            answer = graph.error("(#80002) There have been too many calls to this Instagram account.", 80002)
            if fault.retry_after is not None:
                minutes = -(-int(fault.retry_after) // 60)
                answer.headers.update(_usage(call, _account_of(call), percent=100, minutes=minutes))
            return answer
        return _REFUSALS[fault.kind]()

    def post_id(self, account_id: str, at: float) -> str:
        return encode(account_id, at, kind_at(account_id, at))

    def tokens(self, account_id: str, now: float, lifetime: float | None, **extra: Any) -> dict[str, Any]:
        return instagram_oauth.grant(account_id, now, lifetime, login=extra.get("login") or "instagram")


def _unsupported(method: str) -> Answer:
    return graph.error(f"Unsupported request - method type: {method}", 100, kind="IGApiException")


_REFUSALS: dict[str, Callable[[], Answer]] = {
    "server_error": lambda: graph.error(
        "An unexpected error has occurred. Please retry your request later.", 2, status=500, is_transient=True
    ),
    "token_expired": graph.expired,
    "scope_missing": lambda: graph.error("(#10) Application does not have permission for this action", 10, status=403),
    "refuse_refresh": graph.expired,
    "wrong_login": lambda: _unsupported("get"),
    "app_limited": lambda: graph.error("(#4) Application request limit reached", 4, status=403),
}


def _account_of(call: Call) -> str:
    claims = instagram_oauth.peek(call)
    return claims.account_id if claims else "17841400000000001"


def _usage(call: Call, account_id: str, percent: int | None = None, minutes: int | None = None) -> dict[str, str]:
    """The usage headers: percent of what the account may do in a day."""
    switches = call.state.switches
    percent = switches["usage_percent"] if percent is None else percent
    minutes = (switches["regain_minutes"] if percent >= 100 else 0) if minutes is None else minutes
    times = {"total_cputime": percent // 2, "total_time": percent // 2}
    case = {"type": "instagram", "call_count": percent, **times, "estimated_time_to_regain_access": minutes}
    return {
        "X-App-Usage": json.dumps({"call_count": min(percent, 99), **times}),
        "X-Business-Use-Case-Usage": json.dumps({account_id: [case]}),
    }


def _read(wire: Instagram, call: Call, claims: Claims) -> Answer:
    parts, facebook = graph.path_parts(call.request), claims.extra == "facebook"
    if call.request.method != "GET" or call.group == "other":
        return _unsupported(call.request.method.lower())
    if parts[0] == "debug_token":
        return instagram_oauth.debug_token(call)
    if call.group == "businesses":
        return meta_consent.businesses(call, claims)
    if call.group == "pages":
        return instagram_oauth.pages(call, claims)
    if parts == ["me"] and claims.accounts:
        return Answer({"id": str(20_000_000_000_000 + mix(claims.account_id)), "name": "Sandbox Person"})
    pages = {instagram_oauth.page_of(one): one for one in claims.reached()} if facebook else {}
    if call.group == "node" and parts[0] in pages:
        return Answer(instagram_oauth.page(call, claims, parts[0], pages[parts[0]]))
    graph.need(call, "instagram_basic" if facebook else "instagram_business_basic")
    return _read_object(wire, call, _reader(claims, parts[0]), parts[0])


def _reader(claims: Claims, object_id: str) -> Reader:
    """For which of the token's accounts an object is read; for none if it has none."""
    reached = claims.reached() if object_id != "me" or not claims.accounts else []
    media = decode(object_id)
    owner = next((one for one in reached if media and media.belongs_to(one)), next(iter(reached), ""))
    return Reader(object_id if object_id in reached else owner, claims.extra)


def _read_object(wire: Instagram, call: Call, reader: Reader, object_id: str) -> Answer:
    if not reader.account_id:
        raise graph.missing(object_id)
    object_id = reader.account_id if object_id == "me" else object_id
    if object_id == reader.account_id:
        return _read_account(wire, call, reader)
    media = readable(call, object_id, reader.account_id)
    if call.group == "insights":
        return instagram_insights.of_media(call, media, facebook=reader.login == "facebook")
    if call.group == "node":
        return Answer(_media_node(call, media, reader))
    if call.group == "children":
        return Answer({"data": []})
    raise graph.missing(object_id)


def readable(call: Call, media_id: str, account_id: str) -> Media:
    """A media that the token's account may read."""
    media = decode(media_id)
    if media is None or media_id in call.state.deleted or media.made_at > call.now or not media.belongs_to(account_id):
        raise graph.missing(media_id)
    return media


def _read_account(wire: Instagram, call: Call, reader: Reader) -> Answer:
    if call.group == "insights":
        return instagram_insights.of_account(call, reader.account_id, facebook=reader.login == "facebook")
    if call.group == "media":
        return _listing(wire, call, reader)
    if call.group == "stories":
        return _stories(call, reader)
    return Answer(_account_node(call, reader))


def _account_node(call: Call, reader: Reader) -> dict[str, Any]:
    account_id, state = reader.account_id, call.state.account(reader.account_id)
    facts: dict[str, Any] = {
        "user_id": account_id,
        "username": f"sandbox_{account_id[-6:]}",
        "name": f"Sandbox {account_id[-4:]}",
        "account_type": "BUSINESS",
        "followers_count": followers(account_id, call.now),
        "follows_count": following(account_id),
        "media_count": posts_count(account_id, call.now, posts=state.posts, span_days=state.span_days),
        "profile_picture_url": "https://scontent.cdninstagram.com/v/sandbox.jpg",
    }
    if reader.login == "facebook":
        del facts["user_id"], facts["account_type"]
    asked = graph.fields(call.request.first("fields"))
    graph.check_fields(asked, {*facts, *_UNTOLD})
    scoped = f"249{mix(account_id):014d}" if reader.login == "instagram" else account_id
    return {**{name: facts[name] for name in asked if name in facts}, "id": scoped}


def _media_node(call: Call, media: Media, reader: Reader) -> dict[str, Any]:
    """A media with the fields that were asked for, insights included."""
    counts = numbers(media.id, call.now - media.made_at)
    facts: dict[str, Any] = {
        "media_type": media.media_type,
        "media_product_type": media.product_type,
        "permalink": f"https://www.instagram.com/p/S{media.id[3:]}/",
        "shortcode": f"S{media.id[3:]}",
        "timestamp": graph.iso(media.made_at),
        "username": f"sandbox_{reader.account_id[-6:]}",
        "caption": f"Sandbox media {media.id[-6:]}",
        "like_count": counts.likes,
        "comments_count": counts.comments,
        "is_shared_to_feed": True,
    }
    if reader.login == "facebook":
        facts |= {"reposts_count": counts.quotes, "saved_count": counts.saves, "shares_count": counts.shares}
        facts |= {"total_like_count": counts.likes, "total_comments_count": counts.comments}
        if media.media_type == "VIDEO":
            facts["total_views_count"] = counts.impressions
    elif not call.state.switches["il_product_type"]:
        del facts["media_product_type"]
    asked = graph.fields(call.request.first("fields", "id"))
    graph.check_fields(asked, {*facts, *_UNTOLD})
    node = {name: facts[name] for name in asked if name in facts}
    if "insights" in asked:
        answer = instagram_insights.of_media(call, media, asked["insights"], facebook=reader.login == "facebook")
        node["insights"] = {"data": answer.payload["data"]}
    return {**node, "id": media.id}


def _listing(wire: Instagram, call: Call, reader: Reader) -> Answer:
    """One page of an account's media, newest first, stories left out."""
    ids = [
        media_id
        for media_id in listed(wire, call.state, reader.account_id, call.now)[:10000]
        if (media := decode(media_id)) and _in_window(call.request, media.made_at)
    ]
    found, paging = graph.page(call.request, ids)
    rows = [_media_node(call, media, reader) for media_id in found if (media := decode(media_id))]
    return Answer({"data": rows} | ({"paging": paging} if paging else {}))


def _in_window(request: SandboxRequest, at: float) -> bool:
    return graph.instant(request, "since", 0) <= at <= graph.instant(request, "until", 1e11)


def _stories(call: Call, reader: Reader) -> Answer:
    """The live stories: one was posted at each full twelve hours."""
    newest = int(call.now // 43200)
    ids = [encode(reader.account_id, slot * 43200.0, "STORY") for slot in (newest, newest - 1)]
    alive = [one for one in ids if one not in call.state.deleted]
    rows = [
        _media_node(call, media, reader) for one in alive if (media := decode(one)) and call.now < media.made_at + 86400
    ]
    return Answer({"data": rows})

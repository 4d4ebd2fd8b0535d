"""Facebook Pages on the Graph API."""

from collections.abc import Callable
from typing import Any

from platforms.sandbox import facebook_oauth as oauth
from platforms.sandbox import facebook_posts as posts
from platforms.sandbox import graph, meta_consent
from platforms.sandbox.state import Fault
from platforms.sandbox.tokens import Claims
from platforms.sandbox.wire import Answer, Call, Refused, SandboxRequest, Wire, listed
from platforms.sandbox.world import DAY, activity, followers, posts_count

HOST = "graph.facebook.com"
_EDGES = {
    **dict.fromkeys(("published_posts", "posts", "feed"), "listing"),
    **dict.fromkeys(meta_consent.PAGE_EDGES, "accounts"),
    **{"insights": "insights", "video_insights": "video_insights", "businesses": "businesses"},
}
_PAGE = frozenset({"id", "name", "followers_count", "fan_count", "published_posts", "access_token", "tasks"})
_ACCOUNT = {"page_media_view": 1.0, "page_views_total": 0.05, "page_post_engagements": 0.08, "page_video_views": 0.3}
_UNIQUE = "page_total_media_view_unique"
_VIDEO = {"total_video_views": 1.0, "blue_reels_play_count": 1.2}


class Facebook(Wire):
    """Pages, their posts and insights. Shares its host with Instagram: a call belongs to its token's platform."""

    key = "facebook"
    hosts = (HOST, "www.facebook.com")
    switches = {
        "content_scope": True,  # whether comments and reactions may be read
        "insights_scope": "full",  # full, empty (answers without data) or refused
        "low_reach": False,  # whether reach is refused, as on Pages with few followers
        "poison": [],  # post ids whose insights fail, and with them the page of the listing that they are on
        "heavy_limit": 0,  # a page of more rows with insights is too much data; 0: none is
        "usage_percent": 1,
        "regain_minutes": 30,
        **oauth.SWITCHES,
    }
    token_groups = frozenset({"token", "authorize"})
    own_faults = frozenset({"app_limited"})

    def serves(self, request: SandboxRequest) -> bool:
        return request.host in self.hosts and oauth.is_ours(request)

    def group(self, request: SandboxRequest) -> str:
        parts = graph.path_parts(request)
        if request.host != HOST:
            return "authorize" if parts == ["dialog", "oauth"] else "other"
        if parts == ["oauth", "access_token"]:
            return "token"
        if request.method == "POST" and not parts:
            return "batch"
        if len(parts) == 2:
            return _EDGES.get(parts[1], "other")
        return "me" if parts == ["me"] else "node" if len(parts) == 1 else "other"

    def answer(self, call: Call) -> Answer:
        if call.group in self.token_groups:
            return oauth.answer(call)
        if call.request.first("ids"):
            return graph.error("The ids query parameter is deprecated in v26.0+", 100, status=500)
        if meta_consent.inspects(call):
            return oauth.debug_token(call)
        claims = call.claims = oauth.check(call)
        if call.group == "batch":
            return graph.batch(call)
        switches = call.state.switches
        percent = switches["usage_percent"]
        answer = _limited() if percent >= 100 else _read(self, call, claims)
        minutes = switches["regain_minutes"] if percent >= 100 else 0
        answer.headers.update(graph.usage(claims.account_id, "pages", percent=percent, minutes=minutes))
        return answer

    def refusal(self, call: Call, fault: Fault) -> Answer:
        answer = _REFUSALS[fault.kind]()
        if fault.kind == "rate_limited" and fault.retry_after is not None:
            minutes = -(-int(fault.retry_after) // 60)
            answer.headers.update(graph.usage(oauth.account_of(call), "pages", percent=100, minutes=minutes))
        return answer

    def post_id(self, account_id: str, at: float) -> str:
        return posts.encode(account_id, at)

    def tokens(self, account_id: str, now: float, lifetime: float | None, **extra: Any) -> dict[str, Any]:
        return oauth.grant(account_id, now, lifetime)


def _limited() -> Answer:
    return graph.error("(#80001) There have been too many calls to this Page account.", 80001)


_REFUSALS: dict[str, Callable[[], Answer]] = {
    "rate_limited": _limited,
    "server_error": lambda: graph.error(
        "An unexpected error has occurred. Please retry your request later.", 2, status=500, is_transient=True
    ),
    "token_expired": graph.expired,
    "scope_missing": lambda: graph.error("(#200) Requires pages_read_engagement permission", 200, status=403),
    "refuse_refresh": graph.expired,
    "app_limited": lambda: graph.error("(#4) Application request limit reached", 4, status=403),
}


def _read(wire: Facebook, call: Call, claims: Claims) -> Answer:
    parts, user = graph.path_parts(call.request), claims.extra == "user"
    if call.request.method != "GET" or not parts or call.group == "other":
        return graph.error(f"Unsupported {call.request.method.lower()} request.", 100, kind="GraphMethodException")
    if parts[0] == "debug_token":
        return oauth.debug_token(call)
    if call.group == "businesses":
        return meta_consent.businesses(call, claims)
    if call.group == "accounts":
        return oauth.pages(call, claims)
    if parts[0] == "me" and user:
        return Answer({"id": oauth.person(claims.account_id), "name": "Sandbox Person"})
    page_id = _page_of(claims, parts[0])
    if parts[0] in ("me", page_id):
        return _page(wire, call, page_id, user=user)
    _need_engagement(call)
    post = posts.decode(parts[0])
    foreign = post is None or not post.belongs_to(page_id) or parts[0].partition("_")[0] not in (page_id, parts[0])
    if post is None or foreign or parts[0] in call.state.deleted or post.made_at > call.now:
        raise graph.missing(parts[0])
    return _post(call, post, page_id, user=user)


def _page_of(claims: Claims, object_id: str) -> str:
    """Which of the token's Pages an object is, or would be, of; nothing if it has none."""
    reached = claims.reached()
    named = object_id.partition("_")[0]
    return named if named in reached else next(iter(reached), "")


def _need_engagement(call: Call) -> None:
    if not call.allows("pages_read_engagement"):
        raise Refused(_REFUSALS["scope_missing"]())


def _post(call: Call, post: posts.Post, page_id: str, *, user: bool) -> Answer:
    is_video = "_" not in post.id
    if is_video and call.group == "insights":
        raise graph.refuse("(#100) Tried accessing nonexisting field (insights) on node type (Video)", 100)
    if is_video and call.group == "video_insights":
        asked = call.request.listed("metric") or list(_VIDEO)
        if set(asked) - set(_VIDEO):
            raise graph.refuse("(#100) The value must be a valid insights metric", 100)
        views = activity(post.id, "plays", since=post.made_at, until=call.now)
        return Answer({"data": [graph.lifetime(post.id, name, int(views * _VIDEO[name])) for name in asked]})
    if is_video:
        return posts.video(call, post, page_id)
    if call.group == "insights":
        _refuse_user(user=user)
        return posts.insights(call, post, call.request.listed("metric"))
    return Answer(posts.node(call, post, page_id))


def _refuse_user(*, user: bool) -> None:
    if user:
        raise graph.refuse("(#210) A page access token is required to request this resource.", 210)


def _page(wire: Facebook, call: Call, page_id: str, *, user: bool) -> Answer:
    if call.group == "listing":
        _refuse_user(user=user)
        _need_engagement(call)
        return _listing(wire, call, page_id)
    if call.group == "insights":
        _refuse_user(user=user)
        return _page_insights(call, page_id)
    asked = graph.fields(call.request.first("fields", "id,name"))
    graph.check_fields(asked, _PAGE)
    state = call.state.account(page_id)
    count = posts_count(page_id, call.now, posts=state.posts, span_days=state.span_days)
    facts = {
        "name": oauth.page_name(page_id),
        "followers_count": followers(page_id, call.now),
        "fan_count": followers(page_id, call.now) - 20,
        "published_posts": {"data": [], "summary": {"total_count": count}},
    }
    if call.claims is not None:
        facts["access_token"] = oauth.page_token(call, call.claims, page_id)
    return Answer({**{name: facts[name] for name in asked if name in facts}, "id": page_id})


def _listing(wire: Facebook, call: Call, page_id: str) -> Answer:
    """One page of the Page's posts, newest first."""
    asked = graph.fields(call.request.first("fields", "id"))
    limit, heavy = call.request.first("limit", "25"), call.state.switches["heavy_limit"]
    if "insights" in asked and heavy and limit.isdecimal() and int(limit) > heavy:
        words = "Please reduce the amount of data you're asking for, then retry your request"
        raise graph.refuse(words, 1, status=500)
    found, paging = graph.page(call.request, listed(wire, call.state, page_id, call.now))
    rows = [posts.node(call, post, page_id) for post_id in found if (post := posts.decode(post_id))]
    return Answer({"data": rows} | ({"paging": paging} if paging else {}))


def _page_insights(call: Call, page_id: str) -> Answer:
    request = call.request
    metrics = request.listed("metric")
    if not metrics:
        raise graph.refuse("(#3001) No metric was specified", 3001, subcode=1504028)
    if set(metrics) - ({*_ACCOUNT, _UNIQUE, "page_follows"} - call.withdrawn()):
        raise graph.refuse("(#100) The value must be a valid insights metric", 100)
    posts.check_scope(call)
    until = graph.instant(request, "until", call.now)
    since = graph.instant(request, "since", until - 2 * DAY)
    if until - since > 90 * DAY + 1:
        raise graph.refuse("(#100) There cannot be more than 90 days between since and until", 100)
    names = () if posts.is_silent(call) else dict.fromkeys(metrics)
    data = [
        {"name": name, "period": "day", "values": _days(page_id, name, since, until), "title": name} for name in names
    ]
    link = f"https://{request.host}{request.path}?access_token={graph.token_text(request)}"
    paging = {"previous": f"{link}&until={since:.0f}", "next": f"{link}&since={until:.0f}"}
    return Answer({"data": data, "paging": paging})


def _days(page_id: str, name: str, since: float, until: float) -> list[dict[str, Any]]:
    if name == _UNIQUE:
        return graph.days(page_id, "page_media_view", since=since, until=until, scale=0.7)
    values = graph.days(page_id, "page_media_view", since=since, until=until, scale=_ACCOUNT.get(name, 0))
    if name == "page_follows":
        return [{**day, "value": followers(page_id, until)} for day in values]
    return values

"""Threads: posts, their insights and the account. No call carries more than one post's numbers."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from platforms.sandbox import graph
from platforms.sandbox import threads_oauth as oauth
from platforms.sandbox.state import Fault
from platforms.sandbox.wire import Answer, Call, Wire, listed
from platforms.sandbox.world import DAY, activity, followers, mix, numbers, owner_bits

HOST = "graph.threads.net"
EPOCH, FIRST = 1514764800, 17900000000000000
KINDS = ("TEXT_POST", "IMAGE", "VIDEO", "REPOST_FACADE")
METRICS = ("views", "likes", "replies", "reposts", "quotes", "shares")
_ACCOUNT = {"views": 1.0, "likes": 0.06, "replies": 0.01, "reposts": 0.01, "quotes": 0.004, "clicks": 0.02}
_FIRST_DAY = 1712991600
_OAUTH = {
    "refresh_access_token": "refresh_access_token",
    "access_token": "exchange",
    "oauth/access_token": "code",
}
_EDGES = {"insights": "insights", "threads": "listing", "replies": "listing", "threads_insights": "threads_insights"}
_NODE = frozenset(
    {
        *("id", "media_product_type", "media_type", "permalink", "shortcode", "username", "text", "timestamp"),
        *("is_quote_post", "has_replies", "link_attachment_url", "topic_tag", "owner", "children"),
    }
)
_USER = frozenset({"id", "username", "name", "is_verified", "threads_profile_picture_url", "threads_biography"})


@dataclass(frozen=True, slots=True)
class Media:
    """What a media id says."""

    id: str
    made_at: float
    owner: int
    kind: str


@lru_cache(maxsize=65536)
def decode(media_id: str) -> Media | None:
    """What an id says; None if it cannot be one."""
    if not re.fullmatch(r"(179|180)\d{14}", media_id):
        return None
    number = int(media_id) - FIRST
    seconds, kind = divmod(number >> 16, 4)
    return Media(media_id, float(EPOCH + seconds), number & 0xFFFF, KINDS[kind])


class Threads(Wire):
    """One host, one version, one kind of token."""

    key = "threads"
    hosts = (HOST, "threads.net", "www.threads.net", "threads.com", "www.threads.com")
    switches = {
        "insights_scope": True,  # whether insights may be read
        "facades": False,  # whether one post in eight is a repost of another's
        "stubborn": [],  # media ids whose insights fail for more than one metric
        "usage_percent": 1,
        **oauth.SWITCHES,
    }
    token_groups = frozenset({"refresh_access_token", "exchange", "code", "authorize"})
    own_faults = frozenset({"no_resource"})

    def group(self, request: Any) -> str:
        parts = graph.path_parts(request)
        if request.host != HOST:
            return "authorize" if parts == ["oauth", "authorize"] else "other"
        if group := _OAUTH.get("/".join(parts)):
            return group
        if len(parts) == 2:
            return _EDGES.get(parts[1], "other")
        return "me" if parts == ["me"] else "node" if len(parts) == 1 else "other"

    def answer(self, call: Call) -> Answer:
        if call.group in self.token_groups:
            return oauth.answer(call)
        if call.request.first("ids"):
            return graph.error("The ids query parameter is deprecated", 100, status=500)
        call.claims = oauth.check(call)
        graph.need(call, "threads_basic", status=500, kind="THApiException")
        account_id = call.claims.account_id
        percent = call.state.switches["usage_percent"]
        answer = _limited() if percent >= 100 else _read(self, call, account_id)
        answer.headers["X-App-Usage"] = graph.usage("", "", percent=min(percent, 99), minutes=0)["X-App-Usage"]
        return answer

    def refusal(self, call: Call, fault: Fault) -> Answer:
        answer = _REFUSALS[fault.kind]()
        if fault.kind == "rate_limited" and fault.retry_after is not None:
            minutes = -(-int(fault.retry_after) // 60)
            answer.headers.update(graph.usage(oauth.account_of(call), "threads", percent=100, minutes=minutes))
        return answer

    def post_id(self, account_id: str, at: float) -> str:
        kind = mix(f"kind:{account_id}:{int(at)}") % 3
        return str(FIRST + ((int(at) - EPOCH) * 4 + kind << 16 | owner_bits(account_id, 16)))

    def tokens(self, account_id: str, now: float, lifetime: float | None, **extra: Any) -> dict[str, Any]:
        return oauth.grant(account_id, now, lifetime)


def _limited() -> Answer:
    return graph.error("(#17) User request limit reached", 17, status=403)


_REFUSALS: dict[str, Callable[[], Answer]] = {
    "rate_limited": _limited,
    "server_error": lambda: graph.error("An unexpected error has occurred.", 2, status=500, is_transient=True),
    "token_expired": graph.expired,
    "scope_missing": lambda: graph.error("(#10) Application does not have permission for this action", 10, status=500),
    "refuse_refresh": graph.expired,
    "no_resource": lambda: graph.error("The requested resource does not exist", 100, kind="THApiException"),
}


def _read(wire: Threads, call: Call, account_id: str) -> Answer:
    parts = graph.path_parts(call.request)
    if call.request.method != "GET" or not parts or call.group == "other":
        return graph.error("Unknown path components", 2500, kind="THApiException")
    if parts[0] == "debug_token":
        return oauth.debug_token(call)
    if parts[0] in ("me", account_id):
        return _account(wire, call, account_id)
    media = decode(parts[0])
    if media is None or media.owner != owner_bits(account_id, 16) or media.made_at > call.now:
        raise graph.missing(parts[0])
    if media.id in call.state.deleted:
        raise graph.missing(parts[0])
    if call.group == "insights":
        return _insights(call, media)
    return Answer(_node(call, media, account_id))


def _kind(call: Call, media: Media) -> str:
    return "REPOST_FACADE" if call.state.switches["facades"] and mix(media.id) & 7 == 0 else media.kind


def _node(call: Call, media: Media, account_id: str) -> dict[str, Any]:
    asked = graph.fields(call.request.first("fields", "id"))
    graph.check_fields(asked, _NODE)
    code = f"T{media.id[3:]}"
    facts = {
        "media_product_type": "THREADS",
        "media_type": _kind(call, media),
        "permalink": f"https://www.threads.com/@sandbox_{account_id[-6:]}/post/{code}",
        "shortcode": code,
        "username": f"sandbox_{account_id[-6:]}",
        "text": f"Sandbox post {media.id[-6:]}",
        "timestamp": graph.iso(media.made_at),
        "is_quote_post": False,
    }
    return {**{name: facts[name] for name in asked if name in facts}, "id": media.id}


def _insights(call: Call, media: Media) -> Answer:
    """Lifetime numbers; a name that is no post metric fails the call as if by accident."""
    metrics = call.request.listed("metric")
    _check_scope(call)
    if not metrics:
        raise graph.refuse("(#100) The parameter metric is required", 100, kind="THApiException")
    stubborn = media.id in call.state.switches["stubborn"] and len(metrics) > 1
    if set(metrics) - set(METRICS) or stubborn:
        raise graph.refuse("An unknown error has occurred.", 1, status=500)
    if withdrawn := [name for name in metrics if name in call.withdrawn()]:
        left = ", ".join(name for name in METRICS if name not in call.withdrawn())
        words = f"(#100) metric[{metrics.index(withdrawn[0])}] must be one of the following values: {left}"
        raise graph.refuse(words, 100, kind="THApiException")
    if _kind(call, media) == "REPOST_FACADE":
        return Answer({"data": []})
    one = numbers(media.id, call.now - media.made_at)
    counts = (one.impressions, one.likes, one.comments, one.shares, one.quotes, one.saves)
    values = dict(zip(METRICS, counts, strict=True))
    return Answer({"data": [graph.lifetime(media.id, name, values[name]) for name in dict.fromkeys(metrics)]})


def _check_scope(call: Call) -> None:
    if not call.state.switches["insights_scope"] or not call.allows("threads_manage_insights"):
        words = "(#10) Application does not have permission for this action"
        raise graph.refuse(words, 10, status=500, kind="THApiException")


def _account(wire: Threads, call: Call, account_id: str) -> Answer:
    if call.group == "listing":
        return _listing(wire, call, account_id)
    if call.group == "threads_insights":
        return _account_insights(call, account_id)
    asked = graph.fields(call.request.first("fields", "id"))
    graph.check_fields(asked, _USER)
    facts = {"username": f"sandbox_{account_id[-6:]}", "name": "Sandbox", "is_verified": False}
    return Answer({**{name: facts[name] for name in asked if name in facts}, "id": account_id})


def _listing(wire: Threads, call: Call, account_id: str) -> Answer:
    """One page of the account's posts, newest first; replies are another edge, and there are none."""
    ids = [] if "replies" in call.request.path else listed(wire, call.state, account_id, call.now)
    since, until = graph.instant(call.request, "since", 0), graph.instant(call.request, "until", 1e11)
    ids = [one for one in ids if (media := decode(one)) and since <= media.made_at <= until]
    found, paging = graph.page(call.request, ids)
    rows = [_node(call, media, account_id) for one in found if (media := decode(one))]
    return Answer({"data": rows} | ({"paging": paging} if paging else {}))


def _account_insights(call: Call, account_id: str) -> Answer:
    """Three shapes: values by day, totals, and totals by link."""
    request, metrics = call.request, call.request.listed("metric")
    _check_scope(call)
    since, until = _window(call, metrics)
    for index, name in enumerate(metrics):
        if name not in {*_ACCOUNT, "followers_count"} - call.withdrawn():
            known = ", ".join(name for name in (*_ACCOUNT, "followers_count") if name not in call.withdrawn())
            words = f"(#100) metric[{index}] must be one of the following values: {known}"
            raise graph.refuse(words, 100, kind="THApiException")
    data = [_metric(account_id, name, since, until) for name in dict.fromkeys(metrics)]
    link = f"https://{request.host}{request.path}?access_token={graph.token_text(request)}"
    return Answer({"data": data, "paging": {"previous": f"{link}&until={since:.0f}", "next": link}})


def _window(call: Call, metrics: list[str]) -> tuple[float, float]:
    """`since` and `until`, both or none; yesterday through today if neither is given."""
    given = {name for name in ("since", "until") if call.request.first(name)}
    until = graph.instant(call.request, "until", call.now)
    since = graph.instant(call.request, "since", until - 2 * DAY)
    if len(given) == 1 or (given and (since < _FIRST_DAY or "followers_count" in metrics)):
        raise graph.refuse("(#100) Param since and until are not valid for this request", 100, kind="THApiException")
    return since, until


def _metric(account_id: str, name: str, since: float, until: float) -> dict[str, Any]:
    entry: dict[str, Any] = {"name": name, "period": "day", "title": name, "description": name}
    happened = int(activity(account_id, "views", since=since, until=until) * _ACCOUNT.get(name, 0))
    if name == "views":
        entry["values"] = graph.days(account_id, "views", since=since, until=until)
    elif name == "clicks":
        entry["link_total_values"] = [{"value": happened, "link_url": "https://example.com/"}]
    else:
        entry["total_value"] = {"value": followers(account_id, until) if name == "followers_count" else happened}
    return {**entry, "id": f"{account_id}/insights/{name}/day"}

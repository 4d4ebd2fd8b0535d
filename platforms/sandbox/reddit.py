"""Reddit's Data API: posts by fullname, the account, its submissions, and the token endpoint."""

import re
from collections.abc import Callable
from typing import Any

from platforms.sandbox import consent
from platforms.sandbox import reddit_oauth as oauth
from platforms.sandbox.reddit_oauth import error
from platforms.sandbox.state import Fault
from platforms.sandbox.tokens import Claims
from platforms.sandbox.wire import Answer, Call, Refused, SandboxRequest, Wire, listed
from platforms.sandbox.world import followers, joined_at, mix, numbers, owner_bits

API, WWW = "oauth.reddit.com", "www.reddit.com"
CALLS, WINDOW = 1000, 600
ID_LIMIT = 100
LISTING_CAP = 1000
OWNER_BITS = 20
HIDDEN_SECONDS = 3600
_NEEDS = {"info": "read", "me": "identity", "submitted": "history"}
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
_NAME = re.compile(r"t3_[0-9a-z]{1,13}")
_SUBMITTED = re.compile(r"/user/[^/]+/submitted/?")
_GENERIC = re.compile(r"(python|curl|java|okhttp|go-http|wget|mozilla)\b.*", re.I)
_BLOCKED = b"<!doctype html><html><head><title>Blocked</title></head><body>whoa there, pardner!</body></html>"


class Reddit(Wire):
    """The API behind one budget for each OAuth client."""

    key = "reddit"
    hosts = (API, WWW)
    switches = {
        "rate_limits": True,
        "calls": CALLS,  # in a window of ten minutes, for all accounts together
        "block_agents": True,  # 403 with HTML for agents that name no app
        "removed": "missing",  # missing, shown: whether a deleted post is left out or comes back as removed
        "view_counts": False,
        **oauth.SWITCHES,
    }
    token_groups = frozenset({"token", "authorize"})
    own_faults = frozenset({"private_subreddit", "legal", "blocked"})

    def group(self, request: SandboxRequest) -> str:
        if request.host == WWW:
            return {"/api/v1/access_token": "token", "/api/v1/authorize": "authorize"}.get(request.path, "other")
        if _SUBMITTED.fullmatch(request.path):
            return "submitted"
        return {"/api/info": "info", "/api/v1/me": "me"}.get(request.path, "other")

    def answer(self, call: Call) -> Answer:
        if call.group == "authorize":
            return consent.answer(call, oauth.TERMS)
        agent = call.request.headers.get("user-agent", "")
        if call.state.switches["block_agents"] and (not agent or _GENERIC.fullmatch(agent)):
            return _html(403)
        if call.group == "token":
            return oauth.token(call)
        claims = call.claims = oauth.authenticate(call)
        if not call.allows(_NEEDS.get(call.group, "identity")):
            return oauth.unscoped()
        headers = _spend(call)
        answers = {"info": _info, "me": _me, "submitted": _submitted}
        answer = answers[call.group](self, call, claims) if call.group in answers else error(404, "Not Found")
        answer.headers.update(headers)
        return answer

    def refusal(self, call: Call, fault: Fault) -> Answer:
        if fault.kind == "rate_limited":
            answer = error(429, "Too Many Requests")
            if fault.retry_after is not None:
                answer.headers.update(_limit_headers(0, CALLS, fault.retry_after))
            return answer
        return _REFUSALS[fault.kind](call)

    def post_id(self, account_id: str, at: float) -> str:
        return "t3_" + _base36(int(at) << OWNER_BITS | owner_bits(account_id, OWNER_BITS))

    def tokens(self, account_id: str, now: float, lifetime: float | None, **extra: Any) -> dict[str, Any]:
        return oauth.grant(account_id, now, lifetime)


# --- refusals --------------------------------------------------------------------------------------------------------


def _html(status: int) -> Answer:
    return Answer(_BLOCKED, status, {"Content-Type": "text/html; charset=utf-8"})


_REFUSALS: dict[str, Callable[[Call], Answer]] = {
    "server_error": lambda call: _html(503),
    "token_expired": lambda call: oauth.dead_token(),
    "scope_missing": lambda call: oauth.unscoped(),
    "refuse_refresh": oauth.refused_refresh,
    "private_subreddit": lambda call: error(403, "Forbidden", reason="private"),
    "legal": lambda call: error(451, "Unavailable For Legal Reasons"),
    "blocked": lambda call: _html(403),
}


# --- limits ----------------------------------------------------------------------------------------------------------


def _limit_headers(left: int, used: int, reset: float) -> dict[str, str]:
    return {
        "X-Ratelimit-Remaining": f"{max(0, left)}.0",
        "X-Ratelimit-Used": str(used),
        "X-Ratelimit-Reset": str(int(reset) + (reset % 1 > 0)),
    }


def _spend(call: Call) -> dict[str, str]:
    """Take the call from the client's one window; the headers that tell of it."""
    if not call.state.switches["rate_limits"]:
        return {}
    limit = int(call.state.switches["calls"])
    left, end = call.state.spend("client", limit=limit, seconds=WINDOW, now=call.now)
    headers = _limit_headers(left, limit - max(0, left), end - call.now)
    if left < 0:
        answer = error(429, "Too Many Requests")
        answer.headers.update(headers)
        raise Refused(answer)
    return headers


# --- posts and accounts ----------------------------------------------------------------------------------------------


def _base36(number: int) -> str:
    text = ""
    while number:
        number, digit = divmod(number, 36)
        text = _DIGITS[digit] + text
    return text or "0"


def _listing(children: list[dict[str, Any]], after: str | None = None) -> Answer:
    wrapped = [{"kind": "t3", "data": child} for child in children]
    data = {"after": after, "before": None, "dist": len(wrapped), "modhash": None, "children": wrapped}
    return Answer({"kind": "Listing", "data": data})


def _info(wire: Reddit, call: Call, claims: Claims) -> Answer:
    """Posts by name. Too many are no error, and answered with nothing."""
    names = call.request.listed("id")
    if len(names) > ID_LIMIT:
        return _listing([])
    found = (_post(call, name, claims) for name in dict.fromkeys(names))
    return _listing([post for post in found if post is not None])


def _post(call: Call, name: str, claims: Claims) -> dict[str, Any] | None:
    """A post as it is written down; None for one that is not there."""
    if not _NAME.fullmatch(name):
        return None
    number = int(name[3:], 36)
    age = call.now - (number >> OWNER_BITS)
    removed = name in call.state.deleted
    if not 0 <= age < call.now - 1_000_000_000 or (removed and call.state.switches["removed"] == "missing"):
        return None
    own = number & (1 << OWNER_BITS) - 1 == owner_bits(claims.account_id, OWNER_BITS)
    counts, bits = numbers(name, age), mix(f"kind:{name}")
    seen = counts.impressions if own and call.state.switches["view_counts"] else None
    return {
        **_written(name, float(number >> OWNER_BITS), removed=removed),
        "score": 1 + counts.likes,
        "ups": 1 + counts.likes,
        "downs": 0,
        "likes": True if own else None,  # the caller's own vote
        "upvote_ratio": 0.7 + (bits & 255) / 1000,
        "num_comments": counts.comments,
        "num_crossposts": counts.shares // 50,
        "view_count": seen,
        "hide_score": bits >> 8 & 15 == 0 and age < HIDDEN_SECONDS,
        "total_awards_received": 0,
    }


def _written(name: str, made_at: float, *, removed: bool) -> dict[str, Any]:
    return {
        "id": name[3:],
        "name": name,
        "title": "[ Removed by moderator ]" if removed else f"Sandbox post {name[-6:]}",
        "selftext": "[removed]" if removed else "Hello",
        "subreddit": "test",
        "author": "[deleted]" if removed else "jane",
        "created_utc": made_at,
        "permalink": f"/r/test/comments/{name[3:]}/sandbox_post/",
        "removed_by_category": "moderator" if removed else None,
        "is_self": True,
    }


def _submitted(wire: Reddit, call: Call, claims: Claims) -> Answer:
    """One page of what the token's owner posted, newest first; no listing goes further back than a thousand."""
    names = listed(wire, call.state, claims.account_id, call.now)[:LISTING_CAP]
    size = call.request.first("limit", "25")
    count = min(ID_LIMIT, int(size)) if size.isdecimal() and int(size) else 25
    after = call.request.first("after")
    start = next((n + 1 for n, name in enumerate(names) if name == after), len(names)) if after else 0
    page = names[start : start + count]
    more = start + len(page) < len(names)
    found = (_post(call, name, claims) for name in page)
    return _listing([post for post in found if post is not None], page[-1] if page and more else None)


def _me(wire: Reddit, call: Call, claims: Claims) -> Answer:
    """The user object itself, in no envelope."""
    account_id, state = claims.account_id, call.state.account(claims.account_id)
    link, comment = mix(f"link:{account_id}") & 4095, mix(f"comment:{account_id}") & 4095
    profile = {"display_name": f"u_{account_id}", "title": "", "subscribers": followers(account_id, call.now)}
    return Answer(
        {
            "id": account_id,
            "name": f"sandbox_{account_id}",
            "created_utc": float(int(joined_at(account_id))),
            "link_karma": link,
            "comment_karma": comment,
            "total_karma": link + comment,
            "is_suspended": state.status == "suspended",
            "has_verified_email": True,
            "num_friends": 0,
            "icon_img": "https://styles.redditmedia.com/t5_1/styles/icon.png?width=256",
            "features": {"modmail_harassment_filter": True},
            "subreddit": {**profile, "over_18": False},
        }
    )

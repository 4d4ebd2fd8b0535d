"""X API v2: posts, users and timelines."""

import base64
import re
from datetime import datetime
from typing import Any

from platforms.sandbox import x_oauth
from platforms.sandbox.state import Fault
from platforms.sandbox.tokens import Claims
from platforms.sandbox.wire import Answer, Call, Refused, SandboxRequest, Wire, listed
from platforms.sandbox.world import followers, following, joined_at, mix, owner_bits, posts_count
from platforms.sandbox.x_posts import EPOCH_MS, PRIVATE, Reader, created_at, invalid, iso, names, not_found, problem

WINDOW = 900
LIMITS: dict[str, dict[str, int]] = {
    "tweets": {"app": 3500, "user": 5000},
    "tweet": {"app": 450, "user": 900},
    "user_tweets": {"app": 10000, "user": 900},
    "users": {"app": 300, "user": 900},
    "users_me": {"user": 75},
    "analytics": {"app": 300, "user": 300},
}
_ID = re.compile(r"[0-9]{1,19}")
_ROUTES = (
    ("GET", re.compile(r"/2/tweets/analytics"), "analytics"),
    ("GET", re.compile(r"/2/tweets"), "tweets"),
    ("GET", re.compile(r"/2/tweets/([^/]+)"), "tweet"),
    ("GET", re.compile(r"/2/users/me"), "users_me"),
    ("GET", re.compile(r"/2/users"), "users"),
    ("GET", re.compile(r"/2/users/([^/]+)"), "user"),
    ("GET", re.compile(r"/2/users/([^/]+)/tweets"), "user_tweets"),
    ("POST", re.compile(r"/2/oauth2/token"), "token"),
    ("POST", re.compile(r"/2/oauth2/revoke"), "revoke"),
)


class X(Wire):
    """The API of X, its token endpoint included."""

    key = "x"
    hosts = ("api.x.com", "api.twitter.com", "x.com", "twitter.com")
    switches = {
        "vocabulary": "both",  # both, tweet, post: which of `tweet.fields` and `post.fields` is understood
        "refuse_unknown_fields": False,  # 400 naming the parameter of the other vocabulary, instead of ignoring it
        "rate_limits": True,
        "limits": {},  # {"tweets": {"app": 10, "user": 10}} replaces the documented numbers
        "over_age": "object",  # object, field: what an own post past 30 days loses when private fields are asked
        "idless_items": False,  # next to a field error there is an item of default values without id
        **x_oauth.SWITCHES,
    }
    token_groups = frozenset({"token", "revoke", "authorize"})
    own_faults = frozenset({"credits_depleted", "usage_capped", "client_forbidden", "unsupported_authentication"})

    def group(self, request: SandboxRequest) -> str:
        if request.host in ("x.com", "twitter.com"):
            return "authorize" if request.path == "/i/oauth2/authorize" else "other"
        group, _ = _route(request)
        if group == "tweets" and set(PRIVATE) & set(_fields(request)):
            return "tweets_private"
        return group

    def answer(self, call: Call) -> Answer:
        if call.group in self.token_groups:
            return x_oauth.answer(call)
        group, item = _route(call.request)
        if group == "other":
            return problem(404, "Not Found", "Not Found")
        claims = call.claims = x_oauth.authenticate(call)
        if not (claims.allows("tweet.read") and claims.allows("users.read")):
            return _REFUSALS["scope_missing"]()
        headers = self._spend(call, group, claims)
        _check_vocabulary(call)
        answer = _dispatch(self, call, group, item, claims)
        answer.headers.update(headers)
        return answer

    def _spend(self, call: Call, group: str, claims: Claims) -> dict[str, str]:
        """Take the call from the windows of user and app; the headers of the one with least left."""
        if not call.state.switches["rate_limits"]:
            return {}
        group = "users" if group == "user" else group
        limits = call.state.switches["limits"].get(group) or LIMITS.get(group, {})
        spent = []
        for scope, limit in limits.items():
            if scope == "app" or claims.kind != "app":
                owner = claims.account_id if scope == "user" else ""
                budget = f"{group}:{scope}:{owner}"
                spent.append((*call.state.spend(budget, limit=limit, seconds=WINDOW, now=call.now), limit))
        if not spent:
            return {}
        left, end, limit = min(spent)
        headers = _limit_headers(limit, left, end)
        if left < 0:
            answer = problem(429, "Too Many Requests", "Too Many Requests")
            answer.headers.update(headers)
            raise Refused(answer)
        return headers

    def refusal(self, call: Call, fault: Fault) -> Answer:
        if fault.kind == "rate_limited":
            answer = problem(429, "Too Many Requests", "Too Many Requests")
            if fault.retry_after is not None:
                limit = LIMITS.get(call.group.removesuffix("_private"), {}).get("user", 900)
                answer.headers.update(_limit_headers(limit, 0, call.now + fault.retry_after))
            return answer
        return _REFUSALS[fault.kind]()

    def post_id(self, account_id: str, at: float) -> str:
        return str(int(at * 1000) - EPOCH_MS << 22 | owner_bits(account_id, 22))

    def tokens(self, account_id: str, now: float, lifetime: float | None, **extra: Any) -> dict[str, Any]:
        return x_oauth.grant(account_id, now, lifetime, app_only=bool(extra.get("app_only")))


def _refuse_refresh() -> Answer:
    return Answer({"error": "invalid_request", "error_description": "Value passed for the token was invalid."}, 400)


_REFUSALS = {
    "server_error": lambda: problem(503, "Service Unavailable", "Service Unavailable"),
    "token_expired": x_oauth.unauthorized,
    "scope_missing": lambda: problem(
        403, "Forbidden", "Your client app is missing a scope that this endpoint needs.", "oauth1-permissions"
    ),
    "refuse_refresh": _refuse_refresh,
    "credits_depleted": lambda: problem(
        402, "CreditsDepleted", "Your enrolled account does not have any credits to fulfill this request.", "credits"
    ),
    "usage_capped": lambda: problem(
        429,
        "UsageCapExceeded",
        "Usage cap exceeded: Monthly product cap",
        "usage-capped",
        period="Monthly",
        scope="Product",
        account_id=1,
        product_name="standard-basic",
    ),
    "client_forbidden": lambda: problem(
        403,
        "Client Forbidden",
        "This request must be made using an approved developer account that is enrolled in the requested endpoint.",
        "client-forbidden",
        reason="client-not-enrolled",
        required_enrollment="Standard Basic",
    ),
    "unsupported_authentication": x_oauth.unsupported_authentication,
}


def _limit_headers(limit: int, left: int, end: float) -> dict[str, str]:
    return {
        "x-rate-limit-limit": str(limit),
        "x-rate-limit-remaining": str(max(0, left)),
        "x-rate-limit-reset": str(int(end) + (end % 1 > 0)),
    }


def _route(request: SandboxRequest) -> tuple[str, str]:
    for method, pattern, group in _ROUTES:
        if request.method == method and (match := pattern.fullmatch(request.path)):
            return group, match.group(1) if match.lastindex else ""
    return "other", ""


def _fields(request: SandboxRequest) -> list[str]:
    return request.listed("tweet.fields") + request.listed("post.fields")


def _check_vocabulary(call: Call) -> None:
    vocabulary = call.state.switches["vocabulary"]
    wrong = {"tweet": "post.fields", "post": "tweet.fields"}.get(vocabulary, "")
    if wrong in call.request.query and call.state.switches["refuse_unknown_fields"]:
        known = "[expansions,ids,media.fields,place.fields,poll.fields,user.fields]"
        message = f"The query parameter [{wrong}] is not one of {known}"
        raise Refused(invalid(wrong, call.request.query[wrong], message))


def _dispatch(wire: X, call: Call, group: str, item: str, claims: Claims) -> Answer:
    if group == "users_me":
        if claims.kind == "app":
            return x_oauth.unsupported_authentication()
        return Answer({"data": _user(call, claims.account_id)})
    if group == "users":
        return _users(call)
    if group == "user":
        return Answer({"data": _user(call, _checked_ids(call, "id", [item])[0])})
    if group == "analytics":
        return _REFUSALS["client_forbidden"]()
    if group == "user_tweets":
        return _timeline(wire, call, item, claims)
    if group == "tweet":
        return _one(call, item, claims)
    return Reader(call, claims).answer(_checked_ids(call, "ids", call.request.listed("ids")), "ids")


def _checked_ids(call: Call, parameter: str, ids: list[str]) -> list[str]:
    if not 1 <= len(ids) <= 100:
        message = (
            f"The number of values in the `{parameter}` query parameter list [{len(ids)}] is not between 1 and 100"
        )
        raise Refused(invalid(parameter, [",".join(ids)], message))
    for value in ids:
        if not _ID.fullmatch(value):
            message = f"The `{parameter}` query parameter value [{value}] does not match ^[0-9]{{1,19}}$"
            raise Refused(invalid(parameter, [value], message))
    return list(dict.fromkeys(ids))


def _one(call: Call, item: str, claims: Claims) -> Answer:
    answer = Reader(call, claims).answer(_checked_ids(call, "id", [item]), "id")
    if "data" in answer.payload:
        answer.payload["data"] = answer.payload["data"][0]
    return answer


def _timeline(wire: X, call: Call, account_id: str, claims: Claims) -> Answer:
    """One page of an account's posts, newest first."""
    request = call.request
    _checked_ids(call, "id", [account_id])
    size = request.first("max_results", "10")
    if not size.isdecimal() or not 5 <= int(size) <= 100:
        message = f"The `max_results` query parameter value [{size}] is not between 5 and 100"
        raise Refused(invalid("max_results", [size], message))
    ids = _in_range(request, listed(wire, call.state, account_id, call.now))
    ids = ids[: 800 if "replies" in request.listed("exclude") else 3200]
    start = _page_start(request, ids)
    page = ids[start : start + int(size)]
    meta: dict[str, Any] = {"result_count": len(page)}
    if page:
        meta |= {"newest_id": page[0], "oldest_id": page[-1]}
    if start + len(page) < len(ids):
        meta["next_token"] = base64.b32encode(page[-1].encode()).decode().rstrip("=").lower()
    return Reader(call, claims).answer(page, "id", meta)


def _in_range(request: SandboxRequest, ids: list[str]) -> list[str]:
    """The ids within `since_id`, `until_id`, `start_time` and `end_time`."""
    low, high = _id_bound(request, "since_id", 0), _id_bound(request, "until_id", 1 << 63)
    begin, end = _instant(request, "start_time", 0.0), _instant(request, "end_time", 1e12)
    return [one for one in ids if low < int(one) < high and begin <= created_at(one) < end]


def _id_bound(request: SandboxRequest, name: str, default: int) -> int:
    text = request.first(name)
    if text and not _ID.fullmatch(text):
        raise Refused(invalid(name, [text], f"The `{name}` query parameter value [{text}] is not valid"))
    return int(text) if text else default


def _instant(request: SandboxRequest, name: str, default: float) -> float:
    text = request.first(name)
    try:
        return datetime.fromisoformat(text).timestamp() if text else default
    except ValueError:
        raise Refused(invalid(name, [text], f"The `{name}` query parameter value [{text}] is not valid")) from None


def _page_start(request: SandboxRequest, ids: list[str]) -> int:
    """Where a page begins: behind the last post of the page before, even if that one has been deleted since."""
    token = request.first("pagination_token")
    if not token:
        return 0
    try:
        last = int(base64.b32decode(token.upper() + "=" * (-len(token) % 8)))
    except ValueError:
        raise Refused(invalid("pagination_token", [token], f"[{token}] is not a valid pagination token")) from None
    return next((index for index, one in enumerate(ids) if int(one) < last), len(ids))


def _users(call: Call) -> Answer:
    ids = _checked_ids(call, "ids", call.request.listed("ids"))
    payload: dict[str, Any] = {}
    if found := [_user(call, one) for one in ids if one not in call.state.deleted]:
        payload["data"] = found
    if missing := [not_found(one, "ids", "user") for one in ids if one in call.state.deleted]:
        payload["errors"] = missing
    return Answer(payload)


def _user(call: Call, account_id: str) -> dict[str, Any]:
    fields = set(call.request.listed("user.fields"))
    user: dict[str, Any] = {"id": account_id, **names(account_id)}
    if "created_at" in fields:
        user["created_at"] = iso(joined_at(account_id))
    if "profile_image_url" in fields:
        user["profile_image_url"] = "https://pbs.twimg.com/profile_images/1/sandbox_normal.png"
    if "verified" in fields:
        user["verified"] = False
    if "public_metrics" in fields:
        user["public_metrics"] = _user_counts(call, account_id)
    return user


def _user_counts(call: Call, account_id: str) -> dict[str, int]:
    account, vocabulary = call.state.account(account_id), call.state.switches["vocabulary"]
    post_words = vocabulary == "post" or (vocabulary == "both" and "post.fields" in call.request.query)
    made = posts_count(account_id, call.now, posts=account.posts, span_days=account.span_days)
    return {
        "followers_count": followers(account_id, call.now),
        "following_count": following(account_id),
        "post_count" if post_words else "tweet_count": made,
        "listed_count": mix(f"lists:{account_id}") & 31,
        "like_count": mix(f"liked:{account_id}") & 1023,
        "media_count": made // 2,
    }

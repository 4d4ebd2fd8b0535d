"""LinkedIn's versioned REST API: which endpoint a call is for, whose token it bears, and the quotas of the day."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from platforms.sandbox import consent, linkedin_pages, linkedin_posts
from platforms.sandbox import linkedin_oauth as oauth
from platforms.sandbox.linkedin_posts import encode, error, kind_at, unpermitted
from platforms.sandbox.state import Fault
from platforms.sandbox.tokens import Claims
from platforms.sandbox.wire import Answer, Call, Refused, SandboxRequest, Wire

API, WWW = "api.linkedin.com", "www.linkedin.com"
DAY = 86400
VERSIONS = ("202601", "202602", "202603", "202604", "202605", "202606", "202607", "202608", "202609")
QUERY_BYTES = 4096
QUOTAS = {"standard": {"app": 0, "member": 0}, "development": {"app": 500, "member": 100}}
_OAUTH = {"/oauth/v2/accessToken": "token", "/oauth/v2/authorization": "authorize"}
_UNVERSIONED = ("/v2/userinfo", "/v2/me")


class LinkedIn(Wire):
    """Members and pages. A page's token is that of a member who administers it."""

    key = "linkedin"
    hosts = (API, WWW)
    switches = {
        "versions": list(VERSIONS),  # those that are active
        "tier": "standard",  # standard, development: 500 calls a day for the app, 100 for a member, no batches
        "quotas": {},  # {"app": 10, "member": 5} for each endpoint, instead of the tier's
        "foreign": "absent",  # absent, refused: what a post of another page does to the statistics of a batch
        "refused_list": "",  # shares, ugcPosts: the list that is refused whatever is in it
        "silent": [],  # posts without any activity
        "role": True,  # whether the token's member still administers the page
        **oauth.SWITCHES,
    }
    token_groups = frozenset({"token", "authorize"})
    own_faults = frozenset({"unpermitted", "no_resource", "forbidden_post", "revoked_token", "version_missing"})

    def group(self, request: SandboxRequest) -> str:
        if request.host == WWW:
            return _OAUTH.get(request.path, "other")
        parts = request.path.strip("/").split("/")
        return parts[1] if len(parts) > 1 and parts[0] in ("rest", "v2") else "other"

    def answer(self, call: Call) -> Answer:
        if call.group == "authorize":
            return consent.answer(call, oauth.TERMS)
        if call.group == "token":
            return oauth.token(call)
        claims = call.claims = oauth.authenticate(call)
        _check_request(call)
        oauth.check_scope(call)
        _spend(call, claims)
        endpoint = linkedin_posts.ENDPOINTS.get(call.group) or linkedin_pages.ENDPOINTS.get(call.group)
        if endpoint is None:
            return _no_resource()
        return endpoint(self, call, claims)

    def refusal(self, call: Call, fault: Fault) -> Answer:
        if fault.kind == "rate_limited":
            if fault.retry_after is None:
                return _throttled("MEMBER")
            answer = error(429, "Too many requests")
            answer.headers["Retry-After"] = str(int(fault.retry_after))
            return answer
        return _REFUSALS[fault.kind](call)

    def post_id(self, account_id: str, at: float) -> str:
        return encode(account_id, at, video=kind_at(account_id, at))

    def tokens(self, account_id: str, now: float, lifetime: float | None, **extra: Any) -> dict[str, Any]:
        return oauth.grant(account_id, now, lifetime)


# --- refusals --------------------------------------------------------------------------------------------------------


def _no_resource() -> Answer:
    return error(404, "No virtual resource found", code="RESOURCE_NOT_FOUND")


def _throttled(whose: str) -> Answer:
    words = f"Resource level throttle {whose} DAY limit for calls to this resource is reached."
    return error(429, words, service=101, code="TOO_MANY_REQUESTS")


def _version_missing() -> Answer:
    return error(400, "A version must be present. Please specify a version.", code="VERSION_MISSING")


_REFUSALS: dict[str, Callable[[Call], Answer]] = {
    "server_error": lambda call: error(500, "Internal Server Error"),
    "token_expired": lambda call: oauth.expired(),
    "revoked_token": lambda call: oauth.revoked(),
    "scope_missing": oauth.unscoped,
    "refuse_refresh": oauth.refused_refresh,
    "unpermitted": lambda call: unpermitted("/shares[0]"),
    "no_resource": lambda call: _no_resource(),
    "forbidden_post": lambda call: error(403, "The requested UGC resource is forbidden", service=100),
    "version_missing": lambda call: _version_missing(),
}


# --- what holds for every call ---------------------------------------------------------------------------------------


def _check_request(call: Call) -> None:
    """Version, protocol and length."""
    headers, query = call.request.headers, call.request.query
    if call.request.path in _UNVERSIONED:
        return
    version = headers.get("linkedin-version", "")
    if not version:
        raise Refused(_version_missing())
    if version not in call.state.switches["versions"]:
        raise Refused(error(426, f"Requested version {version}01 is not active", code="NONEXISTENT_VERSION"))
    values = [value for each in query.values() for value in each]
    written = "&".join(f"{name}={quote(value, safe='(),')}" for name, each in query.items() for value in each)
    if len(written) > QUERY_BYTES:
        raise Refused(Answer(b"", 414))
    old = headers.get("x-restli-protocol-version") != "2.0.0"
    if old and any("(" in value for value in values):
        raise Refused(unpermitted("/" + next(iter(query))))
    dotted = next((name for name in query if "[" in name or "." in name), "")
    if dotted:
        raise Refused(unpermitted("/" + dotted))


def _spend(call: Call, claims: Claims) -> None:
    """Take the call from what the app and the member may do at this endpoint today, UTC."""
    switches = call.state.switches
    quotas = {**QUOTAS[switches["tier"]], **switches["quotas"]}
    today = datetime.fromtimestamp(call.now, UTC).date()
    for whose, owner in (("member", claims.account_id), ("app", "")):
        if not quotas[whose]:
            continue
        budget = f"{call.group}:{whose}:{owner}:{today}"
        left, _ = call.state.spend(budget, limit=quotas[whose], seconds=2 * DAY, now=call.now)
        if left < 0:
            raise Refused(_throttled("APPLICATION" if whose == "app" else "MEMBER"))

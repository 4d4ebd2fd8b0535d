"""LinkedIn's versioned REST API: which endpoint a call is for, whose token it bears, and the quotas of the day."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, urlencode

from platforms.sandbox import linkedin_pages, linkedin_posts
from platforms.sandbox.linkedin_posts import encode, error, forbidden, kind_at, unpermitted
from platforms.sandbox.state import Fault
from platforms.sandbox.tokens import Claims, new_family, read, sign
from platforms.sandbox.wire import Answer, Call, Refused, SandboxRequest, Wire

API, WWW = "api.linkedin.com", "www.linkedin.com"
DAY = 86400
ACCESS_LIFETIME, REFRESH_LIFETIME = 60 * DAY, 365 * DAY
SCOPE = "r_basicprofile,r_member_postAnalytics,r_member_profileAnalytics,r_organization_social,rw_organization_admin"
VERSIONS = ("202601", "202602", "202603", "202604", "202605", "202606", "202607", "202608", "202609")
QUERY_BYTES = 4096
QUOTAS = {"standard": {"app": 0, "member": 0}, "development": {"app": 500, "member": 100}}
_OAUTH = {"/oauth/v2/accessToken": "token", "/oauth/v2/authorization": "authorize"}
_REFUSED = "The provided authorization grant or refresh token is invalid, expired or revoked."


class LinkedIn(Wire):
    """Members and pages. A page's token is that of a member who administers it."""

    key = "linkedin"
    hosts = (API, WWW)
    switches = {
        "versions": list(VERSIONS),  # those that are active
        "tier": "standard",  # standard, development: 500 calls a day for the app, 100 for a member, no batches
        "quotas": {},  # {"app": 10, "member": 5} for each endpoint, instead of the tier's
        "require_client": False,  # refuse token calls that name no client
        "refused_refresh": "invalid_request",  # invalid_request, invalid_grant
        "foreign": "absent",  # absent, refused: what a post of another page does to the statistics of a batch
        "refused_list": "",  # shares, ugcPosts: the list that is refused whatever is in it
        "silent": [],  # posts without any activity
        "role": True,  # whether the token's member still administers the page
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
            return _consent(call)
        if call.group == "token":
            return _token(call)
        claims = _authenticate(call)
        if call.group == "userinfo":
            return forbidden("userinfo.GET.NO_VERSION")
        _check_request(call)
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
        expires_at = int(now + (ACCESS_LIFETIME if lifetime is None else lifetime))
        access = Claims("linkedin", account_id, "access", new_family(), int(now), expires_at)
        refresh = Claims("linkedin", account_id, "refresh", access.family, int(now), int(now) + REFRESH_LIFETIME)
        return {"access_token": sign(access, "AQX"), "refresh_token": sign(refresh, "AQW"), "expires_at": expires_at}


# --- refusals --------------------------------------------------------------------------------------------------------


def _no_resource() -> Answer:
    return error(404, "No virtual resource found", code="RESOURCE_NOT_FOUND")


def _throttled(whose: str) -> Answer:
    words = f"Resource level throttle {whose} DAY limit for calls to this resource is reached."
    return error(429, words, service=101, code="TOO_MANY_REQUESTS")


def _expired() -> Answer:
    return error(401, "The token used in the request has expired", service=65602, code="EXPIRED_ACCESS_TOKEN")


def _revoked() -> Answer:
    return error(
        401, "The token used in the request has been revoked by the user", service=65601, code="REVOKED_ACCESS_TOKEN"
    )


def _refused_refresh(call: Call) -> Answer:
    return Answer({"error": call.state.switches["refused_refresh"], "error_description": _REFUSED}, 400)


def _version_missing() -> Answer:
    return error(400, "A version must be present. Please specify a version.", code="VERSION_MISSING")


_REFUSALS: dict[str, Callable[[Call], Answer]] = {
    "server_error": lambda call: error(500, "Internal Server Error"),
    "token_expired": lambda call: _expired(),
    "revoked_token": lambda call: _revoked(),
    "scope_missing": lambda call: forbidden(f"{call.group}.FINDER-{call.request.first('q') or 'get'}.20260901"),
    "refuse_refresh": _refused_refresh,
    "unpermitted": lambda call: unpermitted("/shares[0]"),
    "no_resource": lambda call: _no_resource(),
    "forbidden_post": lambda call: error(403, "The requested UGC resource is forbidden", service=100),
    "version_missing": lambda call: _version_missing(),
}


# --- tokens ----------------------------------------------------------------------------------------------------------


def _authenticate(call: Call) -> Claims:
    claims = read(call.request.bearer(), "AQX")
    if claims is None or claims.platform != "linkedin":
        raise Refused(error(401, "Invalid access token", service=65600, code="INVALID_ACCESS_TOKEN"))
    if claims.family in call.state.dead or call.state.account(claims.account_id).revoked:
        raise Refused(_revoked())
    if claims.expired(call.now):
        raise Refused(_expired())
    return claims


def _token(call: Call) -> Answer:
    form = call.request.form()
    if call.state.switches["require_client"] and not form.get("client_id"):
        return Answer({"error": "invalid_client", "error_description": "Client authentication failed"}, 401)
    names = {"refresh_token": "refresh_token", "authorization_code": "code"}
    name = names.get(form.get("grant_type", ""))
    if name is None:
        return Answer({"error": "unsupported_grant_type", "error_description": "Unknown grant type"}, 400)
    if not form.get(name):
        words = f'A required parameter "{name}" is missing'
        return Answer({"error": "invalid_request", "error_description": words}, 400)
    if name == "code":
        account_id = form["code"].removeprefix("sandbox-")
        end = int(call.now) + REFRESH_LIFETIME
        return _granted(call, Claims("linkedin", account_id, "refresh", new_family(), int(call.now), end))
    claims = read(form["refresh_token"], "AQW")
    dead = claims is None or claims.expired(call.now) or claims.family in call.state.dead
    if claims is None or dead or call.state.account(claims.account_id).revoked:
        return _refused_refresh(call)
    return _granted(call, claims)


def _granted(call: Call, refresh: Claims) -> Answer:
    """A new access token, that never outlives the refresh token; the end of that one stays where it was."""
    left = int(refresh.expires_at - call.now)
    lifetime = min(ACCESS_LIFETIME, left)
    return Answer(
        {
            "access_token": sign(refresh.next("access", now=call.now, lifetime=lifetime), "AQX"),
            "expires_in": lifetime,
            "refresh_token": sign(refresh, "AQW"),
            "refresh_token_expires_in": left,
            "scope": SCOPE,
        }
    )


def _consent(call: Call) -> Answer:
    """Send the owner back with a code, as if they had agreed."""
    back, state = call.request.first("redirect_uri"), call.request.first("state")
    code = f"sandbox-{call.request.first('account_id', 'urn:li:person:sandbox')}"
    joined = f"{back}{'&' if '?' in back else '?'}{urlencode({'code': code, 'state': state})}"
    return Answer(b"", 302, {"Location": joined})


# --- what holds for every call ---------------------------------------------------------------------------------------


def _check_request(call: Call) -> None:
    """Version, protocol and length."""
    headers, query = call.request.headers, call.request.query
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

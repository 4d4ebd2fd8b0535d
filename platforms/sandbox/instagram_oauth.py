"""Instagram: tokens of both logins. With Instagram Login a token is extended, never rotated."""

from typing import Any
from urllib.parse import urlencode

from platforms.sandbox import graph
from platforms.sandbox.tokens import Claims, new_family, read, sign
from platforms.sandbox.wire import Answer, Call
from platforms.sandbox.world import DAY, mix

SWITCHES = {"token_lifetime": 60 * 86400}
PREFIXES = {"instagram": "IGAA", "facebook": "EAA"}
SCOPES = "instagram_business_basic,instagram_business_manage_insights"


def grant(account_id: str, now: float, lifetime: float | None, *, login: str) -> dict[str, Any]:
    """A long-lived token; a Page's token (Facebook Login) has no end unless one is asked for."""
    if lifetime is None and login == "instagram":
        lifetime = 60 * DAY
    expires_at = 0 if lifetime is None else int(now + lifetime)
    claims = Claims("instagram", account_id, "access", new_family(), int(now), expires_at, extra=login)
    return {"access_token": sign(claims, PREFIXES[login]), "refresh_token": None, "expires_at": expires_at or None}


def check(call: Call, login: str) -> Claims:
    """Whose token came with the call; one of the other login is refused."""
    token = graph.token_text(call.request)
    return graph.check_token(call, token, platform="instagram", login=login, prefix=PREFIXES[login])


def peek(call: Call) -> Claims | None:
    """Whose token came with the call, dead or alive."""
    token = graph.token_text(call.request)
    return next((claims for prefix in PREFIXES.values() if (claims := read(token, prefix))), None)


def answer(call: Call) -> Answer:
    """The endpoints that hand out tokens."""
    if call.group == "authorize":
        return _consent(call)
    if call.group == "refresh_access_token":
        return _extend(call)
    if call.request.host == "api.instagram.com":
        return _short(call)
    if call.request.host == "graph.instagram.com":
        return _long(call)
    return _facebook(call)


def _error(message: str) -> Answer:
    return Answer({"error_type": "OAuthException", "code": 400, "error_message": message}, 400)


def _extend(call: Call) -> Answer:
    """Sixty more days for a token that is a day old and still alive."""
    if call.request.first("grant_type") != "ig_refresh_token":
        return graph.error("Invalid grant_type parameter value", 100, kind="IGApiException")
    claims = check(call, "instagram")
    if call.now < claims.issued_at + DAY:
        message = "The access token must be at least 24 hours old to be refreshed."
        return graph.error(message, 100, kind="IGApiException")
    return _token(call, claims)


def _token(call: Call, claims: Claims, **more: Any) -> Answer:
    lifetime = call.state.switches["token_lifetime"]
    token = sign(claims.next("access", now=call.now, lifetime=lifetime), PREFIXES[claims.extra])
    return Answer({"access_token": token, "token_type": "bearer", "expires_in": lifetime, **more})


def _short(call: Call) -> Answer:
    """A token of one hour for a code, which reads `sandbox-` and the account's id."""
    code = graph.parameter(call.request, "code").removesuffix("#_")
    if not code.startswith("sandbox-") or graph.parameter(call.request, "grant_type") != "authorization_code":
        return _error("Invalid authorization code")
    account_id = code.removeprefix("sandbox-")
    tokens = grant(account_id, call.now, 3600, login="instagram")
    return Answer(
        {"access_token": tokens["access_token"], "user_id": int(account_id), "permissions": SCOPES.split(",")}
    )


def _long(call: Call) -> Answer:
    if call.request.first("grant_type") != "ig_exchange_token":
        return graph.error("Invalid grant_type parameter value", 100, kind="IGApiException")
    return _token(call, check(call, "instagram"), permissions=SCOPES)


def _facebook(call: Call) -> Answer:
    """Facebook Login: a code, or a user's token that is to live longer."""
    if code := graph.parameter(call.request, "code"):
        claims = Claims("instagram", code.removeprefix("sandbox-"), "access", new_family(), 0, 0, extra="facebook")
        return _token(call, claims)
    token = graph.parameter(call.request, "fb_exchange_token")
    claims = graph.check_token(call, token, platform="instagram", login="facebook", prefix=PREFIXES["facebook"])
    return _token(call, claims)


def _consent(call: Call) -> Answer:
    """Send the owner back with a code, as if they had agreed."""
    back, account_id = call.request.first("redirect_uri"), call.request.first("account_id", "17841400000000001")
    query = urlencode({"code": f"sandbox-{account_id}#_", "state": call.request.first("state")})
    return Answer(b"", 302, {"Location": f"{back}{'&' if '?' in back else '?'}{query}"})


def pages(call: Call, account_id: str) -> Answer:
    """The Pages of a user, each with a token of its own and its Instagram account."""
    account = {"id": account_id, "username": f"sandbox_{account_id[-6:]}"}
    token = grant(account_id, call.now, None, login="facebook")["access_token"]
    page = {"id": str(100_000_000_000_000 + mix(account_id)), "name": "Sandbox Page", "access_token": token}
    return Answer({"data": [{**page, "instagram_business_account": account}]})


def debug_token(call: Call) -> Answer:
    """What a token is good for."""
    claims = read(call.request.first("input_token"), PREFIXES["facebook"])
    if claims is None:
        return Answer({"data": {"is_valid": False, "scopes": []}})
    alive = not claims.expired(call.now)
    scopes = ["instagram_basic", "instagram_manage_insights", "pages_read_engagement", "pages_show_list"]
    return Answer({"data": {"is_valid": alive, "expires_at": claims.expires_at, "scopes": scopes}})

"""X API v2: tokens. Refresh tokens are single use; a replay kills the whole grant."""

from typing import Any

from platforms.sandbox import consent
from platforms.sandbox.tokens import Claims, new_family, read, sign
from platforms.sandbox.wire import Answer, Call, Refused
from platforms.sandbox.x_posts import names

SWITCHES = {
    "require_client": False,  # refuse token calls that name no client
    "token_lifetime": 7200,
    **consent.switches(30),
}
REFRESH_LIFETIME = 180 * 86400
SCOPE = "tweet.read users.read offline.access"
TERMS = consent.Terms(
    platform="x",
    title="X",
    accounts=("1890000000000000101", "1890000000000000102", "783214"),
    name=lambda account_id: f"@{names(account_id)['username']}",
    pkce="required",
)
_BAD_CODES = {
    "redirect": "Value passed for the redirect uri did not match the uri of the authorization code.",
    "verifier": "Value passed for the code verifier did not match the code challenge.",
}


def unauthorized() -> Answer:
    """The answer to a dead access token."""
    return _problem(401, "Unauthorized", "Unauthorized", "about:blank")


def unsupported_authentication() -> Answer:
    """The answer to an app's own token where a user's is needed."""
    return _problem(
        403,
        "Unsupported Authentication",
        "Authenticating with OAuth 2.0 Application-Only is forbidden for this endpoint. Supported authentication types"
        " are [OAuth 1.0a User Context, OAuth 2.0 User Context].",
        "https://api.x.com/2/problems/unsupported-authentication",
    )


def _problem(status: int, title: str, detail: str, url: str) -> Answer:
    headers = {"Content-Type": "application/problem+json"}
    return Answer({"title": title, "type": url, "status": status, "detail": detail}, status, headers)


def authenticate(call: Call) -> Claims:
    """Whose token came with the call."""
    claims = read(call.request.bearer())
    if claims is None or claims.kind not in ("access", "app") or not _alive(call, claims):
        raise Refused(unauthorized())
    return claims


def _alive(call: Call, claims: Claims) -> bool:
    return (
        claims.platform == "x"
        and not claims.expired(call.now)
        and claims.family not in call.state.dead
        and not call.state.account(claims.account_id).revoked
    )


def grant(account_id: str, now: float, lifetime: float | None, *, app_only: bool = False) -> dict[str, Any]:
    """The tokens of a new grant."""
    expires_at = int(now + (7200 if lifetime is None else lifetime))
    kind = "app" if app_only else "access"
    claims = Claims("x", account_id, kind, new_family(), int(now), 0 if app_only else expires_at)
    refresh = Claims("x", account_id, "refresh", claims.family, int(now), int(now) + REFRESH_LIFETIME)
    return {
        "access_token": sign(claims),
        "refresh_token": None if app_only else sign(refresh),
        "expires_at": None if app_only else expires_at,
    }


def answer(call: Call) -> Answer:
    """The token endpoint, the revoke endpoint, and the consent page."""
    if call.group == "authorize":
        return consent.answer(call, TERMS)
    form = call.request.form()
    if call.state.switches["require_client"] and not (call.request.basic_user() or form.get("client_id")):
        return _error(401, "unauthorized_client", "Missing valid authorization header")
    if call.group == "revoke":
        if claims := read(form.get("token", "")):
            call.state.kill(claims.family)
        return Answer({"revoked": True})
    grants = {"refresh_token": _refresh, "authorization_code": _exchange, "client_credentials": _app_only}
    if form.get("grant_type") not in grants:
        return _error(400, "unsupported_grant_type", "Value passed for the grant type was invalid.")
    return grants[form["grant_type"]](call, form)


def _error(status: int, name: str, text: str) -> Answer:
    return Answer({"error": name, "error_description": text}, status)


def _refresh(call: Call, form: dict[str, str]) -> Answer:
    """A new pair for a refresh token that was never used."""
    claims = read(form.get("refresh_token", ""))
    refused = _error(400, "invalid_request", "Value passed for the token was invalid.")
    if claims is None or claims.kind != "refresh" or not _alive(call, claims):
        return refused
    if not call.state.use_once(claims.jti, call.now):
        call.state.kill(claims.family)
        return refused
    return _pair(call, claims)


def _pair(call: Call, claims: Claims) -> Answer:
    lifetime = call.state.switches["token_lifetime"]
    answer = {
        "token_type": "bearer",
        "expires_in": lifetime,
        "access_token": sign(claims.next("access", now=call.now, lifetime=lifetime)),
        "scope": claims.scopes.replace(",", " ") or SCOPE,
    }
    if claims.allows("offline.access"):
        answer["refresh_token"] = sign(claims.next("refresh", now=call.now, lifetime=REFRESH_LIFETIME))
    return Answer(answer)


def _exchange(call: Call, form: dict[str, str]) -> Answer:
    """Tokens for a code. A confidential client names itself in the header, a public one in the form."""
    client_id, secret = call.request.basic()
    if (client_id and not secret) or not (client_id or form.get("client_id")):
        return _error(401, "unauthorized_client", "Missing valid authorization header")
    given = {"client_id": client_id or form["client_id"], "verifier": form.get("code_verifier", "")}
    try:
        code, back = form.get("code", ""), form.get("redirect_uri", "")
        return _pair(call, consent.redeem(call, TERMS, code=code, back=back, **given).claims)
    except consent.BadCode as bad:
        words = _BAD_CODES.get(bad.reason, "Value passed for the authorization code was invalid.")
        return _error(400, "invalid_request", words)


def _app_only(call: Call, form: dict[str, str]) -> Answer:
    tokens = grant("app", call.now, None, app_only=True)
    return Answer({"token_type": "bearer", "access_token": tokens["access_token"]})

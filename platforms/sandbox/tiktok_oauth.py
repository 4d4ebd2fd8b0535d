"""TikTok Display API v2: tokens, scopes and the form of errors. A refresh token works once."""

from typing import Any
from urllib.parse import urlencode

from platforms.sandbox.tokens import Claims, new_family, read, sign
from platforms.sandbox.wire import Answer, Call, Refused

SCOPES = "user.info.basic,user.info.stats,video.list"
SWITCHES = {
    "scopes": SCOPES,  # what owners granted
    "require_client": False,  # refuse token calls that name no client
    "token_lifetime": 86400,
    "oauth_error_status": 200,  # which status refused token calls come with
}
REFRESH_LIFETIME = 365 * 86400
LOG_ID = "20261123094722CBE87ED59D524E727021"
OK = {"code": "ok", "message": "", "log_id": LOG_ID}


def data_error(status: int, code: str, message: str) -> Answer:
    """The refusal of a data endpoint."""
    return Answer({"data": {}, "error": {"code": code, "message": message, "log_id": LOG_ID}}, status)


def token_error(call: Call, name: str) -> Answer:
    """The refusal of a token endpoint, which is flat."""
    body = {"error": name, "error_description": f"The request was refused: {name}.", "log_id": LOG_ID}
    return Answer(body, call.state.switches["oauth_error_status"])


def dead_token() -> Answer:
    """The answer to a dead access token."""
    return data_error(401, "access_token_invalid", "The access token is invalid or not found in the request.")


def authenticate(call: Call) -> Claims:
    """Whose token came with the call."""
    claims = read(call.request.bearer(), "act.")
    if claims is None or claims.kind != "access" or not _alive(call, claims):
        raise Refused(dead_token())
    return claims


def need(call: Call, scope: str) -> None:
    """Refuse the call if the owner did not grant a scope."""
    if scope not in call.state.switches["scopes"].split(","):
        raise Refused(data_error(401, "scope_not_authorized", f"The user did not authorize the scope {scope}."))


def _alive(call: Call, claims: Claims) -> bool:
    return (
        claims.platform == "tiktok"
        and not claims.expired(call.now)
        and claims.family not in call.state.dead
        and not call.state.account(claims.account_id).revoked
    )


def grant(account_id: str, now: float, lifetime: float | None) -> dict[str, Any]:
    """The tokens of a new grant."""
    expires_at = int(now + (86400 if lifetime is None else lifetime))
    claims = Claims("tiktok", account_id, "access", new_family(), int(now), expires_at)
    refresh = Claims("tiktok", account_id, "refresh", claims.family, int(now), int(now) + REFRESH_LIFETIME)
    return {
        "access_token": sign(claims, "act."),
        "refresh_token": sign(refresh, "rft."),
        "expires_at": expires_at,
    }


def answer(call: Call) -> Answer:
    """The token endpoint, the revoke endpoint, and the page where an owner consents."""
    if call.group == "authorize":
        return _consent(call)
    form = call.request.form()
    if call.state.switches["require_client"] and not (form.get("client_key") and form.get("client_secret")):
        return token_error(call, "invalid_client")
    if call.group == "revoke":
        if claims := read(form.get("token", ""), "act."):
            call.state.kill(claims.family)
        return Answer(b"")
    grants = {"refresh_token": _refresh, "authorization_code": _exchange}
    if form.get("grant_type") not in grants:
        return token_error(call, "unsupported_grant_type")
    return grants[form["grant_type"]](call, form)


def _refresh(call: Call, form: dict[str, str]) -> Answer:
    claims = read(form.get("refresh_token", ""), "rft.")
    if claims is None or claims.kind != "refresh" or not _alive(call, claims):
        return token_error(call, "invalid_grant")
    if not call.state.use_once(claims.jti, call.now):
        return token_error(call, "invalid_grant")
    return _pair(call, claims)


def _exchange(call: Call, form: dict[str, str]) -> Answer:
    """Tokens for a code, which reads `sandbox-` and the account's id."""
    if not form.get("code", "").startswith("sandbox-"):
        return token_error(call, "invalid_grant")
    account_id = form["code"].removeprefix("sandbox-")
    return _pair(call, Claims("tiktok", account_id, "code", new_family(), int(call.now), 0))


def _pair(call: Call, claims: Claims) -> Answer:
    lifetime = call.state.switches["token_lifetime"]
    return Answer(
        {
            "open_id": claims.account_id,
            "scope": call.state.switches["scopes"],
            "access_token": sign(claims.next("access", now=call.now, lifetime=lifetime), "act."),
            "expires_in": lifetime,
            "refresh_token": sign(claims.next("refresh", now=call.now, lifetime=REFRESH_LIFETIME), "rft."),
            "refresh_expires_in": REFRESH_LIFETIME,
            "token_type": "Bearer",
        }
    )


def _consent(call: Call) -> Answer:
    """Send the owner back with a code, as if they had agreed."""
    back, state = call.request.first("redirect_uri"), call.request.first("state")
    code = f"sandbox-{call.request.first('account_id', '723f24d7-e717-40f8-a2b6-cb8464cd23b4')}"
    query = urlencode({"code": code, "scopes": call.state.switches["scopes"], "state": state})
    return Answer(b"", 302, {"Location": f"{back}{'&' if '?' in back else '?'}{query}"})

"""TikTok Display API v2: tokens, scopes and the form of errors. A refresh token works once."""

from typing import Any

from platforms.sandbox import consent
from platforms.sandbox.tokens import Claims, new_family, read, sign
from platforms.sandbox.wire import Answer, Call, Refused

SCOPES = "user.info.basic,user.info.stats,video.list"
SWITCHES = {
    "scopes": SCOPES,  # what the tokens of the control endpoint are good for; others, for what was consented to
    "require_client": False,  # refuse token calls that name no client
    "token_lifetime": 86400,
    "oauth_error_status": 200,  # which status refused token calls come with
    **consent.switches(600),
}
REFRESH_LIFETIME = 365 * 86400
LOG_ID = "20261123094722CBE87ED59D524E727021"
OK = {"code": "ok", "message": "", "log_id": LOG_ID}
BASIC = "user.info.basic"
TERMS = consent.Terms(
    platform="tiktok",
    title="TikTok",
    accounts=(
        "1f5d0b6c-0a54-4e5f-9d0c-5b1f2f6a7101",
        "2a6e1c7d-1b65-4f60-8e1d-6c20307b8202",
        "3b7f2d8e-2c76-4071-9f2e-7d31418c9303",
    ),
    client_field="client_key",
    separators=",",
    kept=frozenset({BASIC}),
    code=("", "*0!6300.s1"),
    denial={"error": "access_denied", "error_description": "User cancelled the authorization"},
    also=lambda scopes: {"scopes": ",".join(scopes)},
)


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
    if call.claims is None or scope not in _granted(call, call.claims).split(","):
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
    """The token endpoint, the revoke endpoint, and the consent page."""
    if call.group == "authorize":
        return consent.answer(call, TERMS)
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
    """Tokens for a code; the app names itself in the form."""
    client_id, code, back = (form.get(name, "") for name in ("client_key", "code", "redirect_uri"))
    if not client_id or not form.get("client_secret"):
        return token_error(call, "invalid_client")
    try:
        return _pair(call, consent.redeem(call, TERMS, code=code, client_id=client_id, back=back).claims)
    except consent.BadCode as bad:
        return token_error(call, "invalid_request" if bad.reason == "redirect" else "invalid_grant")


def _granted(call: Call, claims: Claims) -> str:
    granted: str = claims.scopes or call.state.switches["scopes"]
    return granted


def _pair(call: Call, claims: Claims) -> Answer:
    lifetime = call.state.switches["token_lifetime"]
    return Answer(
        {
            "open_id": claims.account_id,
            "scope": _granted(call, claims),
            "access_token": sign(claims.next("access", now=call.now, lifetime=lifetime), "act."),
            "expires_in": lifetime,
            "refresh_token": sign(claims.next("refresh", now=call.now, lifetime=REFRESH_LIFETIME), "rft."),
            "refresh_expires_in": REFRESH_LIFETIME,
            "token_type": "Bearer",
        }
    )

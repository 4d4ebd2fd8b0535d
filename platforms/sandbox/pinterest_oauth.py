"""Pinterest API v5: tokens and the form of errors. A refresh token works once."""

from typing import Any

from platforms.sandbox import consent
from platforms.sandbox.tokens import Claims, new_family, read, sign
from platforms.sandbox.wire import Answer, Call, Refused

SWITCHES = {
    "require_client": False,  # refuse token calls that name no client by Basic authorization
    "token_lifetime": 2592000,
    "rotates": True,  # whether a refresh answers with a new refresh token
    **consent.switches(600),
}
REFRESH_LIFETIME = 5184000
SCOPE = "user_accounts:read,pins:read,boards:read"
TERMS = consent.Terms(
    platform="pinterest",
    title="Pinterest",
    accounts=("2783136121146311801", "2783136121146311802", "2783136121146311803"),
    separators=",",
)


def error(status: int, code: int, message: str) -> Answer:
    """A refusal."""
    return Answer({"code": code, "message": message, "status": "failure"}, status)


def authenticate(call: Call) -> Claims:
    """Whose token came with the call."""
    claims = read(call.request.bearer(), "pina_")
    if claims is None or claims.kind != "access" or not _alive(call, claims):
        raise Refused(error(401, 2, "Authentication failed."))
    return claims


def _alive(call: Call, claims: Claims) -> bool:
    return (
        claims.platform == "pinterest"
        and not claims.expired(call.now)
        and claims.family not in call.state.dead
        and not call.state.account(claims.account_id).revoked
    )


def grant(account_id: str, now: float, lifetime: float | None) -> dict[str, Any]:
    """The tokens of a new grant."""
    expires_at = int(now + (2592000 if lifetime is None else lifetime))
    claims = Claims("pinterest", account_id, "access", new_family(), int(now), expires_at)
    refresh = Claims("pinterest", account_id, "refresh", claims.family, int(now), int(now) + REFRESH_LIFETIME)
    return {
        "access_token": sign(claims, "pina_"),
        "refresh_token": sign(refresh, "pinr_"),
        "expires_at": expires_at,
    }


def answer(call: Call) -> Answer:
    """The token endpoint, and the consent page."""
    if call.group == "authorize":
        return consent.answer(call, TERMS)
    form = call.request.form()
    if call.state.switches["require_client"] and not call.request.basic_user():
        return error(401, 2, "Authentication failed.")
    if form.get("grant_type") == "refresh_token":
        return _refresh(call, form)
    if form.get("grant_type") == "authorization_code":
        return _exchange(call, form)
    return error(400, 1, "Invalid request.")


def _exchange(call: Call, form: dict[str, str]) -> Answer:
    """Tokens for a code; the app names itself in the header."""
    client_id, secret = call.request.basic()
    if not client_id or not secret:
        return error(401, 2, "Authentication failed.")
    try:
        code, back = form.get("code", ""), form.get("redirect_uri", "")
        grant = consent.redeem(call, TERMS, code=code, client_id=client_id, back=back)
    except consent.BadCode as bad:
        return error(400, 283, f"Invalid request: the authorization code is not valid ({bad.reason}).")
    return _pair(call, grant.claims, "authorization_code")


def _refresh(call: Call, form: dict[str, str]) -> Answer:
    token = form.get("refresh_token", "")
    claims = read(token, "pinr_")
    if claims is None or claims.kind != "refresh" or not _alive(call, claims):
        return error(400, 1, "Invalid request: the refresh token is invalid.")
    if not call.state.switches["rotates"]:
        answer = _pair(call, claims, "refresh_token")
        del answer.payload["refresh_token"]
        return answer
    if not call.state.use_once(claims.jti, call.now):
        return error(400, 1, "Invalid request: the refresh token is invalid.")
    return _pair(call, claims, "refresh_token")


def _pair(call: Call, claims: Claims, kind: str) -> Answer:
    lifetime = call.state.switches["token_lifetime"]
    return Answer(
        {
            "response_type": kind,
            "access_token": sign(claims.next("access", now=call.now, lifetime=lifetime), "pina_"),
            "token_type": "bearer",
            "expires_in": lifetime,
            "scope": claims.scopes or SCOPE,
            "refresh_token": sign(claims.next("refresh", now=call.now, lifetime=REFRESH_LIFETIME), "pinr_"),
            "refresh_token_expires_in": REFRESH_LIFETIME,
            "refresh_token_expires_at": int(call.now) + REFRESH_LIFETIME,
        }
    )

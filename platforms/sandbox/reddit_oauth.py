"""Reddit: tokens, the consent page and the form of errors. A refresh token stays; a code is refused with status 200."""

from dataclasses import replace
from typing import Any

from platforms.sandbox import consent
from platforms.sandbox.tokens import Claims, new_family, read, sign
from platforms.sandbox.wire import Answer, Call, Refused

SCOPE = "identity read history"
SWITCHES = {
    "require_client": False,  # refuse token calls without Basic authorization
    "token_lifetime": 86400,
    "repeat_refresh_token": True,
    "refused_refresh": "json",  # json, oauth, ok: the three forms in which a dead refresh token is refused
    **consent.switches(600),
}
TERMS = consent.Terms(
    platform="reddit",
    title="Reddit",
    accounts=("b7kd02fa", "b7kd02fb", "b7kd02fc"),
    name=lambda account_id: f"u/sandbox_{account_id}",
    offline=lambda call, account_id: call.request.first("duration") == "permanent",
    refusals={name: name for name in ("invalid_scope", "unsupported_response_type")},
    fragment="#_",
)


def error(status: int, message: str, **more: Any) -> Answer:
    """Reddit's envelope."""
    return Answer({"message": message, "error": status, **more}, status)


def challenged(status: int, message: str, name: str) -> Answer:
    """A refusal whose reason stands in a header."""
    answer = error(status, message)
    answer.headers["www-authenticate"] = f'Bearer realm="reddit", error="{name}"'
    return answer


def dead_token() -> Answer:
    """The answer to a dead access token."""
    return challenged(401, "Unauthorized", "invalid_token")


def unscoped() -> Answer:
    """The answer to a token whose owner did not grant what the call needs."""
    return challenged(403, "Forbidden", "insufficient_scope")


def refused_refresh(call: Call) -> Answer:
    """The answer to a dead refresh token, in one of its forms."""
    forms = {
        "json": error(400, "Bad Request"),
        "oauth": Answer({"error": "invalid_request"}, 400),
        "ok": Answer({"error": "invalid_grant"}),
    }
    return forms[call.state.switches["refused_refresh"]]


def grant(account_id: str, now: float, lifetime: float | None) -> dict[str, Any]:
    """The tokens of a new grant."""
    expires_at = int(now + (86400 if lifetime is None else lifetime))
    access = Claims("reddit", account_id, "access", new_family(), int(now), expires_at)
    refresh = Claims("reddit", account_id, "refresh", access.family, int(now), 0)
    return {"access_token": sign(access), "refresh_token": sign(refresh), "expires_at": expires_at}


def authenticate(call: Call) -> Claims:
    """Whose token came with the call."""
    claims = read(call.request.bearer())
    if claims is None or not _alive(call, claims, "access"):
        raise Refused(dead_token())
    return claims


def _alive(call: Call, claims: Claims | None, kind: str) -> bool:
    return (
        claims is not None
        and (claims.platform, claims.kind) == ("reddit", kind)
        and not claims.expired(call.now)
        and claims.family not in call.state.dead
        and not call.state.account(claims.account_id).revoked
    )


def token(call: Call) -> Answer:
    """The token endpoint."""
    form = call.request.form()
    if call.state.switches["require_client"] and not call.request.basic_user():
        return error(401, "Unauthorized")
    if call.request.method != "POST":
        return error(405, "Method Not Allowed")
    if form.get("grant_type") == "authorization_code":
        return _exchange(call, form)
    if form.get("grant_type") != "refresh_token":
        return Answer({"error": "unsupported_grant_type"})
    claims = read(form.get("refresh_token", ""))
    if claims is None or not _alive(call, claims, "refresh"):
        return refused_refresh(call)
    repeated = form["refresh_token"] if call.state.switches["repeat_refresh_token"] else ""
    return _granted(call, claims, repeated)


def _exchange(call: Call, form: dict[str, str]) -> Answer:
    """Tokens for a code; only a permanent grant comes with a refresh token."""
    client_id, secret = call.request.basic()
    if not client_id or not secret:
        return error(401, "Unauthorized")
    try:
        code, back = form.get("code", ""), form.get("redirect_uri", "")
        granted = consent.redeem(call, TERMS, code=code, client_id=client_id, back=back)
    except consent.BadCode:
        return Answer({"error": "invalid_grant"})
    refresh = replace(granted.claims, kind="refresh", expires_at=0)
    return _granted(call, granted.claims, sign(refresh) if granted.offline else "")


def _granted(call: Call, claims: Claims, refresh_token: str) -> Answer:
    lifetime, scope = call.state.switches["token_lifetime"], claims.scopes.replace(",", " ") or SCOPE
    access = sign(claims.next("access", now=call.now, lifetime=lifetime))
    granted = {"access_token": access, "token_type": "bearer", "expires_in": lifetime, "scope": scope}
    return Answer(granted | ({"refresh_token": refresh_token} if refresh_token else {}))

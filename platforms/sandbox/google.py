"""What Google's APIs share: the error envelope, and tokens of one hour whose refresh token stays."""

from dataclasses import replace
from typing import Any

from platforms.sandbox import consent
from platforms.sandbox.tokens import Claims, new_family, read, sign
from platforms.sandbox.wire import Answer, Call, Refused, SandboxRequest

TOKEN_HOST = "oauth2.googleapis.com"
LIFETIME = 3599
ACCESS, REFRESH = "ya29.", "1//0"
SWITCHES = {
    "token_lifetime": LIFETIME,
    "rotate_refresh": False,  # now and then Google answers with a new refresh token; the old one stays good
    "require_client": False,  # refuse token calls that do not name client and secret in the form
    "scoped": True,  # False: tokens lack the scope
    **consent.switches(600),
}
_STATUS = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}


def error(status: int, message: str, reason: str = "", *, domain: str = "global", **metadata: str) -> Answer:
    """An error in the envelope of all APIs. With a `domain` the reason stands in the older list."""
    told: dict[str, Any] = {"code": status, "message": message, "status": _STATUS[status]}
    if reason and domain:
        told["errors"] = [{"domain": domain, "reason": reason, "message": message}]
    elif reason:
        kind = "type.googleapis.com/google.rpc.ErrorInfo"
        told["details"] = [{"@type": kind, "reason": reason, "domain": "googleapis.com", "metadata": metadata}]
    return Answer({"error": told}, status)


def family_of(request: SandboxRequest, platform: str) -> bool:
    """Whether a token request is about a grant of this platform."""
    form = request.form()
    claims = read(form.get("refresh_token", ""), REFRESH)
    return claims is not None and claims.platform == platform


def alive(call: Call, claims: Claims | None, platform: str, kind: str) -> bool:
    """Whether a token is one of this platform's and still good."""
    return (
        claims is not None
        and (claims.platform, claims.kind) == (platform, kind)
        and not claims.expired(call.now)
        and not call.state.account(claims.account_id).revoked
    )


def authenticate(call: Call, platform: str, refused: Answer, unscoped: Answer, *, scopes: tuple[str, ...]) -> Claims:
    """Whose token came with the call; any one of the scopes will do."""
    claims = call.claims = read(call.request.bearer(), ACCESS)
    if claims is None or not alive(call, claims, platform, "access"):
        raise Refused(refused)
    if not call.state.switches["scoped"] or not any(map(call.allows, scopes)):
        raise Refused(unscoped)
    return claims


def grant(platform: str, account_id: str, now: float, lifetime: float | None) -> dict[str, Any]:
    """The tokens of a new grant. The refresh token has no end of its own."""
    expires_at = int(now + (LIFETIME if lifetime is None else lifetime))
    claims = Claims(platform, account_id, "access", new_family(), int(now), expires_at)
    refresh = Claims(platform, account_id, "refresh", claims.family, int(now), 0)
    return {
        "access_token": sign(claims, ACCESS),
        "refresh_token": sign(refresh, REFRESH),
        "expires_at": expires_at,
    }


def invalid_grant() -> Answer:
    """The answer to a dead refresh token."""
    told = {"error": "invalid_grant", "error_description": "Token has been expired or revoked."}
    return Answer(told, 400)


def token(call: Call, platform: str, scope: str) -> Answer:
    """The token endpoint: a form, with the client in the body."""
    form, switches = call.request.form(), call.state.switches
    if switches["require_client"] and not (form.get("client_id") and form.get("client_secret")):
        return Answer({"error": "invalid_client", "error_description": "The OAuth client was not found."}, 401)
    if form.get("grant_type") != "refresh_token":
        return Answer({"error": "unsupported_grant_type", "error_description": "Invalid grant_type"}, 400)
    claims = read(form.get("refresh_token", ""), REFRESH)
    if claims is None or not alive(call, claims, platform, "refresh"):
        return invalid_grant()
    lifetime = switches["token_lifetime"]
    answer = {
        "access_token": sign(claims.next("access", now=call.now, lifetime=lifetime), ACCESS),
        "expires_in": lifetime,
        "scope": claims.scopes.replace(",", " ") or scope,
        "token_type": "Bearer",
    }
    if switches["rotate_refresh"]:
        again = replace(claims, issued_at=int(call.now), generation=claims.generation + 1)
        answer["refresh_token"] = sign(again, REFRESH)
    return Answer(answer)

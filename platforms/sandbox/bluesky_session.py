"""Bluesky: app-password sessions on a PDS. A used refresh token works for two hours more, from its first use on."""

import re
import secrets
from typing import Any

from platforms.sandbox import bluesky_identity
from platforms.sandbox.bluesky_ids import DID, HANDLE, did_of
from platforms.sandbox.tokens import new_family, read_jwt, sign_jwt
from platforms.sandbox.wire import Answer, Call, Refused

METHODS = frozenset({"createSession", "refreshSession", "getSession", "deleteSession"})
SWITCHES = {
    "token_lifetime": 7200,
    "second_factor": False,  # createSession asks for the code that was sent by mail
}
ACCESS, REFRESH = "com.atproto.access", "com.atproto.refresh"
REFRESH_LIFETIME = 90 * 86400
GRACE = 2 * 3600
_PASSWORD = re.compile(r"[a-z0-9]{4}(-[a-z0-9]{4}){3}")


def error(status: int, name: str, message: str) -> Answer:
    """An XRPC error."""
    return Answer({"error": name, "message": message}, status)


def limit_headers(limit: int, left: int, end: float, window: int) -> dict[str, str]:
    """The RateLimit headers of one window."""
    return {
        "RateLimit-Limit": str(limit),
        "RateLimit-Remaining": str(max(0, left)),
        "RateLimit-Reset": str(int(end) + 1),
        "RateLimit-Policy": f"{limit};w={window}",
    }


def rate_limited(headers: dict[str, str], retry_after: float | None) -> Answer:
    """The answer when a window is spent."""
    answer = error(429, "RateLimitExceeded", "Rate Limit Exceeded")
    answer.headers = dict(headers)
    if retry_after is not None:
        answer.headers["Retry-After"] = str(int(retry_after) + (retry_after % 1 > 0))
    return answer


def grant(did: str, now: float, lifetime: float | None) -> dict[str, Any]:
    """The tokens of a new session."""
    access, refresh, expires_at = _pair(did, new_family(), 0, now=now, lifetime=7200 if lifetime is None else lifetime)
    return {"access_token": access, "refresh_token": refresh, "expires_at": expires_at}


def _pair(did: str, family: str, generation: int, *, now: float, lifetime: float) -> tuple[str, str, int]:
    """An access and a refresh token; the refresh token's `jti` tells its place in the session."""
    base = {"sub": did, "iat": int(now), "aud": "did:web:bsky.social"}
    expires_at = int(now + lifetime)
    access = {"scope": ACCESS, **base, "exp": expires_at, "jti": secrets.token_hex(8), "session": family}
    refresh = {
        "scope": REFRESH,
        **base,
        "exp": int(now) + REFRESH_LIFETIME,
        "jti": f"{family}.{generation}",
        "nonce": secrets.token_hex(4),  # the same id twice, but never the same text
    }
    return sign_jwt(access), sign_jwt(refresh), expires_at


def authenticate(call: Call, kind: str) -> dict[str, Any]:
    """The payload of the token that came with the call."""
    if not call.request.headers.get("authorization"):
        raise Refused(error(401, "AuthMissing", "Authentication Required"))
    payload = read_jwt(call.request.bearer())
    if payload is None:
        raise Refused(error(400, "InvalidToken", "Token could not be verified"))
    if payload["scope"] != (ACCESS if kind == "access" else REFRESH):
        raise Refused(error(400, "InvalidToken", "Bad token scope"))
    if call.now >= payload["exp"]:
        raise Refused(error(400, "ExpiredToken", "Token has expired"))
    return payload


def answer(call: Call) -> Answer:
    """The answer of one of the session methods."""
    get = call.group == "getSession"
    if call.request.method != ("GET" if get else "POST"):
        return error(405, "InvalidRequest", f"Incorrect HTTP method ({call.request.method})")
    return {
        "getSession": _get_session,
        "refreshSession": _refresh_session,
        "createSession": _create_session,
        "deleteSession": _delete_session,
    }[call.group](call)


def _session(call: Call, did: str, handle: str = "") -> dict[str, Any]:
    account = call.state.account(did)
    session: dict[str, Any] = {
        "did": did,
        "handle": handle or bluesky_identity.handle(call, did),
        "didDoc": bluesky_identity.document(call, did, call.request.host),
        "email": "owner@example.com",
        "emailConfirmed": True,
        "active": account.active,
    }
    if not account.active:
        session["status"] = account.status or "deactivated"
    return session


def _get_session(call: Call) -> Answer:
    did = authenticate(call, "access")["sub"]
    if did in call.state.deleted or call.state.account(did).status == "deleted":
        return error(403, "AccountNotFound", "Account not found")
    return Answer(_session(call, did))


def _refresh_session(call: Call) -> Answer:
    payload = authenticate(call, "refresh")
    did, (family, _, generation) = payload["sub"], payload["jti"].partition(".")
    account = call.state.account(did)
    if did in call.state.deleted or account.status == "deleted":
        return error(400, "InvalidRequest", f"Could not find user info for account: {did}")
    if account.status == "takendown":
        return error(401, "AccountTakedown", "Account has been taken down")
    used_at = call.state.first_use(payload["jti"], call.now)
    if account.revoked or family in call.state.dead or call.now > used_at + GRACE:
        return error(400, "ExpiredToken", "Token has been revoked")
    return _opened(call, did, family, int(generation) + 1)


def _opened(call: Call, did: str, family: str, generation: int, handle: str = "") -> Answer:
    lifetime = call.state.switches["token_lifetime"]
    access, refresh, _ = _pair(did, family, generation, now=call.now, lifetime=lifetime)
    return Answer({"accessJwt": access, "refreshJwt": refresh, **_session(call, did, handle)})


def _create_session(call: Call) -> Answer:
    """A session for anybody with something that looks like an app password, or with the one that was set."""
    body = call.request.json()
    body = body if isinstance(body, dict) else {}
    identifier, password = str(body.get("identifier", "")), str(body.get("password", ""))
    if not identifier or not password:
        return error(400, "InvalidRequest", 'Error: Input must have the property "identifier"')
    headers = _spend_login(call, identifier)
    handle = "" if identifier.startswith("did:") else identifier.lower()
    if not (DID if not handle else HANDLE).fullmatch(handle or identifier):
        return error(401, "AuthenticationRequired", "Invalid identifier or password")
    did = identifier if not handle else did_of(handle)
    if call.state.switches["second_factor"] and not body.get("authFactorToken"):
        return error(401, "AuthFactorTokenRequired", "A sign in code has been sent to your email address")
    if not _admitted(call, did, password):
        return error(401, "AuthenticationRequired", "Invalid identifier or password")
    if call.state.account(did).status == "takendown":
        return error(401, "AccountTakedown", "Account has been taken down")
    bluesky_identity.remember(call, did, handle or did)
    opened = _opened(call, did, new_family(), 0, handle)
    opened.headers.update(headers)
    return opened


def _admitted(call: Call, did: str, password: str) -> bool:
    """Whether the account is at home on this host, and the password its own. The entryway knows everybody."""
    account, host = call.state.account(did), call.request.host
    at_home = not account.pds or bluesky_identity.pds(call, did) in (f"https://{host}", f"http://{host}")
    right = password == account.app_password if account.app_password else bool(_PASSWORD.fullmatch(password))
    return right and not account.revoked and did not in call.state.deleted and (at_home or host == "bsky.social")


def _spend_login(call: Call, identifier: str) -> dict[str, str]:
    """Take a login from the account's 30 in five minutes and 300 in a day; the headers of the tighter one."""
    if not call.state.switches["rate_limits"]:
        return {}
    headers: dict[str, str] = {}
    for limit, window in ((300, 86400), (30, 300)):
        left, end = call.state.spend(f"login:{window}:{identifier}", limit=limit, seconds=window, now=call.now)
        headers = limit_headers(limit, left, end, window)
        if left < 0:
            raise Refused(rate_limited(headers, end - call.now))
    return headers


def _delete_session(call: Call) -> Answer:
    payload = authenticate(call, "refresh")
    call.state.kill(payload["jti"].partition(".")[0])
    return Answer(b"", 200)

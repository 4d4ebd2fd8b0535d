"""Threads: tokens. They are extended, never rotated, and only while they are alive and a day old."""

from typing import Any

from platforms.sandbox import consent, graph, meta_consent
from platforms.sandbox.tokens import Claims, new_family, read, sign
from platforms.sandbox.wire import Answer, Call
from platforms.sandbox.world import DAY

SWITCHES = {"token_lifetime": 60 * 86400, **consent.switches(meta_consent.CODE_LIFETIME)}
PREFIX = "THAA"
SCOPES = ["threads_basic", "threads_manage_insights"]
TERMS = consent.Terms(
    platform="threads",
    title="Threads",
    accounts=("26000000000000101", "26000000000000102", "26000000000000103"),
    name=lambda account_id: f"@sandbox_{account_id[-6:]}",
    separators=", ",
    kept=frozenset({"threads_basic"}),
    denial=meta_consent.DENIED,
    fragment="#_",
)


def grant(account_id: str, now: float, lifetime: float | None) -> dict[str, Any]:
    """A long-lived token."""
    expires_at = int(now + (60 * DAY if lifetime is None else lifetime))
    claims = Claims("threads", account_id, "access", new_family(), int(now), expires_at)
    return {"access_token": sign(claims, PREFIX), "refresh_token": None, "expires_at": expires_at}


def check(call: Call) -> Claims:
    """Whose token came with the call."""
    return graph.check_token(call, graph.token_text(call.request), platform="threads", login="", prefix=PREFIX)


def account_of(call: Call) -> str:
    """Whose token came with the call, dead or alive."""
    claims = read(graph.token_text(call.request), PREFIX)
    return claims.account_id if claims else "26000000000000001"


def answer(call: Call) -> Answer:
    """The endpoints that hand out tokens."""
    if call.group == "authorize":
        return consent.answer(call, TERMS)
    if call.group == "code":
        return _short(call)
    wanted = {"refresh_access_token": "th_refresh_token", "exchange": "th_exchange_token"}[call.group]
    if call.request.method != "GET" or call.request.first("grant_type") != wanted:
        return graph.error("Invalid grant_type parameter value", 100, kind="THApiException")
    claims = check(call)
    if call.group == "refresh_access_token" and call.now < claims.issued_at + DAY:
        words = "The access token must be at least 24 hours old to be refreshed."
        return graph.error(words, 100, kind="THApiException")
    if call.group == "exchange":
        _check_exchange(call, claims)
    lifetime = call.state.switches["token_lifetime"]
    token = sign(claims.next("access", now=call.now, lifetime=lifetime), PREFIX)
    return Answer({"access_token": token, "token_type": "bearer", "expires_in": lifetime})


def _check_exchange(call: Call, claims: Claims) -> None:
    """Only a short token is exchanged, and only for an app that proves itself."""
    if not call.request.first("client_secret"):
        raise graph.refuse("Missing client_secret parameter", 101, kind="THApiException")
    if meta_consent.is_long(claims):
        raise graph.refuse("Session key invalid. This could be because the session key has an incorrect format", 452)


def _short(call: Call) -> Answer:
    """A token of one hour for a code; the account's id comes as a number."""
    claims = meta_consent.redeem_plain(call, TERMS)
    token = sign(claims.next("access", now=call.now, lifetime=meta_consent.SHORT), PREFIX)
    return Answer({"access_token": token, "user_id": int(claims.account_id)})


def debug_token(call: Call) -> Answer:
    """What a token is good for."""
    claims = read(call.request.first("input_token"), PREFIX)
    if claims is None:
        return Answer({"data": {"is_valid": False, "scopes": []}})
    scopes = SCOPES if call.state.switches["insights_scope"] else SCOPES[:1]
    scopes = claims.scopes.split(",") if claims.scopes else scopes
    facts = {"expires_at": claims.expires_at, "issued_at": claims.issued_at, "scopes": scopes}
    return Answer({"data": {"application": "Sandbox", "is_valid": not claims.expired(call.now), **facts}})

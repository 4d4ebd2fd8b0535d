"""Instagram: tokens of both logins. With Instagram Login a token is extended, never rotated."""

from dataclasses import replace
from typing import Any

from platforms.sandbox import consent, graph, meta_consent
from platforms.sandbox.tokens import Claims, new_family, read, sign
from platforms.sandbox.wire import Answer, Call
from platforms.sandbox.world import DAY, mix

SWITCHES = {
    "token_lifetime": 60 * 86400,
    "short_answer": "flat",  # flat, data: the two shapes in which a code is answered
    **meta_consent.PAGE_SWITCHES,
    **consent.switches(meta_consent.CODE_LIFETIME),
}
PREFIXES = {"instagram": "IGAA", "facebook": "EAA"}
SCOPES = "instagram_business_basic,instagram_business_manage_insights"
PAGE_SCOPES = "instagram_basic,instagram_manage_insights,pages_read_engagement,pages_show_list"
TERMS = consent.Terms(
    platform="instagram",
    title="Instagram",
    accounts=("17841400000000101", "17841400000000102", "17841400000000103"),
    name=lambda account_id: f"@sandbox_{account_id[-6:]}",
    separators=", ",
    kept=frozenset({"instagram_business_basic"}),
    code=("AQD", ""),
    denial=meta_consent.DENIED,
    fragment="#_",
)
PAGE_TERMS = meta_consent.dialog(
    "instagram",
    accounts=("17841400000000201", "17841400000000202", "17841400000000203"),
    name=lambda account_id: f"{page_name(account_id)}, Instagram @sandbox_{account_id[-6:]}",
    code=("AQB", ""),
    configured=tuple(PAGE_SCOPES.split(",")),
)
BARE_PAGE = "100000000000777"
"""The Page without an Instagram account that everybody runs who consented to others."""
_PAGE_FIELDS = frozenset(
    {"id", "name", "access_token", "category", "tasks", "username", "link", "picture", "instagram_business_account"}
)


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
        return consent.answer(call, TERMS if call.request.host == "www.instagram.com" else PAGE_TERMS)
    if call.group == "refresh_access_token":
        return _extend(call)
    if call.request.host == "api.instagram.com":
        return _short(call)
    if call.request.host == "graph.instagram.com":
        return _long(call)
    return _facebook(call)


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
    """A token of one hour for a code; the account's id comes as a number."""
    claims = replace(meta_consent.redeem_plain(call, TERMS), extra="instagram")
    token = sign(claims.next("access", now=call.now, lifetime=meta_consent.SHORT), PREFIXES["instagram"])
    told = {"access_token": token, "user_id": int(claims.account_id), "permissions": claims.scopes.split(",")}
    return Answer({"data": [told]} if call.state.switches["short_answer"] == "data" else told)


def _long(call: Call) -> Answer:
    if call.request.first("grant_type") != "ig_exchange_token":
        return graph.error("Invalid grant_type parameter value", 100, kind="IGApiException")
    if not call.request.first("client_secret"):
        return graph.error("Missing client_secret parameter", 101, kind="IGApiException")
    claims = check(call, "instagram")
    return _token(call, claims, permissions=claims.scopes or SCOPES)


def _facebook(call: Call) -> Answer:
    """Facebook Login: a code, or a person's token that is to live longer."""
    if graph.parameter(call.request, "code"):
        claims = replace(meta_consent.redeem_graph(call, PAGE_TERMS), extra="facebook")
        lifetime = meta_consent.PERSON_SHORT
        token = sign(claims.next("access", now=call.now, lifetime=lifetime), PREFIXES["facebook"])
        return Answer({"access_token": token, "token_type": "bearer", "expires_in": lifetime})
    if graph.parameter(call.request, "grant_type") != "fb_exchange_token":
        return graph.error("Invalid grant_type", 100)
    meta_consent.check_app(call)
    token = graph.parameter(call.request, "fb_exchange_token")
    claims = graph.check_token(call, token, platform="instagram", login="facebook", prefix=PREFIXES["facebook"])
    return _token(call, claims)


def page_of(account_id: str) -> str:
    """The Page that an account is linked to."""
    return str(100_000_000_000_000 + mix(account_id))


def page_name(account_id: str) -> str:
    """What that Page is called."""
    return f"Sandbox Page {account_id[-3:]}"


def pages(call: Call, claims: Claims) -> Answer:
    """The Pages of a person, each with a token of its own, and most with an Instagram account."""
    accounts = {page_of(account_id): account_id for account_id in claims.reached()}
    linked = accounts | ({BARE_PAGE: ""} if claims.accounts else {})
    found, paging = graph.page(call.request, meta_consent.listed_pages(call, claims, linked))
    rows = [page(call, claims, page_id, accounts.get(page_id, "")) for page_id in found]
    return Answer({"data": rows} | ({"paging": paging} if paging else {}))


def page(call: Call, claims: Claims, page_id: str, account_id: str) -> dict[str, Any]:
    """A Page with the fields that were asked for; one without an Instagram account leaves that out."""
    asked = graph.fields(call.request.first("fields", "id,name,access_token,category,tasks"))
    graph.check_fields(asked, _PAGE_FIELDS)
    token = meta_consent.page_claims(claims, account_id or page_id, kind="facebook", now=call.now)
    facts: dict[str, Any] = {
        "name": page_name(account_id or page_id),
        "access_token": sign(token, PREFIXES["facebook"]),
        "category": "Software",
        "tasks": ["ANALYZE", "CREATE_CONTENT"],
        "picture": {"data": {"url": "https://scontent.fbcdn.net/sandbox.jpg", "is_silhouette": False}},
    }
    if account_id and call.allows("instagram_basic"):
        picture = {"profile_picture_url": "https://scontent.cdninstagram.com/sandbox.jpg"}
        names = {"username": f"sandbox_{account_id[-6:]}", "name": f"Sandbox {account_id[-4:]}"}
        facts["instagram_business_account"] = {"id": account_id, **names, **picture}
    return {**{name: facts[name] for name in asked if name in facts}, "id": page_id}


def debug_token(call: Call) -> Answer:
    """What a token is good for."""
    claims = read(call.request.first("input_token"), PREFIXES["facebook"])
    if claims is None:
        return Answer({"data": {"is_valid": False, "scopes": []}})
    alive = not claims.expired(call.now)
    scopes = (claims.scopes or PAGE_SCOPES).split(",")
    return Answer({"data": {"is_valid": alive, "expires_at": claims.expires_at, "scopes": scopes}})

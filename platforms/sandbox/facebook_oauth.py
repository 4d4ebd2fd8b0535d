"""Facebook: tokens of people and of Pages. A Page's token has no end; a person's is exchanged for a longer one."""

from dataclasses import replace
from typing import Any

from platforms.sandbox import consent, graph, meta_consent
from platforms.sandbox.tokens import Claims, new_family, read, sign
from platforms.sandbox.wire import Answer, Call, Refused, SandboxRequest
from platforms.sandbox.world import followers, mix

SWITCHES = {"token_lifetime": 60 * 86400, **meta_consent.PAGE_SWITCHES, **consent.switches(600)}
PREFIX = "EAA"
SCOPES = ["pages_show_list", "pages_read_engagement", "read_insights", "pages_read_user_content"]
TERMS = meta_consent.dialog(
    "facebook",
    accounts=("102030405060801", "102030405060802", "102030405060803"),
    name=lambda page_id: page_name(page_id),
    code=("AQF", ""),
    configured=tuple(SCOPES),
)
_PAGE_FIELDS = frozenset(
    {
        *("id", "name", "access_token", "tasks", "category", "followers_count", "fan_count", "username", "link"),
        *("picture", "instagram_business_account"),
    }
)


def is_ours(request: SandboxRequest) -> bool:
    """Whether a call to a host that Instagram has too bears a token or code of Facebook's, or asks for its consent."""
    if request.host == "www.facebook.com":
        return "instagram" not in request.first("scope") + request.first("config_id")
    tokens = (graph.parameter(request, name) for name in ("access_token", "fb_exchange_token", "input_token"))
    claims = (read(token, PREFIX) for token in (*tokens, request.bearer()) if token)
    code = consent.peek(graph.parameter(request, "code"), TERMS.platform, TERMS.code)
    return code is not None or any(one.platform == "facebook" for one in claims if one)


def grant(page_id: str, now: float, lifetime: float | None, *, kind: str = "page") -> dict[str, Any]:
    """A token; a Page's has no end unless one is asked for."""
    expires_at = 0 if lifetime is None else int(now + lifetime)
    claims = Claims("facebook", page_id, "access", new_family(), int(now), expires_at, extra=kind)
    return {"access_token": sign(claims, PREFIX), "refresh_token": None, "expires_at": expires_at or None}


def check(call: Call) -> Claims:
    """Whose token came with the call, a Page's or a person's."""
    token = graph.token_text(call.request)
    claims = read(token, PREFIX)
    kind = claims.extra if claims is not None else "page"
    return graph.check_token(call, token, platform="facebook", login=kind, prefix=PREFIX)


def account_of(call: Call) -> str:
    """Whose token came with the call, dead or alive."""
    claims = read(graph.token_text(call.request), PREFIX)
    return claims.account_id if claims else "102030405060708"


def page_name(page_id: str) -> str:
    """What a Page is called; the one of old has no number."""
    return "Sandbox Page" if page_id == "102030405060708" else f"Sandbox Page {page_id[-3:]}"


def person(page_id: str) -> str:
    """Who runs a Page."""
    return str(10_000_000_000_000 + mix(f"person:{page_id}"))


def answer(call: Call) -> Answer:
    """The endpoints that hand out tokens."""
    if call.group == "authorize":
        return consent.answer(call, TERMS)
    lifetime = call.state.switches["token_lifetime"]
    if graph.parameter(call.request, "code"):
        lifetime, claims = meta_consent.PERSON_SHORT, replace(meta_consent.redeem_graph(call, TERMS), extra="user")
    else:
        token = graph.parameter(call.request, "fb_exchange_token")
        if graph.parameter(call.request, "grant_type") != "fb_exchange_token":
            raise graph.refuse("Invalid grant_type", 100)
        meta_consent.check_app(call)
        claims = graph.check_token(call, token, platform="facebook", login="user", prefix=PREFIX)
    token = sign(claims.next("access", now=call.now, lifetime=lifetime), PREFIX)
    return Answer({"access_token": token, "token_type": "bearer", "expires_in": lifetime})


def pages(call: Call, claims: Claims) -> Answer:
    """The Pages of a person, each with a token of its own. A cursor comes even with the last."""
    ids = meta_consent.listed_pages(call, claims, {one: one for one in claims.reached()})
    found, paging = graph.page(call.request, ids)
    asked = graph.fields(call.request.first("fields", "id,name,access_token,category,tasks"))
    graph.check_fields(asked, _PAGE_FIELDS)
    rows = [_listed_page(call, claims, page_id, asked) for page_id in found]
    return Answer({"data": rows} | ({"paging": paging} if paging else {}))


def _listed_page(call: Call, claims: Claims, page_id: str, asked: dict[str, Any]) -> dict[str, Any]:
    facts = {
        "name": page_name(page_id),
        "access_token": page_token(call, claims, page_id),
        "category": "Software",
        "tasks": ["ANALYZE", "CREATE_CONTENT"],
        "followers_count": followers(page_id, call.now),
        "fan_count": followers(page_id, call.now) - 20,
        "username": f"sandbox{page_id[-6:]}",
        "link": f"https://www.facebook.com/{page_id}",
        "picture": {"data": {"url": "https://scontent.fbcdn.net/sandbox.jpg", "is_silhouette": False}},
    }
    return {**{name: facts[name] for name in asked if name in facts}, "id": page_id}


def page_token(call: Call, claims: Claims, page_id: str) -> str:
    """A Page's token, for whoever runs it."""
    return sign(meta_consent.page_claims(claims, page_id, kind="page", now=call.now), PREFIX)


def debug_token(call: Call) -> Answer:
    """What a token is good for."""
    claims = read(call.request.first("input_token"), PREFIX)
    if claims is None:
        raise Refused(Answer({"data": {"is_valid": False, "scopes": []}}))
    alive = not claims.expired(call.now) and claims.family not in call.state.dead
    kind = {"page": "PAGE", "user": "USER"}[claims.extra]
    scopes = claims.scopes.split(",") if claims.scopes else SCOPES
    return Answer({"data": {"type": kind, "is_valid": alive, "expires_at": claims.expires_at, "scopes": scopes}})

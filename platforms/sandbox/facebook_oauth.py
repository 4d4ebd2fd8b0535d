"""Facebook: tokens of people and of Pages. A Page's token has no end; a person's is exchanged for a longer one."""

from typing import Any
from urllib.parse import urlencode

from platforms.sandbox import graph
from platforms.sandbox.tokens import Claims, new_family, read, sign
from platforms.sandbox.wire import Answer, Call, Refused, SandboxRequest
from platforms.sandbox.world import mix

SWITCHES = {"token_lifetime": 60 * 86400}
PREFIX = "EAA"
CODE = "sandbox-page-"
SCOPES = ["pages_show_list", "pages_read_engagement", "read_insights", "pages_read_user_content"]


def is_ours(request: SandboxRequest) -> bool:
    """Whether a call to a host that Instagram has too bears a token or code of Facebook's, or asks for its consent."""
    if request.host == "www.facebook.com":
        scope = request.first("scope")
        return "pages_read_user_content" in scope and "instagram_basic" not in scope
    tokens = (graph.parameter(request, name) for name in ("access_token", "fb_exchange_token", "input_token"))
    claims = (read(token, PREFIX) for token in (*tokens, request.bearer()) if token)
    return graph.parameter(request, "code").startswith(CODE) or any(one.platform == "facebook" for one in claims if one)


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


def person(page_id: str) -> str:
    """Who runs a Page."""
    return str(10_000_000_000_000 + mix(f"person:{page_id}"))


def answer(call: Call) -> Answer:
    """The endpoints that hand out tokens."""
    if call.group == "authorize":
        return _consent(call)
    lifetime = call.state.switches["token_lifetime"]
    if code := graph.parameter(call.request, "code"):
        page_id = code.removeprefix(CODE)
    else:
        token = graph.parameter(call.request, "fb_exchange_token")
        if graph.parameter(call.request, "grant_type") != "fb_exchange_token":
            raise graph.refuse("Invalid grant_type", 100)
        page_id = graph.check_token(call, token, platform="facebook", login="user", prefix=PREFIX).account_id
    token = grant(page_id, call.now, lifetime, kind="user")["access_token"]
    return Answer({"access_token": token, "token_type": "bearer", "expires_in": lifetime})


def _consent(call: Call) -> Answer:
    """Send the owner back with a code, as if they had agreed."""
    back, page_id = call.request.first("redirect_uri"), call.request.first("account_id", "102030405060708")
    query = urlencode({"code": f"{CODE}{page_id}", "state": call.request.first("state")})
    return Answer(b"", 302, {"Location": f"{back}{'&' if '?' in back else '?'}{query}"})


def pages(call: Call, page_id: str) -> Answer:
    """The Pages of a person, each with a token of its own. A cursor comes even with the last."""
    if call.request.first("after"):
        return Answer({"data": []})
    token = grant(page_id, call.now, None)["access_token"]
    page = {"id": page_id, "name": "Sandbox Page", "access_token": token, "tasks": ["ANALYZE", "CREATE_CONTENT"]}
    return Answer({"data": [page], "paging": {"cursors": {"before": "QVFI", "after": "QVFI"}}})


def debug_token(call: Call) -> Answer:
    """What a token is good for."""
    claims = read(call.request.first("input_token"), PREFIX)
    if claims is None:
        raise Refused(Answer({"data": {"is_valid": False, "scopes": []}}))
    alive = not claims.expired(call.now) and claims.family not in call.state.dead
    kind = {"page": "PAGE", "user": "USER"}[claims.extra]
    return Answer({"data": {"type": kind, "is_valid": alive, "expires_at": claims.expires_at, "scopes": SCOPES}})

"""How Facebook, Instagram and Threads ask for consent, take codes, and hand a Page's token to whoever runs it."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from platforms.sandbox import consent, graph
from platforms.sandbox.tokens import Claims
from platforms.sandbox.wire import Answer, Call, Refused
from platforms.sandbox.world import DAY, mix

SHORT, CODE_LIFETIME = 3600, 3600
PAGE_SWITCHES: dict[str, Any] = {
    "business_pages": [],  # accounts whose Pages a business owns: they are on its edges, and not among the person's
}
PAGE_EDGES = ("accounts", "owned_pages", "client_pages")
"""The edges that list Pages: a person's, and those of their business."""
PERSON_SHORT = 5400
PUBLIC = frozenset({"public_profile"})
DENIAL = {"error": "access_denied", "error_reason": "user_denied"}
DENIED = {**DENIAL, "error_description": "The user denied your request"}
DENIED_FACEBOOK = {"error_code": "200", "error_description": "Permissions error", **DENIAL}
_GRAPH_CODES = {
    "expired": ("This authorization code has expired.", 36007),
    "used": ("This authorization code has been used.", 36009),
    "redirect": (
        "Error validating verification code. Please make sure your redirect_uri is identical to the one you used in the"
        " OAuth dialog request",
        36008,
    ),
    "unknown": ("Invalid verification code format.", 0),
}
_PLAIN_CODES = {
    "redirect": "Error validating verification code. Please make sure your redirect_uri is identical to the one you"
    " used in the OAuth dialog request",
    "client": "Error validating client secret.",
    "expired": "This authorization code has expired",
}


def dialog(platform: str, **more: Any) -> consent.Terms:
    """Facebook's dialog, which Pages and the Instagram accounts behind them are granted in."""
    return consent.Terms(
        platform=platform,
        title="Facebook",
        separators=", ",
        kept=PUBLIC,
        several=True,
        response_type="code",
        denial=DENIED_FACEBOOK,
        fragment="#_=_",
        **more,
    )


def check_app(call: Call) -> str:
    """The app that calls the Graph API's token endpoint, by query or form."""
    client_id = graph.parameter(call.request, "client_id")
    if not client_id or not graph.parameter(call.request, "client_secret"):
        raise graph.refuse("Missing client_id or client_secret parameter.", 101)
    return client_id


def redeem_graph(call: Call, terms: consent.Terms) -> Claims:
    """A person's grant for a code, on the Graph API."""
    code, back = (graph.parameter(call.request, name) for name in ("code", "redirect_uri"))
    try:
        return consent.redeem(call, terms, code=code, client_id=check_app(call), back=back).claims
    except consent.BadCode as bad:
        if bad.reason == "client":
            raise graph.refuse("Error validating client secret.", 1) from None
        words, subcode = _GRAPH_CODES[bad.reason]
        raise graph.refuse(words, 100, subcode=subcode) from None


def plain_error(words: str) -> Refused:
    """The refusal of an endpoint that takes codes and is not the Graph API's."""
    return Refused(Answer({"error_type": "OAuthException", "code": 400, "error_message": words}, 400))


def redeem_plain(call: Call, terms: consent.Terms) -> Claims:
    """A grant for a code, where Instagram and Threads take them: by form only."""
    form = call.request.form()
    if form.get("grant_type") != "authorization_code":
        raise plain_error("Invalid grant_type parameter")
    client_id, back = form.get("client_id", ""), form.get("redirect_uri", "")
    if not client_id or not form.get("client_secret"):
        raise plain_error("Missing required field client_id or client_secret")
    try:
        return consent.redeem(call, terms, code=form.get("code", ""), client_id=client_id, back=back).claims
    except consent.BadCode as bad:
        raise plain_error(_PLAIN_CODES.get(bad.reason, "Matching code was not found or was already used")) from None


def is_long(claims: Claims) -> bool:
    """Whether a token was exchanged for a longer one, or never ends."""
    return not claims.expires_at or claims.expires_at - claims.issued_at > DAY


def page_claims(claims: Claims, page_id: str, *, kind: str, now: float) -> Claims:
    """A Page's own token, from that of a person who runs it: as long-lived as theirs, or without an end."""
    expires_at = 0 if is_long(claims) else claims.expires_at
    return replace(
        claims, account_id=page_id, accounts="", kind="access", extra=kind, issued_at=int(now), expires_at=expires_at
    )


def inspects(call: Call) -> bool:
    """Whether an app asks about a token in its own name: `id|secret` is a token, too."""
    client_id, _, secret = graph.token_text(call.request).partition("|")
    return graph.path_parts(call.request) == ["debug_token"] and bool(client_id and secret)


def businesses(call: Call, claims: Claims) -> Answer:
    """The one business of a person."""
    graph.need(call, "business_management")
    found, paging = graph.page(call.request, [_business(claims)])
    rows = [{"id": one, "name": "Sandbox Business"} for one in found]
    return Answer({"data": rows} | ({"paging": paging} if paging else {}))


def _business(claims: Claims) -> str:
    return str(30_000_000_000_000 + mix(f"business:{claims.account_id}"))


def listed_pages(call: Call, claims: Claims, accounts: Mapping[str, str]) -> list[str]:
    """Which of a person's Pages, each given with its account, the edge that is asked lists."""
    asked, edge = graph.path_parts(call.request)
    owned = [page_id for page_id, one in accounts.items() if one in call.state.switches["business_pages"]]
    if edge == "accounts":
        return [one for one in accounts if one not in owned] if call.allows("pages_show_list") else []
    graph.need(call, "business_management")
    if asked != _business(claims):
        raise graph.missing(asked)
    return owned if edge == "owned_pages" else []

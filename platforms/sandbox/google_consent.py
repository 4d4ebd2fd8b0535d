"""Google's consent page and code exchange. Only an app that asks for offline access gets a refresh token."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from platforms.sandbox import consent, google
from platforms.sandbox.google import ACCESS, REFRESH
from platforms.sandbox.tokens import sign
from platforms.sandbox.wire import Answer, Call, SandboxRequest

HOST = "accounts.google.com"
PATHS = ("/o/oauth2/v2/auth", "/o/oauth2/auth")
CODE = ("4/0A", "")
BUSINESS = "https://www.googleapis.com/auth/business.manage"
_REFUSALS = {
    "redirect": ("redirect_uri_mismatch", "Bad Request"),
    "client": ("unauthorized_client", "Unauthorized"),
    "verifier": ("invalid_grant", "Invalid code verifier."),
    "unknown": ("invalid_grant", "Malformed auth code."),
}


def terms(
    platform: str,
    title: str,
    accounts: tuple[str, ...],
    *,
    name: Callable[[str], str],
    reach: Callable[[str], Sequence[str]] | None = None,
) -> consent.Terms:
    """How Google asks on behalf of one of its platforms."""
    more: dict[str, Any] = {} if reach is None else {"reach": reach}
    return consent.Terms(
        platform=platform,
        title=title,
        accounts=accounts,
        name=name,
        kept=frozenset({"openid"}),
        pkce="offered",
        offline=_is_offline,
        code=CODE,
        also=lambda scopes: {"scope": " ".join(scopes), "authuser": "0", "prompt": "consent"},
        **more,
    )


def _is_offline(call: Call, account_id: str) -> bool:
    """Whether a refresh token was asked for; an app that had one before must ask for the page as well."""
    request = call.request
    if request.first("access_type") != "offline":
        return False
    first = call.state.use_once(f"consented:{request.first('client_id')}:{account_id}", call.now)
    return first or "consent" in request.first("prompt").split()


def is_business(request: SandboxRequest) -> bool:
    """Whether a call to the hosts that Google's platforms share is about Business Profile, rather than YouTube."""
    if request.host == HOST:
        return BUSINESS in request.first("scope")
    return consent.peek(request.form().get("code", ""), "google_business", CODE) is not None


def answer(call: Call, asking: consent.Terms, scope: str) -> Answer:
    """The consent page, and the token endpoint."""
    if call.group == "authorize":
        return consent.answer(call, asking)
    if call.request.form().get("grant_type") == "authorization_code":
        return _exchange(call, asking)
    return google.token(call, asking.platform, scope)


def group(request: SandboxRequest) -> str:
    """The endpoint group of a call to the hosts that Google's platforms share."""
    if request.host == HOST:
        return "authorize" if request.path in PATHS else "other"
    return "token" if (request.method, request.path) == ("POST", "/token") else "other"


def _exchange(call: Call, asking: consent.Terms) -> Answer:
    """Tokens for a code; the app names itself in the form."""
    form = call.request.form()
    client_id, code, back, verifier = (
        form.get(name, "") for name in ("client_id", "code", "redirect_uri", "code_verifier")
    )
    if not client_id or not form.get("client_secret"):
        return Answer({"error": "invalid_client", "error_description": "The OAuth client was not found."}, 401)
    try:
        granted = consent.redeem(call, asking, code=code, client_id=client_id, back=back, verifier=verifier)
    except consent.BadCode as bad:
        name, words = _REFUSALS.get(bad.reason, ("invalid_grant", "Bad Request"))
        return Answer({"error": name, "error_description": words}, 401 if bad.reason == "client" else 400)
    claims, lifetime = granted.claims, call.state.switches["token_lifetime"]
    answer = {
        "access_token": sign(claims.next("access", now=call.now, lifetime=lifetime), ACCESS),
        "expires_in": lifetime,
        "scope": claims.scopes.replace(",", " "),
        "token_type": "Bearer",
    }
    if granted.offline:
        answer["refresh_token"] = sign(replace(claims, kind="refresh", expires_at=0), REFRESH)
    return Answer(answer)

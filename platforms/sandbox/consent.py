"""Where people say yes or no to an app, and what their yes is worth: a code that works once, for that app."""

import hashlib
import re
from base64 import urlsafe_b64encode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal
from urllib.parse import urlencode, urlsplit

from platforms.sandbox import consent_page
from platforms.sandbox.consent_page import Choice
from platforms.sandbox.tokens import NOTHING, Claims, new_family, read, sign
from platforms.sandbox.wire import Answer, Call, SandboxRequest

_SCOPE = re.compile(r"[A-Za-z0-9_.:/-]+")
_ADDRESS = re.compile(r"https?://[!-\"$-~]+")
_ACCOUNT = re.compile(r"[A-Za-z0-9_.:-]{1,100}")
_CHALLENGE = re.compile(r"[A-Za-z0-9._~-]{43,128}")


def switches(code_lifetime: float) -> dict[str, Any]:
    """The switches of every platform that has a consent page."""
    return {
        "consent": "ask",  # ask, allow, deny: whether the page waits for somebody, or answers at once
        "code_lifetime": code_lifetime,
    }


def _alone(account_id: str) -> tuple[str, ...]:
    return ()


def _short_name(account_id: str) -> str:
    return f"sandbox_{account_id[-6:]}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """How one platform asks for consent, and how it answers.

    `kept` are scopes that a person cannot untick, None where none can be unticked. With `several` a person grants any
    number of the accounts. `reach` names the accounts behind one that is chosen, where it is not that one alone.
    `offline` says whether the app asked for a refresh token. `code` is what stands before and behind a code.
    """

    platform: str
    title: str
    accounts: tuple[str, ...]
    name: Callable[[str], str] = _short_name
    client_field: str = "client_id"
    separators: str = " "
    kept: frozenset[str] | None = None
    several: bool = False
    reach: Callable[[str], Sequence[str]] = _alone
    offline: Callable[[Call, str], bool] = lambda call, account_id: True
    response_type: str = ""
    """What is taken for the response type if none is given."""
    pkce: Literal["none", "offered", "required"] = "none"
    code: tuple[str, str] = ("", "")
    denial: Mapping[str, str] = field(default_factory=lambda: {"error": "access_denied"})
    refusals: Mapping[str, str] = field(default_factory=dict)
    """The errors that the person is sent back with; of all others a page tells."""
    also: Callable[[list[str]], Mapping[str, str]] = lambda scopes: {}
    """What else comes back with the code, given the scopes."""
    fragment: str = ""
    configured: tuple[str, ...] = ()
    """What is asked for if the address names a configuration of the app in place of scopes."""


@dataclass(frozen=True, slots=True)
class Ask:
    """What an app asks for."""

    client_id: str
    back: str
    state: str | None
    scopes: list[str]
    challenge: str
    method: str


class BadAsk(Exception):
    """The page cannot be shown. `back` is where the app hears of it, if it does."""

    def __init__(self, error: str, words: str, ask: Ask) -> None:
        super().__init__(words)
        self.error, self.words, self.ask = error, words, ask


class BadCode(Exception):
    """A code is worth nothing: `unknown`, `expired`, `used`, or it was given to another `client`, `redirect` address
    or `verifier`."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Grant:
    """What a code was worth: the claims of a grant without tokens yet, and whether it may be refreshed."""

    claims: Claims
    offline: bool


# --- the page ----------------------------------------------------------------------------------------------------


def answer(call: Call, terms: Terms) -> Answer:
    """The consent page; once somebody has decided, the way back to the app."""
    if call.request.method not in ("GET", "HEAD", "POST"):
        return Answer(b"", 405, {"Allow": "GET, HEAD, POST"})
    try:
        ask = _read(call, terms)
        choices = _choices(call.request, terms)
        if not call.decides():
            return consent_page.shown(terms.title, ask.client_id, choices, _scopes(ask, terms), several=terms.several)
        chosen, granted = _decided(call, terms, ask, choices)
    except BadAsk as bad:
        if bad.error in terms.refusals:
            return _back(bad.ask, {"error": terms.refusals[bad.error], "error_description": bad.words}, terms.fragment)
        return consent_page.refused(terms.title, bad.error, bad.words)
    if chosen is None:
        return _back(ask, terms.denial, terms.fragment)
    code = _code(call, terms, ask, chosen, granted)
    return _back(ask, {"code": code, **terms.also(granted)}, terms.fragment)


def _read(call: Call, terms: Terms) -> Ask:
    """What is asked for; BadAsk if it is not asked as the platform wants it."""
    first = call.request.first
    scopes = [one for one in re.split(f"[{terms.separators}]+", first("scope")) if one]
    scopes = scopes or (list(terms.configured) if first("config_id") else [])
    state = first("state") if "state" in call.request.query else None
    back, challenge = first("redirect_uri"), first("code_challenge")
    method = first("code_challenge_method", "plain") if challenge else ""
    ask = Ask(first(terms.client_field), back, state, scopes, challenge, method)
    if not ask.client_id:
        raise BadAsk("invalid_client", f"The parameter {terms.client_field} is missing.", ask)
    if not _is_address(back):
        raise BadAsk("redirect_uri_mismatch", "The parameter redirect_uri is missing or no address.", ask)
    if first("response_type", terms.response_type) != "code":
        raise BadAsk("unsupported_response_type", "The parameter response_type must be code.", ask)
    if not scopes or not all(map(_SCOPE.fullmatch, scopes)):
        raise BadAsk("invalid_scope", "The parameter scope is missing or not understood.", ask)
    if terms.pkce != "none":
        _check_challenge(ask, required=terms.pkce == "required")
    return ask


def _is_address(text: str) -> bool:
    """Whether a person can be sent there: an absolute address, of ASCII and without a fragment."""
    try:
        return bool(_ADDRESS.fullmatch(text) and urlsplit(text).hostname)
    except ValueError:
        return False


def _check_challenge(ask: Ask, *, required: bool) -> None:
    if not ask.challenge and not required:
        return
    if not _CHALLENGE.fullmatch(ask.challenge) or ask.method not in ("S256", "plain"):
        raise BadAsk("invalid_request", "The parameter code_challenge is missing or not understood.", ask)


def _choices(request: SandboxRequest, terms: Terms) -> list[Choice]:
    """The accounts to choose from; the one that the address names comes first and is chosen."""
    hint = request.first("account_id")
    if not _ACCOUNT.fullmatch(hint):
        hint = request.first("login_hint") if request.first("login_hint") in terms.accounts else ""
    ids = dict.fromkeys((hint, *terms.accounts) if hint else terms.accounts)
    marked = {hint} if hint else set(terms.accounts if terms.several else terms.accounts[:1])
    return [Choice(one, terms.name(one), marked=one in marked) for one in ids]


def _scopes(ask: Ask, terms: Terms) -> dict[str, bool]:
    """Each scope that is asked for, and whether the person may untick it."""
    return {scope: terms.kept is not None and scope not in terms.kept for scope in ask.scopes}


def _decided(call: Call, terms: Terms, ask: Ask, choices: list[Choice]) -> tuple[list[str] | None, list[str]]:
    """The accounts and scopes that are granted; no accounts at all if the person said no."""
    kinds = {fault.kind for fault in call.soft_faults}
    form, posted = call.request.fields(), call.request.method == "POST"
    allowed = "allow" in form.get("decision", []) if posted else call.state.switches["consent"] == "allow"
    if not allowed or "denied" in kinds:
        return None, []
    chosen = list(dict.fromkeys(form.get("account", []))) if posted else [one.id for one in choices if one.marked]
    if not set(chosen) <= {one.id for one in choices} or (not terms.several and len(chosen) != 1):
        raise BadAsk("invalid_request", "There is no such account to choose.", ask)
    ticked = form.get("scope", []) if posted else ask.scopes
    granted = [scope for scope, optional in _scopes(ask, terms).items() if not optional or scope in ticked]
    withheld = {fault.scope for fault in call.soft_faults if fault.kind == "withheld"}
    return chosen, [scope for scope in granted if scope not in withheld]


def _back(ask: Ask, told: Mapping[str, str], fragment: str) -> Answer:
    """Send the person back to the app."""
    query = urlencode({**told, **({} if ask.state is None else {"state": ask.state})})
    joined = f"{ask.back}{'&' if '?' in ask.back else '?'}{query}{fragment}"
    return Answer(b"", 302, {"Location": joined, "Cache-Control": "no-store"})


# --- the code ----------------------------------------------------------------------------------------------------


def _code(call: Call, terms: Terms, ask: Ask, chosen: list[str], scopes: list[str]) -> str:
    """A code that says all that must hold when it comes back."""
    reached = [*chosen] if terms.several else [*terms.reach(chosen[0])]
    person = _choices(call.request, terms)[0].id if terms.several else chosen[0]
    old = any(fault.kind == "expired_code" for fault in call.soft_faults)
    claims = Claims(
        terms.platform,
        person,
        "code",
        new_family(),
        int(call.now),
        int(call.now + (-1 if old else call.state.switches["code_lifetime"])),
        extra=":".join(
            (f"{terms.offline(call, person):d}", _digest(ask.client_id), _digest(ask.back), ask.method, ask.challenge)
        ),
        scopes=",".join(scopes) or NOTHING,
        accounts=",".join(reached) or (NOTHING if terms.several or terms.reach is not _alone else ""),
    )
    before, behind = terms.code
    return f"{before}{sign(claims)}{behind}"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def peek(code: str, platform: str, around: tuple[str, str]) -> Claims | None:
    """What a code says, whatever it is worth; None if it is none of this platform's."""
    before, behind = around
    if not code.startswith(before) or not code.endswith(behind):
        return None
    claims = read(code.removeprefix(before).removesuffix(behind))
    return claims if claims is not None and (claims.platform, claims.kind) == (platform, "code") else None


def redeem(call: Call, terms: Terms, *, code: str, client_id: str, back: str, verifier: str = "") -> Grant:
    """What a code is worth; BadCode if it is worth nothing. It is spent only if everything fits."""
    claims = peek(code, terms.platform, terms.code)
    if claims is None:
        raise BadCode("unknown")
    offline, client, address, method, challenge = claims.extra.split(":")
    if claims.expired(call.now):
        raise BadCode("expired")
    if client != _digest(client_id):
        raise BadCode("client")
    if address != _digest(back):
        raise BadCode("redirect")
    if terms.pkce != "none" and _challenge(method, verifier) != challenge:
        raise BadCode("verifier")
    if not call.state.use_once(claims.jti, call.now):
        raise BadCode("used")
    return Grant(replace(claims, kind="grant", extra="", issued_at=int(call.now)), offline == "1")


def _challenge(method: str, verifier: str) -> str:
    if method != "S256":
        return verifier if method else ""
    return urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()

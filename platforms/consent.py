"""Connecting by consent: each platform's way is a set of facts; what is asked and read is made of them here."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal
from urllib.parse import parse_qsl, urlencode, urlsplit

from oauthlib.oauth2 import WebApplicationClient
from oauthlib.oauth2.rfc6749.parameters import prepare_token_request

from platforms.dimensions import AccountDimension, Dimension
from platforms.errors import CodeRefused, Misconfigured, PlatformError
from platforms.oauth import APP_ERRORS, App, Refresh

CODE_GROUP = "code"
"""The endpoint group of the exchange of a code."""
CODE_ERRORS = frozenset({"invalid_grant", "invalid_request"})
# https://developers.google.com/identity/protocols/oauth2/web-server#redirect-uri-mismatch
REDIRECT_ERRORS = frozenset({"redirect_uri_mismatch", "invalid_redirect_uri"})
DENIALS = frozenset({"access_denied", "user_denied", "user_cancelled_login", "user_cancelled_authorize"})
"""What platforms call it when a person says no."""


@dataclass(frozen=True)
class Consent:
    """How a person grants an app access, and how the code of that is exchanged.

    `extension` turns the short-lived token that a code is exchanged for into a long-lived one. `app_words` are words of
    a refusal that is the app's fault and not the code's.
    """

    authorize_url: str
    token_url: str
    scopes: tuple[str, ...] = ()
    """What is asked for, where it is not what the platform says."""
    separator: str = " "
    asks_scopes: bool = True
    client_param: str = "client_id"
    pkce: bool = False
    public_apps: bool = False
    """Whether an app may have no secret."""
    params: Mapping[str, str] = field(default_factory=dict)
    """Further parameters of the dialog."""
    method: Literal["GET", "POST"] = "POST"
    client: Literal["basic", "body"] = "body"
    also: Mapping[str, str] = field(default_factory=dict)
    """Further parameters of the exchange."""
    wrapped: bool = False
    """Whether the answer may be the one object of a list `data`."""
    scopes_field: str = "scope"
    extension: Refresh | None = None
    lifetime: timedelta | None = None
    """How long a token lives whose answer does not say so."""
    app_words: tuple[str, ...] = ()

    def classify(self, payload: Any, status: int = 0) -> PlatformError | None:
        """The failure that an exchange's answer tells of, whatever its HTTP status; None if it tells of none."""
        told = payload.get("error") if isinstance(payload, dict) else None
        code, words = told if isinstance(told, str) else "", _words(payload)
        if code in APP_ERRORS | REDIRECT_ERRORS or any(each in words for each in self.app_words):
            return Misconfigured(f"The OAuth app was refused: {words or code}")
        if code in CODE_ERRORS:
            return CodeRefused(f"The platform does not take the code: {words or code}")
        return None


@dataclass(frozen=True)
class Asked:
    """What a person is asked for, and where the answer goes."""

    state: str
    redirect_uri: str
    scopes: tuple[str, ...]
    verifier: str = field(default="", repr=False)


@dataclass(frozen=True)
class Code:
    """The code of a granted consent, with what it is bound to."""

    code: str = field(repr=False)
    redirect_uri: str
    verifier: str = field(default="", repr=False)


@dataclass(frozen=True)
class Candidate:
    """An account that a grant can connect. Without a token of its own it has those of the grant."""

    network_unique_id: str
    username: str = ""
    display_name: str = ""
    profile_image_url: str = ""
    account_type: str = ""
    extra: Mapping[str, str] = field(default_factory=dict)
    access_token: str = field(default="", repr=False)
    expires_at: datetime | None = None


@dataclass(frozen=True)
class Need:
    """What is lost without a scope: columns of posts and of accounts, None for all there are.

    `instead` names scopes that do as well; `why` says what is lost beside columns.
    """

    posts: Collection[Dimension] | None = None
    account: Collection[AccountDimension] | None = None
    instead: tuple[str, ...] = ()
    why: str = ""


def new_verifier() -> str:
    """A secret for one exchange. https://www.rfc-editor.org/rfc/rfc7636"""
    verifier: str = WebApplicationClient("").create_code_verifier(64)
    return verifier


def authorize_url(consent: Consent, app: App, asked: Asked) -> str:
    """The address of the platform's consent dialog."""
    client = WebApplicationClient(app.client_id)
    more = dict(consent.params)
    if asked.verifier:
        more["code_challenge"] = client.create_code_challenge(asked.verifier, "S256")
        more["code_challenge_method"] = "S256"
    url: str = client.prepare_request_uri(
        consent.authorize_url,
        redirect_uri=asked.redirect_uri,
        scope=consent.separator.join(asked.scopes) if consent.asks_scopes else None,
        state=asked.state,
        **more,
    )
    parts = urlsplit(url)
    named = [(consent.client_param if name == "client_id" else name, value) for name, value in parse_qsl(parts.query)]
    return parts._replace(query=urlencode(named)).geturl()


def code_form(consent: Consent, app: App, code: Code) -> dict[str, str]:
    """The parameters of an exchange request."""
    named = {"code": code.code.removesuffix("#_"), "redirect_uri": code.redirect_uri, **consent.also}
    if code.verifier:
        named["code_verifier"] = code.verifier
    if consent.client == "body" or not app.client_secret:
        named[consent.client_param] = app.client_id
    if consent.client == "body" and app.client_secret:
        named["client_secret"] = app.client_secret
    written = prepare_token_request("authorization_code", include_client_id=True, **named)
    form = dict(parse_qsl(written, keep_blank_values=True))
    if consent.method == "GET":  # Facebook's exchange is known by its code
        del form["grant_type"]
    return form


def unwrapped(consent: Consent, payload: Any) -> Any:
    """The answer itself, where it may come as the one object of a list."""
    data = payload.get("data") if isinstance(payload, dict) and consent.wrapped else None
    return data[0] if isinstance(data, list) and data else payload


def lacking(needs: Mapping[str, Need], wanted: Sequence[str], given: Collection[str]) -> list[str]:
    """The scopes of `wanted` that `given` neither holds nor makes up for."""
    return [
        scope
        for scope in wanted
        if scope not in given and not any(each in given for each in needs.get(scope, Need()).instead)
    ]


def _words(payload: Any) -> str:
    """What an error answer says, in whichever of the forms that token endpoints have."""
    if not isinstance(payload, dict):
        return ""
    error = payload.get("error")
    inner = error.get("message") if isinstance(error, dict) else None
    told = payload.get("error_description") or payload.get("error_message") or inner
    return str(told or "")[:200]

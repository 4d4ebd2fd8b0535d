"""Refreshing tokens: each platform's way is a set of facts, the exchange is one conversation for all."""

import base64
import binascii
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Literal
from urllib.parse import parse_qsl, quote, quote_plus

from oauthlib.oauth2 import OAuth2Error
from oauthlib.oauth2.rfc6749.parameters import parse_token_response, prepare_token_request

from platforms.errors import MalformedPayload, Misconfigured, PlatformError, Revoked, TokenExpired

# https://www.rfc-editor.org/rfc/rfc6749#section-5.2
APP_ERRORS = frozenset({"invalid_client", "unauthorized_client", "unsupported_grant_type", "invalid_scope"})


@dataclass(frozen=True)
class App:
    """The OAuth app on whose behalf a platform is called."""

    id: str = ""
    client_id: str = ""
    client_secret: str = field(default="", repr=False)


def basic_header(app: App) -> str:
    """The HTTP Basic header of an OAuth app. https://www.rfc-editor.org/rfc/rfc6749#section-2.3.1"""
    pair = f"{quote(app.client_id, safe='')}:{quote(app.client_secret, safe='')}"
    return "Basic " + base64.b64encode(pair.encode()).decode()


@dataclass(frozen=True)
class Credentials:
    """An account's tokens. `expires_at` is that of the access token, None if it is not known or never comes."""

    access_token: str = field(default="", repr=False)
    refresh_token: str = field(default="", repr=False)
    expires_at: datetime | None = None


@dataclass(frozen=True)
class TokenSet:
    """What a token endpoint answered. An empty `refresh_token` means that the old one stays."""

    access_token: str = field(repr=False)
    refresh_token: str = field(default="", repr=False)
    expires_at: datetime | None = None
    refresh_expires_at: datetime | None = None
    scopes: tuple[str, ...] = ()
    answer: Mapping[str, Any] = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class Refresh:
    """How a platform renews an access token.

    `sends` says what is exchanged: the refresh token, or the access token itself where tokens are extended.
    `client` says how the app names itself, `secret` without its id; with `bearer` the token travels as Authorization
    header and no form is sent.
    `early` is how long before expiry the background renews; `min_age` how old a token must be to be renewed at all,
    which its end tells where all live for a `lifetime`.
    `refused` and `revoked` map an error code to the words its description must hold (empty: any) to be certain.
    """

    url: str
    method: Literal["GET", "POST"] = "POST"
    grant_type: str = "refresh_token"
    sends: Literal["refresh_token", "access_token"] = "refresh_token"
    client: Literal["basic", "body", "secret", "none"] = "body"
    bearer: bool = False
    rotates: bool = False
    revives: bool = True
    """Whether an expired access token can still be renewed."""
    early: timedelta = timedelta(minutes=5)
    min_age: timedelta = timedelta(0)
    lifetime: timedelta = timedelta(0)
    grace: bool = False
    """Whether a used refresh token may be sent once more when the answer may have been lost."""
    param: str = ""
    """The parameter that carries the token, if it is not called what `sends` says."""
    client_param: str = "client_id"
    also: Mapping[str, str] = field(default_factory=dict)
    """Further parameters of the form."""
    access_field: str = "access_token"
    refresh_field: str = "refresh_token"
    refused: Mapping[str, str] = field(default_factory=lambda: {"invalid_grant": ""})
    revoked: Mapping[str, str] = field(default_factory=dict)
    refused_statuses: frozenset[int] = frozenset()
    """HTTP statuses that are a refusal where the answer is JSON without an error code of OAuth's."""
    foreign: bool = False

    @property
    def needs_app(self) -> bool:
        """Whether the platform answers an OAuth app only."""
        return self.client != "none" and not self.bearer

    def classify(self, payload: Any, status: int = 0) -> PlatformError | None:
        """The failure that a token endpoint's answer tells of, whatever its HTTP status; None if it tells of none."""
        if not isinstance(payload, dict) or not isinstance(payload.get("error"), str):
            refused = isinstance(payload, dict) and status in self.refused_statuses
            return TokenExpired("The refresh was refused.") if refused else None
        code = payload["error"]
        words = str(payload.get("error_description") or payload.get("message") or "")[:200]
        if code in self.revoked and self.revoked[code] in words:
            return Revoked(words or code)
        if code in self.refused and self.refused[code] in words:
            return TokenExpired(f"The refresh was refused: {words or code}")
        if code in APP_ERRORS:
            return Misconfigured(f"The OAuth app was refused: {words or code}")
        return None


def refresh_form(refresh: Refresh, credentials: Credentials, app: App) -> dict[str, str]:
    """The parameters of a refresh request."""
    if refresh.bearer:
        return {}
    token = credentials.refresh_token if refresh.sends == "refresh_token" else credentials.access_token
    named: dict[str, str] = {refresh.param or refresh.sends: token}
    if app.client_id and (refresh.client == "body" or (refresh.client == "basic" and not app.client_secret)):
        named[refresh.client_param] = app.client_id
        if app.client_secret:
            named["client_secret"] = app.client_secret
    elif refresh.client == "secret":
        named["client_secret"] = app.client_secret
    from_library = prepare_token_request(refresh.grant_type, include_client_id=True, **named, **refresh.also)
    return dict(parse_qsl(from_library, keep_blank_values=True))


def parse_tokens(refresh: Refresh | None, payload: Any) -> TokenSet:
    """Read a token endpoint's answer; its fields have their usual names if there is no `refresh` to say so.

    What is odd beside the tokens is passed over: a rotated token is never lost.
    """
    facts = refresh or Refresh("")
    if not isinstance(payload, dict):
        raise MalformedPayload("The token answer is not an object.")
    named = {name: payload[name] for name in ("error", "error_description", "token_type") if payload.get(name)}
    try:
        token = parse_token_response(json.dumps({**named, "access_token": payload.get(facts.access_field)}))
    except (OAuth2Error, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise MalformedPayload("The token answer holds no access token.") from error
    access = token.get("access_token")
    if not isinstance(access, str) or not access:
        raise MalformedPayload("The token answer holds no access token.")
    renewed = payload.get(facts.refresh_field)
    return TokenSet(
        access_token=access,
        refresh_token=renewed if isinstance(renewed, str) else "",
        expires_at=_expiry(payload.get("expires_in"), access),
        refresh_expires_at=_refresh_expiry(payload, renewed),
        scopes=parse_scopes(payload.get("scope")),
        answer=payload,
    )


def parse_scopes(scope: Any) -> tuple[str, ...]:
    """The scopes that an answer names, in a list or a text."""
    if isinstance(scope, list):
        return tuple(each for each in scope if isinstance(each, str))
    return tuple(scope.replace(",", " ").split()) if isinstance(scope, str) else ()


def _expiry(expires_in: Any, access_token: str) -> datetime | None:
    if isinstance(expires_in, str) and expires_in.isascii() and expires_in.isdecimal() and len(expires_in) < 12:
        expires_in = int(expires_in)
    if isinstance(expires_in, int | float) and not isinstance(expires_in, bool) and 0 < expires_in < 10 * 365 * 86400:
        return datetime.fromtimestamp(time.time() + expires_in, UTC)
    return jwt_expiry(access_token)


def _refresh_expiry(payload: Mapping[str, Any], refresh_token: Any) -> datetime | None:
    """When the refresh token itself ends, where the answer or the token says so."""
    token = refresh_token if isinstance(refresh_token, str) else ""
    named = (payload.get(name) for name in ("refresh_token_expires_in", "refresh_expires_in"))
    return _expiry(next((seconds for seconds in named if seconds is not None), None), token)


def jwt_expiry(token: str) -> datetime | None:
    """The `exp` of a JSON Web Token, unverified; None for any other token."""
    try:
        part = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
        return datetime.fromtimestamp(int(claims["exp"]), UTC)
    except (IndexError, KeyError, TypeError, ValueError, OverflowError, OSError, RecursionError, binascii.Error):
        return None


def sendable(token: str) -> str:
    """A token as it may stand in a header; TokenExpired if it cannot be one."""
    if not token:
        raise TokenExpired("The account has no token.")
    if not (token.isascii() and token.isprintable() and " " not in token):
        raise TokenExpired("The account's token is not one: it holds characters that no token has.")
    return token


def secret_forms(*texts: str) -> set[str]:
    """Secrets as they may appear in text. What is shorter than eight characters is no secret, and would hit words."""
    return {form for text in texts if len(text) >= 8 for form in (text, quote(text, safe=""), quote_plus(text))}

"""What an adapter is: facts as attributes, and conversations that yield requests."""

import re
from collections.abc import Callable, Container, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar, Literal, TypeVar
from urllib.parse import unquote_plus

from platforms.consent import Candidate, Consent, Need
from platforms.dimensions import AccountDimension, Dimension, Reason
from platforms.errors import MalformedPayload, NotOpen, PlatformError, Scope, TokenExpired
from platforms.oauth import App, Credentials, Refresh, TokenSet, parse_tokens, refresh_form
from platforms.payloads import count, excerpt
from platforms.rates import Limit
from platforms.wanted import Wanted

T = TypeVar("T")
Raw = dict[str, Any]
Path = str | tuple[str, ...]
Auth = Literal["", "bearer", "query", "refresh", "app", "none"]


@dataclass(frozen=True)
class Request:
    """One HTTP request of a conversation. `path` is joined to the platform's base URL unless it is absolute.

    `auth`: `bearer` and `query` send the access token, `refresh` the refresh token as bearer, `app` the client's id
    and secret as HTTP Basic, `none` nothing. Empty means the platform's own way. `group` names the endpoint group that
    limits are counted by; `foreign` marks a host that came from a caller. Where none of the `vital` ones may be sent,
    no request beside them is.
    """

    path: str
    method: Literal["GET", "POST"] = "GET"
    params: Mapping[str, str | Sequence[str]] = field(default_factory=dict)
    json: Any = None
    form: Mapping[str, str] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    auth: Auth = ""
    group: str = ""
    foreign: bool = False
    vital: bool = False

    def names(self, name: str) -> bool:
        """Whether the request bears a name as a word of its own."""
        text = unquote_plus(f"{self.path} {self.params} {self.json} {self.form}")
        return bool(re.search(rf"(?<!\w){re.escape(name)}(?!\w)", text))


@dataclass(frozen=True)
class Account:
    """What an adapter may know of the account it speaks for.

    `memory` is what the adapter wants to remember of the account between conversations; what it changes is kept.
    `retired` holds the names of metrics that the platform is known to have withdrawn: not asked for, but for one try a
    week. What the adapter adds to it is remembered for the platform.
    """

    id: str
    network_unique_id: str
    username: str = ""
    scopes: tuple[str, ...] = ()
    extra: Mapping[str, Any] = field(default_factory=dict)
    memory: dict[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    retired: set[str] = field(default_factory=set)

    def unretired(self, names: Sequence[str]) -> tuple[str, ...]:
        """The names that are not retired; all of them rather than none."""
        return tuple(name for name in names if name not in self.retired) or tuple(names)

    def lost(self, fields: Mapping[Any, Path]) -> dict[str, Reason]:
        """The columns, of those that hang on one metric, whose metric is retired."""
        return {str(each): Reason.RETIRED for each, name in fields.items() if name in self.retired}


@dataclass(frozen=True)
class Reading:
    """One item's raw answer, with the reasons for nulls that the raw answer cannot show by itself.

    `id` is the item's own id, where it was asked for by another that stands for it.
    """

    raw: Raw
    unavailable: Mapping[str, Reason] = field(default_factory=dict)
    id: str = ""


@dataclass(frozen=True)
class Listed:
    """One published post of an account, as a listing shows it. `raw` is None where the listing carries no metrics.

    `unavailable` as in a reading.
    """

    id: str
    url: str = ""
    published_at: datetime | None = None
    raw: Raw | None = None
    unavailable: Mapping[str, Reason] = field(default_factory=dict)


@dataclass(frozen=True)
class Listing:
    """One page of an account's own published posts, newest first. An empty `cursor` means that it is the last."""

    posts: tuple[Listed, ...]
    cursor: str = ""


Item = Raw | Reading | PlatformError
Found = Reading | PlatformError | None
"""What became of one post of a batch: None is a successful answer without it."""
Call = Generator[Request | tuple[Request, ...], Any, T]
TOKEN_GROUP = "token"
"""The endpoint group of token exchanges."""


class Platform:
    """One platform. An adapter states facts and yields requests; the client does everything else.

    Where accounts share calls, `fetch_shared` asks with one account's token, whosever the posts are. `wants_owner` says
    which posts that token may have been shown too little of: `fetch_own` asks their owners' tokens for those, unless
    the token that found nothing was the owner's.
    """

    key: ClassVar[str]
    label: ClassVar[str]
    base_url: ClassVar[str]
    api_version: ClassVar[str] = ""
    """Where the platform has several at a time, the one that is asked unless the setting names another."""
    version_header: ClassVar[str] = ""
    """Where an answer names the version that served it, which may be another."""
    hosts: ClassVar[tuple[str, ...]] = ()
    """Further hosts of the platform that a token may be sent to, beside those of `base_url` and `refresh`."""
    auth: ClassVar[Auth] = "bearer"
    scopes: ClassVar[tuple[str, ...]] = ()
    """What an OAuth grant needs for everything measured here."""
    extra: ClassVar[Mapping[str, tuple[str, ...] | None]] = {}
    """Keys a caller may give when connecting: the values allowed, or None for any text. The first is the default."""
    consent: ClassVar[Consent | None] = None
    needs: ClassVar[Mapping[str, Need]] = {}
    """What is lost without a scope; without one that is not named, everything."""
    app_config: ClassVar[Mapping[str, tuple[str, ...] | None]] = {}
    """Keys of an OAuth app's `extra_config`, as in `extra`."""
    no_consent: ClassVar[str] = "The platform has no OAuth."
    """Why accounts are not connected by consent, where they are not."""

    batch_size: ClassVar[int] = 1
    shares_calls: ClassVar[bool] = False
    """Whether one call may carry posts of different accounts, with the token of any of them."""
    public_reads: ClassVar[bool] = False
    """Whether posts and accounts are read without a token."""
    has_posts: ClassVar[bool] = True
    has_probe: ClassVar[bool] = True
    has_listing: ClassVar[bool] = False
    kept_of_removed: ClassVar[tuple[str, ...] | None] = None
    """What may stay of the raw answers of a post that was removed; None where nothing has to go."""

    refresh: ClassVar[Refresh | None] = None
    gate_scope: ClassVar[Scope] = "account"
    """Whom a rate limit concerns that does not say so."""
    gates_by_group: ClassVar[tuple[Scope, ...]] = ("platform", "app", "account", "host")
    """Whose rate limits concern the endpoint group that was called, and not all calls of their scope."""
    limits: ClassVar[tuple[Limit, ...]] = ()
    backoff: ClassVar[int] = 300
    """Seconds to wait after a rate limit that names no time."""

    fields: ClassVar[Mapping[Dimension, Path]] = {}
    account_fields: ClassVar[Mapping[AccountDimension, Path]] = {}
    error_codes: ClassVar[Mapping[str, type[PlatformError]]] = {}

    # --- ids -----------------------------------------------------------------------------------------------------

    def normalize_post_id(self, value: str, account: Account) -> str:
        """The canonical form of a post id; ValueError with the expected form if it has none."""
        raise NotImplementedError

    def normalize_account_id(self, value: str) -> str:
        """The canonical form of an account id; ValueError with the expected form if it has none."""
        raise NotImplementedError

    def check_extra(self, key: str, value: Any, *, mapped: Container[str] = ()) -> str:
        """A caller's `extra` value in canonical form; ValueError naming what is wrong. `mapped` as in `hosts`."""
        allowed = self.extra[key]
        if not isinstance(value, str) or not 0 < len(value) <= 255:
            raise ValueError("must be a string of 1 to 255 characters")
        if allowed is not None and value not in allowed:
            raise ValueError(f"must be one of {', '.join(allowed)}")
        return value

    # --- conversations -------------------------------------------------------------------------------------------

    def fetch_posts(self, ids: Sequence[str], account: Account) -> Call[dict[str, Item]]:
        """Raw answers by post id. An id that is left out was missing from a successful answer."""
        raise NotImplementedError

    def no_listing(self, account: Account) -> str:
        """Why an account's posts are not listed, in a sentence; empty if they are."""
        return "" if self.has_listing else f"{self.label} does not list the posts of an account."

    def list_posts(self, account: Account, *, cursor: str = "") -> Call[Listing]:
        """A page of the account's own published posts, without reposts of others'."""
        raise NotImplementedError

    def list_wanted(self, account: Account, wanted: Wanted, *, cursor: str = "") -> Call[Listing]:
        """The same, where the platform can leave out some of what is not wanted."""
        return (yield from self.list_posts(account, cursor=cursor))

    def fetch_shared(self, ids: Sequence[str], account: Account) -> Call[dict[str, Item]]:
        """What any account's token shows of posts of several accounts."""
        return self.fetch_posts(ids, account)

    def wants_owner(self, post_id: str, found: Found) -> bool:
        """Whether a post's owner may see more of it than `fetch_shared` found."""
        return found is None or isinstance(found, NotOpen)

    def fetch_own(self, shared: Mapping[str, Found], account: Account) -> Call[dict[str, Item]]:
        """Whole answers of the account's own posts, by what `fetch_shared` found of them."""
        return self.fetch_posts(list(shared), account)

    def fetch_account(self, account: Account) -> Call[Raw | Reading]:
        """The account's own numbers."""
        raise NotImplementedError

    def probe(self, account: Account) -> Call[None]:
        """The lightest call that proves the token and the account's identity; raises what is wrong."""
        raise NotImplementedError

    def refresh_for(self, account: Account) -> Refresh | None:
        """How this account's tokens are renewed; None if they cannot be."""
        return self.refresh

    def consent_for(self, account: Account) -> Consent | None:
        """How accounts are connected by an app with this configuration (`extra`); None if they are not by consent."""
        return self.consent

    def granted(self, account: Account, app: App, tokens: TokenSet) -> Call[tuple[str, ...]]:
        """The scopes that were granted; empty if the platform does not say."""
        yield from ()
        return tokens.scopes

    def discover(self, account: Account, tokens: TokenSet) -> Call[list[Candidate]]:
        """What a grant can connect. `account` stands for the grant: it bears the scopes and the app's configuration."""
        raise NotImplementedError

    def identify(self, name: str) -> Call[Candidate]:
        """Whose a name is, where accounts are connected by name and password."""
        raise NotImplementedError

    def sign_in(self, account: Account, password: str) -> Call[TokenSet]:
        """New tokens by a password, where the platform has them; PasswordRefused if it does not take it."""
        raise NotImplementedError

    def refreshed_id(self, answer: Mapping[str, Any]) -> str | None:
        """Whose tokens a refresh answered with, where the answer says so."""
        return None

    def renew(self, account: Account, credentials: Credentials, app: App) -> Call[TokenSet]:
        """Exchange the account's tokens for new ones."""
        facts = self.refresh_for(account)
        if facts is None:
            raise TokenExpired("The platform has no way to renew this token.")
        if not (credentials.refresh_token if facts.sends == "refresh_token" else credentials.access_token):
            raise TokenExpired("There is no token to renew.")
        form = refresh_form(facts, credentials, app)
        auth: Auth = "refresh" if facts.bearer else "app" if facts.client == "basic" and app.client_secret else "none"
        payload = yield Request(
            facts.url,
            method=facts.method,
            params=form if facts.method == "GET" else {},
            form=form if facts.method == "POST" and not facts.bearer else None,
            auth=auth,
            group=TOKEN_GROUP,
            foreign=facts.foreign,
        )
        tokens = parse_tokens(facts, payload)
        answered = self.refreshed_id(tokens.answer)
        if answered is not None:
            same_account(account.network_unique_id, answered)
        return tokens

    # --- reading raw answers -------------------------------------------------------------------------------------

    def metrics(self, raw: Raw) -> dict[Dimension, int | None]:
        """Our columns from one raw answer. Pure; what the answer lacks is absent."""
        return {dimension: count(raw, path) for dimension, path in self.fields.items()}

    def without_content(self, raw: Raw) -> Raw:
        """A raw answer as it may be kept of a post that was removed. The numbers in it stay."""
        return raw if self.kept_of_removed is None else pick(raw, self.kept_of_removed)

    def account_metrics(self, raw: Raw) -> dict[AccountDimension, int | None]:
        """Our account columns from one raw answer."""
        return {dimension: count(raw, path) for dimension, path in self.account_fields.items()}

    # --- errors and limits ---------------------------------------------------------------------------------------

    def error_code(self, payload: Any) -> str:
        """The platform's own code in an error answer, looked up in `error_codes`; empty if there is none."""
        return ""

    def error_detail(self, payload: Any) -> str:
        """The platform's own words in an error answer."""
        return ""

    def classify(self, status: int, headers: Mapping[str, str], payload: Any) -> PlatformError | None:
        """The failure that an answer tells of, where code and status alone do not decide; None to leave it to them."""
        return None

    def spent(self, headers: Mapping[str, str], now: datetime) -> tuple[Scope, datetime] | None:
        """Whose budget the headers say is spent, and until when; None if some is left, or they do not say."""
        return None

    def base_url_for(self, account: Account) -> str:
        """The URL that relative paths are joined to."""
        return self.base_url

    def version_for(self, account: Account) -> str:
        """The API version that an account is asked in: what one has withdrawn another may still have."""
        return str(account.settings.get("api_version") or self.api_version)

    def headers_for(self, account: Account) -> Mapping[str, str]:
        """Headers that every request bears, token exchanges included."""
        return {}

    def limits_for(self, account: Account) -> tuple[Limit, ...]:
        """The limits that hold for an account, where not all do for everybody."""
        return self.limits

    def dimensions(self) -> frozenset[Dimension]:
        """What this platform can report of a post."""
        return frozenset(self.fields)

    def account_dimensions(self) -> frozenset[AccountDimension]:
        """What this platform can report of an account."""
        return frozenset(self.account_fields)


def objects(value: Any) -> list[Raw]:
    """The objects of a list; TypeError if it is none, so that no odd answer passes for an empty one."""
    if not isinstance(value, list):
        raise TypeError(f"expected a list, not {type(value).__name__}")
    return [item for item in value if isinstance(item, dict)]


def listed(payload: Any, name: str) -> list[Raw]:
    """The objects of a list that an answer may leave out when it is empty."""
    return [] if payload.get(name) is None else objects(payload[name])


def by_ids(items: Any, ids: Sequence[str], read: Callable[[Any], tuple[str, Item]]) -> dict[str, Item]:
    """What a list tells of the ids asked for. One that it cannot be read for has failed, and is not missing."""
    found: dict[str, Item] = {}
    problem: Exception | None = None
    odd: Any = None
    for item in items if isinstance(items, list) else objects(items):
        try:
            post_id, value = read(item)
        except (LookupError, TypeError, AttributeError, ValueError) as error:
            problem, odd = error, item
            continue
        if post_id in ids:
            found[post_id] = value
    if problem is None:
        return found
    if not found:
        raise problem
    return dict.fromkeys(ids, unread(odd)) | found


def unread(answer: Any) -> MalformedPayload:
    """The failure of posts for which a part of an answer cannot be read."""
    evidence = excerpt(repr(answer).encode("utf-8", "replace"))
    return MalformedPayload("A part of the answer could not be read.", evidence=evidence)


def by_key(value: Any, name: str) -> dict[str, Raw]:
    """The objects of a list by the text at `name`. For what an answer is better without than refused for."""
    found = objects(value) if isinstance(value, list) else []
    return {item[name]: item for item in found if isinstance(item.get(name), str)}


def pick(raw: Any, names: Sequence[str]) -> Raw:
    """The named keys of an object, those that it has; nothing of what is no object."""
    return {name: raw[name] for name in names if name in raw} if isinstance(raw, dict) else {}


def same_account(expected: str, answered: object) -> None:
    """Raise if a probe's answer is about another account than the one connected."""
    if not isinstance(answered, str | int) or isinstance(answered, bool) or not str(answered):
        raise TypeError("expected an account id")
    if str(answered) != expected:
        raise TokenExpired(f"The token belongs to another account ({str(answered)[:64]}).")

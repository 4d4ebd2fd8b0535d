"""What the sandbox's platforms are made of: requests, answers, and the base class of a platform."""

import base64
import binascii
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar
from urllib.parse import parse_qs, unquote_plus

from platforms.sandbox.state import CONSENT_FAULTS, Fault, PlatformState
from platforms.sandbox.tokens import Claims
from platforms.sandbox.world import post_times

JSON = {"Content-Type": "application/json; charset=utf-8"}


@dataclass(slots=True)
class SandboxRequest:
    """One HTTP request; `host` is the platform's, header names are lower-case."""

    method: str
    host: str
    path: str
    query: dict[str, list[str]] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""

    def first(self, name: str, default: str = "") -> str:
        """The first value of a query parameter."""
        values = self.query.get(name)
        return values[0] if values else default

    def listed(self, name: str) -> list[str]:
        """The values of a parameter that holds a comma-separated list."""
        return [part.strip() for value in self.query.get(name, ()) for part in value.split(",") if part.strip()]

    def bearer(self) -> str:
        """The token in the Authorization header, or nothing."""
        scheme, _, token = self.headers.get("authorization", "").partition(" ")
        return token.strip() if scheme.lower() == "bearer" else ""

    def basic(self) -> tuple[str, str]:
        """The client's id and secret in the Authorization header, or nothing twice."""
        scheme, _, text = self.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "basic":
            return "", ""
        try:
            client_id, _, secret = base64.b64decode(text).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return "", ""
        return unquote_plus(client_id), unquote_plus(secret)

    def basic_user(self) -> str:
        """The client id in the Authorization header, or nothing."""
        return self.basic()[0]

    def fields(self) -> dict[str, list[str]]:
        """The fields of a form body, each with all of its values."""
        return parse_qs(self.body.decode("utf-8", "replace"), keep_blank_values=True)

    def form(self) -> dict[str, str]:
        """The fields of a form body."""
        return {name: values[0] for name, values in self.fields().items()}

    def json(self) -> Any:
        """The JSON body; None if it is not JSON."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None


@dataclass(slots=True)
class SandboxResponse:
    """One HTTP response. `transport` is for the server; a caller in the same process may ignore it."""

    status: int
    headers: dict[str, str]
    body: bytes
    transport: Fault | None = None

    def json(self) -> Any:
        """The body, parsed."""
        return json.loads(self.body)


@dataclass(slots=True)
class Answer:
    """What a platform answers, before it is written down as bytes."""

    payload: Any
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)

    def render(self) -> SandboxResponse:
        """The answer as a response; bytes stay as they are."""
        if isinstance(self.payload, bytes):
            return SandboxResponse(self.status, self.headers, self.payload)
        body = json.dumps(self.payload, separators=(",", ":")).encode()
        return SandboxResponse(self.status, {**JSON, **self.headers}, body)


class Refused(Exception):
    """Raised inside a platform to answer at once, mostly with an error."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        super().__init__(answer.status)


@dataclass(slots=True)
class Call:
    """One request on its way through a platform, with all that the answer depends on."""

    request: SandboxRequest
    group: str
    now: float
    state: PlatformState
    soft_faults: list[Fault] = field(default_factory=list)
    handle: Callable[["SandboxRequest", float], SandboxResponse] | None = None
    claims: Claims | None = None
    """What the token says that came with the call, once that has been checked."""

    def allows(self, scope: str) -> bool:
        """Whether the caller's token covers a scope."""
        return self.claims is None or self.claims.allows(scope)

    def decides(self) -> bool:
        """Whether the call to a consent page is somebody's yes or no, rather than a look at it."""
        return self.request.method == "POST" or self.state.switches["consent"] != "ask"

    def withdrawn(self) -> set[str]:
        """The metric names that a fault withdrew."""
        return {str(fault.metric) for fault in self.soft_faults if fault.kind == "withdrawn"}


class Wire:
    """One platform of the sandbox: which hosts it answers for, and how."""

    key: ClassVar[str]
    hosts: ClassVar[tuple[str, ...]]
    switches: ClassVar[Mapping[str, Any]] = {}
    """What the control endpoint can change about this platform, with the defaults."""
    token_groups: ClassVar[frozenset[str]] = frozenset()
    """The endpoint groups that hand out tokens, rather than needing one."""
    own_faults: ClassVar[frozenset[str]] = frozenset()
    """Fault kinds that only this platform knows."""

    def serves(self, request: SandboxRequest) -> bool:
        """Whether the request is for this platform."""
        return request.host in self.hosts

    def group(self, request: SandboxRequest) -> str:
        """The endpoint group that the call is counted by."""
        raise NotImplementedError

    def answer(self, call: Call) -> Answer:
        """The platform's answer."""
        raise NotImplementedError

    def refusal(self, call: Call, fault: Fault) -> Answer:
        """The platform's own form of a fault such as `rate_limited` or `token_expired`."""
        raise NotImplementedError

    def can_refuse(self, kind: str, call: Call) -> bool:
        """Whether a fault of this kind makes sense for the call."""
        if kind in CONSENT_FAULTS:
            return call.group == "authorize" and call.decides()
        if kind == "refuse_refresh":
            return call.group in self.token_groups and call.group != "authorize"
        return kind not in ("token_expired", "scope_missing") or call.group not in self.token_groups

    def post_id(self, account_id: str, at: float) -> str:
        """The id of the account's post of that instant."""
        raise NotImplementedError

    def tokens(self, account_id: str, now: float, lifetime: float | None, **extra: Any) -> dict[str, Any]:
        """A new grant: `access_token`, `refresh_token` and `expires_at` (unix seconds)."""
        raise NotImplementedError


def listed(wire: Wire, state: PlatformState, account_id: str, now: float) -> list[str]:
    """The ids of an account's posts that still exist, newest first."""
    account = state.account(account_id)
    times = post_times(account_id, posts=account.posts, span_days=account.span_days, now=now, since=account.since)
    ids = dict.fromkeys(wire.post_id(account_id, at) for at in times)
    deleted = state.deleted
    return [post_id for post_id in ids if post_id not in deleted]

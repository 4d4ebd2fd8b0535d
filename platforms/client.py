"""Runs an adapter's conversations: limits, host map, tokens, HTTP, classification."""

import logging
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, NoReturn, ParamSpec, TypeVar, cast
from urllib.parse import urljoin, urlsplit

from platforms import pools, versions
from platforms.base import TOKEN_GROUP, Account, Call, Platform, Request
from platforms.consent import CODE_GROUP, Consent
from platforms.errors import (
    BudgetExhausted,
    DeadlineExceeded,
    MalformedPayload,
    Misconfigured,
    PlatformError,
    RateLimited,
    Scope,
    TokenExpired,
    Unavailable,
    by_status,
)
from platforms.hosts import HostMap
from platforms.oauth import App, Credentials, Refresh, basic_header, secret_forms, sendable
from platforms.payloads import decode, excerpt
from platforms.rates import Gates, Limit, Meter, NoGates, Owner, closed_by, retry_after
from platforms.transport import Exchange, HttpTransport, Response, Transport

logger = logging.getLogger(__name__)

T = TypeVar("T")
R = TypeVar("R")
P = ParamSpec("P")

UNREADABLE = (LookupError, TypeError, AttributeError, ValueError, ArithmeticError, RecursionError)
"""What reading an odd answer raises."""
CALL_SECONDS = 30.0
CONVERSATION_SECONDS = 60.0
LONGEST_GATE = timedelta(days=31)
Gate = tuple[str, datetime, str]

_transport = HttpTransport()


@dataclass(frozen=True)
class Settings:
    """How platforms are called, whatever the account."""

    hosts: HostMap = field(default_factory=lambda: HostMap({}))
    meter: Meter | None = None
    transport: Transport = field(default_factory=lambda: _transport)
    call_seconds: float = CALL_SECONDS
    conversation_seconds: float = CONVERSATION_SECONDS


@dataclass
class Usage:
    """What a client did. `accepted` holds those of the watched names that a request bore which was answered well."""

    calls: int = 0
    accepted: set[str] = field(default_factory=set)


@dataclass(frozen=True)
class _Outcome:
    """One answered request: a payload or a failure, and the gates that it closes."""

    payload: Any = None
    error: PlatformError | None = None
    evidence: str = ""
    closes: tuple[Gate, ...] = ()
    called: bool = False


class Client:
    """Speaks to one platform for one account.

    `renew` is given the access token that was refused and answers with newer credentials, or raises.
    `watched` are names of metrics whose fate is to be noted. Not shared between threads.
    """

    def __init__(
        self,
        platform: Platform,
        account: Account,
        *,
        settings: Settings,
        credentials: Credentials | None = None,
        app: App | None = None,
        gates: Gates | None = None,
        renew: Callable[[str], Credentials] | None = None,
        live: bool = False,
        watched: Iterable[str] = (),
    ) -> None:
        self.platform = platform
        self.account = account
        self.usage = Usage()
        self._settings = settings
        self._app = app or App()
        self._gates = gates or NoGates()
        self._renew = renew
        self._renewed = False
        self._live = live
        self._watched = tuple(watched)
        self._deadline = time.monotonic() + settings.conversation_seconds
        self._evidence = ""
        self._closing: list[Gate] = []
        self._is_keeping = False
        self._secrets = secret_forms(self._app.client_secret)
        self._use(credentials or Credentials())

    def keep(self, call: Call[T], store: Callable[[T], R]) -> R:
        """Hold a conversation that brings tokens, and store them. What else there is to write comes after that.

        Which then stops nobody: tokens are worth more than to know of a spent limit before the platform tells again.
        """
        self._is_keeping = True
        try:
            return store(self.run(call))
        finally:
            self._is_keeping = False
            try:
                self._close_gates()
            except Exception:
                logger.exception("a spent limit of %s could not be noted", self.platform.key)

    def run(self, call: Call[T]) -> T:
        """Hold the conversation and return what it returns."""
        answer: Any = None
        error: PlatformError | None = None
        while True:
            try:
                wanted = call.throw(error) if error is not None else call.send(answer)
            except StopIteration as stop:
                return cast(T, stop.value)
            except UNREADABLE as problem:
                told = self._scrub(f"{type(problem).__name__} {str(problem)[:100]}")
                raise MalformedPayload(
                    f"The answer lacks what was expected of it: {told}", evidence=self._evidence
                ) from problem
            answer, error = self._answer(wanted)

    def _answer(self, wanted: Request | tuple[Request, ...]) -> tuple[Any, PlatformError | None]:
        if isinstance(wanted, Request):
            outcome = self._exchange_all((wanted,))[0]
            return outcome.payload, outcome.error
        return tuple(outcome.error or outcome.payload for outcome in self._exchange_all(wanted)), None

    def _exchange_all(self, requests: tuple[Request, ...]) -> list[_Outcome]:
        """Send requests side by side; renew the token once for those that were refused for it."""
        outcomes = self._send_all(requests)
        refused = [n for n, outcome in enumerate(outcomes) if self._is_curable(requests[n], outcome)]
        if self._renewed:
            for n in refused:
                outcomes[n] = _not_blamed(outcomes[n])
        elif refused and self._renew is not None:
            renew, self._renew = self._renew, None
            try:
                self._use(renew(self._credentials.access_token))
            except PlatformError as error:
                self._renew = partial(_raise, error)  # or the next refusal would pass for the grant's own
                for n in refused:
                    outcomes[n] = _Outcome(error=error)
                return outcomes
            self._renewed = True
            for n, outcome in zip(refused, self._send_all(tuple(requests[n] for n in refused)), strict=True):
                outcomes[n] = _not_blamed(outcome)
        return outcomes

    def _use(self, credentials: Credentials) -> None:
        self._credentials = credentials
        self._secrets |= secret_forms(credentials.access_token, credentials.refresh_token)

    def _is_curable(self, request: Request, outcome: _Outcome) -> bool:
        return self._auth(request) in ("bearer", "query") and isinstance(outcome.error, TokenExpired)

    def _send_all(self, requests: tuple[Request, ...]) -> list[_Outcome]:
        """One outcome for each, in order. Gates, limits and counting stay in the caller's thread; only HTTP leaves it.

        Nothing here raises a PlatformError, so that requests side by side do not cost each other their answers.
        """
        vital = {n: self._prepare(request) for n, request in enumerate(requests) if request.vital}
        sendable = any(isinstance(exchange, Exchange) for exchange in vital.values())
        kept_back = None if sendable else next(iter(vital.values()), None)
        prepared = [vital.get(n) or kept_back or self._prepare(request) for n, request in enumerate(requests)]
        ready = [n for n, exchange in enumerate(prepared) if isinstance(exchange, Exchange)]
        outcomes = [_Outcome(error=each) if isinstance(each, PlatformError) else _Outcome() for each in prepared]
        pool: ThreadPoolExecutor = pools.requests_pool(self.platform.key)
        work = [(requests[n], cast(Exchange, prepared[n])) for n in ready]
        others = [pool.submit(self._send, *each) for each in work[1:]]
        answered = [self._send(*each) for each in work[:1]] + [future.result() for future in others]
        for n, outcome in zip(ready, answered, strict=True):
            outcomes[n] = outcome
            self.usage.calls += outcome.called
            if outcome.called and outcome.error is None:
                self.usage.accepted |= {name for name in self._watched if requests[n].names(name)}
            self._evidence = outcome.evidence or self._evidence
            self._closing += outcome.closes
        if not self._is_keeping:
            self._close_gates()
        return outcomes

    def _close_gates(self) -> None:
        while self._closing:
            self._gates.close(*self._closing.pop(0))

    # --- one request ---------------------------------------------------------------------------------------------

    def _prepare(self, request: Request) -> Exchange | PlatformError:
        """The exchange, if no gate and no limit forbids it."""
        try:
            exchange = self._exchange_of(request)
            self._take(request, self._owner(request))
        except PlatformError as error:
            return error
        return exchange

    def _send(self, request: Request, exchange: Exchange) -> _Outcome:
        deadline = min(self._deadline, time.monotonic() + self._settings.call_seconds)
        owner = self._owner(request)
        try:
            response = self._settings.transport.send(replace(exchange, deadline=deadline))
        except PlatformError as error:
            return _Outcome(error=error, called=not isinstance(error, DeadlineExceeded))
        versions.notice(self.platform, self.account, response.headers)
        evidence = self._scrub(excerpt(response.body))
        try:
            payload = self._judge(request, response)
        except PlatformError as error:
            error.detail = self._scrub(error.detail)
            error.args = (error.detail,)
            error.evidence = self._scrub(str(error.evidence or evidence))
            closes = self._closes(request, response, owner, error)
            return _Outcome(error=error, evidence=evidence, closes=closes, called=True)
        return _Outcome(payload, evidence=evidence, closes=self._closes(request, response, owner, None), called=True)

    def _scrub(self, text: str) -> str:
        """Text without the secrets that this client holds: platforms repeat them in what they answer."""
        for secret in self._secrets:
            text = text.replace(secret, "[removed]")
        return text

    def _take(self, request: Request, owner: Owner) -> None:
        limits = self._limits(request)
        closed, scope = closed_by(self._gates, owner, self.platform.key, request.group)
        if closed is not None and closed.reason == BudgetExhausted.code:
            raise BudgetExhausted(retry_at=closed.until, scope=scope)
        until = closed and closed.until
        if until is None and self._settings.meter is not None and limits:
            until = self._settings.meter.take(self.platform.key, limits, owner, live=self._live)
            scope = next((limit.scope for limit in limits if limit.scope != "account"), "account")
        if until is not None:
            raise RateLimited("The platform's rate limit is spent.", retry_at=until, group=request.group, scope=scope)

    def _limits(self, request: Request) -> tuple[Limit, ...]:
        return tuple(each for each in self.platform.limits_for(self.account) if each.group in ("", request.group))

    def _owner(self, request: Request) -> Owner:
        return Owner(app=self._app.id, account=self.account.id, host=urlsplit(self._url(request)).netloc)

    def _url(self, request: Request) -> str:
        return urljoin(self.platform.base_url_for(self.account), request.path)

    def _auth(self, request: Request) -> str:
        return request.auth or self.platform.auth

    def _exchange_of(self, request: Request) -> Exchange:
        url = self._url(request)
        destination = self._settings.hosts.locate(url, foreign=request.foreign)
        params: list[tuple[str, str]] = []
        for name, value in request.params.items():
            params += [(name, value)] if isinstance(value, str) else [(name, each) for each in value]
        form = request.form
        headers = {"Accept": "application/json", **self.platform.headers_for(self.account), **request.headers}
        auth = self._auth(request)
        if auth != "none" and not request.foreign and urlsplit(url).hostname not in self._own_hosts():
            raise Misconfigured(f"{self.platform.label} has no host {urlsplit(url).hostname}: no token is sent there.")
        if auth == "bearer":
            headers["Authorization"] = f"Bearer {self._token()}"
        elif auth == "query" and form is not None:
            form = {**form, "access_token": self._token()}
        elif auth == "query":
            params.append(("access_token", self._token()))
        elif auth == "refresh":
            headers["Authorization"] = f"Bearer {sendable(self._credentials.refresh_token)}"
        elif auth == "app":
            headers["Authorization"] = basic_header(self._app)
        return Exchange(request.method, destination.url, 0.0, params, headers, request.json, form, destination.guarded)

    def _own_hosts(self) -> set[str | None]:
        """Where tokens and the app's secret may go, beside a checked host of the account's own."""
        platform = self.platform
        urls = [platform.base_url, platform.refresh.url if platform.refresh else ""]
        return {urlsplit(url).hostname for url in urls} | set(platform.hosts)

    def _token(self) -> str:
        return sendable(self._credentials.access_token)

    # --- the answer ----------------------------------------------------------------------------------------------

    def _judge(self, request: Request, response: Response) -> Any:
        """The payload of a good answer; raises what any other one means. The platform's own code wins."""
        payload: Any = None
        unreadable: MalformedPayload | None = None
        try:
            payload = decode(response.body)
        except MalformedPayload as error:
            unreadable = error
        failure = self._failure(request, response, payload)
        if failure is not None:
            raise failure
        if unreadable is not None:
            raise unreadable
        return payload

    def _failure(self, request: Request, response: Response, payload: Any) -> PlatformError | None:
        facts = self._token_facts(request)
        refused = facts.classify(payload, response.status) if facts is not None else None
        if refused is not None:
            return refused
        told = _ask(self.platform.classify, response.status, response.headers, payload)
        if told is not None:
            return self._timed(told, request, response)
        if response.status < 300:
            return None
        known = self.platform.error_codes.get(_ask(self.platform.error_code, payload) or "")
        detail = str(_ask(self.platform.error_detail, payload) or "")
        error = (known or by_status(response.status))(excerpt(detail.encode("utf-8", "replace"), 300))
        if known is None and request.group in (TOKEN_GROUP, CODE_GROUP) and isinstance(error, TokenExpired):
            error = Misconfigured(error.detail)  # only a refusal that the platform's table names is certain
        return self._timed(error, request, response)

    def _token_facts(self, request: Request) -> Refresh | Consent | None:
        """What is known of the token endpoint that a request goes to, if it does."""
        if request.group == CODE_GROUP:
            return self.platform.consent_for(self.account)
        return self.platform.refresh_for(self.account) if request.group == TOKEN_GROUP else None

    def _timed(self, error: PlatformError, request: Request, response: Response) -> PlatformError:
        """A rate limit with whom it concerns and the instant at which it ends."""
        if not isinstance(error, RateLimited | BudgetExhausted):
            return error
        now = datetime.now(UTC)
        spent = _ask(self.platform.spent, response.headers, now)
        named = error.retry_at or retry_after(response.headers, now) or (spent and spent[1])
        named = named or now + timedelta(seconds=self.platform.backoff)
        error.retry_at = min(max(named, now + timedelta(seconds=1)), now + LONGEST_GATE)
        error.scope = error.scope or (spent and spent[0]) or self._whose(request)
        if isinstance(error, RateLimited):  # a budget is spent for every endpoint
            error.group = error.group or self._gate_group(request, error.scope)
        return error

    def _whose(self, request: Request) -> Scope:
        """Whom a limit concerns that does not say so: those who share the documented one, if there is only one."""
        shared_by = {limit.scope for limit in self._limits(request)}
        return shared_by.pop() if len(shared_by) == 1 else self.platform.gate_scope

    def _gate_group(self, request: Request, scope: Scope) -> str:
        return request.group if scope in self.platform.gates_by_group else ""

    def _closes(
        self, request: Request, response: Response, owner: Owner, error: PlatformError | None
    ) -> tuple[Gate, ...]:
        """The gates to close after an answer: a refusal's, or those of a window that headers show to be spent."""
        if isinstance(error, RateLimited | BudgetExhausted) and error.retry_at is not None:
            key = owner.key(self.platform.key, error.scope or self.platform.gate_scope, error.group)
            return ((key, error.retry_at, error.code),)
        now = datetime.now(UTC)
        spent = _ask(self.platform.spent, response.headers, now)
        if spent is None or spent[1] <= now:
            return ()
        key = owner.key(self.platform.key, spent[0], self._gate_group(request, spent[0]))
        return ((key, min(spent[1], now + LONGEST_GATE), "spent"),)


def _raise(error: PlatformError, stale: str) -> NoReturn:
    raise error


def _not_blamed(outcome: _Outcome) -> _Outcome:
    """A token that was issued a moment ago and is refused all the same says nothing of the account's grant."""
    if isinstance(outcome.error, TokenExpired):
        told = "The platform refuses a token that it has just issued."
        return replace(outcome, error=Unavailable(told, scope="account"))
    return outcome


def _ask(question: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T | None:
    """What an adapter reads from an answer; None where the answer is too odd for it to be read."""
    try:
        return question(*args, **kwargs)
    except UNREADABLE:
        return None

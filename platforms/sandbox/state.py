"""What the sandbox remembers while it runs: counters, faults, switches and what the control endpoint changed."""

import threading
from collections import Counter, deque
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

from platforms.sandbox.world import LISTED_DAYS, LISTED_POSTS

RECENT_CALLS = 500
CONSENT_FAULTS = frozenset({"denied", "expired_code", "withheld"})


@dataclass(slots=True)
class Fault:
    """One thing that goes wrong. `faults.py` says what each kind does and which fields it reads."""

    kind: str
    group: str = ""
    id: str = ""
    times: int | None = None
    status: int = 0
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    retry_after: float | None = None
    metric: str = ""
    scope: str = ""
    problem: str = ""
    location: str = ""
    variant: str = "body"
    seconds: float = 1.0
    processed: bool = False


@dataclass(slots=True)
class AccountState:
    """What the control endpoint said about an account; the defaults hold for all others."""

    posts: int = LISTED_POSTS
    span_days: float = LISTED_DAYS
    since: float | None = None
    revoked: bool = False
    active: bool = True
    status: str = ""
    login: str = ""
    pds: str = ""
    handle: str = ""
    app_password: str = ""


class PlatformState:
    """One platform's memory. Every method may be called from any thread."""

    def __init__(self, defaults: Mapping[str, Any]) -> None:
        self.defaults = defaults
        self.lock = threading.Lock()
        self._clear()

    def _clear(self) -> None:
        self.latency_ms = 0.0
        self.faults: list[Fault] = []
        self.switches: dict[str, Any] = deepcopy(dict(self.defaults))
        self.calls: Counter[str] = Counter()
        self.total = 0
        self.recent: deque[dict[str, Any]] = deque(maxlen=RECENT_CALLS)
        self.in_flight = 0
        self.in_flight_max = 0
        self.deleted: set[str] = set()
        self.accounts: dict[str, AccountState] = {}
        self.used: dict[str, float] = {}
        self.dead: set[str] = set()
        self.grants: dict[str, dict[str, frozenset[str]]] = {}
        self._windows: dict[str, tuple[float, int]] = {}

    def reset(self) -> None:
        """Forget everything, as a restart would."""
        with self.lock:
            in_flight = self.in_flight
            self._clear()
            self.in_flight = in_flight

    def count(self, group: str) -> None:
        """Count one HTTP call."""
        with self.lock:
            self.total += 1
            self.calls[group] += 1

    def count_part(self, group: str) -> None:
        """Count one part of a batch call, which is no HTTP call of its own."""
        with self.lock:
            self.calls[group] += 1

    def enter(self) -> None:
        """A call begins to be answered."""
        with self.lock:
            self.in_flight += 1
            self.in_flight_max = max(self.in_flight_max, self.in_flight)

    def leave(self) -> None:
        """A call has been answered."""
        with self.lock:
            self.in_flight -= 1

    def consume(self, fault: Fault) -> bool:
        """Use a fault once; False if another thread used it up."""
        if fault.times is None:
            return True
        with self.lock:
            if fault.times <= 0:
                return False
            fault.times -= 1
            if not fault.times:
                self.faults = [other for other in self.faults if other is not fault]
            return True

    def account(self, account_id: str) -> AccountState:
        """The account's state; a default one is not kept."""
        return self.accounts.get(account_id) or AccountState()

    def set_account(self, account_id: str, changes: Mapping[str, Any]) -> AccountState:
        """Change what is told of an account."""
        with self.lock:
            account = self.accounts.setdefault(account_id, AccountState())
            for name, value in changes.items():
                setattr(account, name, value)
            return account

    def first_use(self, token_id: str, now: float) -> float:
        """When a single-use token was used first; this call counts."""
        with self.lock:
            return self.used.setdefault(token_id, now)

    def use_once(self, token_id: str, now: float) -> bool:
        """Use a single-use token; False if it was used before."""
        with self.lock:
            if token_id in self.used:
                return False
            self.used[token_id] = now
            return True

    def kill(self, family: str) -> None:
        """End a whole grant."""
        with self.lock:
            self.dead.add(family)

    def supersede(self, owner: str, family: str, scopes: frozenset[str]) -> None:
        """Note a grant, and end the owner's earlier ones that have other scopes."""
        with self.lock:
            grants = self.grants.setdefault(owner, {})
            self.dead |= {earlier for earlier, had in grants.items() if had != scopes}
            grants[family] = scopes

    def spend(self, budget: str, *, limit: int, seconds: float, now: float) -> tuple[int, float]:
        """Take one call from a budget whose window begins with its first call.

        Answers with what is left, below 0 if it was spent before, and with the end of the window.
        """
        with self.lock:
            begin, used = self._windows.get(budget, (now, 0))
            if not begin <= now < begin + seconds:
                begin, used = now, 0
            left = limit - used - 1
            if left >= 0:
                self._windows[budget] = (begin, used + 1)
            return left, begin + seconds

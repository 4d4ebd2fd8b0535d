"""A platform made up for tests of the client, and what to hold conversations with it."""

import threading
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from platforms.base import Account, Call, Platform, Request
from platforms.client import Client, Settings
from platforms.errors import Gone, RateLimited, Scope, ScopeMissing, TokenExpired
from platforms.oauth import Refresh
from platforms.rates import Limit, Parked
from platforms.tests.replay import APP, TOKENS, Answers
from platforms.transport import Exchange

ACCOUNT = Account("account-1", "1")


class Sample(Platform):
    """A platform as the style guide shows one: its readers index plainly."""

    key = "sample"
    label = "Sample"
    base_url = "https://api.sample.com/v1/"
    refresh = Refresh("https://api.sample.com/token", client="basic")
    limits = (Limit(10, 60, group="few"),)
    error_codes = {"gone": Gone, "scope": ScopeMissing, "slow": RateLimited, "unit_test_expired": TokenExpired}

    def error_code(self, payload: Any) -> str:
        return str(payload["error"]["code"])

    def error_detail(self, payload: Any) -> str:
        return str(payload["error"]["message"])

    def spent(self, headers: Mapping[str, str], now: datetime) -> tuple[Scope, datetime] | None:
        return ("account", now + timedelta(seconds=int(headers["spent-for"]))) if "spent-for" in headers else None


class Gates:
    """Gates in memory."""

    def __init__(self, **closed: datetime) -> None:
        self.closed = dict(closed)
        self.reasons: dict[str, str] = {}
        self.asked: list[list[str]] = []
        self.threads: set[str] = set()

    def parked(self, keys: Iterable[str]) -> Parked | None:
        self.threads.add(threading.current_thread().name)
        self.asked.append(list(keys))
        found = [Parked(self.closed[key], self.reasons.get(key, "")) for key in self.asked[-1] if key in self.closed]
        return max(found, default=None)

    def close(self, key: str, until: datetime, reason: str) -> None:
        self.threads.add(threading.current_thread().name)
        self.closed[key], self.reasons[key] = until, reason


def client(answer: Callable[[Exchange], Any] | Any, platform: Platform | None = None, **more: Any) -> Client:
    transport = Answers(answer if callable(answer) else lambda exchange: answer)
    settings = Settings(transport=transport, **more.pop("settings", {}))
    made = Client(
        platform or Sample(),
        more.pop("account", ACCOUNT),
        settings=settings,
        credentials=more.pop("credentials", TOKENS),
        app=APP,
        **more,
    )
    made.asked = transport.asked  # type: ignore[attr-defined]
    return made


def asked(made: Client) -> list[Exchange]:
    exchanges: list[Exchange] = made.asked  # type: ignore[attr-defined]
    return exchanges


def one(path: str = "things", **more: Any) -> Call[Any]:
    return (yield Request(path, **more))


def side_by_side(*paths: str, **more: Any) -> Call[Any]:
    return (yield tuple(Request(path, **more) for path in paths))


def failing(code: str, status: int = 400, message: str = "no", **headers: str) -> Any:
    return status, {"error": {"code": code, "message": message}}, {k.replace("_", "-"): v for k, v in headers.items()}

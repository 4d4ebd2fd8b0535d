"""A Pinterest with pins, for tests that need to count calls."""

import re
from collections.abc import Callable, Sequence
from typing import Any

from platforms import registry
from platforms.base import Account
from platforms.dimensions import Dimension
from platforms.tests.replay import Answers, account_of, client_for, query_of, raw_of
from platforms.transport import Exchange

PINTEREST = registry.get("pinterest")
YOUNG, OLD = "2026-10-01T08:00:00", "2026-01-01T08:00:00"
LIFETIME = {"impression": 240, "pin_click": 37, "clickthrough": 20, "reaction": 10, "comment": 2}
FORBIDDEN = (403, {"code": 29, "message": "You are not permitted to access that resource."})
NOT_YOURS = (401, {"code": 7, "message": "Not authorized to access board or Pin."})
MISSING = (404, {"code": 50, "message": "Pin not found."})
LIMITED = (429, {"code": 8, "message": "You have exceeded your rate limit."})
NO_SCOPE = (401, {"code": 3, "message": "Authorization failed."})


def pin(pin_id: str, created_at: str = YOUNG, **more: Any) -> dict[str, Any]:
    counts = {"90d": {"impression": 50}, "lifetime_metrics": LIFETIME}
    return {"id": pin_id, "title": "x", "created_at": created_at, "is_owner": True, "pin_metrics": counts, **more}


def totals(*, status: str = "READY", **more: float) -> dict[str, Any]:
    summary = {"IMPRESSION": 240, "PIN_CLICK": 37, "OUTBOUND_CLICK": 20, "SAVE": 20, **more}
    rows = [{"date": "2026-10-05", "data_status": status, "metrics": {"SAVE": 1}}]
    return {"all": {"summary_metrics": summary, "daily_metrics": rows, "lifetime_metrics": {}}}


class Pinboard:
    """A server with pins. A hook may answer a call otherwise, by the part of the path behind the version."""

    def __init__(self, pins: Sequence[dict[str, Any]], hook: Callable[[str, Exchange], Any] = lambda *_: None) -> None:
        self.pins = {each["id"]: each for each in pins}
        self.hook = hook
        self.transport = Answers(self.answer)

    def answer(self, exchange: Exchange) -> Any:
        path = exchange.url.partition("/v5/")[2]
        answer = self.hook(path, exchange)
        if answer is not None:
            return answer
        if path == "pins":
            return 200, self.page(query_of(exchange))
        if path == "pins/analytics":
            return 200, {i: totals() for i in ids_of(exchange) if i in self.pins}
        pin_id = path.split("/")[1]
        if pin_id not in self.pins:
            return MISSING
        return 200, totals() if path.endswith("analytics") else self.pins[pin_id]

    def page(self, query: dict[str, list[str]]) -> dict[str, Any]:
        start = int(query.get("bookmark", ["0"])[0])
        items = list(self.pins.values())[start : start + 250]
        return {"items": items, "bookmark": str(start + 250) if start + 250 < len(self.pins) else None}

    def kinds(self) -> dict[str, int]:
        """How often each kind of call was made."""
        named = [re.sub(r"[0-9]+", "#", path.partition("/v5/")[2]) for path in self.transport.paths]
        return {name: named.count(name) for name in sorted(set(named))}

    def fetch(self, *ids: str, account: Account | None = None, **more: Any) -> dict[str, Any]:
        account = account or account_of("pinterest", {})
        client = client_for("pinterest", self.transport, account, **more)
        found: dict[str, Any] = client.run(PINTEREST.fetch_posts(ids, account))
        return found


def ids_of(exchange: Exchange) -> list[str]:
    return [each for value in query_of(exchange)["pin_ids"] for each in value.split(",")]


def numbered(count: int, created_at: str = YOUNG, **more: Any) -> list[dict[str, Any]]:
    return [pin(str(10**17 + n), created_at, **more) for n in range(count)]


def saves(item: Any) -> int | None:
    return PINTEREST.metrics(raw_of(item))[Dimension.SAVES]

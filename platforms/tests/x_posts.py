"""Posts of X of either age, and what to ask for them with."""

from datetime import timedelta
from typing import Any

from platforms import registry
from platforms.base import Account
from platforms.tests.replay import NOW, Answers, account_of, client_for, query_of
from platforms.transport import Exchange

X = registry.get("x")
EPOCH_MS = 1288834974657


def made(age: timedelta) -> str:
    """The id of a post of that age."""
    return str((int((NOW - age).timestamp() * 1000) - EPOCH_MS) << 22)


YOUNG, OLD = made(timedelta(days=29, hours=23)), made(timedelta(days=30, hours=1))


def post(post_id: str, **more: Any) -> dict[str, Any]:
    numbers = {"retweet_count": 4, "reply_count": 2, "like_count": 31, "bookmark_count": 6, "impression_count": 2210}
    return {"id": post_id, "text": "Launch day", "public_metrics": numbers, **more}


def is_private(exchange: Exchange) -> bool:
    return any("non_public_metrics" in value for values in query_of(exchange).values() for value in values)


def fetch(transport: Answers, *ids: str, account: Account | None = None, **more: Any) -> dict[str, Any]:
    account = account or account_of("x", {})
    found: dict[str, Any] = client_for("x", transport, account, **more).run(X.fetch_posts(ids, account))
    return found

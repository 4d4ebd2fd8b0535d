"""How Reddit says no: by status, `reason` and challenge header, in JSON or not, and what its headers tell."""

import math
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from platforms.base import Platform
from platforms.errors import Gone, Misconfigured, PlatformError, RateLimited, Rejected, Scope, ScopeMissing


class OutOfReach(Rejected):
    """A post's subreddit is not open to the caller."""


class NotFound(Rejected):
    """There is nothing at the address."""


class RedditErrors(Platform):
    """A platform that answers failures as Reddit does."""

    def error_detail(self, payload: Any) -> str:
        return str(payload.get("explanation") or payload.get("message") or "") if isinstance(payload, dict) else ""

    def classify(self, status: int, headers: Mapping[str, str], payload: Any) -> PlatformError | None:
        reason = payload.get("reason") if isinstance(payload, dict) else None
        if status == 429:
            return RateLimited("Reddit's rate limit is spent.", retry_at=_reset(headers, datetime.now(UTC)))
        if status == 403 and "insufficient_scope" in headers.get("www-authenticate", ""):
            return ScopeMissing("The grant lacks a scope that this call needs.")
        if status in (403, 404) and isinstance(reason, str):
            return OutOfReach(f"The subreddit is not open: {reason[:100]}.")
        if status == 403 and not isinstance(payload, dict):
            return Misconfigured("Reddit blocks the app: its user agent, its network or its approval is wrong.")
        if status == 404:
            return NotFound(self.error_detail(payload)[:300])
        if status == 451:
            return Gone("The post is withheld for legal reasons.")
        if 300 <= status < 400:  # to a login or search page: not found, or not allowed
            return Rejected("Reddit answered with a redirect.")
        return None

    def spent(self, headers: Mapping[str, str], now: datetime) -> tuple[Scope, datetime] | None:
        left, reset = _number(headers.get("x-ratelimit-remaining")), _reset(headers, now)
        return ("app", reset) if left is not None and left < 1 and reset is not None else None


def _number(text: str | None) -> float | None:
    try:
        number = float(text or "")
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _reset(headers: Mapping[str, str], now: datetime) -> datetime | None:
    """When the window ends: the header counts seconds, and is no instant."""
    seconds = _number(headers.get("x-ratelimit-reset"))
    return None if seconds is None or seconds < 0 else now + timedelta(seconds=min(seconds, 86400.0))

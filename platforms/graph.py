"""What Meta's Graph APIs share: the error envelope, the usage headers and tokens of 60 days."""

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from platforms.base import Account, Call, Platform
from platforms.errors import MalformedPayload, PlatformError, RateLimited, Rejected, Scope, TokenExpired, Unavailable
from platforms.graph_errors import APP_LIMITS, MetricRefused, Unexplained, kind_of, number_of
from platforms.oauth import App, Credentials, TokenSet
from platforms.payloads import decode

LIFETIME = timedelta(days=60)
LONGEST_WAIT = 44640
"""Minutes."""


class GraphPlatform(Platform):
    """A platform behind a Graph API host."""

    auth = "query"
    version_header = "facebook-api-version"
    backoff = 3600
    gates_by_group = ()

    def error_detail(self, payload: Any) -> str:
        error = payload.get("error") if isinstance(payload, dict) else None
        return str(error.get("message") or "") if isinstance(error, dict) else ""

    # https://developers.facebook.com/docs/graph-api/guides/error-handling
    def classify(self, status: int, headers: Mapping[str, str], payload: Any) -> PlatformError | None:
        if isinstance(payload, dict) and "error_type" in payload:  # the token endpoints' own envelope
            words = str(payload.get("error_message") or "")
            if status >= 500:
                return Unavailable(words[:300])
            if 429 in (status, number_of(payload.get("code"))):
                return RateLimited(words[:300])
            return (TokenExpired if "token" in words or "ession" in words else Rejected)(words[:300])
        if isinstance(payload, list) and status < 300:
            return self._limit_of_all(payload)
        error = payload.get("error") if isinstance(payload, dict) else None
        if not isinstance(error, dict):
            if payload is not None or status < 400 or status == 429:
                return None
            return (Unexplained if status == 500 else Unavailable)("The answer is no JSON.")
        words = str(error.get("message") or "")
        code = number_of(error.get("code"))
        kind = kind_of(code, number_of(error.get("error_subcode")), words)
        if kind is None:
            return Unavailable(words[:300]) if status >= 500 or error.get("is_transient") is True else None
        failure = kind(words[:300], scope="app" if code in APP_LIMITS else None)
        if isinstance(failure, MetricRefused):
            failure.words = words[:4000]
        return failure

    def _limit_of_all(self, parts: list[Any]) -> PlatformError | None:
        """The limit that every read of a batch ran into; None if one did not."""
        limit: PlatformError | None = None
        for part in parts:
            try:
                body = decode(part["body"].encode("utf-8", "replace"))
            except MalformedPayload:
                return None
            limit = self.classify(number_of(part["code"]) or 0, {}, body) if isinstance(body, dict) else None
            if not isinstance(limit, RateLimited):
                return None
        return limit

    # https://developers.facebook.com/docs/graph-api/overview/rate-limiting#headers
    def spent(self, headers: Mapping[str, str], now: datetime) -> tuple[Scope, datetime] | None:
        own = [*_objects(headers.get("x-business-use-case-usage")), *_objects(headers.get("x-page-usage"))]
        waits = [_minutes(usage, self.backoff) for usage in own]
        if any(waits):
            return "account", now + timedelta(minutes=max(waits))
        if any(map(_is_full, _objects(headers.get("x-app-usage")))):
            return "app", now + timedelta(seconds=self.backoff)
        return None

    def renew(self, account: Account, credentials: Credentials, app: App) -> Call[TokenSet]:
        tokens = yield from super().renew(account, credentials, app)
        # A long-lived token lives 60 days, whether the answer says so or not.
        # https://developers.facebook.com/docs/facebook-login/guides/access-tokens/get-long-lived
        return tokens if tokens.expires_at else replace(tokens, expires_at=datetime.now(UTC) + LIFETIME)


def _objects(header: str | None) -> list[dict[str, Any]]:
    """The usage objects of a header: one, or a list for each business id."""
    try:
        value = json.loads(header or "{}")
    except (ValueError, RecursionError):
        return []
    found = [value] if isinstance(value, dict) else []
    for entry in value.values() if isinstance(value, dict) else ():
        found += [item for item in entry if isinstance(item, dict)] if isinstance(entry, list) else []
    return found


def _minutes(usage: Mapping[str, Any], backoff: int) -> float:
    """How long a usage object says to wait; 0 if there is something left."""
    wait = usage.get("estimated_time_to_regain_access")
    if isinstance(wait, str) and re.fullmatch("[0-9]{1,6}", wait):
        wait = int(wait)
    named = min(wait, LONGEST_WAIT) if isinstance(wait, int | float) and not isinstance(wait, bool) else 0
    return named if named > 0 else backoff / 60 if _is_full(usage) else 0


def _is_full(usage: Mapping[str, Any]) -> bool:
    percents = (usage.get(name) for name in ("call_count", "total_time", "total_cputime"))
    return any(isinstance(percent, int | float) and percent >= 100 for percent in percents)

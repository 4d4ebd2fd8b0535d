"""What Meta's Graph APIs share: the error envelope, the usage headers and the form of insights."""

import json
import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from platforms.base import Platform, Raw, objects, pick
from platforms.errors import (
    Gone,
    PlatformError,
    RateLimited,
    Rejected,
    Revoked,
    Scope,
    ScopeMissing,
    TokenExpired,
    Unavailable,
)


class MetricRefused(Rejected):
    """A metric was asked for that this object does not have, or that no object has any more."""

    words: str = ""
    """The whole message: it may list every metric there is."""

    @property
    def general(self) -> bool:
        """Whether the metric is refused for all objects, and not for one kind of them."""
        return "must be one of the following values" in self.words or "no longer supported" in self.words

    def left(self, asked: Sequence[str]) -> tuple[str, ...]:
        """What can still be asked of `asked`; all of it if the message names none of them."""
        _, _, allowed = self.words.partition("must be one of the following values")
        if allowed:
            return tuple(name for name in asked if re.search(rf"\b{name}\b", allowed))
        named = r"\bmetrics? [\"'`]?{0}\b|\b{0}[\"'`]? metric\b"
        return tuple(name for name in asked if not re.search(named.format(name), self.words))


class TooMuchData(Unavailable):
    """The answer would be too large for the platform to make."""


class NoInsights(Rejected):
    """The object has no insights and never will."""


class TooFewViewers(Rejected):
    """Too few people saw the object for insights to be shown."""


class GraphPlatform(Platform):
    """A platform behind a Graph API host."""

    auth = "query"
    backoff = 3600
    gates_by_group = False

    def error_detail(self, payload: Any) -> str:
        error = payload.get("error") if isinstance(payload, dict) else None
        return str(error.get("message") or "") if isinstance(error, dict) else ""

    # https://developers.facebook.com/docs/graph-api/guides/error-handling
    def classify(self, status: int, headers: Mapping[str, str], payload: Any) -> PlatformError | None:
        if isinstance(payload, dict) and "error_type" in payload:  # the token endpoints' own envelope
            words = str(payload.get("error_message") or "")
            return (TokenExpired if "token" in words or "ession" in words else Rejected)(words[:300])
        error = payload.get("error") if isinstance(payload, dict) else None
        if not isinstance(error, dict):
            return None
        words = str(error.get("message") or "")
        kind = _kind(_number(error.get("code")), _number(error.get("error_subcode")), words)
        if kind is None:
            return Unavailable(words[:300]) if status >= 500 or error.get("is_transient") is True else None
        failure = kind(words[:300], scope="app" if error.get("code") == 4 else None)
        if isinstance(failure, MetricRefused):
            failure.words = words[:4000]
        return failure

    def spent(self, headers: Mapping[str, str], now: datetime) -> tuple[Scope, datetime] | None:
        for usage in _objects(headers.get("x-business-use-case-usage")):
            wait = usage.get("estimated_time_to_regain_access")
            if isinstance(wait, int | float) and wait > 0:
                return "account", now + timedelta(minutes=min(wait, 44640))
            if _is_full(usage):
                return "account", now + timedelta(seconds=self.backoff)
        for usage in _objects(headers.get("x-app-usage")):
            if _is_full(usage):
                return "app", now + timedelta(seconds=self.backoff)
        return None


def _kind(code: int | None, subcode: int | None, words: str) -> type[PlatformError] | None:
    """The failure that an error object tells of: by code, then subcode, then words."""
    if "24 hours old" in words:
        return Rejected  # a token too young to be extended is not an expired one
    if code in (190, 102):
        return Revoked if subcode == 458 else TokenExpired
    if code == 10 and "Not enough viewers" in words:
        return TooFewViewers
    if code == 10 or (code is not None and 200 <= code <= 299):
        return ScopeMissing
    if code in (4, 17, 32, 613) or (code is not None and 80000 <= code <= 80014):
        return RateLimited
    if code == 100:
        return _kind_of_100(subcode, words)
    if code in (1, 2):
        return TooMuchData if "reduce the amount of data" in words else Unavailable
    return None


def _kind_of_100(subcode: int | None, words: str) -> type[PlatformError]:
    if subcode == 33:
        return Gone
    if subcode == 2108006:
        return NoInsights
    if "method type" in words:
        return TokenExpired
    return MetricRefused if "metric" in words.lower() else Rejected


def _number(value: Any) -> int | None:
    if isinstance(value, str) and re.fullmatch("[0-9]{1,9}", value):
        return int(value)
    return value if isinstance(value, int) else None


def insight_values(insights: Raw) -> Raw:
    """Insights without titles and descriptions, and without paging links, which bear the token."""
    return {"data": [pick(entry, ("name", "period", "values", "total_value")) for entry in objects(insights["data"])]}


def insights_by_name(insights: Any) -> dict[str, Any]:
    """Each metric's value: that of its first period, else its total. Empty where `insights` are none."""
    entries = insights.get("data") if isinstance(insights, dict) else None
    found: dict[str, Any] = {}
    for entry in entries if isinstance(entries, list) else ():
        if isinstance(entry, dict):
            values = entry.get("values")
            first = values[0] if isinstance(values, list) and values else None
            told = [each.get("value") for each in (first, entry.get("total_value")) if isinstance(each, dict)]
            found[str(entry.get("name"))] = next((value for value in told if value is not None), None)
    return found


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


def _is_full(usage: Mapping[str, Any]) -> bool:
    percents = (usage.get(name) for name in ("call_count", "total_time", "total_cputime"))
    return any(isinstance(percent, int | float) and percent >= 100 for percent in percents)

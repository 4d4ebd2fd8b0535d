"""What Meta's Graph APIs share: the error envelope, the usage headers and the form of insights."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from platforms.base import Call, Platform, Raw, Request, objects, pick
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
from platforms.payloads import to_count

TOO_YOUNG = "24 hours old"
"""What a refusal to extend a token says that is too young for it."""


class MetricRefused(Rejected):
    """A metric was asked for that this object does not have, or that no object has any more."""

    words: str = ""
    """The whole message: it may list every metric there is."""

    @property
    def general(self) -> bool:
        """Whether the metric is refused for all objects, and not for one kind of them."""
        told = ("must be one of the following values", "no longer supported", "must be a valid insights metric")
        return any(words in self.words for words in told)

    def left(self, asked: Sequence[str]) -> tuple[str, ...]:
        """What can still be asked of `asked`; all of it if the message names none of them."""
        _, _, allowed = self.words.partition("must be one of the following values")
        if allowed:
            return tuple(name for name in asked if re.search(rf"\b{name}\b", allowed))
        named = r"\bmetrics? [\"'`]?{0}\b|\b{0}[\"'`]? metric\b"
        return tuple(name for name in asked if not re.search(named.format(name), self.words))


class TooMuchData(Unavailable):
    """The answer would be too large for the platform to make."""


class Unexplained(Unavailable):
    """The platform failed without saying why: it may pass, or it may be what was asked for."""


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
            if payload is not None or status < 400 or status == 429:
                return None
            return (Unexplained if status == 500 else Unavailable)("The answer is no JSON.")
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
    if TOO_YOUNG in words:
        return Rejected  # a token too young to be extended is not an expired one
    if code in (190, 102, 210):  # 210: not the Page's token
        return Revoked if subcode == 458 else TokenExpired
    if code == 10 and "Not enough viewers" in words:
        return TooFewViewers
    if code in (3, 10) or (code is not None and 200 <= code <= 299):
        return ScopeMissing
    if code in (4, 17, 32, 341, 613) or (code is not None and 80000 <= code <= 80014):
        return RateLimited
    if code == 100:
        return _kind_of_100(subcode, words)
    if (code, subcode) == (24, 4279009):
        return Gone
    if code in (1, 2):
        return TooMuchData if "reduce the amount of data" in words else Unexplained if code == 1 else Unavailable
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


def sift(
    metrics: tuple[str, ...], refusal: MetricRefused, request: Callable[[tuple[str, ...]], Request]
) -> Call[tuple[str, ...]]:
    """The metrics that are left after a refusal: each is asked for by itself where it does not say what it refuses."""
    left = refusal.left(metrics)
    if left == metrics:
        answers = yield tuple(request((name,)) for name in metrics)
        told = dict(zip(metrics, answers, strict=True))
        left = tuple(name for name in metrics if not isinstance(told[name], MetricRefused))
    return left


def next_cursor(page: Raw, cursor: str, *, linked: bool) -> str:
    """Where the next page begins; empty if this one is the last. `linked`: only a link says that there is a next."""
    paging = page.get("paging") or {}
    after = str((paging.get("cursors") or {}).get("after") or "")
    more = page["data"] and after != cursor and ("next" in paging or not linked)
    return after if more else ""


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


def metric_values(insights: Any) -> dict[str, list[Any]]:
    """Each metric's values, oldest first; its total where it has no others. Empty where `insights` are none."""
    entries = insights.get("data") if isinstance(insights, dict) else None
    found: dict[str, list[Any]] = {}
    for entry in entries if isinstance(entries, list) else ():
        if isinstance(entry, dict):
            values = entry.get("values")
            told = values if isinstance(values, list) else [entry.get("total_value")]
            found[str(entry.get("name"))] = [each.get("value") if isinstance(each, dict) else None for each in told]
    return found


def summed(values: Sequence[Any] | None, name: str = "") -> int | None:
    """The sum of a metric's values, each a count or counts by kind; None where there are none, or one is no count."""
    split = [(*value.values(),) or (None,) if isinstance(value, dict) else (value,) for value in values or ()]
    counts = [None if str(part).startswith("-") else to_count(part, name) for parts in split for part in parts]
    known = [number for number in counts if number is not None]
    return sum(known) if known and len(known) == len(counts) else None


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

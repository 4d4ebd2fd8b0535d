"""How Meta's Graph APIs say no: by code, then subcode, then words."""

import re
from collections.abc import Sequence
from typing import Any

from platforms.errors import (
    Gone,
    PlatformError,
    RateLimited,
    Rejected,
    Revoked,
    ScopeMissing,
    TokenExpired,
    Unavailable,
)

TOO_YOUNG = "24 hours old"
"""What a refusal to extend a token says that is too young for it."""
APP_LIMITS = (4, 341)
"""Codes of limits that all accounts of an app share."""


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


def kind_of(code: int | None, subcode: int | None, words: str) -> type[PlatformError] | None:
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


def number_of(value: Any) -> int | None:
    if isinstance(value, str) and re.fullmatch("[0-9]{1,9}", value):
        return int(value)
    return value if isinstance(value, int) else None

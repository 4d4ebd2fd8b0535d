"""How LinkedIn says no: codes, service codes, and words where neither tells things apart."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from platforms.base import Platform
from platforms.errors import (
    Gone,
    Misconfigured,
    PlatformError,
    RateLimited,
    Rejected,
    Scope,
    ScopeMissing,
    TokenExpired,
)
from platforms.rates import next_midnight


class ParametersRefused(Rejected):
    """LinkedIn refuses what a parameter holds."""


class QueryTooLong(Rejected):
    """The query is longer than LinkedIn takes."""


class LinkedInErrors(Platform):
    """A platform that answers failures as LinkedIn does."""

    # https://learn.microsoft.com/en-us/linkedin/shared/api-guide/concepts/error-handling
    error_codes = {
        "65600": TokenExpired,
        "65601": TokenExpired,
        "65602": TokenExpired,
        "REVOKED_ACCESS_TOKEN": TokenExpired,
        "EXPIRED_ACCESS_TOKEN": TokenExpired,
        "VERSION_MISSING": Misconfigured,
        "NONEXISTENT_VERSION": Misconfigured,
        "RESOURCE_NOT_FOUND": Misconfigured,  # the endpoint, not what it was asked for
    }

    def error_code(self, payload: Any) -> str:
        code = str(payload.get("code") or "")
        return code if code in self.error_codes else str(payload.get("serviceErrorCode") or "")

    def error_detail(self, payload: Any) -> str:
        if not isinstance(payload, dict):
            return ""
        return str(payload.get("message") or payload.get("error_description") or payload.get("error") or "")

    def classify(self, status: int, headers: Mapping[str, str], payload: Any) -> PlatformError | None:
        words = (str(payload.get("message") or "") if isinstance(payload, dict) else "")[:300]
        if status == 429:
            return _throttled(words)
        if status == 403:
            return _forbidden(words, payload)
        if status == 404 and words and payload.get("code") != "RESOURCE_NOT_FOUND":
            return (Misconfigured if "virtual resource" in words else Gone)(words)
        if status == 414:
            return QueryTooLong()
        if status == 426:
            return Misconfigured(words)
        return None


def _forbidden(words: str, payload: Any) -> PlatformError | None:
    """Both of these are ACCESS_DENIED with service code 100, and only one of them is about the grant."""
    if "Unpermitted fields" in words or "resource is forbidden" in words:
        return ParametersRefused(words)
    if "Not enough permissions" in words or (isinstance(payload, dict) and payload.get("code") == "ACCESS_DENIED"):
        return ScopeMissing(words)
    return None


def _throttled(words: str) -> RateLimited:
    """A day's quota ends at midnight, UTC; any other throttle is over soon, and names no time."""
    # https://learn.microsoft.com/en-us/linkedin/shared/api-guide/concepts/rate-limits
    scope: Scope | None = "app" if "APPLICATION" in words else "account" if "MEMBER" in words else None
    midnight = next_midnight("UTC", datetime.now(UTC).timestamp()) if "DAY" in words else None
    return RateLimited(words, scope=scope, retry_at=midnight)

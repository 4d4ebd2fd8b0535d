"""What Google's APIs share: the error envelope and the token endpoint."""

import re
from collections.abc import Iterator
from typing import Any

from platforms.base import Platform, Raw, listed
from platforms.errors import (
    Misconfigured,
    PlatformError,
    RateLimited,
    Rejected,
    ScopeMissing,
    TokenExpired,
    Unavailable,
)
from platforms.oauth import Refresh

# https://cloud.google.com/apis/design/errors
ERRORS: dict[str, type[PlatformError]] = {
    "ACCESS_TOKEN_SCOPE_INSUFFICIENT": ScopeMissing,
    "SERVICE_DISABLED": Misconfigured,
    "UNAUTHENTICATED": TokenExpired,
    "PERMISSION_DENIED": ScopeMissing,
    "INVALID_ARGUMENT": Rejected,
    "RESOURCE_EXHAUSTED": RateLimited,
    "INTERNAL": Unavailable,
    "UNAVAILABLE": Unavailable,
    "DEADLINE_EXCEEDED": Unavailable,
}


class GooglePlatform(Platform):
    """A platform behind Google's OAuth; limits are those of the app's project."""

    gate_scope = "app"
    backoff = 60
    error_codes = ERRORS

    # https://developers.google.com/identity/protocols/oauth2/web-server#offline
    refresh = Refresh("https://oauth2.googleapis.com/token")

    def error_code(self, payload: Any) -> str:
        """The first reason that is known, else the status."""
        return next((code for code in _codes(payload["error"]) if code in self.error_codes), "")

    def error_detail(self, payload: Any) -> str:
        error = payload["error"]
        if isinstance(error, str):
            return str(payload.get("error_description") or error)
        return re.sub(r"<[^<>]*>", "", str(error.get("message") or error.get("status") or ""))


def details(error: Any) -> list[Raw]:
    """The objects that say more of an error; empty where it has none."""
    return listed(error, "details") if isinstance(error, dict) else []


def _codes(error: Any) -> Iterator[str]:
    if isinstance(error, dict):
        for reason in (*listed(error, "errors"), *details(error)):
            yield str(reason.get("reason"))
        yield str(error.get("status"))

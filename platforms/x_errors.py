"""How X says no: problem documents, the older error lists, and what its headers tell."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, time, timedelta
from typing import Any

from platforms.base import Platform, Raw, listed
from platforms.errors import (
    BudgetExhausted,
    Gone,
    Misconfigured,
    NotOpen,
    PlatformError,
    RateLimited,
    Rejected,
    Scope,
    ScopeMissing,
    Unavailable,
)
from platforms.payloads import epoch

WINDOW = ("", "about:blank", "rate-limit-exceeded", "88")
"""How X names a window that is spent, besides by HTTP 429."""
VOCABULARIES = {"tweet": "tweet.fields", "post": "post.fields"}


class VocabularyRefused(Rejected):
    """X does not know the name that fields were asked for by."""


class XErrors(Platform):
    """A platform that answers failures as X does."""

    # The last path segment of a problem's `type`, or an old style numeric code.
    # https://docs.x.com/x-api/fundamentals/response-codes-and-errors
    error_codes = {
        "unsupported-authentication": Misconfigured,
        "client-forbidden": Misconfigured,
        "oauth1-permissions": ScopeMissing,
        "rate-limit-exceeded": RateLimited,
        "88": RateLimited,
        "invalid-request": Rejected,
        "resource-not-found": Gone,
        "not-authorized-for-resource": NotOpen,
        "disallowed-resource": NotOpen,
        "not-authorized-for-field": ScopeMissing,
        "field-unauthorized": ScopeMissing,
        "field-hydration-failure": Unavailable,
        "resource-unavailable": Unavailable,
        "internal-error": Unavailable,
    }

    def error_code(self, payload: Any) -> str:
        kind = str(payload.get("type") or "")
        if not kind and isinstance(payload.get("errors"), list) and payload["errors"]:
            first = payload["errors"][0]
            kind = str(first.get("type") or first.get("code") or "")
        return kind.rstrip("/").rsplit("/", 1)[-1]

    def error_detail(self, payload: Any) -> str:
        first = payload["errors"][0] if payload.get("errors") else {}
        return str(payload.get("detail") or payload.get("title") or first.get("message") or first.get("detail") or "")

    def item_error(self, item: Any) -> PlatformError:
        """The failure of one item of an answer that is otherwise good."""
        return self.error_codes.get(self.error_code(item), Unavailable)(self.error_detail(item)[:200])

    def classify(self, status: int, headers: Mapping[str, str], payload: Any) -> PlatformError | None:
        broke = BudgetExhausted("The X app has no credits left.", scope="app")
        if status == 402 or not isinstance(payload, dict):
            return broke if status == 402 else None
        code = self.error_code(payload)
        if code in ("credits", "credits-depleted"):
            return broke
        if code == "usage-capped":
            midnight = datetime.combine(datetime.now(UTC).date() + timedelta(days=1), time(), UTC)
            return BudgetExhausted("The X app's usage cap is reached.", scope="app", retry_at=midnight)
        if status == 429 and code in WINDOW:
            return RateLimited(self.error_detail(payload)[:300], retry_at=self._reset(headers, datetime.now(UTC)))
        if status == 400 and _names_vocabulary(payload):
            return VocabularyRefused(self.error_detail(payload)[:300])
        if status >= 300 and self.error_codes.get(code) is Gone:
            return Rejected(self.error_detail(payload)[:300])  # X tells of posts in good answers only
        if status == 403 and code not in self.error_codes:
            return self._forbidden(code, payload)
        about_items = any("resource_id" in item or "value" in item for item in payload.get("errors") or ())
        if status < 300 and payload.get("errors") and "data" not in payload and not about_items:
            return self.error_codes.get(code, Rejected)(self.error_detail(payload)[:300])
        return None

    def _forbidden(self, code: str, payload: Any) -> PlatformError | None:
        """A missing scope has no type of its own: it is a bare "Forbidden", or is named in words."""
        detail = self.error_detail(payload)[:300]
        if payload.get("reason") == "client-not-enrolled":
            return Misconfigured(detail)
        if "error" not in payload and (code in ("", "about:blank") or re.search("scope|permission", detail, re.I)):
            return ScopeMissing(detail)
        return None

    def _reset(self, headers: Mapping[str, str], now: datetime) -> datetime | None:
        """When a window that refused a call ends, also where the headers do not say that nothing is left of it."""
        spent = self.spent(headers, now)
        reset = spent[1] if spent else epoch(headers.get("x-rate-limit-reset"))
        return reset if reset is not None and reset > now else None

    def spent(self, headers: Mapping[str, str], now: datetime) -> tuple[Scope, datetime] | None:
        of_app = {str(limit.calls) for limit in self.limits if limit.scope == "app"}
        for prefix in ("x-app-limit-24hour", "x-user-limit-24hour", "x-rate-limit"):
            reset = epoch(headers.get(f"{prefix}-reset"))
            if headers.get(f"{prefix}-remaining") == "0" and reset is not None and reset > now:
                app = "app" in prefix or (prefix == "x-rate-limit" and headers.get(f"{prefix}-limit") in of_app)
                return "app" if app else "account", reset
        return None


def failed_items(answer: Any) -> dict[str, Raw]:
    """The errors of an answer by what they are about."""
    return {str(each.get("resource_id") or each.get("value")): each for each in listed(answer, "errors")}


def hides_posts(answer: Any) -> bool:
    """Whether an answer may be about a post without saying which: none is missing from it then."""
    posts, errors = answer.get("data"), answer.get("errors")
    told = [post.get("id", "" if errors else None) if isinstance(post, dict) else None for post in posts or ()]
    # An object without id may stand beside an error.
    named = all(isinstance(each, str) and re.fullmatch("[0-9]{0,19}", each) for each in told)
    about = (each.get("resource_id") or each.get("value") if isinstance(each, dict) else None for each in errors or ())
    return (posts is None and not errors) or not named or not all(isinstance(each, str) for each in about)


def _names_vocabulary(payload: Any) -> bool:
    """Whether a refusal is about the parameter that names fields."""
    texts = [str(payload.get("detail") or "")]
    for error in payload.get("errors") or ():
        texts += [str(error.get("message") or ""), *(error.get("parameters") or {}), str(error.get("parameter") or "")]
    return any(name in text for name in VOCABULARIES.values() for text in texts)

"""What can go wrong with a platform, sorted by who can cure it."""

from datetime import datetime
from typing import Any, ClassVar, Literal

Scope = Literal["platform", "app", "account", "host"]


class PlatformError(Exception):
    """A failure of one call, or of one item of a successful call.

    `detail` is safe to show a customer; `evidence` is the capped answer, for logs only. `retry_at` is the instant the
    platform named, if it named one. `scope` and `group` say what a failure concerns, where that is known.
    """

    code: ClassVar[str] = "platform_error"
    retryable: ClassVar[bool] = False

    def __init__(
        self,
        detail: str = "",
        *,
        evidence: Any = None,
        retry_at: datetime | None = None,
        scope: Scope | None = None,
        group: str = "",
    ) -> None:
        self.detail = detail or (self.__doc__ or "").strip().splitlines()[0]
        self.evidence = evidence
        self.retry_at = retry_at
        self.scope = scope
        self.group = group
        super().__init__(self.detail)


class TryLater(PlatformError):
    """The platform may answer later."""

    retryable = True


class RateLimited(TryLater):
    """The platform's rate limit is spent."""

    code = "rate_limited"


class BudgetExhausted(TryLater):
    """The app's paid or contracted budget on the platform is spent."""

    code = "budget_exhausted"


class Unavailable(TryLater):
    """The platform did not give a usable answer."""

    code = "platform_unavailable"


class NotOpen(Unavailable):
    """The post is not open to the account whose token asked for it."""


class DeadlineExceeded(Unavailable):
    """The platform did not answer before the deadline."""

    code = "deadline_exceeded"


class NeedsOwner(PlatformError):
    """Only the account's owner can cure it."""


class TokenExpired(NeedsOwner):
    """The platform refuses the account's token."""

    code = "token_expired"


class PasswordRefused(TokenExpired):
    """The platform does not take the account's password."""


class CodeRefused(NeedsOwner):
    """The platform does not take the code of the consent: it is used, expired or not its own."""

    code = "code_refused"


class Revoked(NeedsOwner):
    """The owner withdrew the grant; the account must be connected again."""

    code = "reauth_required"


class ScopeMissing(NeedsOwner):
    """The account's grant lacks a permission."""

    code = "scope_missing"


class AccountNotFound(NeedsOwner):
    """The platform does not know the account, or has deactivated it."""

    code = "account_not_found"


class Gone(PlatformError):
    """The post no longer exists on its platform."""

    code = "post_gone"


class NeedsFix(PlatformError):
    """A person who runs the service must look at it."""


class Rejected(NeedsFix):
    """The platform rejected the request."""


class Misconfigured(NeedsFix):
    """The app's own credentials or settings are wrong; no account is to blame."""


class MalformedPayload(NeedsFix):
    """The platform's answer could not be read."""

    retryable = True


def by_status(status: int) -> type[PlatformError]:
    """What an HTTP status means where nothing else tells."""
    if status == 429:
        return RateLimited
    if status == 401:
        return TokenExpired
    if status >= 500 or status in (408, 425) or 300 <= status < 400:
        return Unavailable
    return Rejected

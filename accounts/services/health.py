"""Whether an account can be measured, asked of the platform itself where it can be."""

from dataclasses import dataclass
from datetime import datetime

from django.utils import timezone

from accounts.models import SocialAccount, Status
from accounts.services import access, flights, standing
from accounts.services.flights import Failure, Landing
from accounts.services.tokens import TokenKeeper
from platforms import pools
from platforms.client import Client
from platforms.errors import DeadlineExceeded, NeedsOwner, PlatformError

CODES = frozenset(
    {
        "token_expired",
        "reauth_required",
        "scope_missing",
        "rate_limited",
        "platform_unavailable",
        "account_not_found",
        "platform_error",
    }
)
UNCALLABLE = (Status.DISABLED, Status.REVOKED)


@dataclass(frozen=True)
class Health:
    """`error_code` is null exactly when the account is healthy."""

    account: SocialAccount
    error_code: str | None
    checked_live: bool
    checked_at: datetime

    @property
    def healthy(self) -> bool:
        return self.error_code is None


def check(account: SocialAccount, *, since: float, deadline: float) -> Health:
    """Refresh a token about to expire, then make one light identity call; or go by the status alone.

    `since` and `deadline` are instants of `time.monotonic()`, as in `flights.share`.
    """
    if account.status in UNCALLABLE or not access.platform_of(account).has_probe:
        return Health(account, _code_of_status(account), False, timezone.now())
    key = f"probe:{account.pk}"
    landing = flights.share(
        {(key,): lambda keys: {key: probe(account, wait_until=deadline)}},
        lambda keys: pools.conversations_pool(account.platform),
        since=since,
        deadline=deadline,
    )[key]
    account.refresh_from_db()
    return Health(account, _code_of(landing), True, timezone.now())


def probe(account: SocialAccount, *, wait_until: float = 0.0) -> Landing:
    """One identity call with a fresh token. What it shows is recorded on the account."""
    platform = access.platform_of(account)
    keeper = TokenKeeper(account, wait_until=wait_until)
    try:
        credentials = keeper.fresh()
        as_known = access.as_platform_account(account)
        client = Client(
            platform,
            as_known,
            settings=access.platform_settings(account.mode),
            credentials=credentials,
            app=access.app_of(account),
            gates=access.gates_of(account),
            renew=keeper.renew,
            live=True,
        )
        client.run(platform.probe(as_known))
    except PlatformError as error:
        return Failure.of(note_failure(keeper.account, error))
    standing.record_success(keeper.account)
    return None


def note_failure(account: SocialAccount, error: PlatformError) -> PlatformError:
    """Record what a failed call says of its account; returns the error to answer with."""
    if isinstance(error, NeedsOwner) and standing.is_refusal(error):
        return standing.record_refusal(account, error)
    if not isinstance(error, DeadlineExceeded):
        standing.record_error(account, error)
    return error


def _code_of_status(account: SocialAccount) -> str | None:
    return None if account.status == Status.ACTIVE else account.status


def _code_of(landing: Landing) -> str | None:
    if landing is None:
        return None
    if landing.code in ("deadline_exceeded", "budget_exhausted"):
        return "platform_unavailable" if landing.code == "deadline_exceeded" else "rate_limited"
    return landing.code if landing.code in CODES else "platform_error"

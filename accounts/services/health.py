"""Whether an account can be measured, asked of the platform itself where it can be."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from django.utils import timezone

from accounts.models import SocialAccount, Status
from accounts.services import access, flights, standing
from accounts.services.flights import Failure, Landing
from accounts.services.tokens import TokenKeeper
from platforms import pools
from platforms.client import Client
from platforms.errors import DeadlineExceeded, NeedsFix, NeedsOwner, PlatformError

logger = logging.getLogger(__name__)

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
    return check_all([account], since=since, deadline=deadline)[0]


def check_all(accounts: Sequence[SocialAccount], *, since: float, deadline: float) -> list[Health]:
    """The same of many accounts, side by side, in their order."""
    asked = {f"probe:{account.pk}": account for account in accounts if _is_askable(account)}
    landings = flights.share(
        {(key,): partial(_probes, account, deadline) for key, account in asked.items()},
        lambda keys: pools.conversations_pool(asked[keys[0]].platform),
        since=since,
        deadline=deadline,
    )
    return [_health(account, landings) for account in accounts]


def _is_askable(account: SocialAccount) -> bool:
    alive = account.deleted_at is None and account.status not in UNCALLABLE
    return alive and access.platform_of(account).has_probe


def _probes(account: SocialAccount, deadline: float, keys: list[str]) -> dict[str, Landing]:
    return {key: probe(account, wait_until=deadline) for key in keys}


def _health(account: SocialAccount, landings: Mapping[str, Landing]) -> Health:
    key = f"probe:{account.pk}"
    if key not in landings:
        return Health(account, _code_by_itself(account), False, timezone.now())
    stored = SocialAccount.objects.filter(pk=account.pk).first() or account
    code = _code_of(landings[key])
    if stored.status == Status.DISABLED or code is None:
        code = _code_of_status(stored)
    return Health(stored, code, True, timezone.now())


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
        if isinstance(error, NeedsFix):
            logger.error("probe of account %s: %s evidence: %.500s", account.pk, error.detail, error.evidence)
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


def _code_by_itself(account: SocialAccount) -> str | None:
    """What status and expiry tell, where the platform is not asked."""
    expired = account.token_expires_at is not None and account.token_expires_at <= timezone.now()
    return _code_of_status(account) or ("token_expired" if expired else None)


def _code_of(landing: Landing) -> str | None:
    if landing is None:
        return None
    if landing.code in ("deadline_exceeded", "budget_exhausted"):
        return "platform_unavailable" if landing.code == "deadline_exceeded" else "rate_limited"
    return landing.code if landing.code in CODES else "platform_error"

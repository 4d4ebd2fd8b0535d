"""What a platform's answers mean for an account: its status, its last error, and who is told."""

import logging
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import F, Min, Q, QuerySet
from django.utils import timezone

from accounts.models import Gate, SocialAccount, Status
from accounts.services.events import emit_account_event
from platforms.errors import NeedsOwner, PlatformError, Revoked, TokenExpired, Unavailable

logger = logging.getLogger(__name__)

OK_EVERY = timedelta(minutes=5)
RETRY_DEAD = timedelta(days=1)
RETRY_NEW = timedelta(minutes=10)
"""LinkedIn, for one, refuses some tokens for seconds after it has issued them: a new one's refusal may soon be over."""

# One platform refusing most of its accounts at the same time is an incident, not dead tokens.
INCIDENT_WINDOW = timedelta(minutes=15)
INCIDENT_ACCOUNTS = 3
INCIDENT_LASTS = timedelta(hours=6)
INCIDENT_REST = timedelta(hours=24)
RETRY_IN_INCIDENT = timedelta(minutes=10)

REFUSAL_FIELDS = (
    "status",
    "refused_at",
    "token_retry_at",
    "last_error_code",
    "last_error_detail",
    "last_error_at",
    "updated_at",
)
EVENTS = {Status.TOKEN_EXPIRED: "account.token_expired", Status.REVOKED: "account.reauth_required"}


def is_refusal(error: PlatformError) -> bool:
    """Whether an error says that the account's tokens are no good."""
    return isinstance(error, TokenExpired | Revoked)


def record_success(account: SocialAccount) -> None:
    """The platform accepted the token that `account` was read with. Written every five minutes while nothing changes.

    Says nothing of an account whose token has been replaced since then, or refused: the call may be the older one.
    """
    now = timezone.now()
    fresh = account.last_ok_at is not None and now - account.last_ok_at < OK_EVERY
    if fresh and account.status == Status.ACTIVE and not account.last_error_code:
        return
    cleared = {"last_ok_at": now, "last_error_code": "", "last_error_detail": "", "last_error_at": None}
    same = {"access_token": account.access_token, "refused_at": account.refused_at}
    alive = SocialAccount.objects.filter(pk=account.pk, deleted_at=None, **same)
    if not alive.update(**cleared):
        return
    account.last_ok_at, account.last_error_code = now, ""
    dead = alive.filter(status=Status.TOKEN_EXPIRED)
    if dead.exists():
        _revive(dead)
        account.status = Status.ACTIVE


def _revive(dead: QuerySet[SocialAccount]) -> None:
    """A token that was given up works after all: who was told that it is dead is told of this, once."""
    with transaction.atomic():
        account = dead.select_for_update().first()
        if account is not None:
            account.status, account.token_retry_at = Status.ACTIVE, None
            account.save(update_fields=["status", "token_retry_at", "updated_at"])
            emit_account_event(account, "account.connected")


def record_error(account: SocialAccount, error: PlatformError) -> None:
    """Note what went wrong, for staff and for the account's owner. No status changes."""
    SocialAccount.objects.filter(pk=account.pk, deleted_at=None, grant=account.grant).update(
        last_error_code=error.code, last_error_detail=error.detail[:500], last_error_at=timezone.now()
    )


def record_refusal(account: SocialAccount, error: NeedsOwner) -> PlatformError:
    """The platform refuses the account's tokens: flip its status and tell, once. Returns the error to answer with.

    In an incident nobody's status flips: who is active answers as if the platform were away.
    """
    now = timezone.now()
    with transaction.atomic():
        in_incident = _is_incident(account, now)
        current = SocialAccount.objects.select_for_update().filter(pk=account.pk, deleted_at=None).first()
        if current is None or current.access_token != account.access_token:
            return Unavailable("The account's tokens have just been replaced.")  # the refusal was of older ones
        was, told = current.status, error if current.status != Status.ACTIVE or not in_incident else _held()
        current.status = was if in_incident else _status_after(was, error)
        current.refused_at = current.last_error_at = now
        current.last_error_code, current.last_error_detail = told.code, told.detail[:500]
        if current.status == Status.TOKEN_EXPIRED:
            is_new = current.token_obtained_at is not None and now - current.token_obtained_at < RETRY_NEW
            current.token_retry_at = now + (RETRY_IN_INCIDENT if in_incident else RETRY_NEW if is_new else RETRY_DEAD)
        current.save(update_fields=REFUSAL_FIELDS)
        if current.status != was:
            emit_account_event(current, EVENTS[Status(current.status)], reason=error.detail)
            logger.warning("account %s is %s: %s", current.pk, current.status, error.detail)
    return told


def _held() -> Unavailable:
    return Unavailable("The platform refuses most accounts at the moment; this one is not blamed for it.")


def _status_after(status: str, error: NeedsOwner) -> str:
    """The status that a refusal leads to; what is disabled or revoked stays so."""
    if status not in (Status.ACTIVE, Status.TOKEN_EXPIRED):
        return status
    return Status.REVOKED if isinstance(error, Revoked) else Status.TOKEN_EXPIRED


# --- incidents -------------------------------------------------------------------------------------------------------


def _is_incident(account: SocialAccount, now: datetime) -> bool:
    """Whether this refusal is one of too many. Holds the platform's incident row, so that no two count at once."""
    gate = _incident_row(account, now)
    if gate.not_before > now:
        return True
    rested = gate.not_before < now - INCIDENT_REST
    others = SocialAccount.objects.filter(platform=account.platform, mode=account.mode, deleted_at=None)
    refused = others.exclude(pk=account.pk).filter(refused_at__gte=now - INCIDENT_WINDOW)
    count = refused.count()
    if count < INCIDENT_ACCOUNTS or not rested or _accepted(others, refused) > count:
        return False
    logger.error("%s refuses most accounts (%s mode): holding", account.platform, account.mode)
    gate.not_before, gate.reason, gate.updated_at = now + INCIDENT_LASTS, "incident", now
    gate.save(update_fields=["not_before", "reason", "updated_at"])
    blamed = refused.filter(status__in=(Status.TOKEN_EXPIRED, Status.REVOKED))
    blamed.update(status=Status.TOKEN_EXPIRED, token_retry_at=now + RETRY_IN_INCIDENT, updated_at=now)
    return True


def _incident_row(account: SocialAccount, now: datetime) -> Gate:
    key = f"{account.platform}:incident:{account.mode}:"
    long_ago = now - 2 * INCIDENT_REST
    Gate.objects.get_or_create(key=key, defaults={"platform": f"{account.platform}-incident", "not_before": long_ago})
    return Gate.objects.select_for_update().get(key=key)


def _accepted(others: QuerySet[SocialAccount], refused: QuerySet[SocialAccount]) -> int:
    """How many accounts have worked since the first of the refusals, and were not refused after that."""
    first = refused.aggregate(first=Min("refused_at"))["first"]
    unrefused = Q(refused_at=None) | Q(refused_at__lt=F("last_ok_at"))
    return others.filter(unrefused, last_ok_at__gt=first).count()

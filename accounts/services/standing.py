"""What a platform's answers mean for an account: its status, its last error, and who is told."""

import logging
from datetime import datetime, timedelta

from django.db import transaction
from django.utils import timezone

from accounts.models import Gate, SocialAccount, Status
from accounts.services.events import emit_account_event
from platforms.errors import NeedsOwner, PlatformError, Revoked, TokenExpired, Unavailable

logger = logging.getLogger(__name__)

OK_EVERY = timedelta(minutes=5)
RETRY_DEAD = timedelta(days=1)

# One platform refusing most of its accounts at the same time is an incident, not dead tokens.
INCIDENT_WINDOW = timedelta(minutes=15)
INCIDENT_ACCOUNTS = 3
INCIDENT_LASTS = timedelta(hours=6)
INCIDENT_REST = timedelta(hours=24)
RETRY_IN_INCIDENT = timedelta(minutes=10)


def record_success(account: SocialAccount) -> None:
    """The platform accepted the account's token."""
    now = timezone.now()
    fresh = account.last_ok_at is not None and now - account.last_ok_at < OK_EVERY
    if fresh and account.status == Status.ACTIVE and not account.last_error_code:
        return
    cleared = {"last_ok_at": now, "last_error_code": "", "last_error_detail": "", "last_error_at": None}
    alive = SocialAccount.objects.filter(pk=account.pk, deleted_at=None)
    alive.update(**cleared)
    alive.filter(status=Status.TOKEN_EXPIRED).update(status=Status.ACTIVE, token_retry_at=None)


def record_error(account: SocialAccount, error: PlatformError) -> None:
    """Note what went wrong, for staff and for the account's owner. No status changes."""
    SocialAccount.objects.filter(pk=account.pk).update(
        last_error_code=error.code, last_error_detail=error.detail[:500], last_error_at=timezone.now()
    )


def record_refusal(account: SocialAccount, error: NeedsOwner) -> PlatformError:
    """The platform refuses the account's tokens: flip its status and tell, once. Returns the error to answer with."""
    status = Status.REVOKED if isinstance(error, Revoked) else Status.TOKEN_EXPIRED
    kind = "account.reauth_required" if status == Status.REVOKED else "account.token_expired"
    now = timezone.now()
    with transaction.atomic():
        in_incident = _is_incident(account, now)
        current = SocialAccount.objects.select_for_update().filter(pk=account.pk, deleted_at=None).first()
        if current is None or current.access_token != account.access_token:
            return Unavailable("The account's tokens have just been replaced.")  # the refusal was of older ones
        current.refused_at = now
        changed = ["refused_at", "last_error_code", "last_error_detail", "last_error_at"]
        told: PlatformError = error
        if in_incident and current.status == Status.ACTIVE:
            told = Unavailable("The platform refuses most accounts at the moment; this one is not blamed for it.")
        elif current.status in (Status.ACTIVE, Status.TOKEN_EXPIRED):
            current.token_retry_at = now + (RETRY_IN_INCIDENT if in_incident else RETRY_DEAD)
            changed += ["status", "token_retry_at"]
        flips = told is error and current.status == Status.ACTIVE
        flips = flips or (status == Status.REVOKED and told is error and current.status == Status.TOKEN_EXPIRED)
        if flips:
            current.status = status
        current.last_error_code, current.last_error_detail, current.last_error_at = told.code, told.detail[:500], now
        current.save(update_fields=[*changed, "updated_at"])
        if flips:
            emit_account_event(current, kind, reason=error.detail)
            logger.warning("account %s is %s: %s", current.pk, status, error.detail)
    return told


def _is_incident(account: SocialAccount, now: datetime) -> bool:
    """Whether this refusal is one of too many. Holds the platform's incident row, so that no two count at once."""
    key = f"{account.platform}:incident:{account.mode}:"
    Gate.objects.get_or_create(
        key=key, defaults={"platform": f"{account.platform}-incident", "not_before": now - 2 * INCIDENT_REST}
    )
    gate = Gate.objects.select_for_update().get(key=key)
    if gate.not_before > now:
        return True
    since = now - INCIDENT_WINDOW
    others = SocialAccount.objects.filter(platform=account.platform, mode=account.mode).exclude(pk=account.pk)
    refused = others.filter(refused_at__gte=since).count()
    accepted = others.filter(last_ok_at__gte=since).count()
    rested = gate.not_before < now - INCIDENT_REST
    if refused < INCIDENT_ACCOUNTS or accepted > refused or not rested:
        return False
    logger.error("%s refuses most accounts (%d refused, %d accepted): holding", account.platform, refused, accepted)
    gate.not_before, gate.reason, gate.updated_at = now + INCIDENT_LASTS, "incident", now
    gate.save(update_fields=["not_before", "reason", "updated_at"])
    others.filter(refused_at__gte=since, status=Status.TOKEN_EXPIRED).update(token_retry_at=now + RETRY_IN_INCIDENT)
    return True


def is_refusal(error: PlatformError) -> bool:
    """Whether an error says that the account's tokens are no good."""
    return isinstance(error, TokenExpired | Revoked)

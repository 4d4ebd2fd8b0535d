"""Connecting, changing and disconnecting accounts."""

from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction
from django.utils import timezone

from accounts.models import SocialAccount, Status
from accounts.services import crypto
from accounts.services.events import emit_account_event
from platforms.oauth import jwt_expiry

TOKEN_FIELDS = ("access_token", "refresh_token", "token_expires_at")


def connect(organization_id: UUID, mode: str, given: dict[str, Any]) -> tuple[SocialAccount, bool]:
    """Connect an account with tokens that the caller holds, or update what is given of a connected one.

    Returns the account and whether it is new.
    """
    identity = {"platform": given["platform"], "network_unique_id": given["network_unique_id"]}
    alive = SocialAccount.objects.filter(organization_id=organization_id, mode=mode, deleted_at=None, **identity)
    account = alive.first()
    if account is None:
        try:
            return _create(organization_id, mode, given), True
        except IntegrityError:  # connected by another request in the meantime
            account = alive.get()
    return update(account, given), False


def _create(organization_id: UUID, mode: str, given: dict[str, Any]) -> SocialAccount:
    with transaction.atomic():
        account = SocialAccount(organization_id=organization_id, mode=mode)
        _apply(account, given)
        account.save()
        emit_account_event(account, "account.connected")
    return account


def update(account: SocialAccount, given: dict[str, Any]) -> SocialAccount:
    """Change what is given. New tokens return a `token_expired` or `revoked` account to `active`."""
    with transaction.atomic():
        account = SocialAccount.objects.select_for_update().get(pk=account.pk)
        was = account.status
        _apply(account, given)
        account.save()
        if account.status == Status.ACTIVE and was in (Status.TOKEN_EXPIRED, Status.REVOKED):
            emit_account_event(account, "account.connected")
    return account


def _apply(account: SocialAccount, given: dict[str, Any]) -> None:
    for name, value in given.items():
        if name not in (*TOKEN_FIELDS, "extra"):
            setattr(account, name, value)
    if "extra" in given:
        account.extra = {**account.extra, **given["extra"]}
    if any(name in given for name in TOKEN_FIELDS):
        _apply_tokens(account, given)


def _apply_tokens(account: SocialAccount, given: dict[str, Any]) -> None:
    """New tokens replace the old ones whole: an expiry or refresh token of the old grant says nothing of the new."""
    if "access_token" in given:
        account.access_token = crypto.encrypt(given["access_token"])
        account.token_expires_at = given.get("token_expires_at") or jwt_expiry(given["access_token"])
        account.token_obtained_at = timezone.now()
    elif "token_expires_at" in given:
        account.token_expires_at = given["token_expires_at"]
    if "refresh_token" in given:
        account.refresh_token = crypto.encrypt(given["refresh_token"] or "")
    if "access_token" not in given and "refresh_token" not in given:
        return
    account.refresh_claim = account.refresh_claimed_until = account.token_retry_at = account.refused_at = None
    account.last_error_code = account.last_error_detail = ""
    account.last_error_at = None
    account.failures = 0
    account.next_collect_at = timezone.now()
    if account.status in (Status.TOKEN_EXPIRED, Status.REVOKED):
        account.status = Status.ACTIVE


def disable(account: SocialAccount) -> None:
    """Stop calling the platform for an account."""
    SocialAccount.objects.filter(pk=account.pk, deleted_at=None).update(
        status=Status.DISABLED, updated_at=timezone.now()
    )


def disconnect(account: SocialAccount) -> None:
    """Delete an account: gone from every read, tokens erased, snapshots kept."""
    with transaction.atomic():
        account = SocialAccount.objects.select_for_update().get(pk=account.pk)
        if account.deleted_at is not None:
            return
        account.deleted_at = timezone.now()
        account.access_token = account.refresh_token = ""
        account.next_collect_at = account.refresh_claim = account.refresh_claimed_until = None
        account.save()
        emit_account_event(account, "account.disconnected")

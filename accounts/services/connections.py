"""Connecting, changing and disconnecting accounts."""

from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from django.db import IntegrityError, transaction
from django.db.models import F
from django.utils import timezone

from accounts.models import SocialAccount, Status
from accounts.services import access, crypto
from accounts.services.events import emit_account_event
from platforms import ownership, registry
from platforms.consent import Candidate
from platforms.errors import MalformedPayload
from platforms.oauth import TokenSet, jwt_expiry
from platforms.payloads import clean

TOKEN_FIELDS = ("access_token", "refresh_token", "token_expires_at", "refresh_expires_at")
DEAD = (Status.TOKEN_EXPIRED, Status.REVOKED)


class Conflict(Exception):
    """An account's state does not allow a change; the message says why."""


def connect(
    organization_id: UUID, mode: str, given: dict[str, Any], *, consented: bool = False
) -> tuple[SocialAccount, bool]:
    """Connect an account with tokens that the caller holds, or update what is given of a connected one.

    `consented` if its owner has just let us: that is told of a connected account, too. Returns the account and whether
    it is new.
    """
    identity = {"platform": given["platform"], "network_unique_id": given["network_unique_id"]}
    alive = SocialAccount.objects.filter(organization_id=organization_id, mode=mode, deleted_at=None, **identity)
    while True:  # again if another request connects or disconnects it in the meantime
        account = alive.first()
        try:
            if account is None:
                return _create(organization_id, mode, given), True
            return update(account, given, consented=consented), False
        except IntegrityError:
            if not alive.exists():
                raise
        except SocialAccount.DoesNotExist:
            continue


def _create(organization_id: UUID, mode: str, given: dict[str, Any]) -> SocialAccount:
    with transaction.atomic():
        account = SocialAccount(organization_id=organization_id, mode=mode)
        _apply(account, given)
        account.save(force_insert=True)
        emit_account_event(account, "account.connected")
    return account


def given_of(platform: str, found: Candidate, tokens: TokenSet) -> dict[str, Any]:
    """What connecting an account is given that a platform has told us of, with its tokens.

    Raises MalformedPayload for an id that the platform has no such, or that is too long to be kept.
    """
    try:
        own_id = registry.get(platform).normalize_account_id(found.network_unique_id)
        if len(own_id) > 255:
            raise ValueError("too long")
    except ValueError as error:
        raise MalformedPayload(f"An account has an odd id: {found.network_unique_id[:64]}") from error
    image = str(clean(found.profile_image_url))  # which takes addresses out that bear a token
    return {
        "platform": platform,
        "network_unique_id": own_id,
        "username": str(clean(found.username))[:255],
        "display_name": str(clean(found.display_name))[:255],
        "profile_image_url": image if image.startswith("https://") and len(image) <= 2000 else "",
        "account_type": str(clean(found.account_type))[:64],
        "extra": dict(found.extra),
        "access_token": tokens.access_token,
        "refresh_token": tokens.refresh_token,
        "token_expires_at": tokens.expires_at,
        "refresh_expires_at": tokens.refresh_expires_at,
        "status": Status.ACTIVE,
    }


def update(account: SocialAccount, given: dict[str, Any], *, consented: bool = False) -> SocialAccount:
    """Change what is given. New tokens return a `token_expired` or `revoked` account to `active`.

    `active` returns a disabled one to what it was before.

    Raises Conflict for a status that cannot be had, DoesNotExist if the account was disconnected.
    """
    with transaction.atomic():
        account = SocialAccount.objects.select_for_update().get(pk=account.pk, deleted_at=None)
        if given.get("status") == Status.ACTIVE and account.status in DEAD and not _has_tokens(given):
            raise Conflict(f"An account that is {account.status} becomes active by new tokens only.")
        was = account.status_when_enabled or account.status
        _apply(account, given)
        account.save()
        if consented or (account.status == Status.ACTIVE and was in DEAD):
            emit_account_event(account, "account.connected")
    return account


def _apply(account: SocialAccount, given: dict[str, Any]) -> None:
    for name, value in given.items():
        if name not in (*TOKEN_FIELDS, "app_password", "extra", "status"):
            setattr(account, name, value)
    _switch(account, given.get("status"))
    if "extra" in given:
        account.extra = {**account.extra, **given["extra"]}
    if "app_password" in given:
        account.app_password = crypto.encrypt(given["app_password"])
    if any(name in given for name in TOKEN_FIELDS):
        _apply_tokens(account, given)


def _switch(account: SocialAccount, wanted: str | None) -> None:
    """Disable or enable an account: enabled, it is what it was, for its tokens are no better than they were."""
    if wanted == Status.DISABLED and account.status != Status.DISABLED:
        account.status, account.status_when_enabled = Status.DISABLED, account.status
    if wanted == Status.ACTIVE and account.status == Status.DISABLED:
        account.status, account.status_when_enabled = account.status_when_enabled or Status.ACTIVE, ""


def _has_tokens(given: dict[str, Any]) -> bool:
    return bool(given.get("access_token") or given.get("refresh_token"))


def _apply_tokens(account: SocialAccount, given: dict[str, Any]) -> None:
    """What is given of the tokens. The end of an old access token says nothing of a new one's."""
    if "access_token" in given:
        account.access_token = crypto.encrypt(given["access_token"])
        account.token_expires_at = given.get("token_expires_at") or jwt_expiry(given["access_token"])
        account.token_obtained_at = _obtained_at(account, timezone.now())
    elif "token_expires_at" in given:
        account.token_expires_at = given["token_expires_at"]
        account.token_obtained_at = _obtained_at(account, account.token_obtained_at or account.created_at)
    if "refresh_token" in given:
        account.refresh_token = crypto.encrypt(given["refresh_token"] or "")
        account.refresh_expires_at = given.get("refresh_expires_at") or jwt_expiry(given["refresh_token"] or "")
    elif "refresh_expires_at" in given:
        account.refresh_expires_at = given["refresh_expires_at"]
    if "access_token" in given or "refresh_token" in given:
        account.refresh_claim = account.refresh_claimed_until = None  # a refresh under way is one of older tokens
    if _has_tokens(given):
        _start_over(account)


def _obtained_at(account: SocialAccount, latest: datetime) -> datetime:
    """When a token was obtained: `latest`, or earlier if its end tells that it is older than we have known it."""
    facts = access.platform_of(account).refresh_for(access.as_platform_account(account))
    if facts is None or not facts.lifetime or account.token_expires_at is None:
        return latest
    return min(latest, account.token_expires_at - facts.lifetime)


def _start_over(account: SocialAccount) -> None:
    """New tokens: what was wrong with the old ones is forgotten."""
    account.token_retry_at = account.refused_at = account.last_ok_at = account.last_error_at = None
    account.last_error_code = account.last_error_detail = ""
    account.failures = 0
    account.grant = uuid4()
    account.memory = ownership.forget(account.memory)
    account.next_collect_at = timezone.now()
    if account.status in DEAD:
        account.status = Status.ACTIVE
    if account.status_when_enabled in DEAD:
        account.status_when_enabled = Status.ACTIVE


def disable(account: SocialAccount) -> bool:
    """Stop calling the platform for an account. Returns whether it was called so far."""
    enabled = SocialAccount.objects.filter(pk=account.pk, deleted_at=None).exclude(status=Status.DISABLED)
    change = {"status": Status.DISABLED, "status_when_enabled": F("status"), "updated_at": timezone.now()}
    return bool(enabled.update(**change))


def disconnect(account: SocialAccount) -> None:
    """Delete an account: gone from every read, tokens erased, snapshots kept."""
    with transaction.atomic():
        account = SocialAccount.objects.select_for_update().get(pk=account.pk)
        if account.deleted_at is not None:
            return
        account.deleted_at = timezone.now()
        account.access_token = account.refresh_token = account.app_password = ""
        account.refresh_expires_at = None
        account.next_collect_at = account.refresh_claim = account.refresh_claimed_until = None
        account.claim = account.claimed_until = None
        account.save()
        emit_account_event(account, "account.disconnected")

"""Renewing tokens in the background: those near their end, and once a day those that were refused."""

import logging
import random
import time
from datetime import timedelta

from django.conf import settings
from django.db.models import Exists, F, OuterRef, Q
from django.db.models.functions import Coalesce
from django.utils import timezone

from accounts.models import Mode, SocialAccount, SocialNetwork, Status
from accounts.services import health, standing
from accounts.services.tokens import TokenKeeper
from platforms import registry
from platforms.base import Platform
from platforms.errors import NeedsFix, PlatformError

logger = logging.getLogger(__name__)

BATCH = 500
AFTER_FAILURE = timedelta(minutes=10)


def refresh_due(*, until: float | None = None) -> int:
    """Renew what is due, until `until` (of `time.monotonic()`). Returns how many were renewed.

    Platforms in any order, so that one that hangs does not always come before the others.
    """
    until = time.monotonic() + settings.COLLECT_TASK_SECONDS if until is None else until
    platforms = list(registry.PLATFORMS.values())
    random.shuffle(platforms)
    renewed = 0
    for platform in platforms:
        for account in _due(platform):
            if time.monotonic() >= until:
                return renewed
            renewed += _renew(account)
    return renewed


def _due(platform: Platform) -> list[SocialAccount]:
    """Accounts whose tokens are to be renewed and can be; those that failed last come last."""
    facts, now = platform.refresh, timezone.now()
    if facts is None:
        return []
    ending = Q(status=Status.ACTIVE, token_expires_at__lte=now + facts.early)
    if facts.needs_app:
        ending &= _has_app(platform) | Q(token_expires_at__lte=now)  # a token that is good is not risked without one
    dead = Q(status=Status.TOKEN_EXPIRED, token_retry_at__lte=now)
    rested = Q(last_error_at=None) | Q(last_error_at__lte=now - AFTER_FAILURE)
    due = SocialAccount.objects.filter(ending | dead, rested, platform=platform.key, deleted_at=None)
    if facts.sends == "refresh_token":
        due = due.exclude(Q(refresh_token="") | Q(refresh_expires_at__lte=now), app_password="")
    if not facts.revives:
        due = due.filter(token_expires_at__gt=now)
    if facts.min_age:
        due = due.alias(obtained_at=Coalesce("token_obtained_at", "created_at"))
        due = due.filter(obtained_at__lte=now - facts.min_age)
    return list(due.order_by(F("last_error_at").asc(nulls_first=True), "token_expires_at")[:BATCH])


def _has_app(platform: Platform) -> Q:
    """Accounts whose OAuth app is known. The sandbox asks for none."""
    known = SocialNetwork.objects.filter(
        organization=OuterRef("organization"), mode=OuterRef("mode"), platform=platform.key, is_enabled=True
    )
    return Q(Exists(known)) | Q(extra__has_key="client_id") | Q(mode=Mode.TEST)


def _renew(account: SocialAccount) -> bool:
    """Whether it was done. No failure of one account stops the others."""
    try:
        renewed = TokenKeeper(account).extend()
        if renewed and account.status == Status.TOKEN_EXPIRED:
            health.probe(SocialAccount.objects.get(pk=account.pk))  # it works again, if it is this account's
        return renewed
    except NeedsFix as error:
        standing.record_error(account, error)
        logger.error("account %s was not renewed: %s evidence: %.500s", account.pk, error.detail, error.evidence)
    except PlatformError as error:
        logger.info("account %s was not renewed: %s", account.pk, error.code)
    except Exception:
        logger.exception("account %s was not renewed", account.pk)
    return False

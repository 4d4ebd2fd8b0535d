"""Keeping tokens fresh: one refresh at a time for an account, whatever process asks."""

import logging
import time
import uuid
from dataclasses import dataclass
from datetime import timedelta

from django.conf import settings
from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone

from accounts.models import SocialAccount, Status
from accounts.services import access, crypto, standing
from platforms.client import CALL_SECONDS, Client
from platforms.errors import NeedsOwner, PlatformError, TokenExpired, Unavailable
from platforms.oauth import Credentials, Refresh, TokenSet

logger = logging.getLogger(__name__)

CLAIM_LAPSES = timedelta(seconds=CALL_SECONDS + 15)
POLL_SECONDS = 0.1


@dataclass
class TokenKeeper:
    """Renews one account's tokens for one conversation. `wait_until` bounds the waiting for another's refresh.

    `calls` counts token exchanges.
    """

    account: SocialAccount
    wait_until: float = 0.0
    calls: int = 0

    def fresh(self) -> Credentials:
        """Credentials that live at least for the refresh margin, renewed first if they do not."""
        expires_at = self.account.token_expires_at
        margin = timedelta(seconds=settings.TOKEN_REFRESH_MARGIN)
        credentials = access.credentials_of(self.account)
        facts = self._facts()
        if expires_at is None or expires_at - timezone.now() > margin or not self._can_renew(facts, credentials):
            return credentials
        expired = expires_at <= timezone.now()
        if expired and facts is not None and not facts.revives:
            return credentials  # too late to extend it: the platform's answer will say so
        try:
            return self._renew(credentials.access_token)
        except Unavailable:
            if expired:
                raise
            return credentials  # still good; the next call tries again

    def renew(self, stale: str) -> Credentials:
        """Credentials newer than the access token `stale`, which the platform refused; raises what is in the way."""
        facts = self._facts()
        if facts is not None and facts.revives:
            return self._renew(stale)
        self._reread()
        credentials = access.credentials_of(self.account)
        if credentials.access_token != stale:
            return credentials
        raise standing.record_refusal(self.account, TokenExpired("The token was refused and cannot be renewed."))

    def _renew(self, stale: str) -> Credentials:
        while True:
            self._reread()
            credentials = access.credentials_of(self.account)
            if credentials.access_token != stale:
                return credentials
            if not self._can_renew(self._facts(), credentials):
                raise standing.record_refusal(
                    self.account, TokenExpired("The token was refused; there is no refresh token.")
                )
            claim = self._claim()
            if claim is not None:
                return self._exchange(claim, credentials)
            if time.monotonic() >= self.wait_until:
                raise Unavailable("The account's token is being renewed by another process.")
            time.sleep(POLL_SECONDS)

    def extend(self) -> None:
        """Renew ahead of expiry, in the background. A refusal of a token that still works changes nothing."""
        credentials = access.credentials_of(self.account)
        claim = self._claim()
        if claim is not None:
            self._exchange(claim, credentials)

    # --- steps ---------------------------------------------------------------------------------------------------

    def _facts(self) -> Refresh | None:
        return access.platform_of(self.account).refresh_for(access.as_platform_account(self.account))

    def _can_renew(self, facts: Refresh | None, credentials: Credentials) -> bool:
        if facts is None:
            return False
        if facts.sends == "refresh_token":
            return bool(credentials.refresh_token)
        obtained = self.account.token_obtained_at or self.account.created_at
        return bool(credentials.access_token) and timezone.now() - obtained >= facts.min_age

    def _reread(self) -> None:
        fresh = SocialAccount.objects.filter(pk=self.account.pk, deleted_at=None).first()
        if fresh is None or fresh.status in (Status.DISABLED, Status.REVOKED):
            raise Unavailable("The account was disconnected or disabled meanwhile.")
        self.account = fresh

    def _claim(self) -> uuid.UUID | None:
        """Take the right to refresh; None if somebody else has it. The database's clock decides."""
        claim = uuid.uuid4()
        free = Q(refresh_claimed_until=None) | Q(refresh_claimed_until__lt=Now())
        taken = SocialAccount.objects.filter(
            free, pk=self.account.pk, access_token=self.account.access_token, deleted_at=None
        ).update(refresh_claim=claim, refresh_claimed_until=Now() + CLAIM_LAPSES)
        return claim if taken else None

    def _exchange(self, claim: uuid.UUID, credentials: Credentials) -> Credentials:
        platform = access.platform_of(self.account)
        account = access.as_platform_account(self.account)
        app = access.app_of(self.account)
        client = Client(
            platform,
            account,
            settings=access.platform_settings(self.account.mode),
            credentials=credentials,
            app=app,
            gates=access.gates_of(self.account),
            live=True,
        )
        try:
            tokens = client.run(platform.renew(account, credentials, app))
            stored = self._store(claim, tokens)  # the very next statement: a rotated pair exists nowhere else
        except PlatformError as error:
            self._release(claim)
            raise self._failed(error) from error
        except BaseException:
            self._release(claim)
            raise
        finally:
            self.calls += client.usage.calls
        self._reread()
        if not stored:
            return access.credentials_of(self.account)
        standing.record_success(self.account)
        return Credentials(tokens.access_token, tokens.refresh_token or credentials.refresh_token, tokens.expires_at)

    def _store(self, claim: uuid.UUID, tokens: TokenSet) -> bool:
        fresh = {
            "access_token": crypto.encrypt(tokens.access_token),
            "token_expires_at": tokens.expires_at,
            "token_obtained_at": timezone.now(),
            "refresh_claim": None,
            "refresh_claimed_until": None,
        }
        if tokens.refresh_token:
            fresh["refresh_token"] = crypto.encrypt(tokens.refresh_token)
        if tokens.scopes:
            fresh["scopes"] = list(tokens.scopes)
        return bool(
            SocialAccount.objects.filter(pk=self.account.pk, refresh_claim=claim, deleted_at=None).update(**fresh)
        )

    def _release(self, claim: uuid.UUID) -> None:
        SocialAccount.objects.filter(pk=self.account.pk, refresh_claim=claim).update(
            refresh_claim=None, refresh_claimed_until=None
        )

    def _failed(self, error: PlatformError) -> PlatformError:
        """What a failed exchange means. Only a clear refusal of tokens that are still the stored ones is one."""
        facts = self._facts()
        still_good = self.account.token_expires_at is not None and self.account.token_expires_at > timezone.now()
        if facts is not None and facts.sends == "access_token" and still_good:
            standing.record_error(self.account, error)
            return error
        if isinstance(error, NeedsOwner) and standing.is_refusal(error):
            return standing.record_refusal(self.account, error)
        standing.record_error(self.account, error)
        return error


def refresh_due(limit: int = 200) -> int:
    """Renew tokens that are near their end, in the background. Returns how many were renewed."""
    renewed = 0
    soon = timezone.now() + timedelta(days=8)
    accounts = SocialAccount.objects.filter(deleted_at=None, status=Status.ACTIVE, token_expires_at__lt=soon)
    for account in accounts.order_by("token_expires_at")[:limit].iterator():
        keeper = TokenKeeper(account)
        facts = keeper._facts()
        if facts is None or account.token_expires_at - timezone.now() > facts.early:
            continue
        if not keeper._can_renew(facts, access.credentials_of(account)):
            continue
        try:
            keeper.extend()
            renewed += 1
        except PlatformError as error:
            logger.info("account %s was not renewed: %s", account.pk, error.code)
    return renewed

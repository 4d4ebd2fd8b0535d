"""Keeping tokens fresh: one refresh at a time for an account, whatever process asks."""

import logging
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any

from django.conf import settings
from django.db import InterfaceError, OperationalError, connection
from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone

from accounts.models import SocialAccount, Status
from accounts.services import access, crypto, standing
from platforms.client import CALL_SECONDS, Client
from platforms.errors import NeedsOwner, PasswordRefused, PlatformError, TokenExpired, Unavailable
from platforms.oauth import App, Credentials, Refresh, TokenSet

logger = logging.getLogger(__name__)

CLAIM_LAPSES = timedelta(seconds=CALL_SECONDS + 15)
POLL_SECONDS = 0.1
STORE_PAUSES = (0.2, 1.0, 3.0)


class AccountLeft(Unavailable):
    """The account was disconnected or disabled in the meantime."""


@contextmanager
def _of_this_account() -> Iterator[None]:
    """Whatever stops a renewal concerns this account alone: others' tokens may be good."""
    try:
        yield
    except PlatformError as error:
        error.scope = "account"
        raise


@dataclass
class TokenKeeper:
    """Renews one account's tokens for one conversation. `wait_until` bounds the waiting for another's refresh.

    `account` is replaced by what is stored whenever that is read again. `calls` counts token exchanges.
    """

    account: SocialAccount
    wait_until: float = 0.0
    calls: int = 0

    @_of_this_account()
    def fresh(self) -> Credentials:
        """Credentials that live at least for the refresh margin, renewed first if they do not."""
        credentials = access.credentials_of(self.account)
        facts, expires_at, now = self._facts(), self.account.token_expires_at, timezone.now()
        ends_soon = expires_at is not None and expires_at - now <= timedelta(seconds=settings.TOKEN_REFRESH_MARGIN)
        if facts is None or not ends_soon or not self._can_renew(facts, credentials):
            return credentials
        expired = expires_at is None or expires_at <= now
        if expired and not facts.revives:
            return credentials  # too late to extend it: the platform's answer will say so
        try:
            return self._renew(credentials.access_token)
        except AccountLeft:
            raise
        except PlatformError as error:
            if expired or standing.is_refusal(error):
                raise
            return access.credentials_of(self.account)  # still good; the next call tries again

    @_of_this_account()
    def renew(self, stale: str) -> Credentials:
        """Credentials newer than the access token `stale`, which the platform refused; raises what is in the way.

        They are of the same grant: what a conversation knows of whose its token is does not hold for another's.
        """
        known = self.account
        credentials = self._newer_than(stale)
        if self.account.grant != known.grant:
            self.account = known
            raise Unavailable("The account's tokens have just been replaced.")
        return credentials

    def _newer_than(self, stale: str) -> Credentials:
        facts = self._facts()
        if facts is not None and facts.revives:
            return self._renew(stale)
        self._reread()
        credentials = access.credentials_of(self.account)
        if credentials.access_token != stale:
            return credentials
        raise standing.record_refusal(self.account, TokenExpired("The token was refused and cannot be renewed."))

    def extend(self) -> bool:
        """Renew ahead of expiry, in the background; whether it was done. False if somebody else is at it."""
        credentials = access.credentials_of(self.account)
        if not self._can_renew(self._facts(), credentials):
            return False
        claim = self._claim()
        if claim is None:
            return False
        self._exchange(claim, credentials)
        return True

    # --- steps ---------------------------------------------------------------------------------------------------

    def _renew(self, stale: str) -> Credentials:
        asked_at = timezone.now()
        while True:
            self._reread()
            credentials = access.credentials_of(self.account)
            if credentials.access_token != stale:
                return credentials
            if not self._can_renew(self._facts(), credentials):
                refusal = TokenExpired("The token was refused; there is no refresh token, or it has ended.")
                raise standing.record_refusal(self.account, refusal)
            self._share_refusal(asked_at)
            claim = self._claim()
            if claim is not None:
                return self._exchange(claim, credentials)
            if time.monotonic() >= self.wait_until:
                raise Unavailable("The account's token is being renewed by another process.")
            time.sleep(POLL_SECONDS)

    def _share_refusal(self, asked_at: Any) -> None:
        """Raise if another's refresh of these tokens was refused while this one waited: asking again tells no more."""
        refused_at = self.account.refused_at
        if refused_at is None or refused_at <= asked_at:
            return
        held = self.account.status == Status.ACTIVE
        raise (Unavailable if held else TokenExpired)(self.account.last_error_detail)

    def _facts(self) -> Refresh | None:
        return access.platform_of(self.account).refresh_for(access.as_platform_account(self.account))

    def _can_renew(self, facts: Refresh | None, credentials: Credentials) -> bool:
        if facts is None:
            return False
        if facts.sends == "refresh_token":
            ends_at = self.account.refresh_expires_at
            if self.account.app_password:
                return True
            return bool(credentials.refresh_token) and (ends_at is None or ends_at > timezone.now())
        obtained = self.account.token_obtained_at or self.account.created_at
        return bool(credentials.access_token) and timezone.now() - obtained >= facts.min_age

    def _reread(self) -> None:
        fresh = SocialAccount.objects.filter(pk=self.account.pk, deleted_at=None).first()
        if fresh is None or fresh.status in (Status.DISABLED, Status.REVOKED):
            raise AccountLeft
        self.account = fresh

    def _claim(self) -> uuid.UUID | None:
        """Take the right to refresh the tokens as they were read; None if somebody else has or had it.

        The database's clock decides.
        """
        claim = uuid.uuid4()
        free = Q(refresh_claimed_until=None) | Q(refresh_claimed_until__lt=Now())
        callable_ = Q(deleted_at=None) & ~Q(status__in=(Status.DISABLED, Status.REVOKED))
        taken = SocialAccount.objects.filter(
            free,
            callable_,
            pk=self.account.pk,
            access_token=self.account.access_token,
            refused_at=self.account.refused_at,
        ).update(refresh_claim=claim, refresh_claimed_until=Now() + CLAIM_LAPSES)
        return claim if taken else None

    def _exchange(self, claim: uuid.UUID, credentials: Credentials) -> Credentials:
        try:
            stored = self._ask_and_store(claim, credentials)
        except PlatformError as error:
            try:
                told = self._failed(error)
            finally:
                self._release(claim)  # not before, or who waits would ask again what was just refused
            raise told from error
        except BaseException:
            self._release(claim)
            raise
        self._reread()
        if stored and self.account.status == Status.ACTIVE:  # new tokens do not say whose they are
            standing.record_success(self.account)
        return access.credentials_of(self.account)

    def _ask_and_store(self, claim: uuid.UUID, credentials: Credentials) -> bool:
        platform, account = access.platform_of(self.account), access.as_platform_account(self.account)
        app = access.app_of(self.account)
        client = self._client(credentials, app)
        try:
            # In the very next statement: a rotated pair exists nowhere else.
            return client.keep(platform.renew(account, credentials, app), partial(self._store, claim))
        except TokenExpired as error:
            if not self.account.app_password:
                raise
            return self._sign_in(claim, error)
        finally:
            self.calls += client.usage.calls

    def _client(self, credentials: Credentials, app: App) -> Client:
        return Client(
            access.platform_of(self.account),
            access.as_platform_account(self.account),
            settings=access.platform_settings(self.account.mode),
            credentials=credentials,
            app=app,
            gates=access.gates_of(self.account),
            live=True,
        )

    def _sign_in(self, claim: uuid.UUID, refusal: TokenExpired) -> bool:
        """Renew by the password that its owner left with us. One that is refused is not sent again."""
        platform, account = access.platform_of(self.account), access.as_platform_account(self.account)
        password = crypto.decrypt(self.account.app_password)
        client = self._client(Credentials(refresh_token=password), App())  # by whose name it stays out of logs
        try:
            return client.keep(platform.sign_in(account, password), partial(self._store, claim))
        except PasswordRefused as error:
            SocialAccount.objects.filter(pk=self.account.pk, app_password=self.account.app_password).update(
                app_password=""
            )
            raise error from refusal
        finally:
            self.calls += client.usage.calls

    def _store(self, claim: uuid.UUID, tokens: TokenSet) -> bool:
        """Keep what was answered; False if the claim is no longer ours. A database that is away is waited for."""
        fresh = _columns(tokens)
        ours = SocialAccount.objects.filter(pk=self.account.pk, refresh_claim=claim, deleted_at=None)
        for pause in STORE_PAUSES:
            try:
                return bool(ours.update(**fresh))
            except (OperationalError, InterfaceError):
                if connection.in_atomic_block:
                    raise
                logger.exception("the renewed tokens of account %s are not stored yet", self.account.pk)
                connection.close()
                time.sleep(pause)
        return bool(ours.update(**fresh))

    def _release(self, claim: uuid.UUID) -> None:
        SocialAccount.objects.filter(pk=self.account.pk, refresh_claim=claim).update(
            refresh_claim=None, refresh_claimed_until=None
        )

    def _failed(self, error: PlatformError) -> PlatformError:
        """What a failed exchange means. Only a clear refusal of tokens that are still the stored ones is one.

        A token that may not be extended is still good until shortly before its end.
        """
        facts = self._facts()
        expires_at, margin = self.account.token_expires_at, timedelta(seconds=settings.TOKEN_REFRESH_MARGIN)
        extends = facts is not None and facts.sends == "access_token"
        still_good = expires_at is not None and expires_at > timezone.now() + margin
        if isinstance(error, NeedsOwner) and standing.is_refusal(error) and not (extends and still_good):
            return standing.record_refusal(self.account, error)
        standing.record_error(self.account, error)
        return error


def _columns(tokens: TokenSet) -> dict[str, Any]:
    """What changes on an account with new tokens; the claim ends with it."""
    now = timezone.now()
    fresh: dict[str, Any] = {
        "access_token": crypto.encrypt(tokens.access_token),
        "token_expires_at": tokens.expires_at,
        "token_obtained_at": now,
        "refresh_claim": None,
        "refresh_claimed_until": None,
        "updated_at": now,
    }
    if tokens.refresh_token:
        fresh["refresh_token"] = crypto.encrypt(tokens.refresh_token)
    if tokens.refresh_token or tokens.refresh_expires_at:
        fresh["refresh_expires_at"] = tokens.refresh_expires_at
    if tokens.scopes:
        fresh["scopes"] = list(tokens.scopes)
    return fresh

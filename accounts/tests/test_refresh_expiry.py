"""When refresh tokens themselves end: kept where it is told, and not asked of what has ended."""

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from accounts.models import SocialAccount, WebhookEvent
from accounts.services import connections, crypto, health, renewals
from accounts.services.tokens import TokenKeeper
from accounts.tests.factories import SocialAccountFactory
from platforms.oauth import Refresh, parse_tokens
from platforms.sandbox.tokens import sign_jwt

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)
TOKEN_GROUPS = {"bluesky": "refreshSession", "linkedin": "token", "pinterest": "token", "tiktok": "token"}


def ends_at(account: SocialAccount) -> datetime | None:
    return SocialAccount.objects.get(pk=account.pk).refresh_expires_at


@pytest.mark.parametrize(
    ("platform", "days"),
    [("bluesky", (50, 100)), ("linkedin", (300, 365)), ("pinterest", (59, 60)), ("tiktok", (364, 365))],
)
def test_a_renewal_tells_when_the_refresh_token_ends(sandbox: Any, platform: str, days: tuple[int, int]) -> None:
    account = sandbox.connect(platform, token_lifetime=-60)
    assert ends_at(account) is None
    TokenKeeper(account, wait_until=time.monotonic() + 5).fresh()
    stored = ends_at(account)
    assert stored is not None and days[0] * DAY < stored - timezone.now() <= days[1] * DAY


@pytest.mark.parametrize("platform", ["x", "youtube"])
def test_a_renewal_that_does_not_tell_leaves_it_unknown(sandbox: Any, platform: str) -> None:
    account = sandbox.connect(platform, token_lifetime=-60)
    TokenKeeper(account, wait_until=time.monotonic() + 5).fresh()
    assert ends_at(account) is None


def test_a_kept_refresh_token_keeps_its_end(sandbox: Any) -> None:
    """Google answers with no new refresh token, and mostly says nothing of the old one."""
    known = timezone.now() + 5 * DAY
    account = sandbox.connect("youtube", token_lifetime=-60, refresh_expires_at=known)
    TokenKeeper(account, wait_until=time.monotonic() + 5).fresh()
    assert ends_at(account) == known


def test_a_refresh_token_may_tell_itself_when_it_ends() -> None:
    exp = int(time.time()) + 1000
    tokens = parse_tokens(Refresh("https://a.example"), {"access_token": "a", "refresh_token": sign_jwt({"exp": exp})})
    assert tokens.refresh_expires_at == datetime.fromtimestamp(exp, UTC)


def test_new_tokens_bring_their_own_end_or_none() -> None:
    account = SocialAccountFactory(refresh_expires_at=timezone.now() + DAY)
    connections.update(account, {"access_token": "another-access-token"})
    assert ends_at(account) is not None  # the refresh token is the old one
    exp = int(time.time()) + 1000
    connections.update(account, {"refresh_token": sign_jwt({"exp": exp})})
    assert ends_at(account) == datetime.fromtimestamp(exp, UTC)
    connections.update(account, {"refresh_token": "one-that-does-not-say"})
    assert ends_at(account) is None
    told = timezone.now() + 9 * DAY
    connections.update(account, {"refresh_token": "told-apart", "refresh_expires_at": told})
    assert ends_at(account) == told
    connections.disconnect(account)
    assert ends_at(account) is None


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("platform", sorted(TOKEN_GROUPS))
def test_an_ended_refresh_token_is_not_sent_and_its_account_ends_as_expired(
    sandbox: Any, status_of: Any, platform: str
) -> None:
    account = sandbox.connect(platform, token_lifetime=-60, refresh_expires_at=timezone.now() - DAY)
    for _ in range(3):
        assert renewals.refresh_due() == 0
    assert (sandbox.calls(platform), status_of(account)) == (0, "active")
    for _ in range(2):
        now = time.monotonic()
        found = health.check(SocialAccount.objects.get(pk=account.pk), since=now, deadline=now + 10)
        assert found.error_code == "token_expired"
    assert status_of(account) == "token_expired"
    assert [event.type for event in WebhookEvent.objects.all()] == ["account.token_expired"]
    SocialAccount.objects.update(token_retry_at=timezone.now() - DAY)
    assert renewals.refresh_due() == 0
    assert sandbox.calls(platform, TOKEN_GROUPS[platform]) == 0
    assert crypto.decrypt(SocialAccount.objects.get(pk=account.pk).refresh_token)

import time
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from accounts.models import SocialAccount, WebhookEvent
from accounts.services import crypto, renewals
from accounts.tasks import refresh_due_tokens
from accounts.tests.factories import SocialAccountFactory, SocialNetworkFactory

pytestmark = pytest.mark.django_db
INSTAGRAM = {"login": "instagram"}
LONG_AGO = {"token_age": 60 * 86400, "extra": INSTAGRAM}


def access(account: SocialAccount) -> str:
    return crypto.decrypt(SocialAccount.objects.get(pk=account.pk).access_token)


def test_what_is_near_its_end_is_renewed_once(sandbox: Any) -> None:
    two_months_ago = timezone.now() - timedelta(days=60)
    due = [
        sandbox.connect("x", token_lifetime=200),
        sandbox.connect("bluesky", token_lifetime=-60),
        sandbox.connect("instagram", **LONG_AGO, token_lifetime=6 * 86400, token_obtained_at=two_months_ago),
    ]
    later = [
        sandbox.connect("x", token_lifetime=900),
        sandbox.connect("instagram", **LONG_AGO, token_lifetime=8 * 86400, token_obtained_at=two_months_ago),
        sandbox.connect("instagram", extra=INSTAGRAM, token_lifetime=6 * 86400),  # younger than a day
        sandbox.connect("instagram", **LONG_AGO, token_lifetime=-60, token_obtained_at=two_months_ago),
        sandbox.connect("x", token_lifetime=-60, refresh_token=""),
        sandbox.connect("x", token_lifetime=-60, status="disabled"),
        sandbox.connect("x", token_lifetime=-60, status="revoked"),
        sandbox.connect("x", token_lifetime=-60, deleted_at=timezone.now()),
    ]
    before = {account.pk: access(account) for account in due + later}
    assert renewals.refresh_due() == 3
    assert [access(account) != before[account.pk] for account in due] == [True] * 3
    assert [access(account) == before[account.pk] for account in later] == [True] * len(later)
    refresh_due_tokens.delay()
    refresh_due_tokens.delay()
    assert sum(sandbox.calls(platform) for platform in ("x", "bluesky", "instagram")) == 3
    assert not WebhookEvent.objects.exists()


def test_a_good_token_is_not_risked_where_no_app_is_known(monkeypatch: Any) -> None:
    tomorrow, yesterday = timezone.now() + timedelta(days=1), timezone.now() - timedelta(days=1)
    ends = {"platform": "pinterest", "mode": "live", "token_expires_at": tomorrow}
    named, named_publicly, expired, of_the_sandbox, appless, off = (
        SocialAccountFactory(**{**ends, **more})
        for more in ({}, {"extra": {"client_id": "a"}}, {"token_expires_at": yesterday}, {"mode": "test"}, {}, {})
    )
    SocialNetworkFactory(organization=named.organization, mode="live", platform="pinterest")
    SocialNetworkFactory(organization=appless.organization, mode="test", platform="pinterest")
    SocialNetworkFactory(organization=off.organization, mode="live", platform="pinterest", is_enabled=False)
    tried: list[Any] = []
    monkeypatch.setattr(renewals, "_renew", lambda account: bool(tried.append(account.pk)))
    renewals.refresh_due()
    assert set(tried) == {named.pk, named_publicly.pk, expired.pk, of_the_sandbox.pk}


def test_a_dead_token_is_tried_once_a_day(sandbox: Any, status_of: Any) -> None:
    yesterday, tomorrow = timezone.now() - timedelta(days=1), timezone.now() + timedelta(days=1)
    due = sandbox.connect("bluesky", status="token_expired", token_retry_at=yesterday, token_lifetime=-60)
    not_yet = sandbox.connect("bluesky", status="token_expired", token_retry_at=tomorrow, token_lifetime=-60)
    assert renewals.refresh_due() == 1
    assert (status_of(due), status_of(not_yet)) == ("active", "token_expired")
    SocialAccount.objects.filter(pk=not_yet.pk).update(token_retry_at=yesterday)
    sandbox.fault("bluesky", "refuse_refresh")
    for _ in range(3):
        assert renewals.refresh_due() == 0
    assert (sandbox.calls("bluesky"), status_of(not_yet)) == (3, "token_expired")
    assert list(WebhookEvent.objects.values_list("type", flat=True)) == ["account.connected"]  # of the first


def test_no_account_stands_in_the_way_of_the_others(sandbox: Any, settings: Any, caplog: Any) -> None:
    keys = settings.TOKEN_ENCRYPTION_KEYS
    settings.TOKEN_ENCRYPTION_KEYS = ["MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTI="]
    past = timezone.now() - timedelta(days=1)
    broken = [
        SocialAccountFactory(token_expires_at=past),
        SocialAccountFactory(token_expires_at=past, platform="bluesky"),
    ]
    settings.TOKEN_ENCRYPTION_KEYS = keys
    sandbox.connect("x", token_lifetime=60)
    sandbox.connect("bluesky", token_lifetime=60)
    assert renewals.refresh_due() == 2
    assert all(str(account.pk) in caplog.text for account in broken)


def test_who_failed_a_moment_ago_is_not_tried_again_at_once(sandbox: Any) -> None:
    sandbox.connect("x", token_lifetime=60)
    sandbox.fault("x", "server_error", times=1)
    assert [renewals.refresh_due(), renewals.refresh_due()] == [0, 0]
    assert sandbox.calls("x") == 1
    SocialAccount.objects.update(last_error_at=timezone.now() - timedelta(minutes=11))
    assert renewals.refresh_due() == 1


def test_a_pass_ends_when_its_time_is_up(sandbox: Any) -> None:
    sandbox.connect("x", token_lifetime=60)
    assert renewals.refresh_due(until=time.monotonic()) == 0
    assert sandbox.calls("x") == 0

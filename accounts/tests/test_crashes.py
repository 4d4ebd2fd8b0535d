"""kill -9 around the answer to a refresh: of a process that has just stored it, and of one that has not yet."""

import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from accounts.models import SocialAccount, WebhookEvent
from accounts.services import crypto, health, renewals
from accounts.services.tokens import TokenKeeper
from accounts.tests.processes import Process
from platforms import registry
from platforms.errors import PlatformError

pytestmark = pytest.mark.django_db(transaction=True)
ROTATING = sorted(key for key, each in registry.PLATFORMS.items() if each.refresh is not None and each.refresh.rotates)
FORGIVING = {key for key in ROTATING if registry.get(key).refresh.grace}  # type: ignore[union-attr]
TOKEN_GROUPS = {"bluesky": "refreshSession"}
DIES_BEFORE_STORING = """
def store(keeper, claim, fresh):
    import os, signal
    os.kill(os.getpid(), signal.SIGKILL)
tokens.TokenKeeper._store = store
"""
DIES_AFTER_STORING = """
kept = tokens.TokenKeeper._store
def store(keeper, claim, fresh):
    import os, signal
    assert kept(keeper, claim, fresh)
    os.kill(os.getpid(), signal.SIGKILL)
tokens.TokenKeeper._store = store
"""


@pytest.fixture(name="process")
def process_fixture() -> Iterator[Process]:
    with Process() as made:
        yield made.ready()


def die_in_a_refresh(process: Process, where: str, account: SocialAccount) -> None:
    """Have the process probe the account, for which it must refresh first; it dies on the way."""
    process.run(where)
    process.begin(f'answer = health.probe(SocialAccount.objects.get(pk="{account.pk}"))')
    assert process.died()


def tokens_of(account: SocialAccount) -> tuple[str, str]:
    row = SocialAccount.objects.get(pk=account.pk)
    return crypto.decrypt(row.access_token), crypto.decrypt(row.refresh_token)


def refresh(account: SocialAccount) -> str | None:
    """The code of what is in the way of fresh credentials."""
    try:
        TokenKeeper(SocialAccount.objects.get(pk=account.pk), wait_until=time.monotonic()).fresh()
    except PlatformError as error:
        return error.code
    return None


def healthy(account: SocialAccount) -> bool:
    now = time.monotonic()
    return health.check(SocialAccount.objects.get(pk=account.pk), since=now, deadline=now + 10).healthy


def told() -> list[str]:
    return list(WebhookEvent.objects.values_list("type", flat=True))


def a_minute_later(account: SocialAccount) -> None:
    """The claim's end comes from the database's clock, which no test can turn."""
    SocialAccount.objects.filter(pk=account.pk).update(refresh_claimed_until=timezone.now() - timedelta(seconds=1))


@pytest.mark.parametrize("platform", ROTATING)
def test_killed_between_the_answer_and_its_use_the_new_pair_is_there(
    sandbox: Any, process: Process, status_of: Any, platform: str
) -> None:
    account = sandbox.connect(platform, token_lifetime=-60)
    before = tokens_of(account)
    die_in_a_refresh(process, DIES_AFTER_STORING, account)
    group = TOKEN_GROUPS.get(platform, "token")
    assert sandbox.calls(platform) == sandbox.calls(platform, group) == 1
    assert all(new != old for new, old in zip(tokens_of(account), before, strict=True))
    assert healthy(account)
    assert sandbox.calls(platform, group) == 1
    SocialAccount.objects.update(token_expires_at=timezone.now() - timedelta(minutes=1))
    assert refresh(account) is None  # with the refresh token that was stored
    assert healthy(account) and (status_of(account), told()) == ("active", [])


@pytest.mark.parametrize("platform", [key for key in ROTATING if key not in FORGIVING])
def test_killed_before_the_answer_was_stored_the_account_expires_and_says_so(
    sandbox: Any, process: Process, status_of: Any, platform: str
) -> None:
    account = sandbox.connect(platform, token_lifetime=-60)
    before = tokens_of(account)
    die_in_a_refresh(process, DIES_BEFORE_STORING, account)
    assert (sandbox.calls(platform), tokens_of(account)) == (1, before)
    assert refresh(account) == "platform_unavailable"  # as if the dead process were still at it
    assert (status_of(account), told()) == ("active", [])
    a_minute_later(account)
    assert renewals.refresh_due() == 0
    assert (status_of(account), told()) == ("token_expired", ["account.token_expired"])
    assert refresh(account) == "token_expired"
    assert told() == ["account.token_expired"]


@pytest.mark.parametrize("platform", sorted(FORGIVING))
def test_killed_before_the_answer_was_stored_the_grace_makes_it_good(
    sandbox: Any, process: Process, status_of: Any, platform: str
) -> None:
    account = sandbox.connect(platform, token_lifetime=-60)
    die_in_a_refresh(process, DIES_BEFORE_STORING, account)
    a_minute_later(account)
    assert renewals.refresh_due() == 1
    assert healthy(account) and (status_of(account), told()) == ("active", [])

"""One refresh at a time, nothing lost: between threads, between processes, and when one of them dies."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import timedelta
from typing import Any

import pytest
from django.db import OperationalError, connection
from django.db.models import QuerySet
from django.utils import timezone

from accounts.models import SocialAccount, WebhookEvent
from accounts.services import connections, crypto, health, rotation, tokens
from accounts.services.tokens import TokenKeeper
from accounts.tests.processes import Process, wait_for
from platforms.errors import PlatformError

pytestmark = pytest.mark.django_db(transaction=True)
GROUP = {"x": "token", "bluesky": "refreshSession"}


def refresh(account: SocialAccount, wait: float = 10.0) -> str:
    """What a conversation gets that begins now: an access token, or the code of what is in the way."""
    try:
        account = SocialAccount.objects.get(pk=account.pk)
        return TokenKeeper(account, wait_until=time.monotonic() + wait).fresh().access_token
    except PlatformError as error:
        return error.code
    finally:
        connection.close()


def stored(account: SocialAccount) -> tuple[str, str]:
    account = SocialAccount.objects.get(pk=account.pk)
    return crypto.decrypt(account.access_token), crypto.decrypt(account.refresh_token)


def told() -> list[str]:
    return list(WebhookEvent.objects.order_by("created_at").values_list("type", flat=True))


def healthy(account: SocialAccount) -> bool:
    now = time.monotonic()
    return health.check(SocialAccount.objects.get(pk=account.pk), since=now, deadline=now + 10).healthy


@pytest.fixture
def processes() -> Iterator[Any]:
    with ExitStack() as stack:

        def make(number: int) -> list[Process]:
            made = [stack.enter_context(Process()) for _ in range(number)]
            return [process.ready() for process in made]

        yield make


def asking(account: SocialAccount, wait: float = 10.0) -> str:
    """What another process runs to refresh."""
    return f"""
account = SocialAccount.objects.get(pk="{account.pk}")
answer = tokens.TokenKeeper(account, wait_until=time.monotonic() + {wait}).fresh().access_token
"""


# --- one at a time ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("platform", ["x", "bluesky"])
def test_threads_that_need_a_fresh_token_share_one_refresh(sandbox: Any, platform: str) -> None:
    account = sandbox.connect(platform, token_lifetime=-60)
    sandbox.switch(platform, latency_ms=150)
    with ThreadPoolExecutor(8) as pool:
        found = set(pool.map(lambda _: refresh(account), range(8)))
    assert found == {stored(account)[0]}
    assert sandbox.calls(platform) == 1
    assert told() == [] and healthy(account)


def test_threads_share_a_refused_refresh(sandbox: Any) -> None:
    account = sandbox.connect("x", token_lifetime=-60)
    sandbox.switch("x", latency_ms=400, faults=[{"kind": "refuse_refresh"}])
    with ThreadPoolExecutor(6) as pool:
        assert set(pool.map(lambda _: refresh(account), range(6))) == {"token_expired"}
    assert (sandbox.calls("x", "token"), told()) == (1, ["account.token_expired"])


def test_two_processes_use_a_refresh_token_once(sandbox: Any, processes: Any) -> None:
    account = sandbox.connect("x", token_lifetime=-60)
    sandbox.switch("x", latency_ms=300)
    both = processes(2)
    for process in both:
        process.begin(asking(account))
    found = {process.result() for process in both}
    assert found == {stored(account)[0]}
    assert sandbox.calls("x", "token") == 1
    sandbox.switch("x", latency_ms=0)
    assert healthy(account) and told() == []


def test_who_cannot_wait_answers_that_the_platform_is_away(sandbox: Any) -> None:
    account = sandbox.connect("x", token_lifetime=-60)
    sandbox.switch("x", latency_ms=600)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(refresh, account)
        wait_for(lambda: sandbox.calls("x", "token") == 1)
        assert refresh(account, wait=0.2) == "platform_unavailable"
        assert first.result() == stored(account)[0]
    assert sandbox.calls("x", "token") == 1


# --- what gets lost --------------------------------------------------------------------------------------------------


def test_a_killed_process_blocks_nobody_for_longer_than_its_claim(sandbox: Any, processes: Any) -> None:
    account = sandbox.connect("bluesky", token_lifetime=-60)
    sandbox.fault("bluesky", "hang", times=1)
    (process,) = processes(1)
    process.begin(asking(account))
    wait_for(lambda: sandbox.calls("bluesky") == 1)
    process.kill()
    assert refresh(account, wait=0.2) == "platform_unavailable"
    assert sandbox.calls("bluesky") == 1
    a_minute_later(account)
    assert refresh(account) == stored(account)[0]
    assert healthy(account) and told() == []


def a_minute_later(account: SocialAccount) -> None:
    """The claim's end comes from the database's clock, which no test can turn."""
    row = SocialAccount.objects.get(pk=account.pk)
    assert row.refresh_claimed_until - timezone.now() <= timedelta(seconds=50)
    SocialAccount.objects.filter(pk=account.pk).update(refresh_claimed_until=timezone.now() - timedelta(seconds=1))


def test_a_process_killed_after_the_answer_was_stored_loses_nothing(sandbox: Any, processes: Any) -> None:
    account = sandbox.connect("x", token_lifetime=-60)
    (process,) = processes(1)
    answer = process.run(asking(account))
    process.kill()
    assert stored(account)[0] == answer
    assert healthy(account) and sandbox.calls("x", "token") == 1


def test_a_lost_answer_is_made_good_within_the_grace_of_bluesky(sandbox: Any) -> None:
    account = sandbox.connect("bluesky", token_lifetime=-60)
    sandbox.fault("bluesky", "close", group="refreshSession", processed=True, times=1)
    assert refresh(account) == "platform_unavailable"
    assert refresh(account) == stored(account)[0]
    assert healthy(account) and told() == []


def test_a_lost_answer_of_x_ends_as_an_expired_token_that_is_told(sandbox: Any, status_of: Any) -> None:
    account = sandbox.connect("x", token_lifetime=-60)
    sandbox.fault("x", "close", group="token", processed=True, times=1)
    assert refresh(account) == "platform_unavailable"
    assert (status_of(account), told()) == ("active", [])
    assert refresh(account) == "token_expired"
    assert (status_of(account), told()) == ("token_expired", ["account.token_expired"])


def test_an_unreachable_token_endpoint_uses_up_no_refresh_token(sandbox: Any, settings: Any) -> None:
    account = sandbox.connect("x", token_lifetime=-60)
    settings.SANDBOX_URL = "http://127.0.0.1:9"
    assert refresh(account) == "platform_unavailable"
    settings.SANDBOX_URL = sandbox.url
    assert refresh(account) == stored(account)[0]
    assert told() == []


def test_a_database_that_is_away_for_a_moment_costs_no_rotated_pair(
    sandbox: Any, monkeypatch: Any, caplog: Any
) -> None:
    account = sandbox.connect("x", token_lifetime=-60)
    real, failures = QuerySet.update, [OperationalError("the connection is lost")] * 2

    def update(self: Any, **fields: Any) -> int:
        if "token_obtained_at" in fields and failures:
            raise failures.pop()
        return real(self, **fields)

    monkeypatch.setattr(tokens, "STORE_PAUSES", (0.01, 0.01))
    monkeypatch.setattr(QuerySet, "update", update)
    assert refresh(account) == stored(account)[0]
    assert healthy(account) and sandbox.calls("x", "token") == 1
    assert "not stored yet" in caplog.text and stored(account)[1] not in caplog.text


# --- what changes meanwhile ------------------------------------------------------------------------------------------


def during_a_refresh(sandbox: Any, account: SocialAccount, change: Any, **fault: Any) -> str:
    sandbox.switch(account.platform, latency_ms=300, faults=[fault] if fault else [])
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(refresh, account)
        wait_for(lambda: sandbox.calls(account.platform) == 1)
        change()
        return answer.result()


@pytest.mark.parametrize("fault", [{}, {"kind": "refuse_refresh"}])
def test_new_tokens_win_over_a_refresh_under_way(sandbox: Any, status_of: Any, fault: dict[str, str]) -> None:
    account = sandbox.connect("x", token_lifetime=-60)
    given = {"access_token": "given-access-token", "refresh_token": "given-refresh-token"}
    found = during_a_refresh(sandbox, account, lambda: connections.update(account, dict(given)), **fault)
    assert found == ("platform_unavailable" if fault else "given-access-token")
    assert stored(account) == ("given-access-token", "given-refresh-token")
    assert (status_of(account), told()) == ("active", [])


@pytest.mark.parametrize("fault", [{}, {"kind": "refuse_refresh"}])
def test_a_deleted_account_is_not_brought_back_by_a_refresh(sandbox: Any, fault: dict[str, str]) -> None:
    account = sandbox.connect("x", token_lifetime=-60)
    found = during_a_refresh(sandbox, account, lambda: connections.disconnect(account), **fault)
    assert found == "platform_unavailable"
    account.refresh_from_db()
    assert (account.access_token, account.refresh_token, account.status) == ("", "", "active")
    assert told() == ["account.disconnected"]


def test_an_account_disabled_during_a_refresh_keeps_the_new_pair(sandbox: Any, status_of: Any) -> None:
    account = sandbox.connect("x", token_lifetime=-60)
    before = stored(account)
    assert during_a_refresh(sandbox, account, lambda: connections.disable(account)) == "platform_unavailable"
    assert status_of(account) == "disabled" and stored(account)[1] != before[1]
    connections.update(account, {"status": "active"})
    assert healthy(account) and sandbox.calls("x", "token") == 1


def test_a_rotation_of_keys_during_a_refresh_loses_nothing(sandbox: Any, settings: Any) -> None:
    account = sandbox.connect("x", token_lifetime=-60)
    before = stored(account)
    settings.TOKEN_ENCRYPTION_KEYS = ["MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTI=", *settings.TOKEN_ENCRYPTION_KEYS]
    found = during_a_refresh(sandbox, account, rotation.rotate_all)
    assert found == stored(account)[0] != before[0]
    settings.TOKEN_ENCRYPTION_KEYS = settings.TOKEN_ENCRYPTION_KEYS[:1]
    assert healthy(account) and told() == []

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.db import connection
from django.utils import timezone

from accounts.models import SocialAccount, WebhookEvent
from accounts.services import connections, standing
from accounts.services import events as outbox
from accounts.tests.factories import SocialAccountFactory
from platforms.errors import PlatformError, Revoked, TokenExpired

pytestmark = pytest.mark.django_db
HELD = "platform_unavailable"


def refuse(account: SocialAccount, error: PlatformError | None = None) -> str:
    """The code of the answer after the platform refused the account's tokens as they are stored."""
    stored = SocialAccount.objects.get(pk=account.pk)
    return standing.record_refusal(stored, error or TokenExpired("No good.")).code  # type: ignore[arg-type]


def accept(account: SocialAccount) -> None:
    standing.record_success(SocialAccount.objects.get(pk=account.pk))


def statuses(accounts: list[SocialAccount]) -> list[str]:
    found = dict(SocialAccount.objects.values_list("pk", "status"))
    return [found[account.pk] for account in accounts]


def told() -> list[str]:
    return list(WebhookEvent.objects.order_by("created_at").values_list("type", flat=True))


@pytest.fixture
def many() -> list[SocialAccount]:
    return SocialAccountFactory.create_batch(6)


# --- one account -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "status", "event"),
    [
        (TokenExpired("Gone by."), "token_expired", "account.token_expired"),
        (Revoked("Withdrawn."), "revoked", "account.reauth_required"),
    ],
)
def test_a_refusal_flips_the_status_and_is_told_once(error: Any, status: str, event: str) -> None:
    account = SocialAccountFactory()
    assert [refuse(account, error) for _ in range(3)] == [error.code] * 3
    assert (statuses([account]), told()) == ([status], [event])
    data = WebhookEvent.objects.get().data
    assert (data["id"], data["status"], data["reason"]) == (str(account.pk), status, error.detail)


def test_an_expired_account_may_be_revoked_later_but_not_the_other_way_round() -> None:
    account = SocialAccountFactory()
    refuse(account)
    refuse(account, Revoked())
    refuse(account)
    assert (statuses([account]), told()) == (["revoked"], ["account.token_expired", "account.reauth_required"])


def test_a_refusal_does_not_touch_disabled_or_deleted_accounts() -> None:
    accounts = [SocialAccountFactory(status="disabled"), SocialAccountFactory(deleted_at=timezone.now())]
    for account in accounts:
        refuse(account)
    assert (statuses(accounts), told()) == (["disabled", "active"], [])


def test_the_refusal_of_older_tokens_says_nothing_of_the_new_ones() -> None:
    account = SocialAccountFactory()
    connections.update(account, {"access_token": "a-newer-token"})
    assert standing.record_refusal(account, TokenExpired()).code == HELD
    assert (statuses([account]), told()) == (["active"], [])


def test_the_status_and_its_event_are_written_together_or_not_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    account = SocialAccountFactory()

    def fail(*args: Any, **kwargs: Any) -> None:
        raise RuntimeError("the disk is full")

    monkeypatch.setattr(outbox.WebhookEvent.objects, "create", fail)
    with pytest.raises(RuntimeError):
        refuse(account)
    assert statuses([account]) == ["active"]


@pytest.mark.parametrize(("age", "wait"), [(60, 600), (1200, 86400)])
def test_a_new_token_that_is_refused_is_tried_again_soon_and_an_old_one_the_next_day(age: int, wait: int) -> None:
    account = SocialAccountFactory(token_obtained_at=timezone.now() - timedelta(seconds=age))
    refuse(account)
    account.refresh_from_db()
    assert timedelta(seconds=wait - 60) < account.token_retry_at - timezone.now() <= timedelta(seconds=wait)


def test_success_returns_an_expired_account_and_clears_what_was_wrong() -> None:
    account = SocialAccountFactory()
    refuse(account)
    before = SocialAccount.objects.get(pk=account.pk)
    accept(account)
    account.refresh_from_db()
    assert (account.status, account.last_error_code, account.last_error_detail) == ("active", "", "")
    assert (account.last_error_at, account.token_retry_at) == (None, None)
    assert account.updated_at > before.updated_at


def test_who_heard_of_a_dead_token_hears_once_that_it_works_again() -> None:
    account = SocialAccountFactory()
    accept(account)
    refuse(account)
    accept(account)
    accept(account)
    assert told() == ["account.token_expired", "account.connected"]
    assert WebhookEvent.objects.get(type="account.connected").data["status"] == "active"


def test_a_success_that_is_older_than_the_refusal_revives_nobody() -> None:
    account = SocialAccountFactory()
    before = SocialAccount.objects.get(pk=account.pk)
    refuse(account)
    dead = SocialAccount.objects.get(pk=account.pk)
    standing.record_success(before)
    account.refresh_from_db()
    assert (account.status, account.last_error_code, account.last_ok_at) == ("token_expired", "token_expired", None)
    accept(account)
    refuse(account)
    standing.record_success(dead)  # which was accepted before it was refused again
    assert statuses([account]) == ["token_expired"]
    assert told() == ["account.token_expired", "account.connected", "account.token_expired"]


def test_a_success_with_tokens_that_were_replaced_says_nothing_of_the_new_ones() -> None:
    account = SocialAccountFactory()
    before = SocialAccount.objects.get(pk=account.pk)
    connections.update(account, {"access_token": "a-new-token"})
    standing.record_success(before)
    account.refresh_from_db()
    assert account.last_ok_at is None


@pytest.mark.parametrize("status", ["disabled", "revoked"])
def test_success_enables_nobody_who_was_disabled_or_revoked(status: str) -> None:
    account = SocialAccountFactory(status=status)
    accept(account)
    assert statuses([account]) == [status]


def test_success_is_written_at_most_every_five_minutes(django_assert_num_queries: Any) -> None:
    account = SocialAccountFactory()
    accept(account)
    account.refresh_from_db()
    first = account.last_ok_at
    with django_assert_num_queries(0):
        standing.record_success(account)
    with time_machine.travel(timezone.now() + timedelta(minutes=6)):
        standing.record_success(account)
        with django_assert_num_queries(0):
            standing.record_success(account)
    account.refresh_from_db()
    assert account.last_ok_at > first


# --- incidents -------------------------------------------------------------------------------------------------------


def test_at_most_three_accounts_flip_before_an_incident_is_recognised(many: list[SocialAccount]) -> None:
    assert [refuse(account) for account in many] == ["token_expired"] * 3 + [HELD] * 3
    assert statuses(many) == ["token_expired"] * 3 + ["active"] * 3
    assert told() == ["account.token_expired"] * 3


@pytest.mark.django_db(transaction=True)
def test_at_most_three_accounts_flip_when_all_are_refused_at_the_same_instant(many: list[SocialAccount]) -> None:
    def refuse_in_a_thread(account: SocialAccount) -> str:
        try:
            return refuse(account)
        finally:
            connection.close()

    with ThreadPoolExecutor(6) as pool:
        found = list(pool.map(refuse_in_a_thread, many))
    assert sorted(found) == [HELD] * 3 + ["token_expired"] * 3
    assert sorted(statuses(many)) == ["active"] * 3 + ["token_expired"] * 3
    assert told() == ["account.token_expired"] * 3


def test_what_worked_before_the_first_refusal_does_not_hide_an_incident(many: list[SocialAccount]) -> None:
    for account in [*many, *SocialAccountFactory.create_batch(6)]:
        accept(account)
    assert [refuse(account) for account in many] == ["token_expired"] * 3 + [HELD] * 3


def test_who_is_refused_while_most_others_work_is_to_blame(many: list[SocialAccount]) -> None:
    others = SocialAccountFactory.create_batch(7)
    assert [refuse(account) for account in many[:3]] == ["token_expired"] * 3
    for account in others:
        accept(account)
    assert [refuse(account) for account in many[3:]] == ["token_expired"] * 3


def test_refusals_far_apart_are_no_incident(many: list[SocialAccount]) -> None:
    for hours, account in enumerate(many):
        with time_machine.travel(timezone.now() + timedelta(hours=hours)):
            assert refuse(account) == "token_expired"


def test_those_that_flipped_are_tried_again_soon_and_return_by_themselves(many: list[SocialAccount]) -> None:
    for account in many:
        refuse(account)
    for account in many[:3]:
        account.refresh_from_db()
        assert account.token_retry_at - timezone.now() <= timedelta(minutes=10)
        accept(account)
    assert statuses(many) == ["active"] * 6
    assert told() == ["account.token_expired"] * 3 + ["account.connected"] * 3


def test_those_that_seemed_revoked_are_tried_again_too(many: list[SocialAccount]) -> None:
    for account in many:
        refuse(account, Revoked())
    assert statuses(many) == ["token_expired"] * 3 + ["active"] * 3
    assert told() == ["account.reauth_required"] * 3


def test_in_an_incident_nobody_gets_worse(many: list[SocialAccount]) -> None:
    for account in many:
        refuse(account)
    assert refuse(many[0], Revoked()) == "reauth_required"
    assert refuse(many[5], Revoked()) == HELD
    assert statuses([many[0], many[5]]) == ["token_expired", "active"]
    assert len(told()) == 3


def test_an_incident_ends_and_dead_tokens_are_told_then(many: list[SocialAccount]) -> None:
    for account in many:
        refuse(account)
    with time_machine.travel(timezone.now() + timedelta(hours=5, minutes=59)):
        assert refuse(many[3]) == HELD
    with time_machine.travel(timezone.now() + timedelta(hours=6, minutes=1)):
        assert [refuse(account) for account in many[3:]] == ["token_expired"] * 3
    assert told() == ["account.token_expired"] * 6


def test_an_incident_is_not_followed_by_another_for_a_day(many: list[SocialAccount]) -> None:
    for account in many:
        refuse(account)
    over = timezone.now() + timedelta(hours=6, minutes=1)
    dead, dead_later = SocialAccountFactory.create_batch(6), SocialAccountFactory.create_batch(6)
    with time_machine.travel(over):
        assert [refuse(account) for account in dead] == ["token_expired"] * 6
    with time_machine.travel(over + timedelta(days=1)):
        assert [refuse(account) for account in dead_later] == ["token_expired"] * 3 + [HELD] * 3


def test_an_incident_concerns_no_other_platform_and_no_other_mode(many: list[SocialAccount]) -> None:
    for account in many:
        refuse(account)
    assert refuse(SocialAccountFactory(platform="bluesky")) == "token_expired"
    assert refuse(SocialAccountFactory(mode="live")) == "token_expired"
    assert refuse(SocialAccountFactory()) == HELD

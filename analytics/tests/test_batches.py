"""Batches of several accounts: how many calls they take, and whose a failure is."""

import time
from datetime import timedelta

import pytest
from django.utils import timezone

from accounts.models import SocialAccount, WebhookEvent
from accounts.services import crypto
from accounts.tests.factories import OrganizationFactory
from analytics.models import PostAnalytics, Target
from analytics.services import collect, due
from analytics.services.due import Scope
from analytics.services.lanes import lane_of
from analytics.tests.conftest import HOUR, SECOND, by_platform, check, listed_ids, posts_of, run
from analytics.tests.factories import PostFactory, TargetFactory

pytestmark = pytest.mark.django_db(transaction=True)
IDS = {"x": "22449949{:02d}", "youtube": "UCsharedsharedshared00{:02d}", "reddit": "a2gghy{:02d}"}


@pytest.fixture
def crowd(sandbox):
    """Accounts of one organization, each with a number of due posts; those of the first are the most."""

    def make(platform, *numbers, days=20, **of_first):
        organization, accounts = OrganizationFactory(), []
        for n, number in enumerate(numbers):
            more = {"posts": number, "span_days": days, **({} if n else of_first)}
            identity = IDS[platform].format(n)
            account = sandbox.connect(platform, organization=organization, network_unique_id=identity, **more)
            posts_of(account, listed_ids(sandbox, account)[:number])
            accounts.append(account)
        return accounts

    return make


def rows_of(account):
    return PostAnalytics.objects.filter(account=account)


def failures_of(account):
    return set(Target.objects.filter(account=account).values_list("last_error_code", flat=True))


def again():
    Target.objects.update(next_collect_at=timezone.now() - SECOND)
    return run()


# --- calls ------------------------------------------------------------


@pytest.mark.parametrize(("days", "private"), [(20, 5 + 3 + 3), (1200, 3)])
def test_x_takes_ten_calls_for_a_thousand_posts_and_full_batches_of_each_owners_young_ones(
    sandbox, crowd, days, private
):
    accounts = crowd("x", 450, 300, 250, days=days)
    summary = run()
    assert (summary.snapshots, sum(summary.failures.values())) == (1000, 0)
    assert (sandbox.calls("x", "tweets"), sandbox.calls("x", "tweets_private")) == (10, private)
    assert summary.calls == sandbox.calls("x") == 10 + private
    for account in accounts:
        with_clicks = rows_of(account).exclude(clicks=None)
        assert with_clicks.exists()
        assert all("private" in row.raw for row in with_clicks)
    young = PostAnalytics.objects.filter(raw__has_key="private").count()
    assert (young == 1000) is (days == 20)
    assert not Target.objects.exclude(claim=None).exists()


@pytest.mark.parametrize(("platform", "numbers", "calls"), [("youtube", (25, 20, 15), 2), ("reddit", (50, 40, 30), 2)])
def test_posts_of_several_accounts_fill_a_batch(sandbox, crowd, platform, numbers, calls):
    accounts = crowd(platform, *numbers)
    summary = run()
    assert (summary.snapshots, summary.calls, sandbox.calls(platform)) == (sum(numbers), calls, calls)
    assert [rows_of(account).count() for account in accounts] == list(numbers)


def test_accounts_of_other_organizations_share_no_call(sandbox, crowd):
    crowd("reddit", 5)
    crowd("reddit", 5)
    assert (run().snapshots, sandbox.calls("reddit")) == (10, 2)


def test_more_accounts_take_no_more_statements_for_each_post(crowd, django_assert_max_num_queries):
    for numbers in ((3, 2, 1), (60, 30, 10)):
        account = crowd("reddit", *numbers)[0]
        with django_assert_max_num_queries(24):
            collect.work_through(lane_of(account), until=time.monotonic() + 60)
    assert PostAnalytics.objects.count() == 106


def test_the_other_vocabulary_of_x_is_learnt_by_who_asks_and_told_to_the_owners(sandbox, crowd):
    accounts = crowd("x", 250, 20, 10)
    sandbox.switch("x", vocabulary="post")
    assert run().snapshots == 280
    assert (sandbox.calls("x", "tweets"), sandbox.calls("x", "tweets_private")) == (1 + 3, 3 + 1 + 1)
    assert all(rows_of(account).exclude(clicks=None).exists() for account in accounts)
    again()
    assert (sandbox.calls("x", "tweets"), sandbox.calls("x", "tweets_private")) == (4 + 3, 5 + 5)


# --- what another's token is not shown ------------------------------------------------------------


def test_videos_that_only_their_owner_sees_are_asked_for_again_by_the_owner(sandbox, crowd):
    first, *others = crowd("youtube", 20, 10, 8)
    private = [listed_ids(sandbox, account)[0] for account in (first, *others)]
    sandbox.switch("youtube", private=private)
    summary = run()
    assert (summary.snapshots, summary.failures) == (38, {})
    assert sandbox.calls("youtube") == summary.calls == 1 + 2


def test_what_its_owner_is_not_shown_either_is_missing(sandbox, crowd):
    first, second, _ = crowd("youtube", 20, 10, 8)
    gone = [listed_ids(sandbox, account)[0] for account in (first, second)]
    sandbox.control("POST", "/posts/delete", {"platform": "youtube", "ids": gone})
    for misses in (1, 2, 3):
        calls = sandbox.calls("youtube")
        assert again().failures == {"post_gone": 2}
        assert sandbox.calls("youtube") - calls == 2  # the first account's token had been asked already
        assert set(Target.objects.filter(platform_post_id__in=gone).values_list("missing_count", flat=True)) == {misses}
    assert Target.objects.filter(gone_at=None).count() == 36


def test_a_protected_post_is_shown_to_its_owner(sandbox, crowd):
    _, second = crowd("x", 6, 3, days=1200)
    protected = Target.objects.filter(account=second).first().platform_post_id
    sandbox.fault("x", "item_error", id=protected, problem="not-authorized-for-resource", group="tweets", times=1)
    assert run().failures == {}
    assert rows_of(second).count() == 3


def test_an_owner_who_cannot_be_asked_fails_for_what_only_it_may_see(sandbox, crowd):
    first, second = crowd("youtube", 20, 10)
    private = listed_ids(sandbox, second)[0]
    sandbox.switch("youtube", private=[private])
    sandbox.revoke(second)
    assert run().snapshots == 29
    [target] = Target.objects.exclude(last_error_code="")
    assert (target.platform_post_id, target.last_error_code, target.missing_count) == (private, "token_expired", 0)
    states = dict(SocialAccount.objects.values_list("pk", "status"))
    assert states == {first.pk: "active", second.pk: "token_expired"}


def test_private_numbers_that_one_owner_may_not_ask_for_cost_that_owner_its_clicks(sandbox, crowd):
    accounts = crowd("x", 6, 5, 4)
    sandbox.fault("x", "scope_missing", group="tweets_private", times=1)
    assert run().snapshots == 15
    refused = PostAnalytics.objects.filter(unavailable__has_key="clicks")
    assert set(refused.values_list("unavailable__clicks", flat=True)) == {"scope_missing"}
    assert len(set(refused.values_list("account", flat=True))) == 1
    assert all(rows_of(account).exclude(pk__in=refused).count() in (0, account.targets.count()) for account in accounts)


def test_a_post_on_two_accounts_is_asked_of_the_one_that_may_see_it(sandbox, crowd):
    first, second = crowd("youtube", 5, 3)
    private = listed_ids(sandbox, second)[0]
    TargetFactory(post=PostFactory(organization=first.organization), account=first, platform_post_id=private)
    sandbox.switch("youtube", private=[private])
    assert (run().snapshots, sandbox.calls("youtube")) == (9, 2)


# --- accounts that fail ------------------------------------------------------------


@pytest.mark.parametrize("platform", ["x", "youtube", "reddit"])
def test_a_dead_token_costs_its_own_posts_and_no_others(sandbox, crowd, platform):
    first, *others = crowd(platform, 12, 6, 5, days=1200)
    sandbox.revoke(first)
    summary = run()
    assert (summary.snapshots, summary.failures) == (11, {"token_expired": 12})
    assert failures_of(first) == {"token_expired"}
    assert [failures_of(account) for account in others] == [{""}, {""}]
    for account in (first, *others):
        account.refresh_from_db()
    assert [account.status for account in (first, *others)] == ["token_expired", "active", "active"]
    assert [account.last_error_code for account in others] == ["", ""]
    calls = sandbox.calls(platform)
    assert again().failures == {}
    assert sandbox.calls(platform) - calls == (1 if platform != "x" else 1 + others_young(others))


def others_young(accounts):
    """How many of them have a young post, whose private numbers take a call."""
    return sum(rows_of(account).filter(raw__has_key="private").exists() for account in accounts)


def test_each_account_is_tried_once_and_has_its_own_failure_when_all_are_dead(sandbox, crowd):
    accounts = crowd("youtube", 60, 50)
    for account in accounts:
        sandbox.revoke(account)
    assert run().failures == {"token_expired": 110}
    assert (sandbox.calls("youtube", "batch_get_stats"), sandbox.calls("youtube", "token")) == (2, 2)


def test_a_dead_token_that_is_tried_again_is_tried_for_its_own_posts(sandbox, crowd):
    first, _ = crowd("reddit", 5, 4)
    SocialAccount.objects.filter(pk=first.pk).update(status="token_expired", token_retry_at=timezone.now() - HOUR)
    assert (run().snapshots, sandbox.calls("reddit")) == (9, 3)  # and once whose the token is
    first.refresh_from_db()
    assert first.status == "active"
    assert again().calls == 1
    SocialAccount.objects.filter(pk=first.pk).update(status="token_expired", token_retry_at=timezone.now() + HOUR)
    assert again().targets == 4


@pytest.mark.parametrize("platform", ["x", "youtube", "reddit"])
def test_another_accounts_token_reads_posts_and_does_not_bring_a_dead_account_back(sandbox, crowd, platform):
    (account,) = crowd(platform, 2, days=1200)
    foreign = sandbox.grant(platform, IDS[platform].format(77))["access_token"]
    own = account.access_token
    dead = {"status": "token_expired", "token_retry_at": timezone.now() - HOUR}
    SocialAccount.objects.filter(pk=account.pk).update(access_token=crypto.encrypt(foreign), **dead)
    assert run().snapshots == 2
    account.refresh_from_db()
    assert (account.status, account.last_error_code) == ("token_expired", "token_expired")
    assert not WebhookEvent.objects.filter(type="account.connected").exists()
    SocialAccount.objects.filter(pk=account.pk).update(access_token=own, **dead)
    Target.objects.update(next_collect_at=timezone.now() - HOUR)
    assert run().snapshots == 2
    account.refresh_from_db()
    assert account.status == "active"


def test_a_limit_of_one_account_leaves_its_posts_to_the_others(sandbox, crowd):
    first, second = crowd("x", 6, 3)
    fault = {"kind": "rate_limited", "retry_after": 900, "group": "tweets", "times": 1}
    sandbox.switch("x", faults=[fault], rate_limits=False)
    summary = run()
    assert (summary.snapshots, summary.failures) == (9, {})
    assert (sandbox.calls("x", "tweets"), sandbox.calls("x", "tweets_private")) == (2, 1)
    assert not rows_of(first).exclude(clicks=None).exists()  # only its own token shows them
    assert rows_of(second).filter(raw__has_key="private").count() == 3
    codes = dict(SocialAccount.objects.values_list("pk", "last_error_code"))
    assert codes == {first.pk: "rate_limited", second.pk: ""}


def test_a_limit_of_the_app_is_everybodys_and_met_once(sandbox, crowd):
    crowd("reddit", 6, 5, 4)
    sandbox.fault("reddit", "rate_limited", retry_after=300)
    assert run().failures == {"rate_limited": 15}
    assert again().failures == {"rate_limited": 15}
    assert sandbox.calls("reddit") == 1
    assert SocialAccount.objects.filter(last_error_code="").count() == 1  # one account was asked with, each time


def test_an_outage_is_not_tried_with_every_token(sandbox, crowd):
    crowd("x", 6, 5, 4)
    sandbox.fault("x", "server_error")
    assert run().failures == {"platform_unavailable": 15}
    assert sandbox.calls("x") == 1
    assert sorted(SocialAccount.objects.values_list("last_error_code", flat=True)) == ["", "", "platform_unavailable"]


def test_a_token_that_has_expired_is_renewed_once_and_used_for_all_batches(sandbox, crowd):
    later = timezone.now() + timedelta(hours=2)
    first, _ = crowd("x", 160, 90, days=1200, token_lifetime=-10, token_expires_at=later)
    assert run().snapshots == 250
    assert (sandbox.calls("x", "token"), sandbox.calls("x", "tweets")) == (1, 1 + 3)
    first.refresh_from_db()
    assert first.status == "active"


@pytest.mark.parametrize("platform", ["x", "youtube"])
def test_a_token_that_cannot_be_renewed_at_the_moment_leaves_its_posts_to_the_others(sandbox, crowd, platform):
    first, _ = crowd(platform, 6, 3, days=1200, token_lifetime=-10, token_expires_at=timezone.now() + 2 * HOUR)
    sandbox.fault(platform, "server_error", group="token")
    assert run().snapshots == 9
    first.refresh_from_db()
    assert (first.status, first.last_error_code) == ("active", "platform_unavailable")


def test_a_missing_scope_is_left_to_tokens_that_have_it(sandbox, crowd):
    first, _ = crowd("reddit", 6, 3)
    sandbox.fault("reddit", "scope_missing", times=1)
    assert (run().snapshots, sandbox.calls("reddit")) == (9, 2)
    first.refresh_from_db()
    assert first.last_error_code == "scope_missing"
    assert (again().snapshots, sandbox.calls("reddit")) == (9, 3)  # who is well is asked first


# --- doors ------------------------------------------------------------


def test_one_account_alone_is_collected_with_its_own_token(sandbox, crowd):
    first, second = crowd("reddit", 6, 3)
    sandbox.revoke(first)
    assert run(scope=Scope(account_id=second.pk)).snapshots == 3
    assert run(scope=Scope(account_id=first.pk)).failures == {"token_expired": 6}


def test_targets_that_there_is_no_time_for_are_due_as_before(sandbox, crowd):
    accounts = crowd("reddit", 6, 3)
    claim, targets = due.claim_targets(lane_of(accounts[0]), due.ALL, 100)
    assert due.count_due() == 0
    summary = collect._collect_batch(claim, targets, time.monotonic())
    assert (summary.targets, sandbox.calls("reddit"), due.count_due()) == (0, 0, 9)
    assert not Target.objects.exclude(claim=None).exists()


def test_a_live_read_of_two_accounts_shares_a_call_and_asks_the_owner_for_what_is_private(sandbox, crowd, read):
    accounts = crowd("youtube", 3, 2)
    post = PostFactory(organization=accounts[0].organization)
    ids = [listed_ids(sandbox, account)[0] for account in accounts]
    Target.objects.all().delete()
    for account, post_id in zip(accounts, ids, strict=True):
        TargetFactory(post=post, account=account, platform_post_id=post_id)
    sandbox.switch("youtube", private=ids)
    body = check(read(post))
    assert (body["coverage"]["live"], sandbox.calls("youtube")) == (2, 2)


def test_a_live_read_goes_on_without_the_dead_account(sandbox, crowd, read):
    first, second = crowd("x", 3, 2)
    post = PostFactory(organization=first.organization)
    ids = [listed_ids(sandbox, account)[0] for account in (first, second)]
    Target.objects.all().delete()
    for account, post_id in zip((first, second), ids, strict=True):
        TargetFactory(post=post, account=account, platform_post_id=post_id)
    sandbox.revoke(first)
    SocialAccount.objects.filter(pk=second.pk).update(
        last_error_code="rate_limited"
    )  # so that the first is asked first
    for _ in range(2):  # while the token is found to be dead, and when it is known
        body = check(read(post))
        assert body["coverage"] == {"targets": 2, "live": 1, "snapshot": 0, "missing": 1}
        assert by_platform(body["metrics_by_account"])["x"]["clicks"] == rows_of(second).last().clicks
        [skipped] = body["skipped"]
        assert (skipped["target_id"], skipped["code"]) == (str(first.targets.get().pk), "token_expired")

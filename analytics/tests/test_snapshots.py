"""The one writer: what is stored, and what it does to due times."""

import uuid
from datetime import timedelta

import pytest
from django.utils import timezone

from accounts.tests.factories import SocialAccountFactory
from analytics.models import AccountMetrics, PostAnalytics, Target
from analytics.services import snapshots
from analytics.services.snapshots import Captured, store_account, store_posts
from analytics.tests.factories import TargetFactory
from platforms import registry
from platforms.base import Reading
from platforms.dimensions import Dimension, Reason
from platforms.errors import (
    BudgetExhausted,
    Gone,
    MalformedPayload,
    RateLimited,
    Revoked,
    ScopeMissing,
    TokenExpired,
    Unavailable,
)

pytestmark = pytest.mark.django_db
NOW = timezone.now()
HOLDER = uuid.uuid4()


def reading(likes=1, **more):
    return Reading({"likeCount": likes, **more})


def claimed(**more):
    later = timezone.now() + timedelta(minutes=5)
    return TargetFactory(platform="bluesky", claim=HOLDER, claimed_until=later, **more)


def store(target, result, claim=HOLDER):
    [outcome] = store_posts([Captured(target, result)], captured_at=NOW, claim=claim)
    target.refresh_from_db()
    return outcome.result


def due_in(row):
    return row.next_collect_at - NOW


# --- what is stored ------------------------------------------------------------


def test_a_reading_becomes_a_snapshot_and_the_claim_is_given_back():
    target = claimed(failures=4, missing_count=2, last_error_code="x")
    given = Reading(
        {"likeCount": 3, "replyCount": None}, {Dimension.SHARES: Reason.RETIRED, Dimension.LIKES: Reason.RETIRED}
    )
    assert store(target, given) is given
    row = PostAnalytics.objects.get()
    assert (row.likes, row.comments, row.captured_at, row.account_id) == (3, None, NOW, target.account_id)
    assert row.unavailable == {"shares": "retired"}
    assert (target.claim, target.claimed_until, target.failures, target.missing_count) == (None, None, 0, 0)
    assert target.last_error_code == ""
    assert due_in(target) == timedelta(minutes=30)


def test_what_no_column_can_hold_is_null_with_the_evidence_kept(monkeypatch):
    target = claimed()
    values = {Dimension.LIKES: 2**63, Dimension.SHARES: 2**63 - 1, Dimension.SAVES: -1}
    monkeypatch.setattr(registry.get("bluesky"), "metrics", lambda raw: values)
    store(target, Reading({"likeCount": str(2**63)}))
    row = PostAnalytics.objects.get()
    assert (row.likes, row.shares, row.saves) == (None, 2**63 - 1, None)
    assert row.raw == {"likeCount": str(2**63)}


def test_raw_is_kept_without_nul_surrogates_tokens_and_urls_that_bear_one():
    target = claimed()
    raw = {
        "likeCount": 1,
        "text": "a\x00b\ud800",
        "access_token": "secret-1",
        "next": "https://graph.facebook.com/me?access_token=secret-2&limit=1",
    }
    store(target, Reading(raw))
    row = PostAnalytics.objects.get()
    assert row.raw["text"] == "a\ufffdb\ufffd"
    assert "secret" not in str(row.raw)


@pytest.mark.parametrize("poison", [object(), float("nan"), "x" * 10])
def test_a_poisoned_row_does_not_take_the_batch_with_it(monkeypatch, poison):
    targets = [claimed() for _ in range(5)]
    build = snapshots.post_snapshot

    def poisoned(target, given, captured_at):
        row = build(target, given, captured_at)
        if target == targets[2]:
            row.likes = poison
        return row

    monkeypatch.setattr(snapshots, "post_snapshot", poisoned)
    outcomes = store_posts([Captured(each, reading()) for each in targets], captured_at=NOW, claim=HOLDER)
    refused = [each.target for each in outcomes if isinstance(each.result, MalformedPayload)]
    assert refused == [targets[2]]
    assert set(PostAnalytics.objects.values_list("target_id", flat=True)) == {t.pk for t in targets if t not in refused}
    bad = Target.objects.get(pk=targets[2].pk)
    assert (bad.claim, bad.failures, bad.last_error_code) == (None, 1, "platform_error")


def test_an_answer_that_cannot_be_read_is_that_targets_failure(monkeypatch):
    good, bad = claimed(), claimed()
    derive = registry.get("bluesky").metrics
    monkeypatch.setattr(registry.get("bluesky"), "metrics", lambda raw: derive(raw) if raw["likeCount"] else raw["no"])
    outcomes = store_posts([Captured(bad, reading(0)), Captured(good, reading())], captured_at=NOW, claim=HOLDER)
    assert {each.target: type(each.result) for each in outcomes} == {good: Reading, bad: MalformedPayload}
    assert PostAnalytics.objects.get().target == good


def test_the_own_id_of_a_post_replaces_what_stood_for_it():
    target = claimed(platform_post_id="stands-for-it")
    store(target, Reading({"likeCount": 1}, id="own"))
    assert (target.platform_post_id, target.claim, target.snapshots.count()) == ("own", None, 1)
    later = Target.objects.get()
    store(later, Reading({"likeCount": 2}, id="own"), claim=None)
    assert (later.platform_post_id, later.snapshots.count()) == ("own", 2)


def test_an_own_id_that_another_target_has_leaves_both_as_they_are():
    account = SocialAccountFactory(platform="bluesky")
    names = {"own": "", "one": "own", "two": "own", "three": "other", "four": "other"}
    targets = {name: claimed(account=account, platform_post_id=name) for name in names}
    TargetFactory(platform="bluesky", platform_post_id="other")  # of another account
    captured = [Captured(targets[name], Reading({"likeCount": 1}, id=own)) for name, own in names.items()]
    assert len(store_posts(captured, captured_at=NOW, claim=HOLDER)) == 5
    stored = {name: Target.objects.get(pk=target.pk) for name, target in targets.items()}
    settled = {name: target.platform_post_id for name, target in stored.items()}
    assert settled == {"own": "own", "one": "one", "two": "two", "three": "other", "four": "four"}
    assert all(target.snapshots.count() == 1 and target.claim is None for target in stored.values())


def test_an_own_id_that_is_registered_at_the_same_moment_costs_no_snapshot(monkeypatch):
    target = claimed(platform_post_id="stands-for-it")
    other = TargetFactory(account=target.account, platform_post_id="own")
    monkeypatch.setattr(Target.objects, "filter", blind_to(other))
    store(target, Reading({"likeCount": 1}, id="own"))
    assert (target.platform_post_id, target.snapshots.count()) == ("stands-for-it", 1)


def blind_to(other):
    """As if `other` had not been there yet when it was looked for."""
    real = Target.objects.filter

    def look(*args, **given):
        found = real(*args, **given)
        return found.exclude(pk=other.pk) if "platform_post_id__in" in given else found

    return look


def test_an_own_id_comes_too_late_for_a_target_that_became_another_post():
    claimed(platform_post_id="stands-for-it")
    stale = Target.objects.get()
    Target.objects.update(platform_post_id="another")
    assert store_posts([Captured(stale, Reading({"likeCount": 1}, id="own"))], captured_at=NOW) == []
    assert not PostAnalytics.objects.exists()


def test_two_readers_may_settle_the_same_id():
    target = claimed(platform_post_id="stands-for-it")
    other = Target.objects.get()
    store(target, Reading({"likeCount": 1}, id="own"))
    assert len(store_posts([Captured(other, Reading({"likeCount": 2}, id="own"))], captured_at=NOW)) == 1
    assert (Target.objects.get().platform_post_id, PostAnalytics.objects.count()) == ("own", 2)


def test_whoever_lost_the_claim_writes_nothing():
    target = claimed()
    Target.objects.update(claim=uuid.uuid4())
    before = Target.objects.values().get()
    assert store_posts([Captured(target, reading())], captured_at=NOW, claim=HOLDER) == []
    assert not PostAnalytics.objects.exists()
    assert Target.objects.values().get() == before


def test_storing_a_batch_takes_few_statements(django_assert_max_num_queries):
    targets = [claimed() for _ in range(60)]
    results = [reading(), None, Unavailable(), Gone()]
    captured = [Captured(each, results[n % 4]) for n, each in enumerate(targets)]
    with django_assert_max_num_queries(16):
        store_posts(captured, captured_at=NOW, claim=HOLDER)


# --- due times ------------------------------------------------------------


def test_due_times_follow_the_age_of_the_post():
    for age, step in ((2, 6 * 3600), (30, 86400), (400, 7 * 86400)):
        target = claimed(published_at=NOW - timedelta(days=age))
        store(target, reading())
        assert due_in(target) == timedelta(seconds=step)


def test_passing_failures_back_off_with_the_cadence_as_cap():
    target = claimed(published_at=NOW - timedelta(days=3), failures=1)
    store(target, Unavailable("down"))
    assert timedelta(minutes=8) <= due_in(target) <= timedelta(minutes=12)
    assert (target.failures, target.last_error_code, target.last_error_detail) == (2, "platform_unavailable", "down")
    fresh = claimed(failures=30)
    store(fresh, Unavailable())
    assert due_in(fresh) == timedelta(minutes=30)


@pytest.mark.parametrize("error", [RateLimited, BudgetExhausted])
def test_a_named_time_is_waited_for(error):
    target = claimed()
    store(target, error(retry_at=NOW + timedelta(hours=9)))
    assert due_in(target) == timedelta(hours=9)
    assert target.failures == 0


def test_what_needs_the_owner_is_tried_again_with_the_cadence():
    target = claimed()
    store(target, ScopeMissing())
    assert (due_in(target), target.failures) == (timedelta(minutes=30), 0)


@pytest.mark.parametrize("error", [TokenExpired, Revoked])
def test_a_post_of_a_dead_account_is_due_soon_after_new_tokens(error):
    target = claimed(published_at=NOW - timedelta(days=400))
    store(target, error())
    assert due_in(target) <= timedelta(minutes=8)
    assert target.failures == 0


def test_three_misses_in_a_row_are_gone():
    target = claimed()
    for misses in (1, 2):
        store(target, None)
        assert (target.missing_count, target.gone_at, target.last_error_code) == (misses, None, "post_gone")
        assert due_in(target) <= timedelta(minutes=12)
        Target.objects.update(claim=HOLDER)
    store(target, None)
    assert (target.missing_count, target.gone_at, target.next_collect_at) == (3, NOW, None)
    assert not PostAnalytics.objects.exists()


def test_an_answer_between_misses_starts_the_count_again():
    target = claimed(missing_count=2)
    store(target, reading())
    Target.objects.update(claim=HOLDER)
    store(target, None)
    assert (target.missing_count, target.gone_at) == (1, None)


def test_a_clear_gone_counts_at_once():
    target = claimed()
    store(target, Gone("deleted"))
    assert (target.gone_at, target.next_collect_at, target.last_error_detail) == (NOW, None, "deleted")


def test_misses_that_others_counted_meanwhile_count():
    target = claimed()
    Target.objects.update(missing_count=2)
    store(target, None)
    assert target.gone_at == NOW


# --- live reads ------------------------------------------------------------


def test_a_live_answer_is_stored_and_moves_the_due_time_of_an_unclaimed_target():
    target = TargetFactory(platform="bluesky")
    store(target, reading(), claim=None)
    assert due_in(target) == timedelta(minutes=30)
    assert PostAnalytics.objects.count() == 1


def test_a_live_answer_leaves_a_held_claim_alone():
    target = claimed()
    due, until = target.next_collect_at, target.claimed_until
    store(target, reading(), claim=None)
    assert (target.claim, target.next_collect_at, target.claimed_until) == (HOLDER, due, until)
    assert PostAnalytics.objects.count() == 1


def test_a_live_failure_is_told_but_collecting_keeps_its_rhythm():
    target = TargetFactory(platform="bluesky", failures=1)
    due = target.next_collect_at
    store(target, Unavailable(), claim=None)
    assert (target.next_collect_at, target.failures, target.last_error_code) == (due, 1, "platform_unavailable")
    store(target, Gone(), claim=None)
    assert (target.next_collect_at, target.gone_at) == (None, NOW)


def test_a_live_answer_does_not_start_collecting_what_is_not_collected():
    target = TargetFactory(platform="bluesky", next_collect_at=None)
    store(target, reading(), claim=None)
    assert target.next_collect_at is None


# --- accounts ------------------------------------------------------------


def test_an_accounts_numbers_are_stored_once_for_a_claim():
    account = SocialAccountFactory(platform="bluesky", claim=HOLDER)
    given = Reading({"followersCount": 5})
    assert store_account(account, given, captured_at=NOW, claim=HOLDER) is given
    assert store_account(account, given, captured_at=NOW, claim=HOLDER) is None
    assert AccountMetrics.objects.get().followers == 5
    account.refresh_from_db()
    assert (account.claim, due_in(account), account.last_synced_at) == (None, timedelta(hours=1), NOW)


@pytest.mark.parametrize(
    ("error", "least", "most"),
    [(Unavailable(), 4, 6), (MalformedPayload(), 4, 6), (TokenExpired(), 60, 60)],
)
def test_an_accounts_failure_moves_its_due_time(error, least, most):
    account = SocialAccountFactory(platform="bluesky", claim=HOLDER)
    store_account(account, error, captured_at=NOW, claim=HOLDER)
    account.refresh_from_db()
    assert timedelta(minutes=least) <= due_in(account) <= timedelta(minutes=most)
    assert not AccountMetrics.objects.exists()


def test_an_accounts_live_failure_moves_nothing():
    account = SocialAccountFactory(platform="bluesky")
    due = account.next_collect_at
    store_account(account, RateLimited(retry_at=NOW + timedelta(days=3)), captured_at=NOW)
    account.refresh_from_db()
    assert account.next_collect_at == due


@pytest.mark.parametrize(("claim", "minutes"), [(None, None), (HOLDER, -1)])
def test_an_accounts_live_answer_moves_the_due_time_of_one_that_nobody_collects(claim, minutes):
    until = minutes and timezone.now() + timedelta(minutes=minutes)
    account = SocialAccountFactory(platform="bluesky", claim=claim, claimed_until=until)
    store_account(account, Reading({"followersCount": 5}), captured_at=NOW)
    account.refresh_from_db()
    assert (account.claim, account.claimed_until, due_in(account)) == (None, None, timedelta(hours=1))


def test_an_accounts_live_answer_leaves_a_held_claim_alone():
    until = timezone.now() + timedelta(minutes=5)
    account = SocialAccountFactory(platform="bluesky", claim=HOLDER, claimed_until=until)
    due = account.next_collect_at
    store_account(account, Reading({"followersCount": 5}), captured_at=NOW)
    account.refresh_from_db()
    assert (account.claim, account.claimed_until, account.next_collect_at) == (HOLDER, until, due)
    assert AccountMetrics.objects.count() == 1


def test_an_account_answer_that_cannot_be_read_is_a_failure(monkeypatch):
    account = SocialAccountFactory(platform="bluesky")
    monkeypatch.setattr(registry.get("bluesky"), "account_metrics", lambda raw: raw["no"])
    assert isinstance(store_account(account, Reading({}), captured_at=NOW), MalformedPayload)

"""Collecting when something fails: what is parked, tried again or given up, and that the rest goes on."""

from datetime import timedelta

import pytest
from django.utils import timezone

from accounts.models import SocialAccount
from analytics.models import PostAnalytics, Target
from analytics.services import collect, due
from analytics.tests.conftest import HOUR, SECOND, run
from platforms import registry

live = pytest.mark.django_db(transaction=True)


@live
def test_a_rate_limit_parks_one_account_and_others_go_on(sandbox, busy):
    parked, free = busy("x", 3), busy("x", 3)
    sandbox.switch("x", faults=[{"kind": "rate_limited", "retry_after": 900, "times": 2}], rate_limits=False)
    Target.objects.filter(account=free).update(next_collect_at=timezone.now() + HOUR)
    assert run().failures == {"rate_limited": 3}
    calls = sandbox.calls("x")
    for target in Target.objects.filter(account=parked):
        assert timedelta(minutes=14) < target.next_collect_at - timezone.now() <= timedelta(minutes=15, seconds=1)
    Target.objects.update(next_collect_at=timezone.now() - SECOND)
    summary = run()
    assert summary.snapshots == 3
    assert set(PostAnalytics.objects.values_list("account_id", flat=True)) == {free.pk}
    assert summary.failures == {"rate_limited": 3}
    assert sandbox.calls("x") == calls + summary.calls


@live
def test_an_outage_backs_off_and_is_made_up_for(sandbox, busy):
    busy("bluesky", 30)
    sandbox.fault("bluesky", "server_error")
    summary = run()
    assert (summary.failures, summary.snapshots, summary.calls) == ({"platform_unavailable": 30}, 0, 2)
    assert run().targets == 0
    assert min(Target.objects.values_list("next_collect_at", flat=True)) > timezone.now() + timedelta(minutes=3)
    sandbox.heal("bluesky")
    Target.objects.update(next_collect_at=timezone.now() - SECOND)
    assert run().snapshots == 30
    assert set(Target.objects.values_list("failures", flat=True)) == {0}


@live
def test_a_platform_that_is_down_does_not_cost_the_others(sandbox, busy):
    busy("bluesky", 3), busy("x", 3), busy("instagram", 3)
    sandbox.fault("x", "close")
    summary = run()
    assert (summary.snapshots, summary.failures) == (6, {"platform_unavailable": 3})


@live
def test_a_refused_token_is_tried_once_and_not_again_for_a_day(sandbox, busy):
    account = busy("x", 150)
    SocialAccount.objects.update(next_collect_at=timezone.now() - SECOND)
    sandbox.switch("x", faults=[{"kind": "token_expired"}, {"kind": "refuse_refresh"}])
    run()
    account.refresh_from_db()
    assert account.status == "token_expired"
    calls = sandbox.calls("x")
    Target.objects.update(next_collect_at=timezone.now() - SECOND)
    SocialAccount.objects.update(next_collect_at=timezone.now() - SECOND)
    assert run().rows == 0
    assert sandbox.calls("x") == calls
    SocialAccount.objects.update(token_retry_at=timezone.now() - SECOND)
    sandbox.heal("x")
    assert run().snapshots == 151
    account.refresh_from_db()
    assert account.status == "active"


@live
def test_gone_posts_are_not_asked_for_again(sandbox, busy):
    busy("x", 2, span_days=100)
    gone, kept = Target.objects.all()
    sandbox.control("POST", "/posts/delete", {"platform": "x", "ids": [gone.platform_post_id]})
    summary = run()
    assert (summary.snapshots, summary.failures) == (1, {"post_gone": 1})
    Target.objects.filter(next_collect_at__isnull=False).update(next_collect_at=timezone.now() - SECOND)
    assert run().targets == 1
    assert set(PostAnalytics.objects.values_list("target_id", flat=True)) == {kept.pk}
    gone.refresh_from_db()
    assert gone.gone_at is not None


@live
def test_a_mistake_of_ours_is_that_batchs_failure_and_is_not_repeated_at_once(busy, monkeypatch, caplog):
    busy("bluesky", 3), busy("x", 2)
    monkeypatch.setattr(registry.get("bluesky"), "fetch_posts", lambda ids, account: 1 / 0)
    monkeypatch.setattr(collect, "pull_account", lambda account, live: 1 / 0)
    SocialAccount.objects.filter(platform="x").update(next_collect_at=timezone.now() - SECOND)
    summary = run()
    assert (summary.targets, summary.snapshots) == (5, 2)
    assert summary.failures == {"platform_error": 4}
    assert "ZeroDivisionError" in caplog.text
    assert run().targets == 0


@live
def test_a_crash_of_one_lane_does_not_stop_the_others(busy, monkeypatch):
    for _ in range(3):
        busy("x", 2)
    bad = due.due_lanes()[0]
    work = collect._collect_batch
    monkeypatch.setattr(
        collect,
        "_collect_batch",
        lambda claim, targets, until: 1 / 0 if targets[0].lane == bad else work(claim, targets, until),
    )
    assert run().snapshots == 4
    assert Target.objects.filter(lane=bad, claim__isnull=False).count() == 2
    before = timezone.now() - timedelta(seconds=1)
    Target.objects.filter(lane=bad).update(claimed_until=before, next_collect_at=before)
    monkeypatch.undo()
    assert run(limit=10).snapshots == 2

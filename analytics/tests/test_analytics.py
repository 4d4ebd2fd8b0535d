"""A post's analytics through the API: live numbers, stored ones in their place, and what is missing and why."""

import threading
import time
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from accounts.tests.factories import OrganizationFactory, SocialAccountFactory
from accounts.tests.fixtures import Sandbox
from analytics.models import Post, PostAnalytics, Target
from analytics.tests.conftest import COUNTS, by_platform, check
from analytics.tests.factories import PostAnalyticsFactory, PostFactory, TargetFactory
from platforms.sandbox.server import start

live = pytest.mark.django_db(transaction=True)
stored = pytest.mark.django_db


# --- live ------------------------------------------------------------


@live
def test_every_published_target_is_pulled_live_and_stored(published, read):
    post = published("x", "instagram", "bluesky")
    TargetFactory(post=post, platform="x", status="pending", platform_post_id=None)
    body = check(read(post))
    assert body["coverage"] == {"targets": 3, "live": 3, "snapshot": 0, "missing": 0}
    assert body["skipped"] == []
    rows = by_platform(body["metrics_by_account"])
    assert rows["x"]["unavailable"]["reach"] == "unsupported"
    assert rows["bluesky"]["unavailable"] == dict.fromkeys(
        ("impressions", "reach", "clicks", "video_views"), "unsupported"
    )
    assert rows["instagram"]["reach"] is not None
    for row in PostAnalytics.objects.all():
        shown = rows[row.platform]
        assert shown["target_id"] == str(row.target_id)
        assert [shown[name] for name in COUNTS] == [getattr(row, name) for name in COUNTS]
        assert row.raw
    assert PostAnalytics.objects.count() == 3


@live
def test_each_live_read_appends_a_snapshot(published, read):
    post = published("x")
    first, second = read(post)["metrics_by_account"][0], read(post)["metrics_by_account"][0]
    assert first["captured_at"] < second["captured_at"]
    assert PostAnalytics.objects.count() == 2


@live
def test_an_old_posts_clicks_are_null_and_not_reported(published, read, sandbox):
    row = read(published("x", nth=-1))["metrics_by_account"][0]
    assert (row["clicks"], row["unavailable"]["clicks"]) == (None, "not_reported")
    assert (sandbox.calls("x", "tweets"), sandbox.calls("x", "tweets_private")) == (1, 0)
    read(published("x"))
    assert (sandbox.calls("x", "tweets"), sandbox.calls("x", "tweets_private")) == (2, 1)


# --- stored ------------------------------------------------------------


@stored
def test_a_measured_zero_stays_zero_and_null_says_why(read):
    post = PostFactory()
    x = TargetFactory(post=post, platform="x")
    PostAnalyticsFactory(target=x, likes=0, clicks=None, unavailable={"clicks": "scope_missing", "likes": "retired"})
    bluesky = TargetFactory(post=post, platform="bluesky")
    PostAnalyticsFactory(target=bluesky, likes=2**63 - 1, comments=3, saves=None, engagement_rate=None)
    body = check(read(post, max_age=60))
    rows = by_platform(body["metrics_by_account"])
    assert rows["x"]["likes"] == 0
    assert rows["x"]["unavailable"]["clicks"] == "scope_missing"
    assert rows["x"]["unavailable"]["impressions"] == "not_reported"
    assert rows["x"]["unavailable"]["reach"] == "unsupported"
    assert "likes" not in rows["x"]["unavailable"]
    assert body["aggregated_metrics"]["total_likes"] == 2**63 - 1
    assert body["coverage"] == {"targets": 2, "live": 0, "snapshot": 2, "missing": 0}
    assert body["skipped"] == []


@live
def test_only_snapshots_younger_than_max_age_are_served(published, read, sandbox):
    post = published("x", "bluesky")
    x, bluesky = post.targets.order_by("-platform")
    PostAnalyticsFactory(target=x, captured_at=timezone.now() - timedelta(seconds=50))
    PostAnalyticsFactory(target=x, captured_at=timezone.now() - timedelta(seconds=500))
    PostAnalyticsFactory(target=bluesky, captured_at=timezone.now() - timedelta(seconds=70))
    rows = by_platform(check(read(post, max_age=60))["metrics_by_account"])
    assert (rows["x"]["source"], rows["bluesky"]["source"]) == ("snapshot", "live")
    assert (sandbox.calls("x"), sandbox.calls("bluesky")) == (0, 1)
    rows = by_platform(read(post)["metrics_by_account"])
    assert {row["source"] for row in rows.values()} == {"live"}


@stored
def test_stored_analytics_take_few_queries_for_any_number_of_targets_and_snapshots(
    client_for, django_assert_num_queries
):
    post = PostFactory()
    client = client_for(post)
    client.get("/api/v1/posts")
    for number in (1, 9):
        for _ in range(number):
            PostAnalyticsFactory.create_batch(number, target=TargetFactory(post=post))
        with django_assert_num_queries(2):  # the key, the targets with their snapshots
            answer = client.get(f"/api/v1/posts/{post.pk}/analytics", {"max_age": 3600})
        assert answer.json()["coverage"]["snapshot"] == post.targets.count()


@stored
@pytest.mark.parametrize("status", ["pending", "queued", "publishing", "failed", "canceled"])
def test_a_post_of_which_nothing_is_published_has_no_analytics(read, status):
    target = TargetFactory(status=status)
    body = read(target.post, 422)
    assert body["code"] == "post_not_published"
    assert body["detail"] == "Analytics are only available after a post is published"


@stored
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("max_age", "-1"), ("max_age", "31536001"), ("max_age", "1.5"), ("max_age", "soon"), ("max_age", ""),
        ("deadline_ms", "199"), ("deadline_ms", "30001"), ("deadline_ms", "8s"), ("deadline_ms", "9" * 30),
    ],
)  # fmt: skip
def test_a_malformed_parameter_is_named_and_an_unknown_one_ignored(read, name, value):
    post = PostAnalyticsFactory().target.post
    [error] = read(post, 400, **{name: value})["errors"]
    assert error["field"] == name
    read(post, max_age=31536000, colour="red")


# --- time ------------------------------------------------------------


@live
def test_a_late_answer_is_skipped_and_stored_when_it_comes(published, read, sandbox):
    post = published("bluesky")
    sandbox.switch("bluesky", latency_ms=2000)
    began = time.monotonic()
    body = check(read(post, deadline_ms=200))
    assert time.monotonic() - began < 2
    assert [(each["code"], each["retryable"]) for each in body["skipped"]] == [("deadline_exceeded", True)]
    assert body["coverage"]["missing"] == 1
    while not PostAnalytics.objects.exists():
        assert time.monotonic() - began < 40
        time.sleep(0.02)
    assert check(read(post, max_age=60))["coverage"]["snapshot"] == 1
    assert sandbox.calls("bluesky") == 1


@live
@pytest.mark.parametrize("fault", [{"kind": "hang"}, {"kind": "drip"}, {"kind": "drip", "variant": "headers"}])
def test_one_platform_that_hangs_does_not_cost_the_others(published, read, settings, fault):
    with start() as running:  # of its own, so that hanging calls end with it
        settings.SANDBOX_URL = running.url
        sandbox = Sandbox(running)
        post = PostFactory()
        from analytics.tests.conftest import listed_ids

        for platform in ("x", "instagram", "bluesky"):
            account = sandbox.connect(platform, organization=post.organization)
            TargetFactory(post=post, account=account, platform_post_id=listed_ids(sandbox, account)[0])
        sandbox.fault("instagram", **fault)
        began = time.monotonic()
        body = check(read(post, deadline_ms=3000))
        assert time.monotonic() - began < 10
        assert {row["platform"] for row in body["metrics_by_account"] if row["source"] == "live"} == {"x", "bluesky"}
        assert [(each["platform"], each["code"]) for each in body["skipped"]] == [("instagram", "deadline_exceeded")]


@live
def test_a_target_that_becomes_another_post_meanwhile_gets_no_numbers_of_the_old_one(published, read, sandbox):
    post, other = published("bluesky"), published("bluesky", nth=-1)
    other_id = other.targets.get().platform_post_id
    Target.objects.filter(post=other).delete()
    sandbox.switch("bluesky", latency_ms=1000)
    answers = []
    thread = threading.Thread(target=lambda: (answers.append(read(post)), connection.close()))
    thread.start()
    while not sandbox.calls("bluesky"):
        time.sleep(0.01)
    Target.objects.update(platform_post_id=other_id)
    assert read(post)["coverage"]["live"] == 1, "who asks for the other post does not wait for what the first was"
    thread.join()
    [skipped] = answers[0]["skipped"]
    assert (skipped["code"], skipped["retryable"]) == ("platform_error", True)
    assert "another post" in skipped["detail"]
    assert PostAnalytics.objects.count() == 1 and sandbox.calls("bluesky") == 2


# --- sharing ------------------------------------------------------------


def at_once(number, ask):
    start = threading.Barrier(number)
    answers = []

    def work():
        start.wait()
        answers.append(ask())
        connection.close()

    threads = [threading.Thread(target=work) for _ in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


@live
def test_requests_at_the_same_time_share_one_call_for_each_target(published, read, sandbox, client_for):
    post = published("x", "instagram", "bluesky", nth=-1)
    for platform in ("x", "instagram", "bluesky"):
        sandbox.switch(platform, latency_ms=1000)
    client = client_for(post)
    answers = at_once(10, lambda: check(client.get(f"/api/v1/posts/{post.pk}/analytics").json()))
    assert all(answer["coverage"]["live"] == 3 for answer in answers)
    assert len({str(answer["metrics_by_account"]) for answer in answers}) == 1
    assert PostAnalytics.objects.count() == 3
    assert (sandbox.calls("x"), sandbox.calls("bluesky")) == (1, 1)
    assert sandbox.calls("instagram") == 2  # node and insights of one medium


@live
def test_requests_at_the_same_time_share_one_failure(published, sandbox, client_for):
    post = published("x", "bluesky", nth=-1)
    for platform in ("x", "bluesky"):
        sandbox.switch(platform, latency_ms=1000, faults=[{"kind": "server_error"}])
    client = client_for(post)
    answers = at_once(10, lambda: check(client.get(f"/api/v1/posts/{post.pk}/analytics").json()))
    assert all({each["code"] for each in answer["skipped"]} == {"platform_unavailable"} for answer in answers)
    assert (sandbox.calls("x"), sandbox.calls("bluesky")) == (1, 1)


@live
def test_a_request_that_begins_after_a_call_ended_makes_its_own(published, read, sandbox):
    post = published("bluesky")
    read(post), read(post)
    assert sandbox.calls("bluesky") == 2


@live
def test_a_crash_in_a_live_read_is_told_and_nobody_waits_for_it_later(published, read, monkeypatch):
    from analytics.services import live as live_reads

    post = published("bluesky")
    with monkeypatch.context() as patch:
        patch.setattr(live_reads, "pull_targets", lambda *args, **more: 1 / 0)
        [skipped] = check(read(post))["skipped"]
    assert (skipped["code"], skipped["retryable"]) == ("platform_error", True)
    assert read(post)["coverage"]["live"] == 1


# --- batches ------------------------------------------------------------


@live
def test_targets_of_one_platform_go_out_in_its_batches(sandbox, read):
    from analytics.tests.conftest import listed_ids

    organization = OrganizationFactory()
    post: Post = PostFactory(organization=organization)
    [account] = [sandbox.connect("bluesky", organization=organization)]
    for post_id in listed_ids(sandbox, account)[:30]:
        other = SocialAccountFactory(platform="bluesky", organization=organization)
        TargetFactory(post=post, account=other, platform_post_id=post_id)
    assert check(read(post))["coverage"]["live"] == 30
    assert sandbox.calls("bluesky") == 2

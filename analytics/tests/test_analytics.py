"""A post's analytics through the API: live numbers, stored ones in their place, and what is missing and why."""

import threading
import time
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from accounts.models import SocialAccount
from accounts.services import connections
from accounts.tests.factories import OrganizationFactory, SocialAccountFactory
from accounts.tests.fixtures import Sandbox
from analytics.models import Post, PostAnalytics, Target
from analytics.tests.factories import PostAnalyticsFactory, PostFactory, TargetFactory
from platforms.dimensions import Dimension
from platforms.sandbox.server import start

live = pytest.mark.django_db(transaction=True)
stored = pytest.mark.django_db
COUNTS = [dimension.value for dimension in Dimension]
ROW = ["target_id", "platform", *COUNTS, "engagement_rate", "captured_at", "unavailable", "source"]
SKIPPED = ["target_id", "platform", "code", "detail", "retryable", "retry_after", "last_captured_at"]


@pytest.fixture
def read(client_for):
    """Ask for a post's analytics."""

    def ask(post, status=200, **given):
        answer = client_for(post).get(f"/api/v1/posts/{post.pk}/analytics", given)
        assert answer.status_code == status, answer.content
        return answer.json()

    return ask


def by_platform(rows):
    return {row["platform"]: row for row in rows}


def check(body):
    """What holds for every answer."""
    assert list(body) == ["post_id", "metrics_by_account", "aggregated_metrics", "coverage", "skipped"]
    rows, coverage = body["metrics_by_account"], body["coverage"]
    for row in rows:
        assert list(row) == ROW
        assert set(row["unavailable"]) == {name for name in COUNTS if row[name] is None}
        assert set(row["unavailable"].values()) <= {"unsupported", "not_reported", "scope_missing", "retired"}
    assert body["aggregated_metrics"] == {f"total_{name}": sum(row[name] or 0 for row in rows) for name in COUNTS}
    assert list(coverage) == ["targets", "live", "snapshot", "missing"]
    assert coverage["targets"] == coverage["live"] + coverage["snapshot"] + coverage["missing"]
    assert [coverage[source] for source in ("live", "snapshot")] == [
        sum(row["source"] == source for row in rows) for source in ("live", "snapshot")
    ]
    assert coverage["missing"] == coverage["targets"] - len(rows)
    assert all(list(each) == SKIPPED for each in body["skipped"])
    return body


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
        with django_assert_num_queries(3):  # the key, targets of the post, snapshots
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


# --- what fails ------------------------------------------------------------


@live
def test_a_failed_pull_falls_back_to_the_newest_snapshot_or_has_no_row(published, read, sandbox):
    post = published("x", "bluesky")
    x = post.targets.get(platform="x")
    at = timezone.now() - timedelta(days=3)
    PostAnalyticsFactory(target=x, likes=7, captured_at=at)
    PostAnalyticsFactory(target=x, likes=6, captured_at=at - timedelta(days=1))
    sandbox.fault("x", "server_error")
    sandbox.fault("bluesky", "server_error")
    body = check(read(post))
    assert body["coverage"] == {"targets": 2, "live": 0, "snapshot": 1, "missing": 1}
    [row] = body["metrics_by_account"]
    assert (row["likes"], row["source"]) == (7, "snapshot")
    skipped = by_platform(body["skipped"])
    assert {each["code"] for each in skipped.values()} == {"platform_unavailable"}
    assert all(each["retryable"] and each["retry_after"] is None for each in skipped.values())
    assert skipped["x"]["last_captured_at"] == row["captured_at"]
    assert skipped["bluesky"]["last_captured_at"] is None


@live
def test_a_rate_limit_parks_what_it_concerns(published, read, sandbox):
    post = published("x", "bluesky")
    sandbox.fault("x", "rate_limited", retry_after=840)
    [skipped] = check(read(post))["skipped"]
    assert skipped["code"] == "rate_limited"
    assert skipped["retryable"] is True
    assert 800 < skipped["retry_after"] <= 840
    calls = sandbox.calls("x")
    [skipped] = read(post)["skipped"]
    assert 800 < skipped["retry_after"] <= 840
    assert sandbox.calls("x") == calls
    other = published("x")
    sandbox.heal("x")
    assert read(other)["coverage"]["live"] == 1


@live
@pytest.mark.parametrize(
    ("fault", "code", "retryable"),
    [
        ({"kind": "scope_missing"}, "scope_missing", False),
        ({"kind": "credits_depleted"}, "budget_exhausted", True),
        ({"kind": "html_429", "retry_after": 60}, "rate_limited", True),
        ({"kind": "non_json", "status": 502}, "platform_unavailable", True),
        ({"kind": "non_json", "status": 200}, "platform_error", True),
        ({"kind": "empty"}, "platform_error", True),
        ({"kind": "redirect"}, "platform_unavailable", True),
        ({"kind": "status", "status": 400}, "platform_error", False),
        ({"kind": "close"}, "platform_unavailable", True),
        ({"kind": "truncated"}, "platform_unavailable", True),
        ({"kind": "huge"}, "platform_error", True),
    ],
)
def test_every_failure_has_a_code(published, read, sandbox, fault, code, retryable):
    post = published("x")
    sandbox.fault("x", **fault)
    [skipped] = check(read(post))["skipped"]
    assert (skipped["code"], skipped["retryable"]) == (code, retryable)
    assert not PostAnalytics.objects.exists()


@live
def test_a_token_that_is_refused_for_good_is_told_and_tried_again(published, read, sandbox):
    post = published("x")
    account = SocialAccount.objects.get()
    sandbox.switch("x", faults=[{"kind": "token_expired"}, {"kind": "refuse_refresh"}])
    [skipped] = check(read(post))["skipped"]
    assert (skipped["code"], skipped["retryable"]) == ("token_expired", False)
    account.refresh_from_db()
    assert account.status == "token_expired"
    sandbox.heal("x")
    assert read(post)["coverage"]["live"] == 1
    account.refresh_from_db()
    assert account.status == "active"


@live
@pytest.mark.parametrize(
    ("state", "code"), [("disabled", "disabled"), ("revoked", "revoked"), ("deleted", "account_deleted")]
)
def test_accounts_that_may_not_be_called_are_not(published, read, sandbox, state, code):
    post = published("bluesky", "x")
    account = SocialAccount.objects.get(platform="bluesky")
    PostAnalyticsFactory(target=account.targets.get())
    if state == "deleted":
        connections.disconnect(account)
    else:
        SocialAccount.objects.filter(pk=account.pk).update(status=state)
    body = check(read(post))
    assert [(each["code"], each["retryable"]) for each in body["skipped"]] == [(code, False)]
    assert body["coverage"] == {"targets": 2, "live": 1, "snapshot": 1, "missing": 0}
    assert sandbox.calls("bluesky") == 0


@live
def test_a_gone_post_keeps_its_last_row_and_is_called_no_more(published, read, sandbox):
    post = published("x")
    target = post.targets.get()
    read(post)
    sandbox.control("POST", "/posts/delete", {"platform": "x", "ids": [target.platform_post_id]})
    for _ in range(2):
        body = check(read(post))
        assert body["coverage"] == {"targets": 1, "live": 0, "snapshot": 1, "missing": 0}
        [skipped] = body["skipped"]
        assert (skipped["code"], skipped["retryable"]) == ("post_gone", False)
        calls = sandbox.calls("x")
    assert calls == sandbox.calls("x") == 4  # public and private numbers side by side, twice
    target.refresh_from_db()
    assert target.next_collect_at is None


@live
def test_a_post_left_out_of_three_answers_in_a_row_is_gone(published, read, sandbox):
    post = published("bluesky")
    target = post.targets.get()
    gone = {"platform": "bluesky", "ids": [target.platform_post_id]}
    sandbox.control("POST", "/posts/delete", gone)
    read(post), read(post)
    sandbox.control("POST", "/posts/restore", gone)
    assert read(post)["coverage"]["live"] == 1
    sandbox.control("POST", "/posts/delete", gone)
    told = [read(post)["skipped"][0] for _ in range(3)]
    assert [(each["code"], each["retryable"]) for each in told] == [
        ("post_gone", True), ("post_gone", True), ("post_gone", False),
    ]  # fmt: skip
    calls = sandbox.calls("bluesky")
    assert read(post)["skipped"][0]["retryable"] is False
    assert sandbox.calls("bluesky") == calls == 6


@live
def test_a_post_the_platform_reports_an_error_of_is_not_taken_for_gone(published, read, sandbox):
    post = published("x")
    post_id = post.targets.get().platform_post_id
    sandbox.fault("x", "item_error", id=post_id, problem="resource-unavailable")
    [skipped] = check(read(post))["skipped"]
    assert skipped["code"] in ("platform_unavailable", "platform_error")
    sandbox.heal("x")
    assert read(post)["coverage"]["live"] == 1


@live
@pytest.mark.parametrize("platform", ["x", "instagram", "bluesky"])
@pytest.mark.parametrize("kind", ["wrong_types", "nan", "huge_int", "negative", "nul", "half_missing"])
def test_a_spoilt_answer_becomes_null_or_a_failure_but_never_a_wrong_number(published, read, sandbox, platform, kind):
    post = published(platform, nth=-1)
    good = read(post)["metrics_by_account"][0]
    sandbox.fault(platform, kind)
    body = check(read(post))
    [row] = body["metrics_by_account"]
    for name in COUNTS:
        near = good[name] if good[name] is None else range(good[name], good[name] + 50)
        fits = row[name] is None or (near is not None and row[name] in near) or (kind == "negative" and row[name] == 0)
        assert fits, (name, good[name], row[name])
    assert body["coverage"]["live"] + len(body["skipped"]) == 1
    newest = PostAnalytics.objects.latest("id")
    if body["coverage"]["live"]:
        assert newest.raw


@live
def test_one_poisoned_post_does_not_cost_the_others_their_rows(published, read, monkeypatch):
    from platforms import registry

    post = published("bluesky")
    bad = published("bluesky", organization=post.organization).targets.get()
    Target.objects.filter(pk=bad.pk).update(post=post)
    adapter = registry.get("bluesky")
    derive = adapter.metrics

    def metrics(raw):
        return {}["no such key"] if raw["uri"] == bad.platform_post_id else derive(raw)

    monkeypatch.setattr(adapter, "metrics", metrics)
    body = check(read(post))
    assert body["coverage"] == {"targets": 2, "live": 1, "snapshot": 0, "missing": 1}
    assert [(each["target_id"], each["code"]) for each in body["skipped"]] == [(str(bad.pk), "platform_error")]


# --- time ------------------------------------------------------------


@live
def test_a_late_answer_is_skipped_and_stored_when_it_comes(published, read, sandbox):
    post = published("bluesky")
    sandbox.switch("bluesky", latency_ms=600)
    began = time.monotonic()
    body = check(read(post, deadline_ms=200))
    assert time.monotonic() - began < 0.5
    assert [(each["code"], each["retryable"]) for each in body["skipped"]] == [("deadline_exceeded", True)]
    assert body["coverage"]["missing"] == 1
    while not PostAnalytics.objects.exists():
        assert time.monotonic() - began < 5
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
        body = check(read(post, deadline_ms=1000))
        assert time.monotonic() - began < 1.4
        assert {row["platform"] for row in body["metrics_by_account"] if row["source"] == "live"} == {"x", "bluesky"}
        assert [(each["platform"], each["code"]) for each in body["skipped"]] == [("instagram", "deadline_exceeded")]


@live
def test_a_target_that_becomes_another_post_meanwhile_gets_no_numbers_of_the_old_one(published, read, sandbox):
    post = published("bluesky")
    sandbox.switch("bluesky", latency_ms=300)
    thread = threading.Thread(target=lambda: (read(post), connection.close()))
    thread.start()
    while not sandbox.calls("bluesky"):
        time.sleep(0.01)
    Target.objects.update(platform_post_id="at://did:plc:abcdefghijklmnopqrstuvwx/app.bsky.feed.post/3kaaaaaaaaaa2")
    thread.join()
    assert not PostAnalytics.objects.exists()


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
        sandbox.switch(platform, latency_ms=300)
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
        sandbox.switch(platform, latency_ms=300, faults=[{"kind": "server_error"}])
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
        patch.setattr(live_reads, "pull_posts", lambda *args, **more: 1 / 0)
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

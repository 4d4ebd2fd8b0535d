"""Stored series of posts and accounts, and the newest numbers of an account."""

from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone

from accounts.models import SocialAccount
from accounts.services import connections
from accounts.tests.factories import OrganizationFactory, SocialAccountFactory
from analytics.models import AccountMetrics, PostAnalytics
from analytics.tests.factories import AccountMetricsFactory, PostAnalyticsFactory, PostFactory, TargetFactory

pytestmark = pytest.mark.django_db
live = pytest.mark.django_db(transaction=True)
AT = datetime(2026, 3, 1, tzinfo=UTC)
NUMBERS = ["followers", "following", "posts_count", "impressions", "reach", "profile_views"]
KEYS = ["social_account_id", "network", "source", "captured_at", *NUMBERS, "raw", "unavailable"]


@pytest.fixture
def metrics(client_for):
    """Ask for an account's metrics."""
    clients = {}

    def ask(account, status=200, **given):
        if account.pk not in clients:
            clients[account.pk] = client_for(account)
        answer = clients[account.pk].get(f"/api/v1/social-accounts/{account.pk}/metrics", given)
        assert answer.status_code == status, answer.content
        return answer.json()

    return ask


@pytest.fixture
def history(client_for):
    """Ask for a post's history."""
    clients = {}

    def ask(post, status=200, **given):
        if post.pk not in clients:
            clients[post.pk] = client_for(post)
        answer = clients[post.pk].get(f"/api/v1/posts/{post.pk}/analytics/history", given)
        assert answer.status_code == status, answer.content
        return answer.json()

    return ask


def walk(ask, *args, **given):
    rows, cursor = [], None
    while True:
        page = ask(*args, **given, **({"cursor": cursor} if cursor else {}))
        assert len(page["data"]) <= given.get("limit", 500)
        rows += page["data"]
        cursor = page["next_cursor"]
        if cursor is None:
            return rows


# --- an account's newest numbers ------------------------------------------------------------


@live
@pytest.mark.parametrize("platform", ["x", "instagram", "bluesky"])
def test_an_accounts_numbers_are_pulled_live_and_stored(sandbox, metrics, platform):
    account = sandbox.connect(platform)
    body = metrics(account)
    assert list(body) == KEYS
    assert (body["social_account_id"], body["network"], body["source"]) == (str(account.pk), platform, "live")
    assert body["followers"] > 0
    assert set(body["unavailable"]) == {name for name in NUMBERS if body[name] is None}
    row = AccountMetrics.objects.get()
    assert [getattr(row, name) for name in NUMBERS] == [body[name] for name in NUMBERS]
    assert body["raw"] == row.raw != {}
    account.refresh_from_db()
    assert account.last_synced_at == row.captured_at


@live
def test_a_failed_pull_answers_the_newest_snapshot_and_says_why(sandbox, metrics):
    account = sandbox.connect("bluesky")
    AccountMetricsFactory(account=account, followers=5, captured_at=timezone.now() - timedelta(days=2))
    AccountMetricsFactory(account=account, followers=4, captured_at=timezone.now() - timedelta(days=3))
    sandbox.fault("bluesky", "server_error")
    body = metrics(account)
    assert list(body) == [*KEYS, "live_error"]
    assert (body["source"], body["followers"]) == ("snapshot", 5)
    assert list(body["live_error"]) == ["code", "detail", "retryable", "retry_after"]
    assert (body["live_error"]["code"], body["live_error"]["retryable"]) == ("platform_unavailable", True)


@live
def test_an_account_without_numbers_says_so(sandbox, metrics):
    account = sandbox.connect("x")
    sandbox.fault("x", "rate_limited", retry_after=600)
    body = metrics(account)
    error = body.pop("live_error")
    assert (error["code"], error["retryable"]) == ("rate_limited", True)
    assert 590 < error["retry_after"] <= 601
    assert body == {
        "social_account_id": str(account.pk),
        "metrics": None,
        "message": "No metrics have been collected for this account yet.",
    }
    calls = sandbox.calls("x")
    metrics(account)
    assert sandbox.calls("x") == calls


@live
def test_max_age_and_deadline_hold_for_accounts_too(sandbox, metrics):
    account = sandbox.connect("bluesky")
    AccountMetricsFactory(account=account, followers=5, captured_at=timezone.now() - timedelta(seconds=30))
    body = metrics(account, max_age=60)
    assert (body["source"], body["followers"]) == ("snapshot", 5)
    assert "live_error" not in body
    assert sandbox.calls("bluesky") == 0
    sandbox.switch("bluesky", latency_ms=500)
    body = metrics(account, deadline_ms=200, max_age=10)
    assert (body["source"], body["live_error"]["code"]) == ("snapshot", "deadline_exceeded")


@pytest.mark.parametrize("status", ["disabled", "revoked"])
def test_an_account_that_may_not_be_called_is_not(metrics, status):
    account = SocialAccountFactory(status=status)
    AccountMetricsFactory(account=account)
    body = metrics(account)
    assert (body["source"], body["live_error"]["code"]) == ("snapshot", status)


def test_accounts_of_others_and_deleted_ones_are_not_found(client_for):
    account = SocialAccountFactory()
    url = f"/api/v1/social-accounts/{account.pk}/metrics"
    for client in (client_for(OrganizationFactory()), client_for(account, mode="live")):
        assert client.get(url).status_code == client.get(url, {"since": 0}).status_code == 404
    connections.disconnect(account)
    assert client_for(account).get(url).status_code == 404
    assert client_for(account).get("/api/v1/social-accounts/7/metrics").status_code == 404


# --- ranges ------------------------------------------------------------


def test_a_range_is_half_open_ascending_and_stored_only(metrics):
    account = SocialAccountFactory()
    for days in (2, 0, 1, 3):
        AccountMetricsFactory(account=account, captured_at=AT + timedelta(days=days), followers=days, reach=None)
    AccountMetricsFactory(captured_at=AT)
    body = metrics(account, since="2026-03-01", until="2026-03-04T01:00:00+01:00")
    assert list(body) == ["social_account_id", "network", "since", "until", "interval", "data", "next_cursor"]
    assert body["since"] == "2026-03-01T00:00:00.000Z"
    assert (body["until"], body["interval"], body["next_cursor"]) == ("2026-03-04T00:00:00.000Z", None, None)
    assert [row["followers"] for row in body["data"]] == [0, 1, 2]
    assert all(list(row) == ["captured_at", *NUMBERS] for row in body["data"])
    assert body["data"][1]["captured_at"] == "2026-03-02T00:00:00.000Z"


@pytest.mark.parametrize(
    ("given", "followers"),
    [
        ({"since": "1772496000"}, [2, 3]),
        ({"since": "2026-03-03T01:00:00 01:00"}, [2, 3]),
        ({"since": "2026-03-03T00:00:00.001Z"}, [3]),
        ({"until": "2026-03-02"}, [0]),
        ({"since": "2026-03-02", "until": "2026-03-02"}, []),
        ({"since": "2099-01-01"}, []),
        ({"since": "0"}, [0, 1, 2, 3]),
    ],
)
def test_instants_come_in_many_forms(metrics, given, followers):
    account = SocialAccountFactory()
    for days in range(4):
        AccountMetricsFactory(account=account, captured_at=AT + timedelta(days=days), followers=days)
    assert [row["followers"] for row in metrics(account, **given)["data"]] == followers


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"since": "2026-03-02", "until": "2026-03-01"}, "since"),
        ({"since": "yesterday"}, "since"),
        ({"until": ""}, "until"),
        ({"until": "2101-01-01"}, "until"),
        ({"since": "-5"}, "since"),
        ({"since": "9" * 40}, "since"),
        ({"since": "2026-02-30"}, "since"),
    ],
)
def test_what_is_no_range_is_refused(metrics, history, given, field):
    for problem in (metrics(SocialAccountFactory(), 400, **given), history(PostFactory(), 400, **given)):
        assert problem["code"] == "invalid_range"
        assert problem["errors"][0]["field"] == field


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"interval": "minute", "since": 0}, "validation_failed"),
        ({"include": "everything"}, "validation_failed"),
        ({"limit": "0"}, "validation_failed"),
        ({"limit": "5001", "since": 0}, "validation_failed"),
        ({"max_age": "x", "since": 0}, "validation_failed"),
        ({"cursor": "tampered", "since": 0}, "invalid_cursor"),
    ],
)
def test_a_malformed_parameter_is_named(metrics, given, code):
    problem = metrics(SocialAccountFactory(), 400, **given)
    assert problem["code"] == code
    assert problem["errors"][0]["field"] == next(iter(given))


@pytest.mark.parametrize(
    ("interval", "kept"),
    [
        ("hour", ["03-01T00:59", "03-01T01:00", "03-01T23:59", "03-02T00:00", "03-08T23:30", "03-09T00:00",
                  "04-01T00:00"]),
        ("day", ["03-01T23:59", "03-02T00:00", "03-08T23:30", "03-09T00:00", "04-01T00:00"]),
        ("week", ["03-01T23:59", "03-08T23:30", "03-09T00:00", "04-01T00:00"]),
        ("month", ["03-09T00:00", "04-01T00:00"]),
    ],
)  # fmt: skip
def test_an_interval_keeps_the_last_snapshot_of_each_bucket(metrics, history, interval, kept):
    # 2026-03-01 is a Sunday.
    times = ["03-01T00:00", "03-01T00:59", "03-01T01:00", "03-01T23:59", "03-02T00:00", "03-08T23:30", "03-09T00:00",
             "04-01T00:00"]  # fmt: skip
    account, target = SocialAccountFactory(), TargetFactory()
    for text in times:
        at = datetime.fromisoformat(f"2026-{text}:00+00:00")
        AccountMetricsFactory(account=account, captured_at=at)
        PostAnalyticsFactory(target=target, captured_at=at)
    expected = [f"2026-{text}:00.000Z" for text in kept]
    for limit in (1, 3, 500):
        rows = walk(metrics, account, since="2026-01-01", interval=interval, limit=limit)
        assert [row["captured_at"] for row in rows] == expected
        rows = walk(history, target.post, interval=interval, limit=limit)
        assert [row["captured_at"] for row in rows] == expected


def test_of_snapshots_at_the_same_instant_an_interval_keeps_the_later_one(metrics):
    account = SocialAccountFactory()
    for followers in (1, 2, 3):
        AccountMetricsFactory(account=account, captured_at=AT, followers=followers)
    assert [row["followers"] for row in metrics(account, since=0, interval="day")["data"]] == [3]


def test_the_bucket_is_cut_off_at_the_end_of_the_range(metrics):
    account = SocialAccountFactory()
    for hours in (1, 2, 3):
        AccountMetricsFactory(account=account, captured_at=AT + timedelta(hours=hours), followers=hours)
    body = metrics(account, until="2026-03-01T03:00:00Z", interval="day")
    assert body["interval"] == "day"
    assert [row["followers"] for row in body["data"]] == [2]


def test_a_walk_through_buckets_sees_each_once_though_snapshots_arrive(metrics, history):
    account, post = SocialAccountFactory(), PostFactory()
    targets = [TargetFactory(post=post) for _ in range(3)]

    def arrive():
        AccountMetricsFactory(account=account, captured_at=timezone.now())
        for target in targets:
            PostAnalyticsFactory(target=target, captured_at=timezone.now())

    def walk(read, **given):
        rows, cursor = [], {}
        while True:
            arrive()
            page = read(**given, **cursor, limit=1, interval="month")
            rows += page["data"]
            if page["next_cursor"] is None:
                return rows
            cursor = {"cursor": page["next_cursor"]}

    AccountMetricsFactory(account=account, captured_at=AT)
    assert len(walk(lambda **given: metrics(account, since=0, **given))) == 2
    rows = walk(lambda **given: history(post, **given))
    assert sorted(row["target_id"] for row in rows) == sorted(str(target.pk) for target in targets)


def test_raw_payloads_are_included_when_asked_for(metrics):
    account = SocialAccountFactory()
    AccountMetricsFactory(account=account, raw={"a": [1]})
    for given in ({}, {"interval": "day"}):
        assert metrics(account, since=0, include="raw", **given)["data"][0]["raw"] == {"a": [1]}


def test_a_walk_sees_each_of_many_rows_once(metrics, history, django_assert_num_queries):
    account, post = SocialAccountFactory(), PostFactory()
    targets = [TargetFactory(post=post) for _ in range(2)]
    AccountMetrics.objects.bulk_create(
        AccountMetrics(account=account, platform="x", captured_at=AT + timedelta(minutes=n // 7), followers=n)
        for n in range(5200)
    )
    PostAnalytics.objects.bulk_create(
        PostAnalytics(
            target=targets[n % 2], account_id=targets[n % 2].account_id, platform="x",
            captured_at=AT + timedelta(minutes=n // 6), likes=n,
        )
        for n in range(5200)
    )  # fmt: skip
    rows = walk(metrics, account, since="2026-01-01", limit=999)
    assert [row["followers"] for row in rows] == list(range(5200))
    assert len(metrics(account, since="2026-01-01", limit=5000)["data"]) == 5000
    assert len(metrics(account, since="2026-01-01")["data"]) == 500
    rows = walk(history, post, limit=998)
    assert sorted(row["likes"] for row in rows) == list(range(5200))
    order = [(row["captured_at"], row["target_id"]) for row in rows]
    assert order == sorted(order)
    for limit in (1, 5000):
        with django_assert_num_queries(3):  # the key, the account, rows
            metrics(account, since=0, limit=limit)
        with django_assert_num_queries(4):  # the key, the post, its targets, rows
            history(post, limit=limit)


def test_a_cursor_is_good_for_its_own_series_only(metrics):
    first, second = SocialAccountFactory(), SocialAccountFactory()
    AccountMetricsFactory.create_batch(2, account=first)
    cursor = metrics(first, since=0, limit=1)["next_cursor"]
    assert metrics(first, since=0, cursor=cursor)["data"]
    assert metrics(second, 400, since=0, cursor=cursor)["code"] == "invalid_cursor"
    assert metrics(first, 400, since=0, cursor=cursor[:-1] + "!")["code"] == "invalid_cursor"


# --- a post's history ------------------------------------------------------------


def test_history_is_the_stored_series_without_source(history):
    target = TargetFactory()
    other = TargetFactory(post=target.post, platform="bluesky")
    PostAnalyticsFactory(target=target, captured_at=AT, likes=0, engagement_rate=0.25)
    PostAnalyticsFactory(target=other, captured_at=AT + timedelta(days=1), likes=4)
    body = history(target.post, since="2026-03-01")
    assert list(body) == ["post_id", "since", "until", "interval", "data", "next_cursor"]
    first, second = body["data"]
    assert (first["target_id"], first["likes"], first["engagement_rate"]) == (str(target.pk), 0, 0.25)
    assert second["unavailable"]["reach"] == "unsupported"
    assert "source" not in first
    assert [row["target_id"] for row in history(target.post, target_id=str(other.pk))["data"]] == [str(other.pk)]
    assert [row["likes"] for row in history(target.post, until="2026-03-02", interval="day")["data"]] == [0]


def test_history_of_an_unknown_target_is_empty_and_of_a_malformed_one_refused(history):
    target, other = PostAnalyticsFactory().target, PostAnalyticsFactory().target
    assert history(target.post, target_id=str(other.pk))["data"] == []
    assert history(target.post, 400, target_id="7")["errors"][0]["field"] == "target_id"


def test_a_deleted_accounts_history_stays_with_its_posts(history):
    target = PostAnalyticsFactory().target
    connections.disconnect(SocialAccount.objects.get(pk=target.account_id))
    assert len(history(target.post)["data"]) == 1

"""A platform withdraws a metric in mid-run: that costs it alone, is remembered for all, and is tried again weekly."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.urls import reverse
from django.utils import timezone

from accounts.models import RetiredMetric, SocialAccount, Subject
from analytics.models import PostAnalytics, Target
from analytics.services.pull import pull_posts
from analytics.tests.conftest import HOUR, listed_ids, run
from platforms import registry
from platforms.errors import Unavailable

pytestmark = pytest.mark.django_db(transaction=True)
WEEK = timedelta(days=7)
MEMBER = {"network_unique_id": "urn:li:person:AbC123xyz"}
POSTS = [
    ("facebook", "post_clicks", "clicks", {}),
    ("instagram", "shares", "shares", {}),
    ("linkedin", "LINK_CLICKS", "clicks", MEMBER),
    ("pinterest", "SAVE", "saves", {}),
    ("threads", "reposts", "shares", {}),
    ("tiktok", "share_count", "shares", {}),
]
ACCOUNTS = [
    ("facebook", "page_views_total", "profile_views", {}),
    ("instagram", "reach", "reach", {}),
    ("instagram", "profile_views", "profile_views", {"extra": {"login": "facebook"}}),
    ("linkedin", "MEMBERS_REACHED", "reach", MEMBER),
    ("pinterest", "IMPRESSION", "impressions", {}),
    ("threads", "views", "impressions", {}),
    ("tiktok", "follower_count", "followers", {}),
]
NAMED = {"instagram", "pinterest", "threads", "tiktok"}
"""Those that say what they refuse: the answer without it is at most one call away."""


def withdraw(sandbox, platform, *metrics):
    sandbox.switch(platform, faults=[{"kind": "withdrawn", "metric": metric} for metric in metrics])


def make_due():
    assert RetiredMetric.objects.update(next_try_at=timezone.now() - timedelta(seconds=1))


@pytest.fixture
def calls_of(sandbox):
    """How many calls it takes to do something, and what that returns."""

    def count(platform, do):
        before = sandbox.calls(platform)
        found = do()
        return sandbox.calls(platform) - before, found

    return count


def check_a_withdrawal(sandbox, calls_of, ask, *, platform, metric, column, subject):
    """`ask` answers with the columns and their reasons, read live."""
    ask()
    usual, before = calls_of(platform, ask)
    assert before[column] is not None

    withdraw(sandbox, platform, metric)
    at_first, row = calls_of(platform, ask)
    assert (row[column], row["unavailable"][column]) == (None, "retired")
    assert {name for name in before if before[name] is None} == {name for name in row if row[name] is None} - {column}
    if platform in NAMED:
        # Instagram refuses an account's metrics together, in words that are not relied on: each is asked by itself.
        assert at_first <= usual + (2 if (platform, subject) == ("instagram", Subject.ACCOUNT) else 1)
    later, row = calls_of(platform, ask)
    assert later <= usual
    assert (row[column], row["unavailable"][column]) == (None, "retired")
    note = RetiredMetric.objects.get()
    assert (note.platform, note.mode, note.subject, note.metric) == (platform, "test", subject, metric)
    assert WEEK - HOUR < note.next_try_at - timezone.now() <= WEEK

    make_due()
    tried, row = calls_of(platform, ask)
    assert tried >= later and row["unavailable"][column] == "retired"
    again = RetiredMetric.objects.get()
    assert again.first_seen_at == note.first_seen_at and again.last_seen_at > note.last_seen_at
    assert WEEK - HOUR < again.next_try_at - timezone.now() <= WEEK
    assert calls_of(platform, ask)[0] == later

    sandbox.heal(platform)
    assert ask()[column] is None
    make_due()
    restored, row = calls_of(platform, ask)
    assert restored <= usual and row[column] is not None
    assert not RetiredMetric.objects.exists()
    assert ask()[column] is not None


@pytest.mark.parametrize(("platform", "metric", "column", "account"), POSTS)
def test_a_withdrawn_metric_of_posts_is_retired_and_comes_back(
    sandbox, published, read, calls_of, platform, metric, column, account
):
    post = published(platform, nth=1, **account)  # of one that is minutes old not all is known

    def ask():
        body = read(post)
        assert body["coverage"]["live"] == 1 and body["skipped"] == []
        return body["metrics_by_account"][0]

    check_a_withdrawal(sandbox, calls_of, ask, platform=platform, metric=metric, column=column, subject=Subject.POST)


@pytest.mark.parametrize(("platform", "metric", "column", "account"), ACCOUNTS)
def test_a_withdrawn_metric_of_accounts_is_retired_and_comes_back(
    sandbox, client_for, calls_of, platform, metric, column, account
):
    connected = sandbox.connect(platform, **account)
    client = client_for(connected)

    def ask():
        body = client.get(f"/api/v1/social-accounts/{connected.pk}/metrics").json()
        assert body["source"] == "live", body
        return {name: body[name] for name in (*registry.get(platform).account_dimensions(), "unavailable")}

    check_a_withdrawal(sandbox, calls_of, ask, platform=platform, metric=metric, column=column, subject=Subject.ACCOUNT)


def test_every_surface_of_google_business_may_go(sandbox, client_for):
    account = sandbox.connect("google_business")
    path = f"/api/v1/social-accounts/{account.pk}/metrics"
    names = [f"BUSINESS_IMPRESSIONS_{where}" for where in ("DESKTOP_MAPS", "DESKTOP_SEARCH", "MOBILE_MAPS")]
    withdraw(sandbox, "google_business", *names)
    assert client_for(account).get(path).json()["impressions"] > 0
    withdraw(sandbox, "google_business", *names, "BUSINESS_IMPRESSIONS_MOBILE_SEARCH")
    body = client_for(account).get(path).json()
    assert (body["impressions"], body["unavailable"]["impressions"]) == (None, "retired")
    assert RetiredMetric.objects.count() == 4


# --- for all accounts, by one conversation -------------------------------------------------------


def test_what_one_account_learns_no_other_pays_for(sandbox, busy):
    for _ in range(3):
        busy("tiktok", 20)
    withdraw(sandbox, "tiktok", "share_count")
    summary = run(limit=100)  # one after the other
    assert (summary.snapshots, summary.calls) == (60, 4)
    assert {row.unavailable["shares"] for row in PostAnalytics.objects.all()} == {"retired"}
    assert not PostAnalytics.objects.filter(likes=None).exists()


def test_modes_versions_and_subjects_know_nothing_of_each_other(sandbox, published, read, settings):
    post = published("instagram")
    week = timezone.now() + WEEK
    known = {"platform": "instagram", "mode": "test", "api_version": "v26.0", "subject": "post", "metric": "shares"}
    for other in ({"mode": "live"}, {"api_version": "v27.0"}, {"subject": "account"}, {"platform": "facebook"}):
        RetiredMetric.objects.create(**{**known, **other}, next_try_at=week)
    assert read(post)["metrics_by_account"][0]["shares"] is not None
    RetiredMetric.objects.create(**known, next_try_at=week)
    assert read(post)["metrics_by_account"][0]["unavailable"]["shares"] == "retired"
    settings.PLATFORM_SETTINGS = {"instagram": {"api_version": "v27.0"}}
    RetiredMetric.objects.filter(api_version="v27.0").delete()
    assert read(post)["metrics_by_account"][0]["shares"] is not None


def test_one_conversation_alone_asks_again(sandbox, published):
    posts = [published("tiktok") for _ in range(6)]
    targets = [Target.objects.select_related("account").get(post=post) for post in posts]
    withdraw(sandbox, "tiktok", "share_count")
    pull(targets[0])
    make_due()
    before = sandbox.calls("tiktok")
    with ThreadPoolExecutor(6) as pool:
        assert all(pool.map(pull, targets))
    assert sandbox.calls("tiktok") == before + 6 + 1


def pull(target):
    try:
        found = pull_posts(target.account, [target.platform_post_id], live=False)
        return found.readings[target.platform_post_id].unavailable == {"shares": "retired"}
    finally:
        connection.close()


def test_what_was_learnt_is_kept_though_the_conversation_failed(published, read, monkeypatch):
    def fetch_posts(ids, account):
        account.retired.add("share_count")
        account.memory["known"] = True
        raise Unavailable
        yield

    post = published("tiktok")
    monkeypatch.setattr(registry.get("tiktok"), "fetch_posts", fetch_posts)
    assert read(post)["skipped"][0]["code"] == "platform_unavailable"
    assert RetiredMetric.objects.get().metric == "share_count"
    assert SocialAccount.objects.get().memory == {"known": True}


def test_a_try_that_came_to_nothing_is_anothers_an_hour_later(sandbox, published, read):
    post = published("tiktok")
    withdraw(sandbox, "tiktok", "share_count")
    read(post)
    make_due()
    sandbox.fault("tiktok", "server_error")
    read(post)
    left = RetiredMetric.objects.get().next_try_at - timezone.now()
    assert timedelta(minutes=59) < left <= HOUR
    sandbox.heal("tiktok")
    assert read(post)["metrics_by_account"][0]["unavailable"]["shares"] == "retired"
    make_due()
    assert read(post)["metrics_by_account"][0]["shares"] is not None


def test_a_try_is_not_settled_by_a_conversation_that_has_no_use_for_the_metric(sandbox, published, read):
    post = published("instagram")
    row = {"platform": "instagram", "mode": "test", "api_version": "v26.0", "subject": "post"}
    RetiredMetric.objects.create(**row, metric="navigation", next_try_at=timezone.now())
    read(post)
    left = RetiredMetric.objects.get().next_try_at - timezone.now()
    assert timedelta(minutes=59) < left <= HOUR


# --- where it is seen -----------------------------------------------------------------------------


def test_stored_rows_and_history_say_that_a_metric_was_withdrawn(sandbox, published, read, client_for):
    post = published("tiktok")
    withdraw(sandbox, "tiktok", "share_count")
    read(post)
    stored = read(post, max_age=3600)["metrics_by_account"][0]
    assert (stored["source"], stored["unavailable"]["shares"]) == ("snapshot", "retired")
    history = client_for(post).get(f"/api/v1/posts/{post.pk}/analytics/history").json()
    assert history["data"][0]["unavailable"]["shares"] == "retired"


def test_staff_see_what_was_withdrawn_and_change_nothing(sandbox, published, read, client):
    post = published("tiktok")
    withdraw(sandbox, "tiktok", "share_count")
    read(post)
    row = RetiredMetric.objects.get()
    client.force_login(User.objects.create_superuser("root"))
    listing = client.get(reverse("admin:accounts_retiredmetric_changelist")).content.decode()
    assert "share_count" in listing and "TikTok" in listing
    page = reverse("admin:accounts_retiredmetric_change", args=(row.pk,))
    assert client.get(page).status_code == 200
    assert client.post(page, {"metric": "else"}).status_code == 403
    assert client.get(reverse("admin:accounts_retiredmetric_add")).status_code == 403


def test_knowing_what_was_withdrawn_takes_no_query_of_its_own(sandbox, busy, django_assert_num_queries):
    account = busy("tiktok", 20)
    ids = listed_ids(sandbox, account)[:20]
    pull_posts(account, ids, live=False)
    account = SocialAccount.objects.get(pk=account.pk)
    with django_assert_num_queries(2) as captured:  # the app; gates and withdrawn metrics
        pull_posts(account, ids, live=False)
    assert sum("retiredmetric" in each["sql"] for each in captured) == 1

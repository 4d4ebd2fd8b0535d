"""How long raw answers are kept, and what goes out of them when a post is removed."""

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import DatabaseError, OperationalError, connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.tests.factories import SocialAccountFactory
from accounts.tests.processes import wait_for
from analytics import tasks
from analytics.models import AccountMetrics, Heartbeat, PostAnalytics, Target
from analytics.services import content, live, posts, retention, walks
from analytics.services.snapshots import Captured, store_posts
from analytics.tests.conftest import run
from analytics.tests.factories import AccountMetricsFactory, PostAnalyticsFactory, PostFactory, TargetFactory
from platforms.base import Reading
from platforms.errors import Gone, Unavailable

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)
KEPT = {"ups": 5, "num_comments": 2, "id": "1abcd2", "created_utc": 1.0, "removed_by_category": None}
CONTENT = {"title": "A title", "selftext": "Words", "author": "jane", "author_fullname": "t2_x", "url": "https://a/b"}


def ago(days):
    return timezone.now() - days * DAY


@pytest.fixture
def kept(settings):
    def keep(**durations):
        settings.RAW_RETENTION = dict.fromkeys(settings.RAW_RETENTION) | durations

    return keep


def empty(seconds=60):
    return retention.empty_old(until=time.monotonic() + seconds)


def with_raw(model=PostAnalytics):
    return set(model.objects.filter(raw__isnull=False).values_list("pk", flat=True))


def reddit_target(access="a", refresh="b", **more):
    tokens = {"access": access, "refresh": refresh}
    account = SocialAccountFactory(platform="reddit", network_unique_id="a2gghybr", **tokens)
    post = PostFactory(organization=account.organization)
    return TargetFactory(**{"post": post, "account": account, "platform_post_id": "t3_1abcd2", **more})


def pages_of(queries):
    return sum(each["sql"].startswith('UPDATE "post_analytics"') for each in queries)


# --- retention ------------------------------------------------------------


def test_old_raw_is_emptied_per_platform_and_the_numbers_stay(kept):
    kept(x=30 * DAY)
    old = PostAnalyticsFactory(captured_at=ago(31), raw={"a": 1}, likes=7, unavailable={"clicks": "retired"})
    young = PostAnalyticsFactory(target=old.target, captured_at=ago(29), raw={"a": 1})
    other = PostAnalyticsFactory(target__platform="bluesky", captured_at=ago(3000), raw={"a": 1})
    metrics = AccountMetricsFactory(account=old.account, captured_at=ago(31), raw={"a": 1}, followers=8)
    before = PostAnalytics.objects.filter(pk=old.pk).values().get()
    assert empty()
    assert with_raw() == {young.pk, other.pk}
    assert PostAnalytics.objects.filter(pk=old.pk).values().get() == before | {"raw": None}
    metrics.refresh_from_db()
    assert (metrics.raw, metrics.followers) == (None, 8)
    assert Heartbeat.objects.get(name=retention.WORK).detail["emptied"] == {
        "post_analytics/x": 1,
        "account_metrics/x": 1,
    }


def test_by_default_only_linkedins_raw_ends_after_a_year():
    account = SocialAccountFactory(platform="linkedin", network_unique_id="urn:li:person:a")
    ended, kept_one = (AccountMetricsFactory(account=account, captured_at=ago(days), raw={}) for days in (366, 364))
    x = PostAnalyticsFactory(captured_at=ago(9000), raw={})
    tasks.empty_old_raw()
    assert with_raw(AccountMetrics) == {kept_one.pk} != {ended.pk}
    assert with_raw() == {x.pk}


def test_many_pages_are_emptied_one_short_transaction_each_and_a_run_that_is_cut_off_goes_on(kept, monkeypatch):
    kept(x=DAY)
    monkeypatch.setattr(retention, "PAGE", 3)
    target, same = TargetFactory(), ago(5)
    instants = [same] * 5 + [ago(4), ago(3), ago(0)]
    rows = [PostAnalyticsFactory(target=target, captured_at=at, raw={"a": 1}).pk for at in instants]
    assert not empty(seconds=-1)
    assert len(with_raw()) == 5
    assert not empty(seconds=-1)
    assert empty()
    assert with_raw() == {rows[-1]}
    assert Heartbeat.objects.get(name=retention.WORK).detail["done"] is True
    assert empty()
    assert with_raw() == {rows[-1]}


def test_what_was_emptied_days_ago_is_not_looked_at_again(kept, monkeypatch):
    kept(x=DAY)
    monkeypatch.setattr(retention, "PAGE", 2)
    target = TargetFactory()
    for days in range(40, 2, -1):
        PostAnalyticsFactory(target=target, captured_at=ago(days), raw={"a": 1})
    with CaptureQueriesContext(connection) as first:
        empty()
    late = PostAnalyticsFactory(target=target, captured_at=ago(2.5), raw={"a": 1})
    behind = PostAnalyticsFactory(target=target, captured_at=ago(3.5), raw={"a": 1})
    with CaptureQueriesContext(connection) as second:
        empty()
    assert late.pk not in with_raw() and behind.pk not in with_raw()
    assert pages_of(first) >= 19 and pages_of(second) <= 3


def test_a_run_that_fails_midway_leaves_whole_pages_and_is_made_up_for(kept, monkeypatch):
    kept(x=DAY)
    monkeypatch.setattr(retention, "PAGE", 2)
    target = TargetFactory()
    for days in (9, 8, 7, 6):
        PostAnalyticsFactory(target=target, captured_at=ago(days), raw={"a": 1})
    note, calls = walks.note, []

    def killed(*args, **more):
        calls.append(args)
        if len(calls) == 2:
            raise KeyboardInterrupt
        note(*args, **more)

    monkeypatch.setattr(walks, "note", killed)
    with pytest.raises(KeyboardInterrupt):
        empty()
    assert len(with_raw()) == 2
    monkeypatch.setattr(walks, "note", note)
    assert empty()
    assert with_raw() == set()


def test_with_a_broker_the_task_goes_on_until_all_is_done(settings, monkeypatch):
    sent, left = [], iter([False, True])
    monkeypatch.setattr(retention, "empty_old", lambda until: next(left))
    monkeypatch.setattr(tasks.empty_old_raw, "apply_async", lambda **options: sent.append(options))
    settings.CELERY_TASK_ALWAYS_EAGER = False
    tasks.empty_old_raw()
    tasks.empty_old_raw()
    assert sent == [{"expires": 3600}]


def test_an_emptied_answer_is_null_in_the_api(client_for, kept, monkeypatch):
    kept(x=DAY)
    row = AccountMetricsFactory(captured_at=ago(2), raw={"a": 1}, followers=8, account__status="disabled")
    empty()
    api, url = client_for(row.account), f"/api/v1/social-accounts/{row.account_id}/metrics"
    newest = api.get(url).json()
    assert (newest["raw"], newest["followers"], newest["source"]) == (None, 8, "snapshot")
    [item] = api.get(url, {"since": 0, "include": "raw"}).json()["data"]
    assert (item["raw"], item["followers"]) == (None, 8)


# --- content of removed posts -------------------------------------------------


def test_a_removed_posts_content_goes_out_of_all_its_snapshots_and_the_numbers_stay(monkeypatch):
    monkeypatch.setattr(content, "PAGE", 2)
    target, bystander = reddit_target(), PostAnalyticsFactory(raw=CONTENT)
    for days in range(5):
        PostAnalyticsFactory(target=target, captured_at=ago(days), raw=KEPT | CONTENT, likes=5, mapping_version=1)
    emptied = PostAnalyticsFactory(target=target, captured_at=ago(9), raw=None)
    store_posts([Captured(target, Gone("The post was removed (moderator)."))], captured_at=timezone.now())
    rows = PostAnalytics.objects.filter(target=target).exclude(pk=emptied.pk)
    assert {(row.likes, str(row.raw)) for row in rows} == {(5, str(rows[0].raw))}
    assert rows[0].raw == KEPT
    bystander.refresh_from_db()
    emptied.refresh_from_db()
    target.refresh_from_db()
    assert (bystander.raw, emptied.raw) == (CONTENT, None)
    assert target.gone_at is not None and not target.content_to_remove


def test_content_stays_while_a_post_is_only_missing_or_cannot_be_read():
    target = reddit_target()
    row = PostAnalyticsFactory(target=target, raw=KEPT | CONTENT)
    for result in (None, Unavailable("down"), None, Unavailable("down")):
        target.refresh_from_db()
        store_posts([Captured(target, result)], captured_at=timezone.now())
        row.refresh_from_db()
        assert row.raw == KEPT | CONTENT
    target.refresh_from_db()
    store_posts([Captured(target, None)], captured_at=timezone.now())  # the third time in a row
    row.refresh_from_db()
    assert row.raw == KEPT


def test_content_goes_when_the_owner_deletes_the_post_here():
    target = reddit_target()
    row, other = PostAnalyticsFactory(target=target, raw=KEPT | CONTENT, likes=5), PostAnalyticsFactory(raw=CONTENT)
    posts.delete(target.post)
    posts.delete(other.target.post)
    row.refresh_from_db()
    other.refresh_from_db()
    assert (row.raw, row.likes) == (KEPT, 5)
    assert other.raw == CONTENT
    assert not Target.objects.filter(content_to_remove=True).exists()


@pytest.mark.parametrize("step", ["_clean", "remove_marked"])
def test_what_could_not_be_removed_at_once_is_removed_by_the_daily_task(monkeypatch, step):
    target = reddit_target()
    row = PostAnalyticsFactory(target=target, raw=KEPT | CONTENT)

    def fails(*args):
        raise DatabaseError("away")

    with monkeypatch.context() as broken:
        broken.setattr(content, step, fails)
        store_posts([Captured(target, Gone("removed"))], captured_at=timezone.now())
    row.refresh_from_db()
    assert row.raw == KEPT | CONTENT
    tasks.empty_old_raw()
    row.refresh_from_db()
    target.refresh_from_db()
    assert row.raw == KEPT and not target.content_to_remove


@pytest.mark.django_db(transaction=True)
def test_answers_that_came_together_are_stored_once_though_content_could_not_be_removed(monkeypatch):
    def fails(*args):
        raise OperationalError("away")

    def write(captured):
        try:
            return live._writer.do([captured])
        finally:
            connection.close()

    monkeypatch.setattr(content, "remove_marked", fails)
    read, gone = TargetFactory(platform="bluesky"), reddit_target()
    with ThreadPoolExecutor(2) as pool:
        with live._writer._turn:  # so that the two wait, and are written together
            written = pool.map(write, [Captured(read, Reading({"likeCount": 1})), Captured(gone, Gone("removed"))])
            wait_for(lambda: len(live._writer._waiting) == 2)
        assert [each.target for [each] in written] == [read, gone]
    assert read.snapshots.count() == 1


@pytest.mark.django_db(transaction=True)
def test_collecting_a_post_that_reddit_shows_as_removed_cleans_what_is_stored(sandbox):
    tokens = sandbox.grant("reddit", "a2gghybr", posts=1)
    [post_id] = tokens["post_ids"]
    target = reddit_target(access=tokens["access_token"], refresh=tokens["refresh_token"], platform_post_id=post_id)
    run()
    row = PostAnalytics.objects.get()
    PostAnalytics.objects.update(raw=row.raw | CONTENT)
    sandbox.switch("reddit", removed="shown")
    sandbox.control("POST", "/posts/delete", {"platform": "reddit", "ids": [post_id]})
    Target.objects.update(next_collect_at=timezone.now() - DAY)
    run()
    target.refresh_from_db()
    assert target.gone_at is not None
    assert PostAnalytics.objects.get().raw == row.raw
    assert PostAnalytics.objects.get().likes == row.likes


def test_only_targets_of_platforms_that_ask_for_it_are_marked(monkeypatch):
    seen = []
    monkeypatch.setattr(content, "remove_marked", seen.append)
    target = TargetFactory(platform="bluesky")
    store_posts([Captured(target, Gone("gone"))], captured_at=timezone.now())
    target.refresh_from_db()
    assert (target.content_to_remove, seen) == (False, [])
    fresh = reddit_target()
    store_posts([Captured(fresh, Reading(KEPT))], captured_at=timezone.now())
    assert seen == []
    assert sorted(content.DUTIES) == ["reddit"]

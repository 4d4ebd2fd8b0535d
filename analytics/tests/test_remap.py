"""Columns derived again from stored raw answers."""

import json
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from analytics.models import AccountMetrics, Heartbeat, PostAnalytics
from analytics.services import remap, snapshots, walks
from analytics.tests.factories import AccountMetricsFactory, PostAnalyticsFactory, TargetFactory
from platforms import registry
from platforms.dimensions import Dimension

pytestmark = pytest.mark.django_db
RAW = {"likeCount": 30, "replyCount": 4, "repostCount": 1, "bookmarkCount": 0, "quoteCount": 1}
WRONG = {"raw": RAW, "likes": 1, "comments": None, "saves": 9, "impressions": 5, "engagement_rate": 0.2}
RIGHT = {"likes": 30, "comments": 4, "shares": 1, "saves": 0, "impressions": None, "engagement_rate": None}


def command(**options):
    out = StringIO()
    call_command("remap_snapshots", stdout=out, json=True, **options)
    return json.loads(out.getvalue())


def rows_of(model):
    return list(model.objects.order_by("pk").values())


def values(row, names=RIGHT):
    row.refresh_from_db()
    return {name: getattr(row, name) for name in names}


@pytest.fixture
def target():
    return TargetFactory(platform="bluesky")


@pytest.fixture
def wrong(target):
    """Rows whose columns are not what their raw answers say."""

    def make(number, **more):
        first = timezone.now() - timedelta(days=30)
        return [
            PostAnalyticsFactory(
                target=target,
                captured_at=first + timedelta(hours=n),
                **WRONG | more,
            )
            for n in range(number)
        ]

    return make


def test_columns_and_rate_become_what_the_raw_answer_says_and_nothing_else_changes(wrong):
    [row] = wrong(1, mapping_version=0)
    before = rows_of(PostAnalytics)[0]
    report = command()["post_analytics"]["bluesky"]
    assert values(row) == RIGHT
    changed = {*RIGHT, "mapping_version"}
    assert {k: v for k, v in rows_of(PostAnalytics)[0].items() if k not in changed} == {
        k: v for k, v in before.items() if k not in changed
    }
    assert row.mapping_version == snapshots.MAPPING_VERSION
    assert (report["rows"], report["changed"], report["without_raw"], report["unreadable"]) == (1, 1, 0, 0)
    assert report["columns"] == {
        "likes": {"other_value": 1},
        "comments": {"from_null": 1},
        "shares": {"from_null": 1},
        "saves": {"other_value": 1},
        "impressions": {"to_null": 1},
        "engagement_rate": {"to_null": 1},
    }
    assert {"id": row.pk, "column": "likes", "old": 1, "new": 30} in report["examples"]


def test_a_second_run_changes_nothing(wrong):
    wrong(5)
    AccountMetricsFactory(account__platform="bluesky", raw={"followersCount": 7}, followers=1)
    command()
    before = rows_of(PostAnalytics) + rows_of(AccountMetrics)
    again = command()
    assert rows_of(PostAnalytics) + rows_of(AccountMetrics) == before
    assert [again[table]["bluesky"]["changed"] for table in ("post_analytics", "account_metrics")] == [0, 0]
    assert [again[table]["bluesky"]["restamped"] for table in ("post_analytics", "account_metrics")] == [0, 0]


def test_accounts_are_derived_again_too():
    row = AccountMetricsFactory(
        account__platform="bluesky", raw={"followersCount": 7, "postsCount": 3}, followers=1, reach=5
    )
    report = command()["account_metrics"]["bluesky"]
    assert values(row, ("followers", "posts_count", "reach")) == {"followers": 7, "posts_count": 3, "reach": None}
    assert report["columns"] == {
        "followers": {"other_value": 1},
        "posts_count": {"from_null": 1},
        "reach": {"to_null": 1},
    }


def test_what_was_stored_by_the_writer_needs_no_change():
    """Both use the one function that derives columns."""
    for key, platform in registry.PLATFORMS.items():
        assert remap.DERIVE["post_analytics"](key, {}) == snapshots.post_columns(key, {})
        assert platform.has_posts or all(value is None for value in snapshots.post_columns(key, {}).values())


def test_rows_whose_raw_answer_is_gone_are_left_alone(wrong):
    wrong(2, raw=None, mapping_version=0)
    before = rows_of(PostAnalytics)
    report = command()["post_analytics"]["bluesky"]
    assert (report["rows"], report["without_raw"], report["changed"]) == (2, 2, 0)
    assert rows_of(PostAnalytics) == before


@pytest.mark.parametrize("unreadable", [[1], "text", 5, {"no": 1}])
def test_an_answer_that_cannot_be_read_is_counted_and_stops_nobody(wrong, unreadable, monkeypatch):
    rows = wrong(3)
    PostAnalytics.objects.filter(pk=rows[1].pk).update(raw=unreadable)
    derive = registry.get("bluesky").metrics
    monkeypatch.setattr(registry.get("bluesky"), "metrics", lambda raw: raw["missing"] if "no" in raw else derive(raw))
    report = command()["post_analytics"]["bluesky"]
    assert (report["rows"], report["changed"], report["unreadable"]) == (3, 2, 1)
    assert [values(row)["likes"] for row in rows] == [30, 1, 30]


def test_reasons_go_where_a_number_came_and_stay_where_there_is_still_none(wrong):
    [row] = wrong(1, unavailable={"comments": "scope_missing", "clicks": "retired", "shares": "not_reported"})
    command()
    row.refresh_from_db()
    assert row.unavailable == {"clicks": "retired"}
    assert row.comments == 4


def test_a_dry_run_tells_the_same_and_writes_nothing(wrong):
    wrong(3)
    before = rows_of(PostAnalytics)
    told = command(dry_run=True)
    assert told["dry_run"] is True
    assert rows_of(PostAnalytics) == before and not Heartbeat.objects.exists()
    done = command()
    assert told["post_analytics"] == done["post_analytics"] != {}


def test_only_the_platform_that_is_named_is_read(wrong):
    [row] = wrong(1)
    assert command(platform="x")["post_analytics"] == {}
    assert values(row)["likes"] == 1
    with pytest.raises(CommandError, match="myspace"):
        call_command("remap_snapshots", "--platform", "myspace")


def test_a_row_that_is_right_but_of_an_older_mapping_only_gets_its_version(wrong):
    [row] = wrong(1, **RIGHT, mapping_version=0)
    report = command()["post_analytics"]["bluesky"]
    assert (report["changed"], report["restamped"]) == (0, 1)
    row.refresh_from_db()
    assert row.mapping_version == snapshots.MAPPING_VERSION


@pytest.fixture
def cut_off(wrong, monkeypatch):
    """Nine rows, of which four were read again when the run was killed while it wrote the next page."""
    monkeypatch.setattr(remap, "PAGE", 2)
    rows, pages, write = wrong(9), [], remap._write

    def killed(*args):
        pages.append(args)
        if len(pages) == 3:
            raise KeyboardInterrupt
        write(*args)

    with monkeypatch.context() as patched:
        patched.setattr(remap, "_write", killed)
        with pytest.raises(KeyboardInterrupt):
            command()
    assert [values(row)["likes"] for row in rows] == [30] * 4 + [1] * 5
    return rows


def test_a_run_that_was_cut_off_goes_on_where_it_stopped(cut_off):
    PostAnalytics.objects.filter(pk=cut_off[0].pk).update(likes=77)  # would be set right if it was read again
    report = command()["post_analytics"]["bluesky"]
    assert report["rows"] == 5
    assert [values(row)["likes"] for row in cut_off] == [77] + [30] * 8
    assert command()["post_analytics"]["bluesky"]["rows"] == 9  # the one before had come to its end
    assert values(cut_off[0])["likes"] == 30


@pytest.mark.parametrize("newer_mapping", [True, False])
def test_it_begins_anew_when_told_to_or_when_the_mapping_has_changed(cut_off, newer_mapping, monkeypatch):
    if newer_mapping:
        monkeypatch.setattr(snapshots, "MAPPING_VERSION", snapshots.MAPPING_VERSION + 1)
    assert command(restart=not newer_mapping)["post_analytics"]["bluesky"]["rows"] == 9
    assert walks.places(remap.WORK) == {}


def test_a_newer_mapping_forgets_how_far_all_streams_came_also_when_it_begins_with_one_platform(cut_off, monkeypatch):
    PostAnalyticsFactory(target=TargetFactory(platform="x"))
    monkeypatch.setattr(snapshots, "MAPPING_VERSION", snapshots.MAPPING_VERSION + 1)
    command(platform="x")
    assert command()["post_analytics"]["bluesky"]["rows"] == 9
    assert {row.mapping_version for row in PostAnalytics.objects.all()} == {snapshots.MAPPING_VERSION}


def test_a_changed_mapping_reaches_what_is_stored(wrong, monkeypatch):
    [row] = wrong(1)
    command()
    monkeypatch.setitem(registry.get("bluesky").fields, Dimension.IMPRESSIONS, "quoteCount")
    command()
    assert (values(row)["impressions"], row.engagement_rate) == (1, 35.0)


def test_a_person_reads_tables_and_examples(wrong):
    wrong(2)
    out = StringIO()
    call_command("remap_snapshots", "--dry-run", stdout=out)
    told = out.getvalue()
    assert "2 rows read, 2 would change" in told
    assert "likes 1 -> 30" in told
    assert "null to value" in told

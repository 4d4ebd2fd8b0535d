"""Bringing in what an account published already."""

import time
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from accounts.models import SocialAccount, WebhookEvent
from accounts.services import connections
from accounts.tests.factories import OrganizationFactory, SocialAccountFactory
from analytics.models import ImportJob, Post, PostAnalytics, Target
from analytics.services import imports, posts
from analytics.tests.conftest import listed_ids, posts_of, run
from platforms import registry
from platforms.base import Listed, Listing
from platforms.errors import Unavailable

pytestmark = pytest.mark.django_db(transaction=True)

KEYS = [
    "id",
    "social_account_id",
    "status",
    "from_date",
    "to_date",
    "imported_count",
    "error_message",
    "started_at",
    "finished_at",
    "created_at",
]
ACCOUNTS: dict[str, dict[str, Any]] = {
    "linkedin": {"network_unique_id": "urn:li:organization:2414183"},
    "instagram": {"extra": {"login": "instagram"}},
    "tiktok": {"network_unique_id": "723f24d7-e717-40f8-a2b6-cb8464cd23b4"},
    "facebook": {"network_unique_id": "102030405060708"},
    "threads": {"network_unique_id": "26000000000000001"},
    "bluesky": {},
    "youtube": {"network_unique_id": "UCacmeAnalyticsDemo00001"},
    "pinterest": {"network_unique_id": "2783136121146311751"},
    "reddit": {"network_unique_id": "a2gghybr"},
    "x": {},
}


def work() -> int:
    return imports.work_through(until=time.monotonic() + 60)


def uri(account: SocialAccount, number: int) -> str:
    return f"at://{account.network_unique_id}/app.bsky.feed.post/{number:013d}"


def url(account: SocialAccount, rest: str = "") -> str:
    return f"/api/v1/social-accounts/{account.pk}/imports{rest}"


@pytest.fixture
def ask(client_for: Any) -> Any:
    def ask(account: SocialAccount, status: int = 202, **body: Any) -> Any:
        answer = client_for(account).post(url(account), body)
        assert answer.status_code == status, answer.content
        return answer.json()

    return ask


@pytest.mark.parametrize("platform", [key for key, each in registry.PLATFORMS.items() if each.has_listing])
def test_every_platform_that_lists_posts_imports_them_once(
    sandbox: Any, client_for: Any, ask: Any, settings: Any, platform: str
) -> None:
    settings.PLATFORM_SETTINGS = settings.PLATFORM_SETTINGS | {"x": {"imports": True}}
    account = sandbox.connect(platform, posts=7, **ACCOUNTS[platform])
    job = ask(account)
    assert list(job) == KEYS
    assert (job["status"], job["imported_count"], job["started_at"]) == ("pending", 0, None)
    assert work() == 7
    client = client_for(account)
    done = client.get(url(account, f"/{job['id']}")).json()
    assert (done["status"], done["imported_count"], done["error_message"]) == ("completed", 7, None)
    assert done["finished_at"] >= done["started_at"]
    targets = Target.objects.filter(account=account)
    assert set(targets.values_list("platform_post_id", flat=True)) == set(listed_ids(sandbox, account))
    assert {target.status for target in targets} == {"published"}
    assert all(target.published_at for target in targets)

    ask(account)
    assert work() == 0
    assert Post.objects.count() == Target.objects.count() == 7
    assert [job["imported_count"] for job in client.get(url(account)).json()["data"]] == [0, 7]
    run()
    assert set(targets.values_list("snapshots__captured_at", flat=True)) != {None}
    body = client.get(f"/api/v1/posts/{targets[0].post_id}/analytics").json()
    assert body["coverage"]["live"] == 1, body


def test_metrics_that_come_with_the_listing_are_not_asked_for_again(sandbox: Any, ask: Any) -> None:
    account = sandbox.connect("bluesky", posts=250)
    SocialAccount.objects.filter(pk=account.pk).update(next_collect_at=None)
    ask(account, limit=250)
    assert work() == 250
    assert PostAnalytics.objects.filter(account=account, likes__isnull=False).count() == 250
    assert not Target.objects.filter(next_collect_at__lte=timezone.now()).exists()
    assert (sandbox.calls("bluesky", "getAuthorFeed"), sandbox.calls("bluesky")) == (3, 3)
    run()
    assert sandbox.calls("bluesky") == 3


def test_days_are_whole_and_both_included(sandbox: Any, ask: Any) -> None:
    account = sandbox.connect("tiktok", posts=60, span_days=60, **ACCOUNTS["tiktok"])
    today = timezone.now().date()
    first, last = today - timedelta(days=20), today - timedelta(days=11)
    ask(account, from_date=str(first), to_date=str(last))
    imported = work()
    days = {target.published_at.astimezone(UTC).date() for target in Target.objects.all()}
    assert min(days) >= first and max(days) <= last
    assert imported == len(Target.objects.all()) >= 9
    assert sandbox.calls("tiktok") < 5  # it stops at the first page that is too old


@pytest.mark.parametrize(("newest_first", "pages"), [(True, 2), (False, 4)])
def test_a_listing_is_left_once_it_is_too_old_but_not_if_it_rises(
    monkeypatch: Any, newest_first: bool, pages: int
) -> None:
    days = [datetime(2026, 6, day, tzinfo=UTC) for day in range(1, 9)]
    listed = [Listed(str(10**17 + day.day), published_at=day) for day in sorted(days, reverse=newest_first)]
    asked: list[str] = []

    def page(account: SocialAccount, cursor: str, wanted: Any) -> Listing:
        asked.append(cursor)
        start = int(cursor or 0)
        return Listing(tuple(listed[start : start + 2]), str(start + 2) if start < 6 else "")

    monkeypatch.setattr(imports, "pull_listing", page)
    imports.start(SocialAccountFactory(platform="pinterest"), from_date=date(2026, 6, 7))
    assert work() == 2
    assert len(asked) == pages


def test_the_limit_bounds_how_many_are_imported_the_newest_first(sandbox: Any, ask: Any) -> None:
    account = sandbox.connect("tiktok", posts=60, **ACCOUNTS["tiktok"])
    ask(account, limit=25)
    assert work() == 25
    assert set(Target.objects.values_list("platform_post_id", flat=True)) == set(listed_ids(sandbox, account)[:25])


def test_a_registered_post_is_joined_and_keeps_what_was_said_of_it(sandbox: Any, ask: Any, client_for: Any) -> None:
    account = sandbox.connect("reddit", posts=5, **ACCOUNTS["reddit"])
    post_id = listed_ids(sandbox, account)[2]
    target = {"account_id": str(account.pk), "platform_post_id": post_id.removeprefix("t3_")}
    made = client_for(account).post("/api/v1/posts", {"content": "Mine", "targets": [target]}).json()
    ask(account)
    assert work() == 4
    assert Post.objects.count() == 5
    assert Target.objects.get(platform_post_id=post_id).post.content == "Mine"
    assert str(Target.objects.get(platform_post_id=post_id).post_id) == made["id"]


def test_a_deleted_post_comes_back_by_an_import_but_not_by_itself(sandbox: Any, ask: Any) -> None:
    account = sandbox.connect("tiktok", posts=3, **ACCOUNTS["tiktok"])
    ask(account)
    work()
    posts.delete(Post.objects.all()[0])
    imports.schedule(account, hourly=True)
    assert imports.start_scheduled() == 1
    assert work() == 0
    ask(account)
    assert work() == 1
    assert Target.objects.filter(deleted_at=None).count() == 3


@pytest.mark.parametrize(
    ("platform", "more", "words"),
    [
        ("google_business", {"network_unique_id": "123", "extra": {"account": "1"}}, "does not list"),
        ("linkedin", {"network_unique_id": "urn:li:person:AbC123xyz"}, "members"),
        ("x", {}, "X_IMPORTS"),
    ],
)
def test_what_cannot_be_listed_is_refused_with_the_reason(ask: Any, platform: str, more: Any, words: str) -> None:
    account = SocialAccountFactory(platform=platform, **more)
    problem = ask(account, 422)
    assert problem["code"] == "import_unsupported" and words in problem["detail"]
    assert not ImportJob.objects.exists()


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"from_date": "2026-02-30"}, "from_date"),
        ({"from_date": "2026-06-10T00:00:00Z"}, "from_date"),
        ({"from_date": 20260610}, "from_date"),
        ({"to_date": "2200-01-01"}, "to_date"),
        ({"from_date": "2026-06-11", "to_date": "2026-06-10"}, "to_date"),
        ({"limit": 0}, "limit"),
        ({"limit": 1001}, "limit"),
        ({"limit": "many"}, "limit"),
        ({"everything": True}, "everything"),
    ],
)
def test_bad_input_is_named(ask: Any, body: dict[str, Any], field: str) -> None:
    problem = ask(SocialAccountFactory(platform="bluesky"), 400, **body)
    assert [error["field"] for error in problem["errors"]] == [field]
    assert not ImportJob.objects.exists()


def test_others_accounts_and_imports_are_not_found(client_for: Any) -> None:
    account = SocialAccountFactory(platform="bluesky")
    job = imports.start(account)
    other = client_for(OrganizationFactory())
    live = client_for(account, mode="live") if account.mode == "test" else None
    assert live is not None
    mine = SocialAccountFactory(platform="bluesky", organization=account.organization)
    client = client_for(account)
    assert client.get(url(account, f"/{job.pk}")).status_code == 200
    for stranger, path in (
        (other, url(account)),
        (other, url(account, f"/{job.pk}")),
        (other, url(account, "/schedule")),
        (live, url(account)),
        (client, url(mine, f"/{job.pk}")),
        (client, url(account, "/nothing")),
    ):
        assert stranger.get(path).status_code == 404, path
    assert other.post(url(account), {}).status_code == 404
    assert client_for(account, scopes=["posts:write"]).post(url(account), {}).status_code == 403


def test_a_listing_that_tells_less_than_is_known_does_not_replace_it(sandbox: Any, client_for: Any) -> None:
    account = sandbox.connect("pinterest", posts=3, **ACCOUNTS["pinterest"])
    posts_of(account, listed_ids(sandbox, account)[:3])
    run()
    Target.objects.update(next_collect_at=timezone.now() - timedelta(seconds=1))
    post = Target.objects.order_by("-platform_post_id")[0].post
    read = lambda: client_for(post).get(f"/api/v1/posts/{post.pk}/analytics", {"max_age": 86400}).json()  # noqa: E731
    before = read()["metrics_by_account"]
    assert before[0]["saves"] is not None
    imports.start(account)
    work()
    assert read()["metrics_by_account"] == before
    assert not Target.objects.filter(next_collect_at__gt=timezone.now()).exists()


def test_posts_that_were_taken_for_gone_are_collected_again_when_an_import_lists_them(sandbox: Any, ask: Any) -> None:
    account = sandbox.connect("tiktok", posts=3, **ACCOUNTS["tiktok"])
    ask(account)
    work()
    gone = {"gone_at": timezone.now(), "missing_count": 3, "next_collect_at": None, "last_error_code": "post_gone"}
    Target.objects.update(**gone)
    ImportJob.objects.create(account=account, is_discovery=True)
    work()
    assert Target.objects.filter(gone_at=None).count() == 0  # not by itself: some platforms list what they removed
    ask(account)
    work()
    assert Target.objects.filter(gone_at=None, missing_count=0, last_error_code="").count() == 3
    assert not Target.objects.filter(next_collect_at=None).exists()


def test_a_post_with_an_id_that_is_too_long_is_left_out_and_logged(monkeypatch: Any, caplog: Any) -> None:
    account = SocialAccountFactory(platform="bluesky")
    long = f"at://{account.network_unique_id}/app.bsky.feed.post/{'3' * 512}{'k' * 200}"
    platform = type(registry.get("bluesky"))
    monkeypatch.setattr(platform, "normalize_post_id", lambda self, value, account: value)
    monkeypatch.setattr(imports, "pull_listing", lambda *_: Listing((Listed(long), Listed(uri(account, 1)))))
    imports.start(account)
    assert work() == 1
    assert "too long" in caplog.text


# --- failing, and going on ------------------------------------------------------------


def events() -> list[tuple[str, dict[str, Any]]]:
    return [(event.type, event.data) for event in WebhookEvent.objects.filter(type__startswith="import.")]


def test_it_tells_when_it_is_done_and_when_it_failed_with_what_it_kept(sandbox: Any, ask: Any) -> None:
    account = sandbox.connect("tiktok", posts=45, **ACCOUNTS["tiktok"])
    ask(account)
    assert work() == 45
    ((kind, data),) = events()
    assert kind == "import.completed"
    assert data["imported_count"] == 45 and data["status"] == "completed"

    WebhookEvent.objects.all().delete()
    other = sandbox.connect("tiktok", posts=45, network_unique_id="another-open-id")
    ask(other)
    job = imports._claim()
    assert job is not None and imports._next_page(job)
    sandbox.revoke(other)
    while imports._next_page(job) and job.status == "running":
        pass
    job.refresh_from_db()
    assert job.status == "failed" and job.imported_count == 20
    ((kind, data),) = events()
    assert kind == "import.failed"
    assert data["imported_count"] == 20 and data["reason"] == job.error_message != ""
    assert Target.objects.filter(account=other).count() == 20


def test_a_passing_failure_puts_it_off_and_it_goes_on_where_it_was(sandbox: Any, ask: Any) -> None:
    account = sandbox.connect("tiktok", posts=45, **ACCOUNTS["tiktok"])
    ask(account)
    job = imports._claim()
    assert job is not None and imports._next_page(job)
    sandbox.fault("tiktok", "server_error")
    assert not imports._next_page(job)
    job.refresh_from_db()
    assert job.status == "running" and job.next_attempt_at > timezone.now() and job.claim is None
    sandbox.heal("tiktok")
    assert work() == 0  # not yet
    ImportJob.objects.update(next_attempt_at=timezone.now() - timedelta(seconds=1))
    before = sandbox.calls("tiktok")
    assert work() == 25
    assert sandbox.calls("tiktok") == before + 2
    job.refresh_from_db()
    assert (job.status, job.imported_count, job.error_message) == ("completed", 45, "")


def test_what_fails_for_a_day_fails(sandbox: Any, ask: Any) -> None:
    account = sandbox.connect("tiktok", **ACCOUNTS["tiktok"])
    ask(account)
    sandbox.fault("tiktok", "server_error")
    for hours in (0, 1, 23):
        ImportJob.objects.update(next_attempt_at=timezone.now() - timedelta(seconds=1))
        ImportJob.objects.filter(failures__gt=0).update(failing_since=timezone.now() - timedelta(hours=hours))
        work()
        assert ImportJob.objects.get().status == "running"
    ImportJob.objects.update(next_attempt_at=timezone.now() - timedelta(seconds=1))
    ImportJob.objects.update(failing_since=timezone.now() - timedelta(hours=25))
    work()
    assert ImportJob.objects.get().status == "failed"
    assert events()[0][0] == "import.failed"


def test_a_long_import_does_not_die_of_one_failure(monkeypatch: Any) -> None:
    account = SocialAccountFactory(platform="bluesky")
    job = imports.start(account, limit=1000)
    answers = [Listing((Listed(uri(account, 1)),), "p2"), Unavailable("503"), Listing((Listed(uri(account, 2)),))]
    monkeypatch.setattr(imports, "pull_listing", lambda *_: answers.pop(0))
    long_ago = timezone.now() - timedelta(hours=25)
    ImportJob.objects.update(started_at=long_ago, failing_since=long_ago, status="running", failures=9)
    assert work() == 1
    job.refresh_from_db()
    assert (job.status, job.failures) == ("running", 1)
    ImportJob.objects.update(next_attempt_at=timezone.now() - timedelta(seconds=1))
    assert work() == 1
    job.refresh_from_db()
    assert (job.status, job.failing_since) == ("completed", None)


def test_a_job_whose_process_died_is_taken_over_and_the_dead_cannot_write(sandbox: Any, ask: Any) -> None:
    account = sandbox.connect("tiktok", posts=45, **ACCOUNTS["tiktok"])
    ask(account)
    dead = imports._claim()
    assert dead is not None and imports._next_page(dead)
    assert imports._claim() is None
    lapsed = timezone.now() - timedelta(seconds=1)
    ImportJob.objects.update(claimed_until=lapsed, next_attempt_at=lapsed)
    assert work() == 25
    assert not imports._next_page(dead)
    job = ImportJob.objects.get()
    assert (job.status, job.imported_count) == ("completed", 45)
    assert Post.objects.count() == Target.objects.count() == 45


def test_an_account_that_was_disconnected_ends_its_imports(sandbox: Any, ask: Any) -> None:
    account = sandbox.connect("tiktok", **ACCOUNTS["tiktok"])
    ask(account)
    connections.disconnect(account)
    work()
    assert ImportJob.objects.get().status == "failed"
    assert sandbox.calls("tiktok") == 0


def test_a_listing_that_never_ends_does(monkeypatch: Any) -> None:
    imports.start(SocialAccountFactory(platform="bluesky"))
    pages = iter(range(10_000))
    monkeypatch.setattr(imports, "MOST_PAGES", 10)
    monkeypatch.setattr(imports, "pull_listing", lambda account, cursor, wanted: Listing((), f"page-{next(pages)}"))
    work()
    job = ImportJob.objects.get()
    assert (job.status, job.pages) == ("failed", 10)


def test_a_mistake_of_ours_puts_it_off(monkeypatch: Any) -> None:
    def fail(*_: Any) -> None:
        raise RuntimeError("a bug")

    imports.start(SocialAccountFactory(platform="bluesky"))
    monkeypatch.setattr(imports, "pull_listing", fail)
    assert work() == 0
    job = ImportJob.objects.get()
    assert job.status == "running" and job.next_attempt_at > timezone.now() and job.claim is None


def test_queries_do_not_grow_with_the_page(sandbox: Any, django_assert_max_num_queries: Any) -> None:
    account = sandbox.connect("reddit", posts=100, **ACCOUNTS["reddit"])
    imports.start(account)
    with django_assert_max_num_queries(45):
        assert work() == 100

import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from urllib.parse import quote

import pytest
from django.utils import timezone

from accounts.models import Organization, SocialAccount
from accounts.services import access, flights
from accounts.tests.factories import OrganizationFactory
from accounts.tests.fixtures import Sandbox, client_for, running_sandbox, sandbox  # noqa: F401
from analytics.models import Post, Target
from analytics.services import collect
from analytics.tests.factories import PostFactory, TargetFactory
from platforms.dimensions import Dimension

COUNTS = [dimension.value for dimension in Dimension]
ROW = ["target_id", "platform", *COUNTS, "engagement_rate", "captured_at", "source", "unavailable"]
SKIPPED = ["target_id", "platform", "code", "detail", "retryable", "retry_after", "last_captured_at"]
HOUR = timedelta(hours=1)
SECOND = timedelta(seconds=1)
"""An instant of this clock may not have come yet by the database's, which counts milliseconds on SQLite."""


def listed_ids(sandbox: Sandbox, account: SocialAccount) -> list[str]:  # noqa: F811
    """The canonical ids of the posts that the sandbox lists for an account, newest first."""
    path = f"/accounts/{account.platform}/{quote(account.network_unique_id)}/posts"
    adapter, known = access.platform_of(account), access.as_platform_account(account)
    return [adapter.normalize_post_id(each, known) for each in sandbox.control("GET", path)["post_ids"]]


@pytest.fixture
def published(sandbox: Sandbox) -> Callable[..., Post]:  # noqa: F811
    """A post that is live in the sandbox, on a new account of each platform named."""

    def make(*platforms: str, organization: Organization | None = None, nth: int = 0, **more: object) -> Post:
        post = PostFactory(organization=organization or OrganizationFactory())
        for platform in platforms:
            account = sandbox.connect(platform, organization=post.organization, **more)
            TargetFactory(post=post, account=account, platform_post_id=listed_ids(sandbox, account)[nth])
        return post

    return make


@pytest.fixture
def read(client_for):  # noqa: F811
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


def run(**more):
    return collect.run_pass(until=time.monotonic() + 60, **more)


def posts_of(account, ids):
    """A due post for each id; the account itself is not due."""
    SocialAccount.objects.filter(pk=account.pk).update(next_collect_at=timezone.now() + HOUR)
    posts = PostFactory.build_batch(len(ids), organization=account.organization)
    Post.objects.bulk_create(posts)
    return Target.objects.bulk_create(
        TargetFactory.build(post=post, account=account, platform=account.platform, platform_post_id=post_id)
        for post, post_id in zip(posts, ids, strict=True)
    )


@pytest.fixture
def busy(sandbox):  # noqa: F811
    """An account of the sandbox with a number of due posts."""

    def make(platform, number, **more):
        account = sandbox.connect(platform, posts=number, **more)
        posts_of(account, listed_ids(sandbox, account)[:number])
        return account

    return make


@pytest.fixture(autouse=True)
def late_answers() -> Iterator[None]:
    """What a test left under way ends before its database does."""
    yield
    give_up = time.monotonic() + 10
    while any(landed is None for _, landed in flights._desk._flights.values()) and time.monotonic() < give_up:
        time.sleep(0.02)

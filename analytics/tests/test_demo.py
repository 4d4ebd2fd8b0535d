"""The demo organization."""

import json
from datetime import datetime, timedelta
from io import StringIO

import pytest
from django.core.management import call_command

from accounts.models import ApiKey, Organization, SocialAccount
from accounts.services import connections
from analytics.models import AccountMetrics, Post, PostAnalytics, Target
from analytics.services import demo as service
from analytics.services import posts
from platforms import registry

pytestmark = pytest.mark.django_db

MEASURED = {key for key, platform in registry.PLATFORMS.items() if platform.has_posts}


def demo():
    out = StringIO()
    call_command("demo", "--json", stdout=out)
    return json.loads(out.getvalue())


@pytest.fixture
def sparse(monkeypatch):
    """Little history, for speed."""
    monkeypatch.setattr(service, "EVERY", timedelta(days=9))


def everything():
    return [
        list(model.objects.order_by("pk").values())
        for model in (Organization, ApiKey, SocialAccount, Post, Target, PostAnalytics, AccountMetrics)
    ]


def test_there_are_posts_on_every_platform_with_weeks_of_history(client_for):
    told = demo()
    assert {account["platform"] for account in told["accounts"]} == set(registry.PLATFORMS)
    assert told["key"].startswith("sk_test_")
    client = client_for(told["key"])
    assert len(told["posts"]) == 12
    oldest = Post.objects.get(external_ref="demo-12")
    rows = client.get(f"/api/v1/posts/{oldest.pk}/analytics/history", {"limit": 5000}).json()["data"]
    assert {row["platform"] for row in rows} == MEASURED
    assert rows[0]["captured_at"][:10] < rows[-1]["captured_at"][:10]
    assert len(rows) > len(MEASURED) * 7 * 4  # once a day for four weeks, on each platform
    published = {str(target.pk): target.published_at for target in oldest.targets.all()}
    assert all(datetime.fromisoformat(row["captured_at"]) >= published[row["target_id"]] for row in rows)
    likes = [row["likes"] for row in rows if row["platform"] == "bluesky"]
    assert likes == sorted(likes)
    account = told["accounts"][0]["id"]
    series = client.get(f"/api/v1/social-accounts/{account}/metrics", {"since": 0, "interval": "week"}).json()["data"]
    assert len(series) >= 6


def test_a_second_run_changes_nothing(sparse):
    first = demo()
    before = everything()
    assert demo() == first
    assert everything() == before


def test_what_is_missing_is_completed(sparse):
    first = demo()
    posts.delete(Post.objects.get(external_ref="demo-3"))
    PostAnalytics.objects.filter(target__post__external_ref="demo-5", platform="x").delete()
    second = demo()
    assert len(second["posts"]) == 12
    assert len(set(second["posts"]) & set(first["posts"])) == 11
    alive = Target.objects.filter(deleted_at=None)
    assert alive.count() == 12 * len(registry.PLATFORMS)
    assert not alive.filter(snapshots=None).exclude(platform="google_business").exists()


def test_a_demo_whose_account_was_disconnected_is_made_whole(sparse):
    demo()
    connections.disconnect(SocialAccount.objects.get(platform="instagram"))
    told = demo()
    assert len(told["accounts"]) == len(registry.PLATFORMS)
    alive = Target.objects.filter(deleted_at=None, account__deleted_at=None)
    assert alive.filter(post__in=told["posts"]).count() == 12 * len(registry.PLATFORMS)
    assert AccountMetrics.objects.filter(account__deleted_at=None, platform="instagram").exists()


@pytest.mark.django_db(transaction=True)
def test_the_demos_posts_answer_live(sandbox, client_for, sparse):
    told = demo()
    client = client_for(told["key"])
    for post in (told["posts"][0], told["posts"][-1]):
        body = client.get(f"/api/v1/posts/{post}/analytics").json()
        assert {row["platform"] for row in body["metrics_by_account"] if row["source"] == "live"} == MEASURED
        assert body["coverage"] == {"targets": 11, "live": 10, "snapshot": 0, "missing": 1}, body["skipped"]
        assert [(each["platform"], each["code"]) for each in body["skipped"]] == [
            ("google_business", "no_post_metrics")
        ]
    for account in told["accounts"]:
        numbers = client.get(f"/api/v1/social-accounts/{account['id']}/metrics").json()
        assert numbers["source"] == "live", numbers
        assert client.get(f"/api/v1/social-accounts/{account['id']}/health").json()["healthy"]

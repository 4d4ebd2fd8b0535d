"""A target that is told which post of its platform it is: again, another one, or none."""

from datetime import timedelta

import pytest
from django.utils import timezone

from accounts.tests.factories import SocialAccountFactory
from analytics.models import Post, PostAnalytics, Target
from analytics.services import posts
from analytics.tests.factories import PostAnalyticsFactory, TargetFactory
from analytics.tests.posts import POSTS, problem

pytestmark = pytest.mark.django_db


@pytest.fixture
def target():
    target = TargetFactory(platform="x", platform_post_url="https://x.com/a/status/1")
    hour_ago = timezone.now() - timedelta(hours=1)
    PostAnalyticsFactory.create_batch(2, target=target, likes=500, captured_at=hour_ago)
    return target


@pytest.fixture
def change(client_for, target):
    def change(status=200, **given):
        answer = client_for(target.post).patch(f"{POSTS}/{target.post_id}/targets/{target.pk}", given)
        assert answer.status_code == status, answer.content
        target.refresh_from_db()
        return answer

    return change


@pytest.fixture
def stored(client_for, target):
    def stored():
        client, url = client_for(target.post), f"{POSTS}/{target.post_id}/analytics"
        rows = client.get(url, {"max_age": 86400}).json()["metrics_by_account"]
        return len(rows), len(client.get(f"{url}/history").json()["data"])

    return stored


def test_numbers_of_the_post_that_a_target_named_before_are_kept_and_are_not_those_of_the_next(target, change, stored):
    Target.objects.update(next_collect_at=None)
    was = target.platform_post_id
    assert stored() == (1, 2)
    change(platform_post_id="77")
    assert (target.platform_post_url, target.next_collect_at is not None) == ("", True)
    assert not PostAnalytics.objects.filter(target=target).exists()
    former = Target.objects.get(platform_post_id=was)
    assert (former.account_id, former.platform_post_url) == (target.account_id, "https://x.com/a/status/1")
    assert former.snapshots.count() == 2
    assert None not in (former.deleted_at, former.post.deleted_at) and former.next_collect_at is None


def test_another_address_or_the_same_id_keeps_the_history(target, change, stored):
    change(platform_post_id=target.platform_post_id, platform_post_url="https://x.com/b/status/1")
    assert stored() == (1, 2)
    assert Post.objects.count() == 1


def test_a_target_that_leaves_its_post_and_comes_back_begins_anew(target, change):
    was = target.platform_post_id
    change(platform_post_id="77")
    change(platform_post_id=was)
    assert target.snapshots.count() == 0
    assert Target.objects.filter(platform_post_id=was).count() == 2
    assert Post.objects.count() == 2  # nothing was measured of the other


def test_a_post_that_was_taken_for_gone_is_collected_again_when_its_id_is_given_again(target, change):
    gone = {"gone_at": timezone.now(), "missing_count": 3, "next_collect_at": None, "last_error_code": "post_gone"}
    Target.objects.update(**gone)
    change(platform_post_url="https://x.com/b/status/1")
    assert target.gone_at is not None
    change(platform_post_id=target.platform_post_id)
    assert (target.gone_at, target.missing_count, target.last_error_code) == (None, 0, "")
    assert target.next_collect_at is not None and target.snapshots.count() == 2


def test_a_target_cannot_be_published_without_an_id_though_it_had_one_when_it_was_checked(target):
    stale = Target.objects.select_related("account").get(pk=target.pk)
    posts.update_target(target, {"platform_post_id": None, "status": "pending"})
    with pytest.raises(posts.Conflict, match="platform_post_id"):
        posts.update_target(stale, {"status": "published"})
    target.refresh_from_db()
    assert (target.status, target.next_collect_at) == ("pending", None)


def test_an_id_whose_canonical_form_is_too_long_to_be_stored_is_refused(client_for):
    account = SocialAccountFactory(platform="bluesky")
    post_id = f"at://did:web:{'a' * 240}.example/app.bsky.feed.post/{'k' * 500}"
    body = {"targets": [{"account_id": str(account.pk), "platform_post_id": post_id}]}
    answer = client_for(account).post(POSTS, body)
    errors = problem(answer, 400, "validation_failed")["errors"]
    assert errors[0]["field"] == "targets.0.platform_post_id", errors

"""TikTok's publish ids: registered before the video has an id, and replaced by it once TikTok says which."""

import pytest

from analytics.models import PostAnalytics, Target
from analytics.tests.conftest import SECOND, listed_ids, posts_of, run

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(name="account")
def account_fixture(sandbox):
    return sandbox.connect("tiktok", next_collect_at=None)


@pytest.fixture(name="videos")
def videos_fixture(sandbox, account):
    return listed_ids(sandbox, account)


def publish_id(video):
    return f"v_pub_url~v2-1.{video}"


def stored_ids():
    return list(Target.objects.order_by("created_at", "id").values_list("platform_post_id", flat=True))


def test_collecting_stores_the_videos_own_id(sandbox, account, videos):
    posts_of(account, [publish_id(videos[0]), videos[1]])
    assert run().snapshots == 2
    assert set(stored_ids()) == set(videos[:2])
    Target.objects.update(next_collect_at=Target.objects.first().created_at - SECOND)
    before = sandbox.calls("tiktok")
    assert (run().snapshots, sandbox.calls("tiktok") - before) == (2, 1)
    assert sandbox.calls("tiktok", "publish_status") == 1


def test_a_live_read_stores_it_and_the_api_shows_it(account, videos, read, client_for):
    [target] = posts_of(account, [publish_id(videos[0])])
    assert read(target.post)["coverage"]["live"] == 1
    assert stored_ids() == [videos[0]]
    body = client_for(target.post).get(f"/api/v1/posts/{target.post.pk}").json()
    assert body["targets"][0]["platform_post_id"] == videos[0]
    assert read(target.post)["coverage"]["live"] == 1


def test_what_is_not_published_yet_keeps_its_publish_id(sandbox, account, videos, read):
    [target] = posts_of(account, [publish_id(videos[0])])
    sandbox.switch("tiktok", publish="processing")
    assert read(target.post)["skipped"][0]["code"] == "platform_unavailable"
    assert stored_ids() == [publish_id(videos[0])]
    sandbox.switch("tiktok", publish="resolved")
    assert read(target.post)["coverage"]["live"] == 1
    assert stored_ids() == [videos[0]]


def test_a_video_registered_under_both_ids_is_measured_under_both(account, videos, read):
    given = [videos[0], publish_id(videos[0])]
    targets = posts_of(account, given)
    assert run().snapshots == 2
    assert set(stored_ids()) == set(given)
    for target in targets:
        assert read(target.post)["coverage"]["live"] == 1
    assert PostAnalytics.objects.count() == 4
    assert set(stored_ids()) == set(given)

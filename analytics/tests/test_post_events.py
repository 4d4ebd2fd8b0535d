"""Organizations are told when a post is published, and when not all of it is."""

import pytest

from accounts.models import WebhookEvent
from accounts.tests.factories import SocialAccountFactory
from analytics.tests.posts import POSTS, account_fixture, client_fixture  # noqa: F401

pytestmark = pytest.mark.django_db


@pytest.fixture(name="told")
def told_fixture():
    """The events since it was last asked, as kind and data."""
    seen = set()

    def ask():
        new = WebhookEvent.objects.exclude(pk__in=seen).order_by("created_at")
        found = [(event.type, event.data) for event in new]
        seen.update(WebhookEvent.objects.values_list("pk", flat=True))
        return found

    return ask


@pytest.fixture(name="post")
def post_fixture(client, account):
    """A post with two targets that are not out yet, and a way to change them."""
    other = SocialAccountFactory(platform="bluesky", organization=account.organization, mode=account.mode)
    body = client.post(POSTS, {"targets": [{"account_id": str(each.pk)} for each in (account, other)]}).json()
    ids = [target["id"] for target in body["targets"]]

    def change(number, **given):
        answer = client.patch(f"{POSTS}/{body['id']}/targets/{ids[number]}", given)
        assert answer.status_code == 200, answer.content
        return client.get(f"{POSTS}/{body['id']}").json()

    return change


BLUESKY_ID = "at://did:plc:abcdefghijklmnopqrstuvwx/app.bsky.feed.post/3abcdefghij2k"


def test_a_post_tells_once_that_it_is_published_with_itself(client, account, told):
    body = client.post(POSTS, {"targets": [{"account_id": str(account.pk)}]}).json()
    assert told() == []
    url = f"{POSTS}/{body['id']}/targets/{body['targets'][0]['id']}"
    client.patch(url, {"platform_post_id": "123"})
    [(kind, data)] = told()
    assert kind == "post.published"
    assert data == client.get(f"{POSTS}/{body['id']}").json()
    assert data["status"] == "published"
    client.patch(url, {"platform_post_url": "https://x.com/a"})
    client.patch(f"{POSTS}/{body['id']}", {"content": "again"})
    assert told() == []


def test_a_post_that_is_registered_as_published_tells_so_once(client, account, told):
    given = {"external_ref": "a", "targets": [{"account_id": str(account.pk), "platform_post_id": "5"}]}
    for _ in range(2):
        client.post(POSTS, given)
    assert [kind for kind, _ in told()] == ["post.published"]


def test_a_post_of_which_not_all_is_out_is_an_error_with_a_reason(post, told):
    shown = post(0, platform_post_id="123")
    [(kind, data)] = told()
    assert (kind, data.pop("reason")) == ("post.error", "1 of 2 targets is published, 1 pending")
    assert data == shown
    post(1, status="failed")
    assert told() == [], "it was partial before"
    post(1, platform_post_id=BLUESKY_ID, status="published")
    assert [kind for kind, _ in told()] == ["post.published"]


def test_a_post_that_failed_everywhere_is_an_error(post, told):
    post(0, status="failed")
    assert told() == []
    post(1, status="failed")
    [(kind, data)] = told()
    assert (kind, data["status"]) == ("post.error", "failed")
    assert data["reason"] == "0 of 2 targets are published, 2 failed"


def test_canceled_targets_do_not_count(post, told):
    post(0, status="canceled")
    post(1, platform_post_id=BLUESKY_ID)
    assert [kind for kind, _ in told()] == ["post.published"]


def test_a_change_that_is_refused_tells_nothing(client, account, post, told):
    client.post(POSTS, {"targets": [{"account_id": str(account.pk), "platform_post_id": "123"}]})
    told()
    with pytest.raises(AssertionError, match="already a target"):
        post(0, platform_post_id="123")
    assert told() == []

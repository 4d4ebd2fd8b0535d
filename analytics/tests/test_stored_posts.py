"""Stored posts through the API: changed, deleted, found again, listed."""

import uuid
from datetime import UTC, datetime, timedelta

import pytest

from accounts.tests.factories import OrganizationFactory, SocialAccountFactory
from analytics.models import Target
from analytics.tests.factories import PostAnalyticsFactory, PostFactory, TargetFactory
from analytics.tests.posts import POSTS, account_fixture, client_fixture, problem  # noqa: F401

pytestmark = pytest.mark.django_db


def test_patching_changes_what_is_given(client, account):
    made = client.post(POSTS, {"content": "a", "targets": [{"account_id": str(account.pk)}]}).json()
    url = f"{POSTS}/{made['id']}"
    answer = client.patch(url, {"content": "b", "scheduled_at": "2027-01-01", "external_ref": "r"})
    assert answer.status_code == 200
    expected = {"content": "b", "scheduled_at": "2027-01-01T00:00:00.000Z", "external_ref": "r", "status": "scheduled"}
    assert answer.json() == {**made, **expected, "updated_at": answer.json()["updated_at"]}
    assert client.patch(url, {"is_draft": True}).json()["status"] == "draft"
    assert client.patch(url, {"external_ref": None}).json()["external_ref"] is None


def test_patching_to_anothers_reference_conflicts_and_unknown_fields_are_named(client, account):
    target = {"targets": [{"account_id": str(account.pk)}]}
    client.post(POSTS, {"external_ref": "a", **target})
    url = f"{POSTS}/{client.post(POSTS, target).json()['id']}"
    problem(client.patch(url, {"external_ref": "a"}), 409, "conflict")
    answer = client.patch(url, {"targets": [], "published_at": "2026-01-01"})
    fields = {error["field"] for error in problem(answer, 400, "validation_failed")["errors"]}
    assert fields == {"targets", "published_at"}


def test_a_target_learns_its_platform_post_id_and_is_collected_from_then_on(client, account):
    made = client.post(POSTS, {"targets": [{"account_id": str(account.pk)}]}).json()
    url = f"{POSTS}/{made['id']}/targets/{made['targets'][0]['id']}"
    answer = client.patch(url, {"platform_post_id": "https://x.com/i/status/77", "published_at": 1780000000})
    assert answer.status_code == 200, answer.content
    assert answer.json()["platform_post_id"] == "77"
    assert answer.json()["status"] == "published"
    assert client.get(f"{POSTS}/{made['id']}").json()["status"] == "published"
    assert Target.objects.get().next_collect_at is not None
    assert client.patch(url, {"status": "canceled"}).json()["status"] == "canceled"
    assert client.get(f"{POSTS}/{made['id']}").json()["status"] == "canceled"
    assert Target.objects.get().next_collect_at is None


def test_a_published_target_needs_an_id_and_an_id_is_taken_once(client, account):
    target = {"targets": [{"account_id": str(account.pk)}]}
    first = client.post(POSTS, {"targets": [{"account_id": str(account.pk), "platform_post_id": "1"}]}).json()
    made = client.post(POSTS, target).json()
    url = f"{POSTS}/{made['id']}/targets/{made['targets'][0]['id']}"
    answer = client.patch(url, {"status": "published"})
    assert problem(answer, 400, "validation_failed")["errors"][0]["field"] == "platform_post_id"
    assert first["id"] in problem(client.patch(url, {"platform_post_id": "1"}), 409, "conflict")["detail"]
    assert "expected" in problem(client.patch(url, {"platform_post_id": "?"}), 400, "validation_failed")["detail"]
    problem(client.patch(url, {"status": "sent"}), 400, "validation_failed")
    published = f"{POSTS}/{first['id']}/targets/{first['targets'][0]['id']}"
    problem(client.patch(published, {"platform_post_id": None}), 400, "validation_failed")


def test_a_new_platform_post_id_forgets_what_was_known_of_the_old_one(client, account):
    target = TargetFactory(account=account, post__organization=account.organization, missing_count=2, failures=3)
    Target.objects.update(gone_at=target.created_at, next_collect_at=None, claim=uuid.uuid4(), last_error_code="x")
    client.patch(f"{POSTS}/{target.post_id}/targets/{target.pk}", {"platform_post_id": "5"})
    target.refresh_from_db()
    assert (target.gone_at, target.claim, target.missing_count, target.failures) == (None, None, 0, 0)
    assert target.next_collect_at is not None


def test_a_deleted_post_is_gone_from_every_read_and_keeps_its_snapshots(client, account):
    target = TargetFactory(account=account, post__organization=account.organization)
    PostAnalyticsFactory(target=target)
    url = f"{POSTS}/{target.post_id}"
    assert client.delete(url).status_code == 204
    assert client.get(POSTS).json()["data"] == []
    for answer in (
        client.get(url),
        client.delete(url),
        client.patch(url, {"content": "x"}),
        client.patch(f"{url}/targets/{target.pk}", {"status": "failed"}),
        client.get(f"{url}/analytics"),
        client.get(f"{url}/analytics/history"),
    ):
        problem(answer, 404, "not_found")
    target.refresh_from_db()
    assert target.next_collect_at is None
    assert target.snapshots.count() == 1


@pytest.mark.parametrize("mode", ["test", "live"])
def test_anothers_post_is_not_found(client_for, account, mode):
    target = TargetFactory(account=account, post__organization=account.organization)
    owner = OrganizationFactory() if mode == "test" else account.organization
    client = client_for(owner, mode=mode)
    url = f"{POSTS}/{target.post_id}"
    for answer in (
        client.get(url),
        client.delete(url),
        client.patch(url, {"content": "x"}),
        client.patch(f"{url}/targets/{target.pk}", {"status": "failed"}),
        client.get(f"{url}/analytics?max_age=60"),
        client.get(f"{url}/analytics/history"),
    ):
        problem(answer, 404, "not_found")
    assert client.get(POSTS).json()["data"] == []
    assert client.get(POSTS, {"account_id": str(account.pk)}).json()["data"] == []


def test_a_target_of_another_post_and_malformed_ids_are_not_found(client, account):
    mine = TargetFactory(account=account, post__organization=account.organization)
    other = PostFactory(organization=account.organization)
    problem(client.patch(f"{POSTS}/{other.pk}/targets/{mine.pk}", {"status": "failed"}), 404, "not_found")
    problem(client.patch(f"{POSTS}/{mine.post_id}/targets/7", {"status": "failed"}), 404, "not_found")
    problem(client.get(f"{POSTS}/7"), 404, "not_found")


def test_posts_are_filtered(client, account):
    organization = account.organization
    bluesky = SocialAccountFactory(platform="bluesky", organization=organization)
    old = PostFactory(organization=organization, created_at=datetime(2026, 1, 1, tzinfo=UTC), external_ref=" a b ")
    new = PostFactory(organization=organization, created_at=datetime(2026, 2, 1, tzinfo=UTC), status="failed")
    TargetFactory(post=old, account=account)
    TargetFactory(post=new, account=bluesky)

    def ids(**given):
        answer = client.get(POSTS, given)
        assert answer.status_code == 200, answer.content
        return [each["id"] for each in answer.json()["data"]]

    assert ids() == [str(new.pk), str(old.pk)]
    assert ids(status="failed") == ids(platform="bluesky") == ids(account_id=str(bluesky.pk)) == [str(new.pk)]
    assert ids(external_ref=" a b ") == [str(old.pk)]
    assert ids(since="2026-02-01T01:00:00+01:00") == ids(since="1769904000") == [str(new.pk)]
    assert ids(until="2026-02-01") == [str(old.pk)]
    assert ids(until="2026-02-01T01:00:00 01:00") == [str(old.pk)]
    assert ids(since="2026-01-01", until="2026-01-01") == []
    assert ids(colour="red") == [str(new.pk), str(old.pk)]
    assert ids(status="failed", platform="x") == []


@pytest.mark.parametrize(
    "given",
    [{"status": "lost"}, {"platform": "myspace"}, {"since": "soon"}, {"until": "1969-12-31"},
     {"account_id": "1"}, {"account_id": "{0b1c2d3e-4f50-4617-8293-a4b5c6d7e8f9}"},
     {"limit": "0"}, {"limit": "101"}, {"limit": "ten"}],
)  # fmt: skip
def test_a_wrong_filter_is_named(client, given):
    [error] = problem(client.get(POSTS, given), 400, "validation_failed")["errors"]
    assert error["field"] == next(iter(given))


def test_posts_are_listed_in_pages_newest_first(client, account):
    at = datetime(2026, 1, 1, tzinfo=UTC)
    made = [
        PostFactory(organization=account.organization, created_at=at + timedelta(days=n // 2)) for n in range(7)
    ]  # fmt: skip
    expected = [str(post.pk) for post in sorted(made, key=lambda post: (post.created_at, post.pk), reverse=True)]
    seen, cursor = [], None
    while True:
        page = client.get(POSTS, {"limit": 3, **({"cursor": cursor} if cursor else {})}).json()
        assert set(page) == {"data", "next_cursor"}
        seen += [each["id"] for each in page["data"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert seen == expected
    problem(client.get(POSTS, {"cursor": "x" + "y" * 20}), 400, "invalid_cursor")


def test_listing_takes_the_same_queries_for_any_number_of_posts(client, account, django_assert_num_queries):
    client.get(POSTS)
    for number in (1, 9):
        for _ in range(number):
            TargetFactory(account=account, post__organization=account.organization)
        with django_assert_num_queries(3):  # the key, posts, targets
            client.get(POSTS, {"limit": 100})

"""Posts given to the API: what is kept, recognized, refused."""

import json
import threading
import uuid
from datetime import UTC, datetime

import pytest
from django.db import connection

from accounts.services import connections
from accounts.tests.factories import OrganizationFactory, SocialAccountFactory
from analytics.models import Post, Target
from analytics.services import posts
from analytics.services.collect import collect_now
from analytics.services.posts import rolled_up
from analytics.tests.posts import POSTS, account_fixture, client_fixture, problem  # noqa: F401

pytestmark = pytest.mark.django_db


def test_a_post_with_a_platform_post_id_is_published_and_due_at_once(client, account):
    answer = client.post(
        POSTS,
        {
            "content": "Hello",
            "external_ref": "cms-1",
            "published_at": "2026-06-10T20:00:00+02:00",
            "targets": [
                {"account_id": str(account.pk), "platform_post_id": "123", "platform_post_url": "https://x.com/a"}
            ],
        },
    )
    assert answer.status_code == 201, answer.content
    body = answer.json()
    assert list(body) == [
        "id", "content", "external_ref", "status", "is_draft", "scheduled_at", "published_at", "targets",
        "created_at", "updated_at",
    ]  # fmt: skip
    assert body["status"] == "published"
    assert body["published_at"] == "2026-06-10T18:00:00.000Z"
    [target] = body["targets"]
    assert target == {
        "id": target["id"],
        "account_id": str(account.pk),
        "platform": "x",
        "status": "published",
        "platform_post_id": "123",
        "platform_post_url": "https://x.com/a",
        "published_at": "2026-06-10T18:00:00.000Z",
    }
    assert client.get(f"{POSTS}/{body['id']}").json() == body
    assert Target.objects.get().next_collect_at is not None


def test_a_post_without_platform_post_ids_is_not_collected(client, account):
    body = client.post(POSTS, {"targets": [{"account_id": str(account.pk)}]}).json()
    assert (body["status"], body["targets"][0]["status"]) == ("queued", "pending")
    assert body["targets"][0]["platform_post_id"] is None
    assert Target.objects.get().next_collect_at is None


def test_a_post_on_a_platform_without_post_metrics_is_never_due(client, account):
    shop = SocialAccountFactory(
        platform="google_business", network_unique_id="123", organization=account.organization, mode=account.mode
    )
    post_id = "accounts/1/locations/123/localPosts/5"
    body = client.post(POSTS, {"targets": [{"account_id": str(shop.pk), "platform_post_id": post_id}]}).json()
    assert (body["status"], Target.objects.get().next_collect_at) == ("published", None)
    address = f"{POSTS}/{body['id']}/targets/{body['targets'][0]['id']}"
    assert client.patch(address, {"status": "failed"}).status_code == 200
    assert client.patch(address, {"status": "published"}).json()["status"] == "published"
    assert Target.objects.get().next_collect_at is None
    assert collect_now(targets=Target.objects.all()) == 0


def test_a_repeated_external_ref_answers_the_first_post_whatever_else_the_body_says(client, account):
    first = client.post(POSTS, {"external_ref": "a", "targets": [{"account_id": str(account.pk)}]})
    again = client.post(POSTS, {"external_ref": "a", "nonsense": 1, "targets": "none"})
    assert (first.status_code, again.status_code) == (201, 200)
    assert again.json() == first.json()


def test_a_name_that_came_with_a_known_one_finds_the_same_post(client, account):
    def create(**given):
        key = {"headers": {"Idempotency-Key": given.pop("key")}} if "key" in given else {}
        return client.post(POSTS, {**given, "targets": [{"account_id": str(account.pk)}]}, **key)

    first = create(external_ref="a").json()
    assert create(external_ref="a", key="one").json()["id"] == first["id"]
    assert create(key="one").json()["id"] == first["id"]
    second = create(key="two").json()
    assert create(key="two", external_ref="b").json()["id"] == second["id"]
    assert create(external_ref="b").json() == {
        **second,
        "external_ref": "b",
        "updated_at": create(key="two").json()["updated_at"],
    }
    assert create(external_ref="a", key="two").status_code == 409
    assert Post.objects.count() == 2


def test_a_number_as_external_ref_is_kept_as_text_and_found_again(client, account):
    body = {"external_ref": 5, "targets": [{"account_id": str(account.pk)}]}
    first, again = client.post(POSTS, body), client.post(POSTS, body)
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json()["external_ref"] == "5"


def test_a_repeated_idempotency_key_answers_the_first_post(client, account):
    body = {"content": "one", "targets": [{"account_id": str(account.pk)}]}
    first = client.post(POSTS, body, headers={"Idempotency-Key": "k 1"})
    again = client.post(POSTS, {**body, "content": "two"}, headers={"Idempotency-Key": "k 1"})
    assert (first.status_code, again.status_code) == (201, 200)
    assert again.json() == first.json()


def test_a_reference_and_a_key_that_name_different_posts_conflict(client, account):
    target = [{"account_id": str(account.pk)}]
    client.post(POSTS, {"external_ref": "a", "targets": target})
    client.post(POSTS, {"targets": target}, headers={"Idempotency-Key": "k"})
    answer = client.post(POSTS, {"external_ref": "a", "targets": target}, headers={"Idempotency-Key": "k"})
    problem(answer, 409, "conflict")


@pytest.mark.parametrize("key", ["", "x" * 256, "caf\xe9", "a\tb"])
def test_a_malformed_idempotency_key_is_named(client, account, key):
    answer = client.post(POSTS, {"targets": [{"account_id": str(account.pk)}]}, HTTP_IDEMPOTENCY_KEY=key)
    assert problem(answer, 400, "validation_failed")["errors"][0]["field"] == "Idempotency-Key"


def test_references_and_keys_of_others_do_not_count(client, client_for, account):
    target = {"targets": [{"account_id": str(account.pk)}]}
    client.post(POSTS, {"external_ref": "a", **target}, headers={"Idempotency-Key": "k"})
    for other in (SocialAccountFactory(), SocialAccountFactory(organization=account.organization, mode="live")):
        answer = client_for(other).post(
            POSTS,
            {"external_ref": "a", "targets": [{"account_id": str(other.pk)}]},
            headers={"Idempotency-Key": "k"},
        )
        assert answer.status_code == 201


def test_a_deleted_posts_reference_is_free_again(client, account):
    body = {"external_ref": "a", "targets": [{"account_id": str(account.pk), "platform_post_id": "9"}]}
    first = client.post(POSTS, body).json()
    assert client.delete(f"{POSTS}/{first['id']}").status_code == 204
    again = client.post(POSTS, body)
    assert again.status_code == 201
    assert again.json()["id"] != first["id"]


@pytest.mark.parametrize("lookup", [1, 2])
def test_a_post_deleted_while_it_is_repeated_is_created_anew(client, account, monkeypatch, lookup):
    body = {"external_ref": "a", "targets": [{"account_id": str(account.pk), "platform_post_id": "9"}]}
    first = client.post(POSTS, body).json()
    lookups, find = [], posts.find_repeated

    def deleted_once_found(identity):
        lookups.append(identity)
        if len(lookups) < lookup:
            return None
        found = find(identity)
        if found is not None:
            posts.delete(found)
        return found

    monkeypatch.setattr(posts, "find_repeated", deleted_once_found)
    again = client.post(POSTS, body)
    assert again.status_code == 201
    assert again.json()["id"] != first["id"]


def test_an_unknown_account_is_named_by_its_index(client, client_for, account):
    elsewhere = SocialAccountFactory()
    other_mode = SocialAccountFactory(organization=account.organization, mode="live")
    gone = SocialAccountFactory(organization=account.organization)
    connections.disconnect(gone)
    for unknown in (uuid.uuid4(), elsewhere.pk, other_mode.pk, gone.pk):
        answer = client.post(POSTS, {"targets": [{"account_id": str(account.pk)}, {"account_id": str(unknown)}]})
        assert problem(answer, 422, "unknown_account")["errors"][0]["field"] == "targets.1.account_id"
    assert not Post.objects.exists()


def test_the_same_platform_post_conflicts_and_names_its_post(client, account):
    body = {"targets": [{"account_id": str(account.pk), "platform_post_id": "123"}]}
    first = client.post(POSTS, body).json()
    url = {"targets": [{"account_id": str(account.pk), "platform_post_id": "https://x.com/me/status/123"}]}
    assert first["id"] in problem(client.post(POSTS, url), 409, "conflict")["detail"]


@pytest.mark.parametrize(
    ("platform", "given", "canonical"),
    [
        ("x", "https://twitter.com/acme/status/1800000000000000001?s=20", "1800000000000000001"),
        ("x", " 0042 ", "42"),
        (
            "bluesky",
            "https://bsky.app/profile/did:plc:abcdefghijklmnopqrstuvwx/post/3kabcdefghij2",
            "at://did:plc:abcdefghijklmnopqrstuvwx/app.bsky.feed.post/3kabcdefghij2",
        ),
    ],
)
def test_post_ids_are_stored_in_the_platforms_canonical_form(client_for, platform, given, canonical):
    account = SocialAccountFactory(platform=platform)
    body = {"targets": [{"account_id": str(account.pk), "platform_post_id": given}]}
    answer = client_for(account).post(POSTS, body)
    assert answer.json()["targets"][0]["platform_post_id"] == canonical


@pytest.mark.parametrize("platform", ["x", "bluesky", "instagram"])
def test_an_id_without_canonical_form_is_refused_with_the_expected_one(client_for, platform):
    account = SocialAccountFactory(platform=platform)
    fine = SocialAccountFactory(platform="x", organization=account.organization)
    targets = [
        {"account_id": str(fine.pk), "platform_post_id": "1"},
        {"account_id": str(account.pk), "platform_post_id": "no id!"},
    ]
    [error] = problem(client_for(account).post(POSTS, {"targets": targets}), 400, "validation_failed")["errors"]
    assert error["field"] == "targets.1.platform_post_id"
    assert "expected" in error["message"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "targets"),
        ({"targets": []}, "targets"),
        ({"targets": [{}]}, "targets.0.account_id"),
        ({"targets": [{"account_id": "x"}]}, "targets.0.account_id"),
        ({"targets": [{"account_id": 5}]}, "targets.0.account_id"),
        ({"targets": [{"account_id": str(uuid.uuid4())} for _ in range(51)]}, "targets"),
        ({"targets": [{"account_id": str(uuid.uuid4()), "mood": "good"}]}, "targets.0.mood"),
        ({"targets": [{"account_id": "ACCOUNT"}, {"account_id": "ACCOUNT"}]}, "targets.1.account_id"),
        ({"targets": [{"account_id": "ACCOUNT", "platform_post_url": "javascript:alert(1)"}]},
         "targets.0.platform_post_url"),
        ({"targets": [{"account_id": "ACCOUNT"}], "scheduled_at": "soon"}, "scheduled_at"),
        ({"targets": [{"account_id": "ACCOUNT"}], "external_ref": ""}, "external_ref"),
        ({"targets": [{"account_id": "ACCOUNT"}], "external_ref": "x" * 256}, "external_ref"),
        ({"targets": [{"account_id": "ACCOUNT"}], "external_ref": "a\x00b"}, "external_ref"),
        ({"targets": [{"account_id": "ACCOUNT"}], "external_ref": ["a"]}, "external_ref"),
        ({"targets": [{"account_id": "ACCOUNT"}], "content": "\ud800"}, "content"),
        ({"targets": [{"account_id": "ACCOUNT"}], "is_draft": "perhaps"}, "is_draft"),
        ({"targets": [{"account_id": "ACCOUNT"}], "status": "published"}, "status"),
    ],
)  # fmt: skip
def test_a_wrong_field_is_named(client, account, body, field):
    targets = body.get("targets", ())
    body = {**body}
    if targets:
        body["targets"] = [
            {**each, "account_id": str(account.pk)} if each.get("account_id") == "ACCOUNT" else each for each in targets
        ]
    answer = client.post(POSTS, json.dumps(body), content_type="application/json")
    assert field in [error["field"] for error in problem(answer, 400, "validation_failed")["errors"]]


def test_fifty_targets_are_taken(client_for):
    organization = OrganizationFactory()
    accounts = SocialAccountFactory.create_batch(50, organization=organization)
    body = {"targets": [{"account_id": str(each.pk), "platform_post_id": "7"} for each in accounts]}
    answer = client_for(organization).post(POSTS, body)
    assert answer.status_code == 201, answer.content
    assert [each["account_id"] for each in answer.json()["targets"]] == [str(each.pk) for each in accounts]


@pytest.mark.parametrize(
    ("targets", "flags", "status"),
    [
        (["published", "published"], {}, "published"),
        (["published", "canceled"], {}, "published"),
        (["published", "failed"], {}, "partial"),
        (["published", "pending"], {"is_draft": True}, "partial"),
        (["publishing", "queued"], {}, "publishing"),
        (["queued", "failed", "pending"], {}, "queued"),
        (["failed", "failed"], {}, "failed"),
        (["failed", "canceled"], {}, "failed"),
        (["canceled", "canceled"], {}, "canceled"),
        (["pending"], {"is_draft": True, "scheduled_at": datetime(2027, 1, 1, tzinfo=UTC)}, "draft"),
        (["pending"], {"scheduled_at": datetime(2027, 1, 1, tzinfo=UTC)}, "scheduled"),
        (["pending", "failed"], {}, "queued"),
        (["pending"], {}, "queued"),
    ],
)
def test_a_posts_status_is_rolled_up_from_its_targets(targets, flags, status):
    assert rolled_up(targets, Post(**flags)) == status


def test_writing_needs_its_scope(client_for, account):
    client = client_for(account, scopes=["accounts:write"])
    body = {"targets": [{"account_id": str(account.pk)}]}
    problem(client.post(POSTS, body), 403, "insufficient_scope")
    assert client.get(POSTS).status_code == 200


@pytest.mark.django_db(transaction=True)
def test_creating_at_the_same_time_with_one_key_makes_one_post(client_for):
    account = SocialAccountFactory()
    client = client_for(account)
    start = threading.Barrier(8)
    answers = []

    def create():
        body = {"content": "x", "targets": [{"account_id": str(account.pk), "platform_post_id": "5"}]}
        start.wait()
        answers.append(client.post(POSTS, body, headers={"Idempotency-Key": "once"}))
        connection.close()

    threads = [threading.Thread(target=create) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answer.status_code for answer in answers) == [200] * 7 + [201]
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert Post.objects.count() == 1

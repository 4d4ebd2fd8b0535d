"""New snapshots are told to who asks for it, at most once a minute, and cost nobody else anything."""

from datetime import timedelta

import pytest
from django.db import connection
from django.db.models import F
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.models import WebhookEndpoint, WebhookEvent, WebhookMark
from accounts.services import redelivery
from accounts.services.endpoints import subscribers
from accounts.tests.factories import SECRET, OrganizationFactory, WebhookEndpointFactory
from accounts.tests.receivers import make_receiver, receiver  # noqa: F401
from accounts.tests.receivers import run as deliver
from analytics.models import PostAnalytics, Target
from analytics.rows import ROW_COLUMNS, post_row
from analytics.services import captured
from analytics.services.snapshots import Captured, store_posts
from analytics.tests.conftest import posts_of, run
from analytics.tests.factories import PostFactory, TargetFactory
from platforms.base import Reading

pytestmark = pytest.mark.django_db
live = pytest.mark.django_db(transaction=True)
MINUTE = timedelta(minutes=1)


@pytest.fixture(autouse=True)
def nobody_is_known():
    subscribers.forget()
    yield
    subscribers.forget()


def listen(organization, events=("analytics.captured",), **more):
    endpoint = WebhookEndpointFactory(organization=organization, events=list(events), **more)
    subscribers.forget()
    return endpoint


def targets(number, organization=None, mode="test"):
    post = PostFactory(organization=organization or OrganizationFactory(), mode=mode)
    return [TargetFactory(post=post, platform="bluesky") for _ in range(number)]


def store(rows, likes=1):
    store_posts([Captured(target, Reading({"likeCount": likes})) for target in rows], captured_at=timezone.now())


def told():
    return [event.data["snapshots"] for event in WebhookEvent.objects.order_by("created_at")]


def a_minute_later():
    WebhookEvent.objects.update(created_at=F("created_at") - MINUTE - timedelta(seconds=1))


def test_new_snapshots_are_told_as_the_api_shows_them():
    rows = targets(2)
    listen(rows[0].post.organization)
    store(rows, likes=7)
    assert captured.tell() == 1
    event = WebhookEvent.objects.get()
    assert (event.type, event.organization, event.mode) == ("analytics.captured", rows[0].post.organization, "test")
    expected = [
        {"post_id": str(rows[0].post_id), **post_row(row)}
        for row in PostAnalytics.objects.order_by("captured_at", "id").values(*ROW_COLUMNS)
    ]
    assert event.data == {"snapshots": expected}
    assert [row["likes"] for row in expected] == [7, 7]
    assert {"target_id", "captured_at", "impressions", "unavailable"} <= set(expected[0])
    assert not WebhookMark.objects.exists()
    assert captured.tell() == 0


@pytest.mark.parametrize(
    "elsewhere",
    [{"events": ("*",)}, {"is_enabled": False}, {"mode": "live"}, {"events": ("post.error",)}, {"stranger": True}],
)
def test_who_did_not_ask_for_it_costs_nothing(elsewhere):
    rows = targets(3)
    organization = OrganizationFactory() if elsewhere.pop("stranger", False) else rows[0].post.organization
    subscribers.includes(organization.pk, "test")
    with CaptureQueriesContext(connection) as without:
        store(rows)
    listen(organization, **elsewhere)
    subscribers.includes(organization.pk, "test")
    with CaptureQueriesContext(connection) as alike:
        store(rows)
    assert len(alike) == len(without)
    assert not WebhookMark.objects.exists()
    assert captured.tell() == 0 and told() == []


def test_who_subscribes_costs_one_statement_for_a_batch():
    rows = targets(100)
    counts = []
    for _ in range(2):
        subscribers.includes(rows[0].post.organization_id, "test")
        with CaptureQueriesContext(connection) as queries:
            store(rows)
        counts.append(len(queries))
        listen(rows[0].post.organization)
    assert counts[1] - counts[0] == 1
    assert len(WebhookMark.objects.get().snapshot_ids) == 100


def test_the_question_who_subscribes_is_asked_at_most_twice_a_minute(django_assert_num_queries):
    organization = OrganizationFactory()
    subscribers.includes(organization.pk, "test")
    with django_assert_num_queries(0):
        for _ in range(50):
            subscribers.includes(organization.pk, "live")


def test_an_endpoint_made_here_is_known_here_at_once(client_for):
    rows = targets(1)
    store(rows)
    client = client_for(rows[0].post.organization)
    made = client.post("/api/v1/webhooks", {"url": "https://8.8.8.8/", "events": ["analytics.captured"]}).json()
    store(rows)
    assert WebhookMark.objects.count() == 1
    client.patch(f"/api/v1/webhooks/{made['id']}", {"is_enabled": False})
    store(rows)
    assert WebhookMark.objects.count() == 1


def test_a_minute_has_one_event_with_all_that_was_captured():
    rows = targets(2)
    listen(rows[0].post.organization)
    store(rows)
    assert captured.tell() == 1
    for likes in (2, 3):
        store(rows, likes)
        assert captured.tell() == 0
    a_minute_later()
    assert captured.tell() == 1
    assert [[row["likes"] for row in event] for event in told()] == [[1, 1], [2, 2, 3, 3]]


def test_organizations_and_modes_are_told_apart():
    ours, theirs = targets(1), targets(2)
    tests = targets(3, organization=ours[0].post.organization, mode="live")
    for rows in (ours, theirs, tests):
        listen(rows[0].post.organization, mode=rows[0].post.mode)
        store(rows)
    assert captured.tell() == 3
    assert sorted(len(event) for event in told()) == [1, 2, 3]


def strangers():
    """Targets of another organization and of the other mode, to be stored along with ours."""
    ours = targets(2)
    organization = ours[0].post.organization
    return ours, [*targets(2), *targets(2, organization=organization, mode="live")]


def test_what_several_organizations_stored_together_is_told_to_each_of_its_own_alone():
    ours, others = strangers()
    for rows in (ours, others[:2], others[2:]):
        listen(rows[0].post.organization, mode=rows[0].post.mode)
    store([row for together in zip(ours, others[:2], others[2:], strict=True) for row in together])
    assert captured.tell() == 3
    for event in WebhookEvent.objects.all():
        own = Target.objects.filter(post__organization=event.organization, post__mode=event.mode)
        assert {row["target_id"] for row in event.data["snapshots"]} == {str(target.pk) for target in own}


def test_who_stores_together_with_a_subscriber_need_not_be_one():
    ours, others = strangers()
    listen(ours[0].post.organization)
    store([*others, *ours])
    assert captured.tell() == 1
    assert [{row["target_id"] for row in event} for event in told()] == [{str(target.pk) for target in ours}]


def test_a_mark_tells_nobody_of_what_others_own():
    ours, others = strangers()
    store([*ours, *others])
    listen(ours[0].post.organization)
    ids = list(PostAnalytics.objects.values_list("pk", flat=True))
    WebhookMark.objects.create(organization=ours[0].post.organization, mode=ours[0].post.mode, snapshot_ids=ids)
    assert captured.tell() == 1
    assert [{row["target_id"] for row in event} for event in told()] == [{str(target.pk) for target in ours}]


def test_an_event_is_bounded_and_the_rest_is_told_in_order(settings, monkeypatch):
    monkeypatch.setattr(captured, "MARKED_TOGETHER", 4)
    settings.WEBHOOK_CAPTURED_ROWS = 9
    rows = targets(10)
    listen(rows[0].post.organization)
    for likes in (1, 2):
        store(rows, likes)
    while captured.tell():
        a_minute_later()
    assert [len(event) for event in told()] == [8, 6, 6]
    flat = [(row["likes"], row["target_id"]) for event in told() for row in event]
    assert len(set(flat)) == 20 and [likes for likes, _ in flat] == [1] * 10 + [2] * 10


def test_what_nobody_waits_for_any_more_is_forgotten():
    rows = targets(1)
    listen(rows[0].post.organization)
    store(rows)
    WebhookEndpoint.objects.update(is_enabled=False)
    assert captured.tell() == 0
    assert not WebhookMark.objects.exists() and told() == []


def test_snapshots_of_a_deleted_post_are_not_told():
    rows = targets(2)
    listen(rows[0].post.organization)
    store(rows)
    type(rows[0]).objects.filter(pk=rows[0].pk).update(deleted_at=timezone.now())
    captured.tell()
    assert [[row["target_id"] for row in event] for event in told()] == [[str(rows[1].pk)]]


def test_what_could_not_be_told_for_a_day_is_forgotten():
    rows = targets(1)
    listen(rows[0].post.organization)
    store(rows)
    store(rows)
    first = WebhookMark.objects.order_by("id").first()
    WebhookMark.objects.filter(pk=first.pk).update(created_at=timezone.now() - timedelta(days=1, minutes=1))
    assert redelivery.forget_old() == 1
    assert WebhookMark.objects.count() == 1


def test_what_is_not_stored_is_not_told():
    rows = targets(2)
    listen(rows[0].post.organization)
    store_posts([Captured(rows[0], None), Captured(rows[1], Reading({"likeCount": 1}))], captured_at=timezone.now())
    assert [len(mark.snapshot_ids) for mark in WebhookMark.objects.all()] == [1]


@live
def test_collecting_tells_a_receiver_that_verifies_it(sandbox, receiver, listed):  # noqa: F811
    account, ids = listed
    listen(account.organization, url=receiver.url)
    posts_of(account, ids)
    assert run().snapshots == len(ids)
    captured.tell()
    deliver()
    [message] = receiver.messages
    body = message.verified(SECRET)
    assert body["type"] == "analytics.captured"
    newest = {str(row.target_id): row.impressions for row in PostAnalytics.objects.all()}
    assert {row["target_id"]: row["impressions"] for row in body["data"]["snapshots"]} == newest
    assert len(newest) == len(ids)


@pytest.fixture
def listed(sandbox):
    account = sandbox.connect("x", posts=120)
    path = f"/accounts/x/{account.network_unique_id}/posts"
    return account, sandbox.control("GET", path)["post_ids"][:120]

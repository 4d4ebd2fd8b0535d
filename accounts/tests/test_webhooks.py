"""The API of webhook endpoints: what is stored, shown, refused and kept apart."""

import base64
import json
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.utils import timezone

from accounts.models import WebhookDelivery, WebhookEndpoint, WebhookEvent
from accounts.services import crypto, endpoints
from accounts.tests.factories import SECRET, OrganizationFactory, WebhookEndpointFactory
from accounts.tests.test_social_account_input import refused

pytestmark = pytest.mark.django_db
URL = "/api/v1/webhooks"
GIVEN = {"url": "https://8.8.8.8/hook?a=b", "events": ["post.published", "post.error"]}
SHOWN = [
    "id",
    "url",
    "events",
    "description",
    "is_enabled",
    "disabled_at",
    "disabled_reason",
    "failing_since",
    "last_delivered_at",
    "previous_secret_expires_at",
    "created_at",
    "updated_at",
]


def secret_of(size: int) -> str:
    return "whsec_" + base64.b64encode(b"k" * size).decode()


def deliver(endpoint: WebhookEndpoint, kind: str = "post.published", **more: Any) -> WebhookDelivery:
    event = WebhookEvent.objects.create(
        organization=endpoint.organization, mode=endpoint.mode, type=kind, data={}, dispatched_at=timezone.now()
    )
    return WebhookDelivery.objects.create(endpoint=endpoint, event=event, **more)


# --- creating ------------------------------------------------------------


def test_an_endpoint_is_created_with_a_secret_that_is_shown_once_and_stored_encrypted(api: Any) -> None:
    response = api.post(URL, {**GIVEN, "description": "orders"})
    body = response.json()
    assert response.status_code == 201
    assert list(body) == [*SHOWN, "signing_secret"]
    assert (body["url"], body["events"], body["description"]) == (GIVEN["url"], GIVEN["events"], "orders")
    assert body["is_enabled"] is True and body["disabled_at"] is None
    secret = body["signing_secret"]
    assert 24 <= len(base64.b64decode(secret.removeprefix("whsec_"), validate=True)) <= 64
    stored = WebhookEndpoint.objects.values().get()
    assert secret.removeprefix("whsec_") not in str(stored)
    assert crypto.decrypt(stored["secret"]) == secret
    for answer in (api.get(f"{URL}/{body['id']}"), api.get(URL)):
        assert answer.status_code == 200
        assert "signing_secret" not in answer.content.decode() and secret not in answer.content.decode()


def test_no_two_endpoints_share_a_secret(api: Any) -> None:
    assert len({api.post(URL, GIVEN).json()["signing_secret"] for _ in range(3)}) == 3


@pytest.mark.parametrize("size", [24, 25, 32, 64])
def test_a_callers_own_secret_is_taken(api: Any, size: int) -> None:
    body = api.post(URL, {**GIVEN, "signing_secret": secret_of(size)}).json()
    assert body["signing_secret"] == secret_of(size)


@pytest.mark.parametrize(
    "secret",
    [
        secret_of(23),
        secret_of(65),
        secret_of(32).removeprefix("whsec_"),
        "whsec_",
        "whsec_" + "é" * 32,
        "whsec_" + "-_" * 24,
        "whsec_" + "a b" * 16,
        "",
        "x" * 101,
        5,
        [],
    ],
)
def test_what_is_no_secret_is_refused(api: Any, secret: Any) -> None:
    refused(api.post(URL, {**GIVEN, "signing_secret": secret}), "signing_secret")
    assert not WebhookEndpoint.objects.exists()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("url", None),
        ("url", ""),
        ("url", 5),
        ("url", ["https://8.8.8.8"]),
        ("url", "not a url"),
        ("url", "https://8.8.8.8/" + "x" * 2000),
        ("url", "https://8.8.8.8?".ljust(2000, "x")),
        ("url", "https://8.8.8.8/\x00"),
        ("url", "https://8.8.8.8/\ud800"),
        ("url", "https://8.8.8.8/ünicode"),
        ("events", None),
        ("events", []),
        ("events", "post.published"),
        ("events", {}),
        ("events", ["*"] * 51),
        ("description", "x" * 256),
        ("description", "\x00"),
        ("is_enabled", "maybe"),
        ("id", "0b1c2d3e-4f50-4617-8293-a4b5c6d7e8f9"),
        ("secret", secret_of(32)),
        ("nonsense", 1),
    ],
)
def test_odd_input_is_a_400_that_names_the_field(api: Any, field: str, value: Any) -> None:
    response = api.post(URL, json.dumps({**GIVEN, field: value}), content_type="application/json")
    refused(response, field)
    assert not WebhookEndpoint.objects.exists()


@pytest.mark.parametrize("event", ["post.deleted", "webhook.test", "post.*", 5, None, []])
def test_an_unknown_event_is_refused(api: Any, event: Any) -> None:
    response = api.post(URL, {**GIVEN, "events": ["post.published", event]})
    refused(response, "events.1")


def test_an_event_named_twice_is_subscribed_once(api: Any) -> None:
    body = api.post(URL, {**GIVEN, "events": ["*", "post.error", "*"]}).json()
    assert body["events"] == ["*", "post.error"]


def test_what_is_missing_is_named(api: Any) -> None:
    body = api.post(URL, {}).json()
    assert {error["field"] for error in body["errors"]} == {"url", "events"}


# --- changing ------------------------------------------------------------


def test_an_endpoint_is_changed_in_what_is_given(api: Any, organization: Any) -> None:
    endpoint = WebhookEndpointFactory(organization=organization, description="old")
    url = f"{URL}/{endpoint.pk}"
    body = api.patch(url, {"url": "https://8.8.4.4", "events": ["*"]}).json()
    assert (body["url"], body["events"], body["description"]) == ("https://8.8.4.4/", ["*"], "old")
    assert api.patch(url, {"description": None}).json()["description"] is None
    assert api.get(url).json()["url"] == "https://8.8.4.4/"
    for field, value in (("url", "https://127.0.0.1"), ("events", []), ("mode", "live"), ("is_enabled", None)):
        refused(api.patch(url, {field: value}), field)


def test_an_endpoint_is_turned_off_and_on(api: Any, organization: Any) -> None:
    long_ago = timezone.now() - timedelta(days=4)
    endpoint = WebhookEndpointFactory(organization=organization, failing_since=long_ago)
    url = f"{URL}/{endpoint.pk}"
    off = api.patch(url, {"is_enabled": False}).json()
    assert (off["is_enabled"], off["disabled_reason"]) == (False, "owner")
    again = api.patch(url, {"is_enabled": False}).json()
    assert again["disabled_at"] == off["disabled_at"] is not None
    on = api.patch(url, {"is_enabled": True}).json()
    assert (on["is_enabled"], on["disabled_reason"], on["disabled_at"], on["failing_since"]) == (True, None, None, None)


def test_a_rotated_secret_is_valid_along_with_the_old_one_for_a_day(api: Any, organization: Any) -> None:
    endpoint = WebhookEndpointFactory(organization=organization)
    response = api.post(f"{URL}/{endpoint.pk}/rotate-secret")
    body = response.json()
    assert response.status_code == 200
    assert body["signing_secret"] != SECRET
    endpoint.refresh_from_db()
    assert endpoints.valid_secrets(endpoint) == [body["signing_secret"], SECRET]
    with time_machine.travel(timezone.now() + timedelta(hours=23), tick=False):
        assert len(endpoints.valid_secrets(endpoint)) == 2
    with time_machine.travel(timezone.now() + timedelta(hours=25), tick=False):
        assert endpoints.valid_secrets(endpoint) == [body["signing_secret"]]


@pytest.mark.parametrize("door", ["rotate", "patch"])
def test_a_secret_of_the_callers_own_can_be_rotated_to(api: Any, organization: Any, door: str) -> None:
    endpoint = WebhookEndpointFactory(organization=organization)
    url = f"{URL}/{endpoint.pk}"
    given = {"signing_secret": secret_of(40)}
    response = api.post(f"{url}/rotate-secret", given) if door == "rotate" else api.patch(url, given)
    assert response.status_code == 200
    endpoint.refresh_from_db()
    assert endpoints.valid_secrets(endpoint) == [secret_of(40), SECRET]
    assert api.post(f"{url}/rotate-secret", {"nonsense": 1}).status_code == 400


def test_the_same_secret_again_ends_none(api: Any, organization: Any) -> None:
    endpoint = WebhookEndpointFactory(organization=organization)
    url, given = f"{URL}/{endpoint.pk}", {"signing_secret": secret_of(40)}
    ends_at = api.patch(url, given).json()["previous_secret_expires_at"]
    assert api.patch(url, given).json()["previous_secret_expires_at"] == ends_at
    assert api.post(f"{url}/rotate-secret", given).json()["signing_secret"] == secret_of(40)
    endpoint.refresh_from_db()
    assert endpoints.valid_secrets(endpoint) == [secret_of(40), SECRET]


def test_each_secret_that_is_replaced_has_a_day_of_its_own() -> None:
    endpoint = WebhookEndpointFactory()
    began = timezone.now()
    secrets = [SECRET]
    for hour in (0, 8, 16):
        with time_machine.travel(began + timedelta(hours=hour), tick=False):
            endpoint, secret = endpoints.rotate_secret(endpoint)
        secrets.insert(0, secret)
    for hour, valid in ((23, 4), (25, 3), (33, 2), (41, 1)):
        with time_machine.travel(began + timedelta(hours=hour), tick=False):
            assert endpoints.valid_secrets(endpoint) == secrets[:valid]


def test_a_secret_that_comes_back_is_valid_once() -> None:
    endpoint, second = endpoints.rotate_secret(WebhookEndpointFactory())
    endpoint, _ = endpoints.rotate_secret(endpoint, SECRET)
    assert endpoints.valid_secrets(endpoint) == [SECRET, second]


def test_so_many_secrets_a_day_are_refused_that_none_is_ended_early(api: Any, organization: Any) -> None:
    endpoint = WebhookEndpointFactory(organization=organization)
    url = f"{URL}/{endpoint.pk}/rotate-secret"
    answers = [api.post(url) for _ in range(endpoints.MOST_PREVIOUS + 1)]
    assert [each.status_code for each in answers[-2:]] == [200, 409]
    endpoint.refresh_from_db()
    assert endpoints.valid_secrets(endpoint)[-1] == SECRET
    with time_machine.travel(timezone.now() + timedelta(hours=25)):
        assert api.post(url).status_code == 200


def test_a_secret_whose_key_is_lost_can_be_replaced(settings: Any) -> None:
    endpoint = WebhookEndpointFactory()
    settings.TOKEN_ENCRYPTION_KEYS = ["MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTI="]
    endpoint, secret = endpoints.rotate_secret(endpoint)
    assert endpoints.valid_secrets(endpoint) == [secret]


def test_a_deleted_endpoint_is_gone_with_its_deliveries(api: Any, organization: Any) -> None:
    endpoint = WebhookEndpointFactory(organization=organization)
    deliver(endpoint)
    url = f"{URL}/{endpoint.pk}"
    assert api.delete(url).status_code == 204
    for response in (api.get(url), api.patch(url, {}), api.delete(url), api.get(f"{url}/deliveries")):
        assert response.status_code == 404
    assert not WebhookDelivery.objects.exists()


# --- listings ------------------------------------------------------------


def test_endpoints_are_listed_the_newest_first_by_pages(api: Any, organization: Any) -> None:
    made = [WebhookEndpointFactory(organization=organization) for _ in range(3)]
    first = api.get(URL, {"limit": 2}).json()
    second = api.get(URL, {"limit": 2, "cursor": first["next_cursor"]}).json()
    listed = [each["id"] for each in first["data"] + second["data"]]
    assert listed == [str(each.pk) for each in reversed(made)]
    assert second["next_cursor"] is None
    assert api.get(URL, {"cursor": first["next_cursor"] + "x"}).json()["code"] == "invalid_cursor"


def test_deliveries_are_listed_and_filtered(api: Any, organization: Any, django_assert_num_queries: Any) -> None:
    endpoint = WebhookEndpointFactory(organization=organization)
    failed = deliver(endpoint, "post.error", status="failed", response_status=500, response_body="no", attempts=10)
    made = [deliver(endpoint, "post.published") for _ in range(3)]
    deliver(WebhookEndpointFactory(organization=organization))
    url = f"{URL}/{endpoint.pk}/deliveries"
    api.get(url)
    with django_assert_num_queries(3):  # the key, the endpoint, deliveries
        body = api.get(url).json()
    assert [each["id"] for each in body["data"]] == [str(each.pk) for each in [*reversed(made), failed]]
    [row] = api.get(url, {"status": "failed"}).json()["data"]
    assert (row["event_type"], row["event_id"], row["response_status"]) == ("post.error", str(failed.event_id), 500)
    assert (row["attempts"], row["response_body"], row["error"]) == (10, "no", None)
    assert len(api.get(url, {"event_type": "post.published"}).json()["data"]) == 3
    assert len(api.get(url, {"event_id": str(made[0].event_id)}).json()["data"]) == 1
    assert api.get(url, {"event_id": made[0].event_id.hex}).status_code == 400
    page = api.get(url, {"limit": 2}).json()
    rest = api.get(url, {"limit": 2, "cursor": page["next_cursor"]}).json()
    assert len(page["data"]) == len(rest["data"]) == 2 and rest["next_cursor"] is None
    for query in ({"status": "lost"}, {"event_id": "x"}, {"limit": 0}):
        refused(api.get(url, query), next(iter(query)))


# --- who may ------------------------------------------------------------


def calls(endpoint: WebhookEndpoint, delivery: WebhookDelivery) -> list[tuple[str, str, Any]]:
    url = f"{URL}/{endpoint.pk}"
    return [
        ("get", url, None),
        ("patch", url, {"description": "theirs"}),
        ("delete", url, None),
        ("post", f"{url}/test", None),
        ("post", f"{url}/rotate-secret", None),
        ("get", f"{url}/deliveries", None),
        ("post", f"{url}/deliveries/{delivery.pk}/redeliver", None),
    ]


@pytest.mark.parametrize("foreign", ["organization", "mode"])
def test_what_is_not_ours_is_not_found_and_stays(client_for: Any, foreign: str) -> None:
    endpoint = WebhookEndpointFactory()
    delivery = deliver(endpoint, status="failed")
    stranger = OrganizationFactory() if foreign == "organization" else endpoint.organization
    client = client_for(stranger, mode="test" if foreign == "organization" else "live")
    before = list(WebhookEndpoint.objects.values()), list(WebhookDelivery.objects.values())
    for method, url, body in calls(endpoint, delivery):
        response = getattr(client, method)(url, body)
        assert (response.status_code, response.json()["code"]) == (404, "not_found"), (method, url)
    assert client.get(URL).json()["data"] == []
    assert (list(WebhookEndpoint.objects.values()), list(WebhookDelivery.objects.values())) == before
    assert WebhookEvent.objects.count() == 1


def test_a_delivery_of_another_endpoint_is_not_found(api: Any, organization: Any) -> None:
    mine, other = WebhookEndpointFactory.create_batch(2, organization=organization)
    delivery = deliver(other, status="failed")
    for pk in (delivery.pk, "not-a-uuid", "0b1c2d3e-4f50-4617-8293-a4b5c6d7e8f9"):
        assert api.post(f"{URL}/{mine.pk}/deliveries/{pk}/redeliver").status_code == 404
    delivery.refresh_from_db()
    assert delivery.status == "failed"


def test_writing_needs_the_scope_and_reading_none(client_for: Any) -> None:
    endpoint = WebhookEndpointFactory()
    delivery = deliver(endpoint, status="failed")
    client = client_for(endpoint.organization, scopes=["posts:write", "accounts:write"])
    for method, url, body in [("post", URL, GIVEN), *calls(endpoint, delivery)]:
        response = getattr(client, method)(url, body)
        if method == "get":
            assert response.status_code == 200
        else:
            assert (response.status_code, response.json()["code"]) == (403, "insufficient_scope"), url
    scoped = client_for(endpoint.organization, scopes=["webhooks:write"])
    assert scoped.patch(f"{URL}/{endpoint.pk}", {"description": "ours"}).status_code == 200


def test_writes_count_in_a_bucket_of_their_own(api: Any, organization: Any, settings: Any) -> None:
    settings.API_RATE_LIMITS = {"all": 100, "posts": 100, "social_accounts": 100, "webhooks": 2}
    endpoint = WebhookEndpointFactory(organization=organization)
    url = f"{URL}/{endpoint.pk}"
    for _ in range(2):
        assert api.patch(url, {}).status_code == 200
    assert api.patch(url, {}).json()["code"] == "rate_limited"
    assert api.get(url).status_code == 200


@pytest.mark.parametrize("door", ["test", "redeliver"])
def test_nothing_is_sent_to_a_disabled_endpoint(api: Any, organization: Any, door: str) -> None:
    endpoint = WebhookEndpointFactory(organization=organization, is_enabled=False)
    delivery = deliver(endpoint, status="failed")
    path = "test" if door == "test" else f"deliveries/{delivery.pk}/redeliver"
    response = api.post(f"{URL}/{endpoint.pk}/{path}")
    assert (response.status_code, response.json()["code"]) == (409, "conflict")
    assert WebhookEvent.objects.count() == 1
    delivery.refresh_from_db()
    assert (delivery.status, delivery.attempts) == ("failed", 0)

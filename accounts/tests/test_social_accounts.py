"""Social accounts through the API: connected, listed, changed, disconnected, and their tokens told to nobody."""

import logging
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from accounts.models import SocialAccount, WebhookEvent
from accounts.services import connections, crypto, flights
from accounts.tests.factories import OrganizationFactory, SocialAccountFactory, make_key
from accounts.tests.social_accounts import BLUESKY, URL, X, url
from platforms.sandbox.tokens import sign_jwt

pytestmark = pytest.mark.django_db
FIELDS = [
    *("id", "platform", "tenant_id", "social_network_id", "network_unique_id", "username", "display_name"),
    *("profile_image_url", "account_type", "status", "scopes", "token_expires_at", "last_synced_at"),
    *("created_at", "updated_at"),
]


def events(*types: str) -> list[str]:
    return list(WebhookEvent.objects.filter(**({"type__in": types} if types else {})).values_list("type", flat=True))


# --- connecting ------------------------------------------------------------------------------------------------------


def test_an_account_is_connected_with_all_that_is_given(api: Any, organization: Any) -> None:
    given = {
        **X,
        "username": "acme",
        "display_name": "Acme",
        "profile_image_url": "https://pbs.example/1.jpg",
        "account_type": "business",
        "tenant_id": "tenant-7",
        "refresh_token": "a-refresh-token-of-x",
        "token_expires_at": "2031-01-02T03:04:05+01:00",
        "scopes": ["tweet.read", "users.read"],
        "extra": {"client_id": "abc"},
    }
    response = api.post(URL, given)
    assert response.status_code == 201
    body = response.json()
    assert list(body) == FIELDS
    shown = {name: given[name] for name in set(given) & set(FIELDS)}
    assert body == body | shown | {"token_expires_at": "2031-01-02T02:04:05.000Z", "status": "active"}
    stored = SocialAccount.objects.get(pk=body["id"])
    assert (stored.organization, stored.mode, stored.extra) == (organization, "test", {"client_id": "abc"})
    assert "token-of-x" not in stored.access_token + stored.refresh_token
    assert crypto.decrypt(stored.access_token) == given["access_token"]
    assert crypto.decrypt(stored.refresh_token) == given["refresh_token"]
    assert events() == ["account.connected"]
    assert api.get(url(stored)).json() == body


def test_what_is_not_given_is_null(api: Any) -> None:
    body = api.post(URL, X).json()
    absent = set(FIELDS) - {"id", "platform", "network_unique_id", "status", "scopes", "created_at", "updated_at"}
    assert {body[name] for name in absent} == {None} and body["scopes"] == []


def test_connecting_again_updates_what_is_given_and_nothing_else(api: Any) -> None:
    first = api.post(URL, {**X, "username": "old", "tenant_id": "t", "refresh_token": "the-refresh-token"}).json()
    response = api.post(URL, {**X, "username": "new", "access_token": "the-second-token"})
    assert response.status_code == 200
    assert response.json() == first | {"username": "new", "updated_at": response.json()["updated_at"]}
    stored = SocialAccount.objects.get()
    assert crypto.decrypt(stored.access_token) == "the-second-token"
    assert crypto.decrypt(stored.refresh_token) == "the-refresh-token"


def test_an_upsert_keeps_what_extra_held(api: Any) -> None:
    api.post(URL, {**BLUESKY, "extra": {"pds_host": "https://pds.example.com"}})
    assert api.post(URL, BLUESKY).status_code == 200
    assert SocialAccount.objects.get().extra == {"pds_host": "https://pds.example.com"}


def test_after_a_deletion_the_same_profile_is_a_new_account(api: Any) -> None:
    first = api.post(URL, X).json()["id"]
    assert api.delete(url(first)).status_code == 204
    again = api.post(URL, X)
    assert again.status_code == 201 and again.json()["id"] != first
    assert [row["id"] for row in api.get(URL).json()["data"]] == [again.json()["id"]]


def test_the_same_profile_belongs_to_each_organization_and_mode_by_itself(client_for: Any) -> None:
    organization, other = OrganizationFactory(), OrganizationFactory()
    for owner, mode in ((organization, "test"), (organization, "live"), (other, "test")):
        assert client_for(owner, mode=mode).post(URL, X).status_code == 201
    assert SocialAccount.objects.count() == 3


def test_the_end_of_a_token_is_read_from_a_json_web_token(api: Any) -> None:
    ends = int(timezone.now().timestamp()) + 7200
    api.post(URL, {**BLUESKY, "access_token": sign_jwt({"exp": ends})})
    assert SocialAccount.objects.get().token_expires_at == datetime.fromtimestamp(ends, UTC)


@pytest.mark.parametrize("ends", [1, 253402300799, -62135596800, 10**30, "x", None, 1e400, [], -(10**15)])
def test_no_end_that_a_token_claims_is_too_odd(api: Any, ends: Any) -> None:
    response = api.post(URL, {**BLUESKY, "access_token": sign_jwt({"exp": ends})})
    assert response.status_code == 201
    assert api.get(url(response.json()["id"])).json() == response.json()


@pytest.mark.django_db(transaction=True)
def test_connecting_the_same_profile_at_the_same_time_makes_one_account(organization: Any, client_for: Any) -> None:
    _, key = make_key(organization)

    def connect(_: int) -> tuple[int, str]:
        try:
            response = client_for(key).post(URL, X)
            return response.status_code, response.json()["id"]
        finally:
            connection.close()

    with ThreadPoolExecutor(5) as pool:
        found = list(pool.map(connect, range(5)))
    assert sorted(status for status, _ in found) == [200] * 4 + [201]
    assert {id_ for _, id_ in found} == {str(SocialAccount.objects.get().pk)}
    assert events() == ["account.connected"]


def test_the_end_of_an_old_token_says_nothing_of_a_new_one(api: Any) -> None:
    api.post(URL, {**X, "token_expires_at": "2031-01-01"})
    assert api.post(URL, {**X, "access_token": "another-token"}).json()["token_expires_at"] is None


# --- reading ---------------------------------------------------------------------------------------------------------


def test_the_listing_is_filtered(api: Any, organization: Any) -> None:
    first = SocialAccountFactory(organization=organization, tenant_id="a")
    second = SocialAccountFactory(organization=organization, tenant_id="b", platform="bluesky", status="disabled")
    SocialAccountFactory(organization=organization, deleted_at=timezone.now())
    SocialAccountFactory()

    def found(**query: Any) -> list[str]:
        response = api.get(URL, query)
        assert response.status_code == 200
        return [row["id"] for row in response.json()["data"]]

    assert found() == [str(second.pk), str(first.pk)]
    assert (
        found(id=first.pk) == found(tenant_id="a") == found(platform="x") == found(status="active") == [str(first.pk)]
    )
    assert found(platform="bluesky", status="disabled") == [str(second.pk)]
    assert found(tenant_id="c") == found(id=uuid.uuid4()) == found(platform="x", status="disabled") == []
    assert found(unknown="ignored") == found()
    assert api.get(f"{URL}?tenant_id=%ED%A0%80&cursor=").json()["data"] == []


def test_pages_follow_each_other_without_gap_or_repetition(api: Any, organization: Any) -> None:
    at = timezone.now()
    made = {str(SocialAccountFactory(organization=organization, created_at=at).pk) for _ in range(7)}
    seen: list[str] = []
    cursor = None
    while cursor is not None or not seen:
        page = api.get(URL, {"limit": 3, **({"cursor": cursor} if cursor else {})}).json()
        seen += [row["id"] for row in page["data"]]
        cursor = page["next_cursor"]
    assert len(seen) == 7 and set(seen) == made
    assert api.get(URL, {"cursor": "tampered"}).json()["code"] == "invalid_cursor"


def test_the_number_of_queries_does_not_grow_with_rows(
    api: Any, organization: Any, django_assert_max_num_queries: Any
) -> None:
    api.get(URL)  # notes the key's use
    for _ in range(2):
        with django_assert_max_num_queries(2) as queries:
            assert api.get(URL).status_code == 200
        assert len(queries) == 2
        SocialAccountFactory.create_batch(30, organization=organization)


@pytest.mark.parametrize("id_", ["nonsense", "0b1c2d3e-4f50-4617-8293-a4b5c6d7e8f9", "1", "%00"])
def test_an_id_that_names_nothing_is_a_404(api: Any, id_: Any) -> None:
    for response in (api.get(url(id_)), api.patch(url(id_), {}), api.delete(url(id_)), api.get(f"{url(id_)}/health")):
        assert (response.status_code, response.json()["code"]) == (404, "not_found")


def test_another_organizations_account_is_a_404_and_stays_as_it_is(api: Any) -> None:
    other = SocialAccountFactory()
    responses = (
        api.get(url(other)),
        api.patch(url(other), {"tenant_id": "mine"}),
        api.delete(url(other)),
        api.get(f"{url(other)}/health"),
    )
    assert {response.status_code for response in responses} == {404}
    other.refresh_from_db()
    assert (other.tenant_id, other.deleted_at) == ("", None)


# --- changing --------------------------------------------------------------------------------------------------------


def test_an_account_is_disabled_and_enabled_again(api: Any, organization: Any) -> None:
    account = SocialAccountFactory(organization=organization)
    for status in ("disabled", "disabled", "active", "active"):
        response = api.patch(url(account), {"status": status})
        assert (response.status_code, response.json()["status"]) == (200, status)


@pytest.mark.parametrize("status", ["token_expired", "revoked"])
@pytest.mark.parametrize("door", ["api", "service"])
def test_an_account_that_was_dead_before_it_was_disabled_is_dead_when_it_is_enabled(
    api: Any, organization: Any, status: str, door: str
) -> None:
    account = SocialAccountFactory(organization=organization, status=status)
    for _ in range(2):
        if door == "api":
            assert api.patch(url(account), {"status": "disabled"}).json()["status"] == "disabled"
        else:
            connections.disable(account)
    response = api.patch(url(account), {"status": "active"})
    assert (response.status_code, response.json()["status"]) == (200, status)
    assert api.patch(url(account), {"status": "active"}).status_code == 409
    assert events() == []
    assert api.patch(url(account), {"access_token": "a-newer-token"}).json()["status"] == "active"
    assert events() == ["account.connected"]


@pytest.mark.parametrize("together", [True, False])
def test_new_tokens_cure_a_dead_account_also_while_it_is_disabled(api: Any, organization: Any, together: bool) -> None:
    account = SocialAccountFactory(organization=organization, status="revoked")
    api.patch(url(account), {"status": "disabled"})
    given = {"access_token": "a-newer-token"}
    if not together:
        assert api.patch(url(account), given).json()["status"] == "disabled"
        given = {}
    assert api.patch(url(account), {"status": "active", **given}).json()["status"] == "active"


@pytest.mark.parametrize("status", ["token_expired", "revoked"])
@pytest.mark.parametrize("more", [{}, {"refresh_token": None}, {"token_expires_at": "2031-01-01"}])
def test_a_dead_account_does_not_become_active_by_asking(
    api: Any, organization: Any, status: str, more: dict[str, Any]
) -> None:
    account = SocialAccountFactory(organization=organization, status=status)
    response = api.patch(url(account), {"status": "active", **more})
    assert (response.status_code, response.json()["code"]) == (409, "conflict")
    assert api.get(url(account)).json()["status"] == status
    if more:
        assert api.patch(url(account), more).json()["status"] == status


@pytest.mark.parametrize("status", ["token_expired", "revoked"])
@pytest.mark.parametrize("given", [{"access_token": "a-newer-token"}, {"refresh_token": "a-newer-refresh-token"}])
@pytest.mark.parametrize("method", ["patch", "post"])
def test_new_tokens_revive_a_dead_account(
    api: Any, organization: Any, status: str, given: dict[str, str], method: str
) -> None:
    account = SocialAccountFactory(organization=organization, status=status, last_error_code="token_expired")
    if method == "patch":
        response = api.patch(url(account), given)
    else:
        identity = {"platform": "x", "network_unique_id": account.network_unique_id}
        response = api.post(URL, {**identity, "access_token": "a-token", **given})
    assert (response.status_code, response.json()["status"]) == (200, "active")
    account.refresh_from_db()
    assert account.last_error_code == ""
    assert events() == ["account.connected"]


def test_of_new_tokens_it_is_not_known_yet_whose_they_are(api: Any, organization: Any) -> None:
    memory = {"own": True, "videos": ["1"]}
    account = SocialAccountFactory(organization=organization, memory=memory)
    for given, remembered in (({"tenant_id": "a"}, memory), ({"access_token": "a-newer-token"}, {"videos": ["1"]})):
        api.patch(url(account), given)
        account.refresh_from_db()
        assert account.memory == remembered


def test_new_tokens_do_not_enable_a_disabled_account(api: Any, organization: Any) -> None:
    account = SocialAccountFactory(organization=organization, status="disabled")
    assert api.patch(url(account), {"access_token": "a-newer-token"}).json()["status"] == "disabled"


def test_a_tenant_is_set_and_taken_away(api: Any, organization: Any) -> None:
    account = SocialAccountFactory(organization=organization)
    assert api.patch(url(account), {"tenant_id": "a"}).json()["tenant_id"] == "a"
    assert api.patch(url(account), {}).json()["tenant_id"] == "a"
    assert api.patch(url(account), {"tenant_id": None}).json()["tenant_id"] is None


# --- disconnecting ---------------------------------------------------------------------------------------------------


def test_a_deleted_account_is_gone_from_every_read_and_its_tokens_are_erased(api: Any, organization: Any) -> None:
    account = SocialAccountFactory(organization=organization)
    response = api.delete(url(account))
    assert (response.status_code, response.content) == (204, b"")
    account.refresh_from_db()
    assert (account.access_token, account.refresh_token) == ("", "")
    assert account.deleted_at is not None
    assert api.get(URL).json()["data"] == []
    for again in (
        api.get(url(account)),
        api.get(f"{url(account)}/health"),
        api.patch(url(account), {"access_token": "back-from-the-dead"}),
        api.delete(url(account)),
    ):
        assert again.status_code == 404
    event = WebhookEvent.objects.get(type="account.disconnected")
    assert (event.organization_id, event.mode, event.data["id"]) == (organization.pk, "test", str(account.pk))


def test_an_account_deleted_while_it_is_probed_is_not_found(
    api: Any, organization: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = SocialAccountFactory(organization=organization)

    def share(groups: Any, *_: Any, **__: Any) -> dict[str, None]:
        connections.disconnect(account)
        return {key: None for keys in groups for key in keys}

    monkeypatch.setattr(flights, "share", share)
    response = api.get(f"{url(account)}/health")
    assert (response.status_code, response.json()["code"]) == (404, "not_found")


# --- secrets ---------------------------------------------------------------------------------------------------------


def test_tokens_are_in_no_answer_event_or_log_line(
    organization: Any, client_for: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    secrets = [f"secret-token-{n}-of-the-account" for n in range(4)]
    _, key = make_key(organization)
    api = client_for(key)
    answers = [api.post(URL, {**X, "access_token": secrets[0], "refresh_token": secrets[1]})]
    account = answers[0].json()["id"]
    answers += [
        api.patch(url(account), {"access_token": secrets[2], "refresh_token": secrets[3]}),
        api.post(URL, {**X, "access_token": f"{secrets[0]} "}),
        api.post(URL, {**X, "access_token": f"{secrets[0]} with blanks"}),
        api.post(URL, {**X, secrets[0]: 1}),
        api.get(URL),
        api.get(url(account)),
        api.delete(url(account)),
    ]
    told = " ".join(str(dict(event)) for event in WebhookEvent.objects.values())
    shown = told + caplog.text + " ".join(answer.content.decode() for answer in answers if answer.status_code != 400)
    assert len(events()) >= 2
    for secret in [*secrets, key[-43:], *SocialAccount.objects.values_list("access_token", flat=True)]:
        assert not secret or secret not in shown


def test_a_client_that_asks_for_the_wrong_method_is_told_so(api: Any) -> None:
    account = api.post(URL, X).json()["id"]
    for response in (api.put(url(account), {}), api.post(url(account), {}), api.delete(URL)):
        assert (response.status_code, response.json()["code"]) == (405, "method_not_allowed")


def test_writing_has_a_bucket_of_its_own(api: Any, settings: Any) -> None:
    settings.API_RATE_LIMITS = {**settings.API_RATE_LIMITS, "social_accounts": 2}
    assert [api.post(URL, X).status_code for _ in range(3)] == [201, 200, 429]
    assert api.get(URL).status_code == 200


def test_an_old_account_created_at_keeps_its_place(api: Any, organization: Any) -> None:
    old = SocialAccountFactory(organization=organization, created_at=timezone.now() - timedelta(days=1))
    new = SocialAccountFactory(organization=organization)
    assert [row["id"] for row in api.get(URL).json()["data"]] == [str(new.pk), str(old.pk)]

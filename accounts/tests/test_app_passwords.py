"""Connecting by handle and app password, and signing in again by a password that was left with us."""

import json
import logging
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.utils import timezone

from accounts.models import SocialAccount, Status, WebhookEvent
from accounts.services import connections, crypto, renewals
from accounts.services.tokens import TokenKeeper
from accounts.tests.factories import SocialAccountFactory
from platforms.errors import PasswordRefused, TokenExpired, Unavailable
from platforms.sandbox.tokens import sign_jwt
from platforms.tests.replay import Answers
from platforms.tests.test_bluesky_identity import ANSWERS, DID, HANDLE, PASSWORD, PDS, document

pytestmark = pytest.mark.django_db
URL = "/api/v1/social-accounts/bluesky/connect"
GIVEN = {"handle": HANDLE, "app_password": PASSWORD}
REFUSED = (401, {"error": "AuthenticationRequired", "message": "Invalid identifier or password"})
CREATE, REFRESH = "com.atproto.server.createSession", "com.atproto.server.refreshSession"
DEAD = (400, {"error": "ExpiredToken", "message": "Token has been revoked"})


def jwt(name: str, days: int) -> str:
    return sign_jwt({"sub": DID, "jti": name, "exp": int((timezone.now() + timedelta(days=days)).timestamp())})


@pytest.fixture
def bluesky(answer: Any) -> Any:
    """What Bluesky answers, by the last part of a path; and who was asked."""
    answers = dict(ANSWERS)
    session = {"did": DID, "handle": HANDLE, "active": True, "accessJwt": jwt("a", 1), "refreshJwt": jwt("r", 90)}
    answers[CREATE] = (200, session)
    transport = answer(Answers(lambda each: answers.get(urlsplit(each.url).path.rpartition("/")[2], (404, {}))))
    transport.answers, transport.session = answers, session
    return transport


def errors(response: Any) -> dict[str, str]:
    assert response.status_code == 400, response.content
    assert not SocialAccount.objects.exists()
    return {each["field"]: each["message"] for each in response.json()["errors"]}


# --- connecting ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("handle", [HANDLE, f"@{HANDLE}", HANDLE.upper(), DID])
def test_an_account_is_connected_by_handle_and_app_password(
    api: Any, bluesky: Any, organization: Any, handle: str
) -> None:
    response = api.post(URL, {**GIVEN, "handle": handle, "tenant_id": "tenant-7"})
    assert response.status_code == 201, response.content
    account = SocialAccount.objects.get(pk=response.json()["id"])
    assert (account.network_unique_id, account.username, account.display_name) == (DID, HANDLE, "Alice")
    assert (account.extra, account.tenant_id, account.organization) == ({"pds_host": PDS}, "tenant-7", organization)
    assert crypto.decrypt(account.access_token) == bluesky.session["accessJwt"]
    assert crypto.decrypt(account.refresh_token) == bluesky.session["refreshJwt"]
    assert account.token_expires_at - timezone.now() == pytest.approx(timedelta(days=1), abs=timedelta(minutes=1))
    assert account.refresh_expires_at - timezone.now() == pytest.approx(timedelta(days=90), abs=timedelta(minutes=1))
    assert account.app_password == ""
    assert PASSWORD not in response.content.decode() + json.dumps(list(WebhookEvent.objects.values("data")))
    assert WebhookEvent.objects.get().type == "account.connected"


def test_a_password_is_kept_only_if_asked_encrypted_and_until_the_account_is_deleted(api: Any, bluesky: Any) -> None:
    assert api.post(URL, {**GIVEN, "keep_password": True}).status_code == 201
    account = SocialAccount.objects.get()
    assert PASSWORD not in account.app_password
    assert crypto.decrypt(account.app_password) == PASSWORD
    assert api.post(URL, {**GIVEN, "keep_password": False}).status_code == 200
    account.refresh_from_db()
    assert account.app_password == ""
    api.post(URL, {**GIVEN, "keep_password": True})
    connections.disconnect(account)
    account.refresh_from_db()
    assert (account.app_password, account.access_token) == ("", "")


@pytest.mark.parametrize("status", ["token_expired", "revoked", "disabled", "active"])
def test_the_same_account_again_is_updated_and_active(api: Any, bluesky: Any, organization: Any, status: str) -> None:
    known = SocialAccountFactory(
        organization=organization, platform="bluesky", network_unique_id=DID, status=status, tenant_id="kept"
    )
    response = api.post(URL, GIVEN)
    assert (response.status_code, response.json()["id"]) == (200, str(known.pk))
    known.refresh_from_db()
    assert (known.status, known.tenant_id) == ("active", "kept")
    assert WebhookEvent.objects.filter(type="account.connected").count() == 1


def test_what_is_not_told_of_a_connected_account_stays(api: Any, bluesky: Any) -> None:
    api.post(URL, GIVEN)
    bluesky.answers["app.bsky.actor.getProfile"] = (503, b"")
    assert api.post(URL, {**GIVEN, "handle": DID}).status_code == 200
    account = SocialAccount.objects.get()
    assert (account.username, account.display_name) == (HANDLE, "Alice")


def test_a_wrong_password_is_named_and_connects_nothing(api: Any, bluesky: Any, caplog: Any) -> None:
    caplog.set_level(logging.DEBUG)
    bluesky.answers[CREATE] = REFUSED
    assert "Invalid identifier or password" in errors(api.post(URL, GIVEN))["app_password"]
    assert PASSWORD not in caplog.text


def test_an_unknown_handle_is_named_and_the_password_sent_to_nobody(api: Any, bluesky: Any) -> None:
    bluesky.answers["com.atproto.identity.resolveHandle"] = (400, {"error": "InvalidRequest", "message": "Unable"})
    assert HANDLE in errors(api.post(URL, GIVEN))["handle"]
    assert not any(each.json for each in bluesky.asked)


@pytest.mark.parametrize(
    "endpoint",
    [
        "http://pds.example.com",
        "https://127.0.0.1",
        "https://localhost",
        "https://2130706433",
        "https://[::ffff:10.0.0.1]",
        "https://169.254.169.254",
        "https://pds.example.com/path",
        "https://user@pds.example.com",
        "ftp://pds.example.com",
        "nonsense",
    ],
)
def test_a_server_that_is_not_a_public_one_is_sent_no_password(api: Any, bluesky: Any, endpoint: str) -> None:
    service = {"id": "#atproto_pds", "type": "AtprotoPersonalDataServer", "serviceEndpoint": endpoint}
    bluesky.answers[DID] = (200, document(service=[service]))
    assert "server must" in errors(api.post(URL, GIVEN))["handle"]
    assert not any(each.json for each in bluesky.asked)


def test_the_connected_address_of_a_server_is_checked_too(api: Any, bluesky: Any) -> None:
    api.post(URL, GIVEN)
    (sent,) = [each for each in bluesky.asked if each.json]
    assert sent.guarded and urlsplit(sent.url).netloc == "pds.example.com"


@pytest.mark.parametrize("where", [DID, CREATE])
@pytest.mark.parametrize("answered", [(503, b""), (200, b"<html>"), (200, {"id": 7})])
def test_a_server_that_gives_no_usable_answer_is_unavailable(api: Any, bluesky: Any, where: str, answered: Any) -> None:
    bluesky.answers[where] = answered
    response = api.post(URL, GIVEN)
    assert (response.status_code, response.json()["code"]) == (503, "unavailable")
    assert not SocialAccount.objects.exists()


def test_a_did_that_is_too_long_to_be_kept_is_no_crash(api: Any, bluesky: Any) -> None:
    long = "did:plc:".ljust(256, "a")
    bluesky.answers["com.atproto.identity.resolveHandle"] = (200, {"did": long})
    bluesky.answers[long] = (200, document(id=long))
    bluesky.answers[CREATE] = (200, {**bluesky.session, "did": long})
    response = api.post(URL, GIVEN)
    assert (response.status_code, response.json()["code"]) == (503, "unavailable")
    assert not SocialAccount.objects.exists()


def test_too_many_sessions_are_told_with_the_time_to_wait(api: Any, bluesky: Any) -> None:
    headers = {"ratelimit-limit": "100", "ratelimit-remaining": "0", "retry-after": "3600"}
    bluesky.answers[CREATE] = (429, {"error": "RateLimitExceeded", "message": "Rate Limit Exceeded"}, headers)
    response = api.post(URL, GIVEN)
    assert response.status_code == 503
    assert 3500 < int(response["Retry-After"]) <= 3600
    bluesky.asked.clear()
    assert api.post(URL, GIVEN).status_code == 503
    assert not any(each.json for each in bluesky.asked)


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ({"handle": ""}, "handle"),
        ({"handle": "jane"}, "handle"),
        ({"handle": "jane@example.com"}, "handle"),
        ({"handle": "127.0.0.1"}, "handle"),
        ({"app_password": ""}, "app_password"),
        ({"app_password": "has blanks"}, "app_password"),
        ({"keep_password": "perhaps"}, "keep_password"),
        ({"password": "x"}, "password"),
    ],
)
def test_what_is_wrong_is_named(api: Any, bluesky: Any, more: dict[str, Any], field: str) -> None:
    assert field in errors(api.post(URL, {**GIVEN, **more}))


def test_only_a_key_that_may_write_accounts_connects(organization: Any, bluesky: Any, client_for: Any) -> None:
    assert client_for(organization, scopes=["posts:write"]).post(URL, GIVEN).status_code == 403
    assert bluesky.asked == []


# --- signing in again ------------------------------------------------------------------------------------------------


def dead(**more: Any) -> SocialAccount:
    """An account whose session has ended."""
    known = {"platform": "bluesky", "network_unique_id": DID, "extra": {"pds_host": PDS}}
    past = timezone.now() - timedelta(minutes=1)
    return SocialAccountFactory(**{**known, "token_expires_at": past, "app_password": crypto.encrypt(PASSWORD), **more})


def test_a_session_that_has_ended_is_begun_again_by_the_password(bluesky: Any) -> None:
    bluesky.answers[REFRESH] = DEAD
    account = dead()
    keeper = TokenKeeper(account)
    assert keeper.fresh().access_token == bluesky.session["accessJwt"]
    account.refresh_from_db()
    assert crypto.decrypt(account.refresh_token) == bluesky.session["refreshJwt"]
    assert crypto.decrypt(account.app_password) == PASSWORD
    assert (account.status, account.refresh_claim, keeper.calls) == ("active", None, 2)
    assert not WebhookEvent.objects.exists()


def test_the_password_is_not_sent_while_the_session_can_be_refreshed(bluesky: Any) -> None:
    bluesky.answers[REFRESH] = (200, bluesky.session)
    TokenKeeper(dead()).fresh()
    assert not any(each.json for each in bluesky.asked)


@pytest.mark.parametrize("answered", [(503, b""), (429, {"error": "RateLimitExceeded"})])
def test_the_password_is_not_sent_while_the_server_is_away(bluesky: Any, answered: Any) -> None:
    bluesky.answers[REFRESH] = answered
    account = dead()
    with pytest.raises(Exception) as caught:
        TokenKeeper(account).fresh()
    assert not isinstance(caught.value, TokenExpired)
    assert not any(each.json for each in bluesky.asked)
    account.refresh_from_db()
    assert account.status == Status.ACTIVE and account.app_password


def test_a_password_that_is_refused_is_forgotten_and_the_account_flips_once(bluesky: Any) -> None:
    bluesky.answers[REFRESH], bluesky.answers[CREATE] = DEAD, REFUSED
    account = dead()
    with pytest.raises(PasswordRefused):
        TokenKeeper(account).fresh()
    account.refresh_from_db()
    assert (account.status, account.app_password) == ("token_expired", "")
    assert WebhookEvent.objects.get().type == "account.token_expired"
    with pytest.raises(TokenExpired):
        TokenKeeper(account).fresh()
    assert len([each for each in bluesky.asked if each.json]) == 1


def test_a_server_that_is_away_when_signing_in_changes_nothing(bluesky: Any) -> None:
    bluesky.answers[REFRESH], bluesky.answers[CREATE] = DEAD, (503, b"")
    account = dead()
    with pytest.raises(Unavailable):
        TokenKeeper(account).fresh()
    account.refresh_from_db()
    assert (account.status, crypto.decrypt(account.app_password)) == ("active", PASSWORD)
    assert account.refresh_claim is None


def test_the_background_signs_in_where_the_refresh_token_has_ended(bluesky: Any) -> None:
    bluesky.answers[REFRESH] = DEAD
    ended = timezone.now() - timedelta(days=1)
    account = dead(refresh_expires_at=ended)
    without = SocialAccountFactory(platform="bluesky", token_expires_at=ended, refresh_expires_at=ended)
    assert renewals.refresh_due() == 1
    account.refresh_from_db()
    without.refresh_from_db()
    assert crypto.decrypt(account.access_token) == bluesky.session["accessJwt"]
    assert without.last_error_code == ""


def test_a_takedown_is_no_reason_to_send_the_password(bluesky: Any) -> None:
    bluesky.answers[REFRESH] = (401, {"error": "AccountTakedown", "message": "Account has been taken down"})
    account = dead()
    with pytest.raises(Exception, match="taken down"):
        TokenKeeper(account).fresh()
    assert not any(each.json for each in bluesky.asked)

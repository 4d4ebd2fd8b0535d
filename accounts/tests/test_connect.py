"""Connecting by consent through the API: the dialog's address, the callback, the pending session, and what fails."""

import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest
from cryptography.fernet import Fernet
from django.db import connection
from django.utils import timezone
from rest_framework.test import APIClient

from accounts.models import ConnectSession, SocialAccount, WebhookEvent
from accounts.services import access, consent, crypto, pending
from accounts.tests.consents import BACK, CALLBACK, HTML, Walk, good, network, query_of
from accounts.tests.factories import ConnectSessionFactory, SocialAccountFactory
from platforms.tests.replay import APP, Answers, Replay, on_file
from platforms.tests.test_consent import ADDRESSES, OAUTH

pytestmark = pytest.mark.django_db
SECRETS = ("access-1", "refresh-1", "page-1", "verifier-on-file", "code-on-file", APP.client_secret)


def failed(answer: Any) -> dict[str, str]:
    """What a callback that led nowhere tells the caller."""
    assert answer.status_code == 302, answer.content
    assert answer["Location"].startswith("https://customer.example/done?tenant=7&")
    told = query_of(answer["Location"])
    assert "pending" not in told and told["error_description"]
    assert not SocialAccount.objects.exists() and not WebhookEvent.objects.exists()
    assert not any(secret in answer["Location"] for secret in SECRETS)
    return told


def problem(answer: Any, status: int = 400) -> str:
    assert answer.status_code == status, answer.content
    assert answer["Content-Type"] == "application/problem+json"
    body = answer.json()
    assert body["detail"] and not SocialAccount.objects.exists()
    return str(body["error"])


def told(kind: str = "account.connected") -> int:
    return WebhookEvent.objects.filter(type=kind).count()


# --- the whole way ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", OAUTH)
def test_every_account_that_a_consent_reaches_is_offered_and_connected(walk: Walk, organization: Any, key: str) -> None:
    app, expect = network(organization, key), good(key).expect
    url = walk.begin(key, redirect_url=BACK, tenant_id="tenant-7")["auth_url"]
    assert url.partition("?")[0] == ADDRESSES[key]
    transport = walk.answer(Replay(good(key).turns))
    answer = walk.back(query_of(url)["state"])
    assert transport.unasked == []
    assert answer["Referrer-Policy"] == "no-referrer"
    back = query_of(answer["Location"])
    assert back["tenant"] == "7"
    offered = walk.offered(back["pending"])
    ids = [each["network_unique_id"] for each in expect["accounts"]]
    assert [each["id"] for each in offered["data"]] == ids
    assert not SocialAccount.objects.exists()
    assert not any(secret in str(offered) for secret in SECRETS)

    account_ids = walk.finalize(back["pending"], *reversed(ids))["account_ids"]
    made = [SocialAccount.objects.get(pk=account_id) for account_id in account_ids]
    assert [account.network_unique_id for account in made] == list(reversed(ids))
    for account, expected in zip(reversed(made), expect["accounts"], strict=True):
        own = expected.get("access_token", "")
        assert crypto.decrypt(account.access_token) == (own or expect["tokens"]["access_token"])
        assert crypto.decrypt(account.refresh_token) == ("" if own else expect["tokens"]["refresh_token"])
        assert (account.token_expires_at is None) == bool(own)
        assert (account.social_network, account.tenant_id, account.status) == (app, "tenant-7", "active")
        assert (account.username, account.display_name) == (expected["username"], expected["display_name"])
        assert (account.extra, account.scopes) == (expected.get("extra", {}), expect["scopes"])
        assert access.app_of(account).client_id == APP.client_id
    assert told() == len(made)


def test_lifetimes_are_kept_of_both_tokens(walk: Walk, organization: Any) -> None:
    network(organization, "linkedin")
    token, now = walk.pending("linkedin"), timezone.now()
    walk.finalize(token, "urn:li:person:AbC123xyz")
    account = SocialAccount.objects.get()
    assert account.token_expires_at - now == pytest.approx(timedelta(days=60), abs=timedelta(seconds=30))
    assert account.refresh_expires_at - now == pytest.approx(timedelta(days=365), abs=timedelta(seconds=30))
    assert account.token_obtained_at is not None


def test_nothing_that_is_secret_is_stored_in_the_clear(walk: Walk, organization: Any) -> None:
    network(organization, "x")
    state = walk.state(redirect_url=BACK)
    row = ConnectSession.objects.values().get()
    assert not any(secret in str(row) for secret in SECRETS) and str(row["id"]) not in state
    walk.answer(Replay(good("x").turns))
    token = query_of(walk.back(state)["Location"])["pending"]
    row = ConnectSession.objects.values().get()
    assert not any(secret in str(row) for secret in (*SECRETS, token))
    assert row["verifier"] == "" and row["payload"] != ""


def test_a_test_key_is_sent_to_the_sandbox_and_a_mapped_host_is_obeyed(
    api: Any, organization: Any, client_for: Any, settings: Any
) -> None:
    network(organization, "x")
    network(organization, "x", mode="live")
    settings.SANDBOX_URL = "http://127.0.0.1:8001"
    settings.PLATFORM_HOST_MAP = {"x.com": "https://gateway.example/x"}
    address = "/api/v1/social-networks/x/auth-url"
    url = api.post(address, {}).json()["auth_url"]
    assert url.startswith("http://127.0.0.1:8001/x.com/i/oauth2/authorize?")
    live = client_for(organization, mode="live").post(address, {}).json()["auth_url"]
    assert live.startswith("https://gateway.example/x/i/oauth2/authorize?")


def test_each_consent_has_a_verifier_of_its_own(api: Any, organization: Any) -> None:
    network(organization, "x")
    urls = [api.post("/api/v1/social-networks/x/auth-url", {}).json()["auth_url"] for _ in range(3)]
    assert len({query_of(url)["code_challenge"] for url in urls}) == len({query_of(url)["state"] for url in urls}) == 3


def test_without_a_redirect_url_the_person_goes_on_to_our_page(walk: Walk, organization: Any, settings: Any) -> None:
    settings.PUBLIC_URL = "https://analytics.example.com"
    network(organization, "x")
    walk.answer(Replay(good("x").turns))
    answer = walk.back(walk.state())
    assert answer["Location"].startswith("https://analytics.example.com/connect?pending=")


# --- beginning -------------------------------------------------------------------------------------------------------


def test_a_host_that_is_no_longer_allowed_is_not_gone_to(walk: Walk, organization: Any, settings: Any) -> None:
    network(organization, "x")
    state, denied = walk.state(redirect_url=BACK), walk.state(redirect_url=BACK)
    settings.CONNECT_REDIRECT_HOSTS = []
    walk.answer(Replay(good("x").turns))
    answer = walk.back(state)
    assert urlsplit(answer["Location"]).path == "/connect/failed"
    assert query_of(answer["Location"]) == {"error": "redirect_refused"}
    assert problem(walk.back(denied, error="access_denied")) == "access_denied"


def test_without_an_app_or_with_a_disabled_one_nothing_begins(walk: Walk, organization: Any) -> None:
    assert "POST /social-networks" in walk.begin(status=404)["detail"]
    assert "app password" in walk.begin("bluesky", status=400)["detail"]
    walk.begin("myspace", status=404)
    network(organization, "x", is_enabled=False)
    assert walk.begin(status=409)["code"] == "conflict"


def test_ids_of_others_are_unknown(walk: Walk, organization: Any) -> None:
    network(organization, "x")
    theirs = SocialAccountFactory()
    live = SocialAccountFactory(organization=organization, mode="live")
    elsewhere = SocialAccountFactory(organization=organization, platform="tiktok")
    for account_id in (theirs.pk, live.pk, elsewhere.pk, uuid.uuid4()):
        assert walk.begin(status=422, account_id=str(account_id))["code"] == "unknown_account"
    assert walk.begin(status=400, account_id=theirs.pk.hex)["errors"][0]["field"] == "account_id"
    assert not ConnectSession.objects.exists()


# --- the callback ----------------------------------------------------------------------------------------------------


def test_a_state_is_used_once(walk: Walk, organization: Any) -> None:
    network(organization, "x")
    walk.answer(Replay(good("x").turns))
    state = walk.state(redirect_url=BACK)
    assert "pending" in query_of(walk.back(state)["Location"])
    transport = walk.answer(Replay([]))
    told = failed(walk.back(state))
    assert told["error"] == "state_used" and told["error_description"].endswith("nothing is connected by it yet.")
    assert transport.asked == []


@pytest.mark.django_db(transaction=True)
def test_of_two_who_come_back_at_once_one_is_heard(walk: Walk, organization: Any) -> None:
    network(organization, "x")
    walk.answer(Replay(good("x").turns, lenient=True))
    state = walk.state(redirect_url=BACK)

    def come_back(_: int) -> str:
        try:
            return str(walk.back(state)["Location"])
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        found = [query_of(url) for url in pool.map(come_back, range(4))]
    assert sum("pending" in each for each in found) == 1
    assert [each["error"] for each in found if "error" in each] == ["state_used"] * 3


def test_an_expired_state_is_told_and_asks_nobody(walk: Walk, organization: Any) -> None:
    network(organization, "x")
    state = walk.state(redirect_url=BACK)
    session = ConnectSession.objects.get()
    assert session.expires_at - timezone.now() <= timedelta(minutes=10)
    ConnectSession.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    assert failed(walk.back(state))["error"] == "state_expired"
    pending.forget_old()
    ConnectSession.objects.all().delete()
    assert problem(walk.back(state)) == "state_expired"


def forged() -> list[str]:
    session = ConnectSessionFactory(redirect_url=BACK)
    genuine = consent._state(session.pk)
    return [
        "",
        "x",
        "é" * 300,
        "a" * 5000,
        str(session.pk),
        genuine[:-4],
        genuine[:40] + ("A" if genuine[40] != "A" else "B") + genuine[41:],
        Fernet(Fernet.generate_key()).encrypt(f"connect:{session.pk}".encode()).decode(),
        crypto.encrypt(str(session.pk)),
        crypto.encrypt("connect:not-an-id"),
        crypto.encrypt("an-access-token"),
    ]


def test_a_forged_state_is_no_state(walk: Walk) -> None:
    for state in forged():
        assert problem(walk.back(state)) == "state_invalid"
    assert ConnectSession.objects.get().answered_at is None


def test_a_page_for_people_tells_them_what_failed(walk: Walk) -> None:
    answer = walk.back("forged", headers=HTML)
    assert answer.status_code == 302
    assert query_of(answer["Location"]) == {"error": "state_invalid"}


@pytest.mark.parametrize(
    "answered",
    [
        {"error": "access_denied"},
        {"error": "access_denied", "error_description": "The user denied your request", "error_reason": "user_denied"},
        {"error": "user_cancelled_authorize", "error_description": "The user cancelled"},
    ],
)
def test_a_denied_consent_is_told_and_the_state_is_used(walk: Walk, organization: Any, answered: Any) -> None:
    network(organization, "x")
    state = walk.state(redirect_url=BACK)
    assert failed(walk.back(state, code="", **answered))["error"] == "access_denied"
    assert ConnectSession.objects.get().failure == "access_denied"
    assert failed(walk.back(state))["error"] == "state_used"


def test_another_refusal_is_told_in_the_platforms_words(walk: Walk, organization: Any) -> None:
    network(organization, "x")
    state = walk.state(redirect_url=BACK)
    answer = failed(walk.back(state, error="server_error", error_description="Try again <b>later</b>"))
    assert (answer["error"], answer["error_description"]) == ("consent_failed", "Try again <b>later</b>")
    state = walk.state(redirect_url=BACK)
    assert failed(walk.back(state, code="", error_code="1349048", error_message="Cannot load"))["error"] == (
        "consent_failed"
    )
    state = walk.state(redirect_url=BACK)
    assert failed(APIClient().get(CALLBACK, {"state": state}))["error"] == "consent_failed"


REFUSED = [(key, each) for key in OAUTH for each in on_file(key, "consent") if "error" in each.expect]


@pytest.mark.parametrize(("key", "each"), REFUSED, ids=[f"{key}: {each.note}" for key, each in REFUSED])
def test_what_a_platform_refuses_is_told_and_creates_nothing(
    walk: Walk, organization: Any, key: str, each: Any
) -> None:
    extra = each.account.get("extra", {})
    network(organization, key, extra_config=extra)
    walk.answer(Replay(each.turns, lenient=True))
    codes = {"CodeRefused": "code_refused", "Misconfigured": "app_refused", "AccountNotFound": "account_not_found"}
    assert failed(walk.back(walk.state(key, redirect_url=BACK)))["error"] == codes[each.expect["error"]]


@pytest.mark.parametrize(
    ("answered", "code"),
    [
        ((503, b"<html>"), "platform_unavailable"),
        ((429, {}), "rate_limited"),
        ((200, b"not json"), "platform_error"),
        ((200, {"access_token": ""}), "platform_error"),
    ],
)
def test_a_platform_that_does_not_answer_well_is_told(walk: Walk, organization: Any, answered: Any, code: str) -> None:
    network(organization, "tiktok")
    walk.answer(Answers(lambda _: answered))
    assert failed(walk.back(walk.state("tiktok", redirect_url=BACK)))["error"] == code


def test_a_new_token_that_is_refused_is_no_fault_of_the_persons(walk: Walk, organization: Any) -> None:
    network(organization, "linkedin")
    code, me = good("linkedin").turns[:2]
    refused = replace(me, response={"status": 401, "body": {"code": "EXPIRED_ACCESS_TOKEN", "serviceErrorCode": 65602}})
    walk.answer(Replay([code, refused], lenient=True))
    assert failed(walk.back(walk.state("linkedin", redirect_url=BACK)))["error"] == "platform_unavailable"


def test_the_limits_of_one_persons_grant_are_not_those_of_the_next(walk: Walk, organization: Any) -> None:
    network(organization, "x")
    code, _ = good("x").turns
    told = {"status": 429, "body": {"title": "Too Many Requests"}, "headers": {"x-rate-limit-reset": "4000000000"}}
    walk.answer(Replay([code, replace(good("x").turns[1], response=told)]))
    assert failed(walk.back(walk.state(redirect_url=BACK)))["error"] == "rate_limited"
    walk.answer(Replay(good("x").turns))
    assert "pending" in query_of(walk.back(walk.state(redirect_url=BACK))["Location"])


def test_without_anybody_to_go_back_to_a_problem_says_what_failed(walk: Walk, organization: Any) -> None:
    network(organization, "tiktok")
    walk.answer(Answers(lambda _: (503, b"")))
    assert problem(walk.back(walk.state("tiktok")), 503) == "platform_unavailable"
    assert problem(walk.back(walk.state("tiktok"), error="access_denied")) == "access_denied"


def test_a_head_request_uses_nothing_up(walk: Walk, organization: Any) -> None:
    network(organization, "x")
    state = walk.state(redirect_url=BACK)
    assert APIClient().head(CALLBACK, {"state": state, "code": "c"}).status_code == 405
    assert ConnectSession.objects.get().answered_at is None


def test_a_login_without_accounts_is_told(walk: Walk, organization: Any) -> None:
    network(organization, "youtube")
    nothing = next(each for each in on_file("youtube", "consent") if each.expect.get("accounts") == [])
    walk.answer(Replay(nothing.turns))
    assert failed(walk.back(walk.state("youtube", redirect_url=BACK)))["error"] == "nothing_to_connect"


# --- scopes ----------------------------------------------------------------------------------------------------------


def test_scopes_that_were_left_out_are_told_with_what_they_cost(walk: Walk, organization: Any) -> None:
    network(organization, "tiktok")
    walk.answer(Replay(good("tiktok").turns))
    back = query_of(walk.back(walk.state("tiktok", redirect_url=BACK))["Location"])
    assert back["missing_scopes"] == "user.info.stats"
    offered = walk.offered(back["pending"])
    assert offered["missing_scopes"] == ["user.info.stats"]
    assert [each["scope"] for each in offered["warnings"]] == ["user.info.stats"]
    assert "followers" in offered["warnings"][0]["account_dimensions"]


def test_scopes_without_which_no_account_is_found_are_named(walk: Walk, organization: Any) -> None:
    network(organization, "facebook")
    code, longer, scopes, _, _ = good("facebook").turns
    fewer = scopes.with_body({"data": {"scopes": ["read_insights"], "is_valid": True}})
    pages = good("facebook").turns[3].with_body({"data": []})
    walk.answer(Replay([code, longer, fewer, pages]))
    answer = failed(walk.back(walk.state("facebook", redirect_url=BACK)))
    assert answer["error"] == "scope_missing"
    assert "pages_show_list" in answer["error_description"] and "read_insights" not in answer["error_description"]

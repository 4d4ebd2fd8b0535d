"""The pages on which a person chooses accounts: what they say, what they may not do, and for whom they open."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from accounts.connect_pages import FAILURES
from accounts.models import ConnectSession, SocialAccount, WebhookEvent
from accounts.services import consent
from accounts.tests.consents import HTML, Walk, good, network, query_of
from accounts.tests.factories import SocialAccountFactory
from platforms.tests.replay import Replay

pytestmark = pytest.mark.django_db
FIRST, SECOND = "UCacmeAnalyticsDemo00001", "UCacmeAnalyticsDemo00002"


@pytest.fixture
def browser() -> Client:
    """One that has no cookie, and whose requests are checked as those of browsers are."""
    return Client(enforce_csrf_checks=True)


def hosted(walk: Walk, organization: Any, key: str = "youtube", **more: Any) -> str:
    """The token of a consent that nobody but the person waits for."""
    network(organization, key)
    walk.answer(Replay(good(key).turns))
    return query_of(walk.back(walk.state(key, **more))["Location"])["pending"]


def test_a_person_chooses_and_is_told_what_was_connected(walk: Walk, organization: Any, browser: Client) -> None:
    token = hosted(walk, organization, tenant_id="tenant-7")
    page = browser.get("/connect", {"pending": token})
    assert page.status_code == 200
    assert FIRST in page.content.decode() and SECOND in page.content.decode()
    assert organization.name in page.content.decode()
    done = browser.post("/connect", {"pending": token, "ids": [SECOND]}, follow=True)
    assert done.status_code == 200 and "1 account connected" in done.content.decode()
    account = SocialAccount.objects.get()
    assert (account.network_unique_id, account.tenant_id) == (SECOND, "tenant-7")
    assert WebhookEvent.objects.get().type == "account.connected"


def test_who_comes_back_reloads_or_clicks_twice_is_told_what_was_connected_and_when(
    walk: Walk, organization: Any, browser: Client
) -> None:
    token = hosted(walk, organization)
    first = browser.post("/connect", {"pending": token, "ids": [SECOND, FIRST]})
    assert (first.status_code, first["Location"]) == (303, f"/connect?pending={token}")
    ConnectSession.objects.update(finalized_at=datetime(2026, 11, 26, 7, 30, tzinfo=UTC))
    for page in (
        browser.get(first["Location"]),
        browser.get(first["Location"]),
        browser.post("/connect", {"pending": token, "ids": [FIRST]}, follow=True),
    ):
        text = page.content.decode()
        assert page.status_code == 200 and "2 accounts connected" in text
        assert "2 accounts were connected at 2026-11-26 07:30 UTC" in text and "Nothing" not in text
    assert SocialAccount.objects.count() == WebhookEvent.objects.count() == 2


def test_who_comes_back_to_the_platforms_answer_is_told_what_came_of_it(
    walk: Walk, organization: Any, browser: Client
) -> None:
    network(organization, "youtube")
    walk.answer(Replay(good("youtube").turns))
    state = walk.state("youtube")
    token = query_of(walk.back(state)["Location"])["pending"]

    def back() -> str:
        return browser.get(walk.back(state, headers=HTML)["Location"]).content.decode()

    assert "This consent was answered before" in back() and "Nothing was connected" not in back()
    browser.post("/connect", {"pending": token, "ids": [FIRST]})
    account = SocialAccount.objects.get()
    assert "1 account connected" in back() and "1 account was connected at" in back()
    assert account.display_name and account.display_name not in back()
    for other in ("", "nonsense", state[:-2]):
        page = browser.get("/connect/failed", {"error": "state_used", "state": other}).content.decode()
        assert "connected at" not in page


def test_a_handle_has_one_at_sign(walk: Walk, organization: Any, browser: Client) -> None:
    page = browser.get("/connect", {"pending": hosted(walk, organization)}).content.decode()
    assert "@acme" in page and "@@" not in page


def test_what_is_connected_already_is_marked(walk: Walk, organization: Any, browser: Client) -> None:
    SocialAccountFactory(organization=organization, platform="youtube", network_unique_id=FIRST)
    page = browser.get("/connect", {"pending": hosted(walk, organization)}).content.decode()
    assert page.count("connected already") == 1


def test_what_was_not_allowed_is_told(walk: Walk, organization: Any, browser: Client) -> None:
    page = browser.get("/connect", {"pending": hosted(walk, organization, "tiktok")}).content.decode()
    assert "Without user.info.stats" in page


@pytest.mark.parametrize("ids", [[], ["UCsomebodyElse"], [FIRST, "UCsomebodyElse"]])
def test_a_choice_that_is_none_is_asked_for_again(
    walk: Walk, organization: Any, browser: Client, ids: list[str]
) -> None:
    token = hosted(walk, organization)
    page = browser.post("/connect", {"pending": token, "ids": ids})
    assert page.status_code == 200 and 'role="alert"' in page.content.decode()
    assert not SocialAccount.objects.exists()
    done = browser.post("/connect", {"pending": token, "ids": [FIRST]}, follow=True)
    assert "1 account connected" in done.content.decode()


def test_a_page_asks_nobody_else_runs_no_script_and_is_kept_by_nobody(
    walk: Walk, organization: Any, browser: Client
) -> None:
    token = hosted(walk, organization)
    pages = [browser.get("/connect", {"pending": token}), browser.get("/connect/failed", {"error": "access_denied"})]
    pages.append(browser.post("/connect", {"pending": token, "ids": [FIRST]}, follow=True))
    for page in pages:
        policy, text = page["Content-Security-Policy"], page.content.decode()
        assert policy.startswith("default-src 'none'; style-src 'nonce-") and "script" not in policy
        assert "form-action 'self'" in policy and "frame-ancestors 'none'" in policy
        assert not re.search(r"https?://|<script|\son\w+=|style=", text)
        assert (page["Referrer-Policy"], page["X-Frame-Options"]) == ("no-referrer", "DENY")
        assert "no-store" in page["Cache-Control"] and "noindex" in page["X-Robots-Tag"]
        assert not page.cookies
    assert len({page["Content-Security-Policy"] for page in pages}) == 3


def test_what_platforms_call_accounts_is_only_text(walk: Walk, organization: Any, browser: Client) -> None:
    network(organization, "youtube")
    code, channels = good("youtube").turns
    evil = {"items": [{"id": FIRST, "snippet": {"title": "<img src=x onerror=alert(1)>\x00\ud800"}}]}
    walk.answer(Replay([code, channels.with_body(evil)]))
    token = query_of(walk.back(walk.state("youtube"))["Location"])["pending"]
    page = browser.get("/connect", {"pending": token}).content.decode()
    assert "<img" not in page and "&lt;img src=x" in page
    browser.post("/connect", {"pending": token, "ids": [FIRST]})
    assert SocialAccount.objects.get().display_name.startswith("<img src=x")


@pytest.mark.parametrize("token", ["", "x", "a" * 43, "é", "\x00"])
def test_a_forged_token_opens_no_page(walk: Walk, organization: Any, browser: Client, token: str) -> None:
    hosted(walk, organization)
    assert browser.get("/connect", {"pending": token}).status_code == 404
    assert browser.post("/connect", {"pending": token, "ids": [FIRST]}).status_code == 404
    assert browser.post("/connect").status_code == 404
    assert not SocialAccount.objects.exists()


def test_the_token_of_a_consent_that_a_caller_waits_for_opens_no_page(
    walk: Walk, organization: Any, browser: Client
) -> None:
    network(organization, "youtube")
    token = walk.pending("youtube")
    assert browser.get("/connect", {"pending": token}).status_code == 404
    assert browser.post("/connect", {"pending": token, "ids": [FIRST]}).status_code == 404


def test_an_expired_page_says_so(walk: Walk, organization: Any, browser: Client) -> None:
    token = hosted(walk, organization)
    ConnectSession.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    assert "expired" in browser.get("/connect", {"pending": token}).content.decode()
    assert browser.post("/connect", {"pending": token, "ids": [FIRST]}).status_code == 410
    assert not SocialAccount.objects.exists()


def test_every_failure_has_words_and_none_but_ours(browser: Client) -> None:
    codes = {code for _, code in consent.CODES} | {"access_denied", "state_expired", "state_used", "wrong_account"}
    assert codes | {"state_invalid", "nothing_to_connect", "redirect_refused"} == set(FAILURES)
    for error in (*FAILURES, "platform_error", "consent_failed", "<script>", ""):
        page = browser.get("/connect/failed", {"error": error, "error_description": "call 555-0100"})
        assert page.status_code == 200
        assert "<script>" not in page.content.decode() and "555-0100" not in page.content.decode()
        assert FAILURES.get(error, "Something went wrong").replace("'", "&#x27;") in page.content.decode()


def test_a_page_is_not_written(browser: Client) -> None:
    assert browser.put("/connect").status_code == 405
    assert browser.post("/connect/failed").status_code == 403

"""The whole way in a browser, on every platform with OAuth: dialog, choice, connected accounts that answer."""

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from accounts.models import SocialAccount, WebhookEvent
from accounts.tests.browser.chromium import BROWSER, opened
from accounts.tests.fixtures import Sandbox
from platforms import registry

pytestmark = BROWSER
WAYS: dict[str, dict[str, str]] = {
    **{key: {} for key, platform in registry.PLATFORMS.items() if platform.consent is not None},
    "instagram by its own login": {"login": "instagram"},
}
NETWORKS, ACCOUNTS = "/api/v1/social-networks", "/api/v1/social-accounts"
APP = {"client_id": "app-1", "client_secret": "app-secret"}


@pytest.fixture
def phone(live_server: Any, sandbox: Sandbox, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Page]:
    """A phone that may ask us and the platforms."""
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
    settings.PUBLIC_URL = live_server.url
    with opened(live_server.url, sandbox.url, width=390, height=844) as page:
        yield page


def begin(api: Any, way: str, **more: Any) -> str:
    """The address of the dialog of an app that is entered for it."""
    key = way.partition(" ")[0]
    entered = api.post(NETWORKS, {"platform": key, **APP, "extra_config": WAYS[way]})
    assert entered.status_code in (200, 201), entered.content
    answer = api.post(f"{NETWORKS}/{key}/auth-url", more)
    assert answer.status_code == 200, answer.content
    return str(answer.json()["auth_url"])


@pytest.mark.parametrize("way", WAYS)
def test_accounts_are_connected_by_consent_and_answer(phone: Page, api: Any, way: str) -> None:
    phone.goto(begin(api, way))
    phone.get_by_role("button", name="Allow").click()
    expect(phone.get_by_role("heading", name=re.compile("^Connect accounts on"))).to_be_visible()
    boxes = phone.get_by_role("checkbox").all()
    assert boxes
    for box in boxes:
        box.check()
    phone.get_by_role("button", name="Connect").click()
    expect(phone.get_by_role("status")).to_contain_text(f"{len(boxes)} account")
    assert SocialAccount.objects.count() == len(boxes)
    assert WebhookEvent.objects.filter(type="account.connected").count() == len(boxes)
    for account in SocialAccount.objects.all():
        health = api.get(f"{ACCOUNTS}/{account.pk}/health").json()
        assert (health["healthy"], health["checked_live"]) == (True, True), health
        metrics = api.get(f"{ACCOUNTS}/{account.pk}/metrics").json()
        assert metrics["source"] == "live", metrics


@pytest.mark.parametrize("way", WAYS)
def test_a_person_who_says_no_is_told_that_nothing_was_connected(phone: Page, api: Any, way: str) -> None:
    phone.goto(begin(api, way))
    phone.get_by_role("button", name="Deny").click()
    expect(phone.get_by_role("alert")).to_contain_text("You did not allow access")
    assert not SocialAccount.objects.exists()


def test_a_caller_who_waits_is_handed_the_choice(
    phone: Page, api: Any, live_server: Any, settings: Any, status_of: Callable[[SocialAccount], str]
) -> None:
    settings.CONNECT_REDIRECT_HOSTS = ["localhost"]
    phone.goto(begin(api, "facebook", redirect_url=f"{live_server.url}/api/v1/health?tenant=7", tenant_id="7"))
    phone.get_by_role("button", name="Allow").click()
    phone.wait_for_url(re.compile(r"/api/v1/health\?tenant=7&pending="))
    token = phone.url.rpartition("=")[2]
    offered = api.get(f"{ACCOUNTS}/pending/{token}").json()["data"]
    made = api.post(f"{ACCOUNTS}/pending/{token}/finalize", {"ids": [offered[0]["id"]]})
    assert made.status_code == 200, made.content
    account = SocialAccount.objects.get(pk=made.json()["account_ids"][0])
    assert (account.tenant_id, status_of(account)) == ("7", "active")

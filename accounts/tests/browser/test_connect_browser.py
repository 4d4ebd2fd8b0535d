"""The whole way in a browser, on every platform with OAuth: dialog, choice, accounts and posts that answer."""

import re
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from accounts.models import SocialAccount, WebhookEvent
from accounts.services import access
from accounts.tests.browser.chromium import BROWSER, opened
from accounts.tests.consents import query_of
from accounts.tests.fixtures import Sandbox
from analytics.services import imports
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


def measure_imported(api: Any, account: SocialAccount) -> None:
    """Import a few of the account's posts; the newest answers with numbers."""
    asked = api.post(f"{ACCOUNTS}/{account.pk}/imports", {"limit": 3})
    assert asked.status_code == 202, asked.content
    imports.work_through(until=time.monotonic() + 30)
    posts = api.get("/api/v1/posts", {"account_id": str(account.pk)}).json()["data"]
    assert len(posts) == 3
    (row,) = api.get(f"/api/v1/posts/{posts[0]['id']}/analytics").json()["metrics_by_account"]
    assert row["source"] == "live"


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
    for account in SocialAccount.objects.select_related("organization"):
        health = api.get(f"{ACCOUNTS}/{account.pk}/health").json()
        assert (health["healthy"], health["checked_live"]) == (True, True), health
        metrics = api.get(f"{ACCOUNTS}/{account.pk}/metrics").json()
        assert metrics["source"] == "live", metrics
        if registry.get(account.platform).no_listing(access.as_platform_account(account)) == "":
            measure_imported(api, account)


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
    phone.goto(begin(api, "facebook", redirect_url=f"{live_server.url}/connect/failed?tenant=7", tenant_id="7"))
    phone.get_by_role("button", name="Allow").click()
    phone.wait_for_url(re.compile(r"/connect/failed\?tenant=7&pending="))
    token = query_of(phone.url)["pending"]
    offered = api.get(f"{ACCOUNTS}/pending/{token}").json()["data"]
    made = api.post(f"{ACCOUNTS}/pending/{token}/finalize", {"ids": [offered[0]["id"]]})
    assert made.status_code == 200, made.content
    account = SocialAccount.objects.get(pk=made.json()["account_ids"][0])
    assert (account.tenant_id, status_of(account)) == ("7", "active")

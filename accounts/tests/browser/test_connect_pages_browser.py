"""The page on which a person chooses accounts, on a phone and by keyboard alone."""

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from accounts.models import SocialAccount
from accounts.services import pending
from accounts.tests.browser.chromium import BROWSER, opened
from accounts.tests.factories import ConnectSessionFactory, SocialNetworkFactory
from platforms.consent import Candidate
from platforms.oauth import TokenSet

pytestmark = BROWSER
NAMES = ["Acme", "Corner Cafe", "A-name-without-any-blank-" * 6]
PAGES = [Candidate(str(102030405060700 + n), "acme", name, access_token=f"page-{n}") for n, name in enumerate(NAMES)]


@pytest.fixture
def token() -> str:
    """That of a pending session of three Pages."""
    session = ConnectSessionFactory(social_network=SocialNetworkFactory(platform="facebook"))
    found = pending.Granted(TokenSet("access-1"), ("pages_show_list",), ("read_insights",), tuple(PAGES))
    return pending.hold(session, found)


@pytest.fixture
def phone(live_server: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Page]:
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
    with opened(live_server.url, width=360, height=640) as page:
        yield page


def test_accounts_are_chosen_by_keyboard_and_connected(phone: Page, token: str) -> None:
    phone.goto(f"/connect?pending={token}")
    expect(phone.get_by_role("heading", name="Connect accounts on Facebook")).to_be_visible()
    expect(phone.get_by_role("group", name="3 accounts")).to_be_visible()
    expect(phone.get_by_role("note")).to_contain_text("Without read_insights")
    boxes = phone.get_by_role("checkbox")
    expect(boxes.first).to_be_focused()
    phone.keyboard.press("Tab")
    phone.keyboard.press("Space")
    expect(phone.get_by_role("checkbox", name="Corner Cafe")).to_be_checked()
    phone.keyboard.press("Tab")
    phone.keyboard.press("Tab")
    expect(phone.get_by_role("button", name="Connect")).to_be_focused()
    phone.keyboard.press("Enter")
    expect(phone.get_by_role("status")).to_have_text("1 account connected")
    assert SocialAccount.objects.get().display_name == "Corner Cafe"
    for come_back in (phone.reload, phone.go_back):
        come_back()
        expect(phone.get_by_role("status")).to_have_text("1 account connected")


def test_nothing_ticked_is_told_and_can_be_mended_with_a_finger(phone: Page, token: str) -> None:
    phone.goto(f"/connect?pending={token}")
    phone.get_by_role("button", name="Connect").click()
    expect(phone.get_by_role("alert")).to_have_text("Tick at least one account.")
    assert not SocialAccount.objects.exists()
    for label in phone.locator("label").all()[:2]:
        label.click()
    phone.get_by_role("button", name="Connect").click()
    expect(phone.get_by_role("status")).to_have_text("2 accounts connected")


def test_a_page_fits_a_phone_and_has_room_for_fingers(phone: Page, token: str) -> None:
    phone.goto(f"/connect?pending={token}")
    assert phone.evaluate("document.documentElement.scrollWidth") <= 360
    for target in (*phone.locator("label").all(), phone.get_by_role("button")):
        box = target.bounding_box()
        assert box is not None and box["height"] >= 44
    style = phone.evaluate("getComputedStyle(document.querySelector('button')).minHeight")
    assert style == "48px", "the style sheet does not apply"

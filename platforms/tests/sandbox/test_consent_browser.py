"""The consent pages in a browser, by keyboard only."""

import shutil
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from platforms.tests.sandbox.conftest import Client
from platforms.tests.sandbox.consenting import EVERY, STATE, WAYS, Walk

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
SWITCHES = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update")

pytestmark = [pytest.mark.browser, pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=[*SWITCHES])
        yield browser
        browser.close()


class App(BaseHTTPRequestHandler):
    """The app that people are sent back to."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b'<link rel="icon" href="data:,"><h1>Welcome back</h1>')

    def log_message(self, *args: object) -> None:
        """Nobody reads it."""


@pytest.fixture(scope="module")
def callback() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), App) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/callback"
        server.shutdown()


@pytest.fixture
def page(browser: Browser, client: Client, callback: str) -> Iterator[Page]:
    """A page that asks nobody but the sandbox and the app."""
    asked: list[str] = []
    complaints: list[str] = []
    page = browser.new_page(viewport={"width": 390, "height": 800})
    page.set_default_timeout(10_000)
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    yield page
    page.close()
    assert asked and not complaints
    assert not [url for url in asked if not url.startswith((client.running.url, callback, "data:"))]


def opened(page: Page, walk: Walk) -> None:
    page.goto(f"{walk.client.running.url}/{walk.way.authorize}?{urlencode(walk.query)}")
    expect(page.get_by_role("heading", level=1)).to_contain_text("asks for access")


def tab_to(page: Page, name: str) -> None:
    """Tab until a button is reached, each stop visibly so."""
    for _ in range(20):
        page.keyboard.press("Tab")
        assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
        if page.evaluate("document.activeElement.textContent") == name:
            return
    raise AssertionError(f"{name} is out of the keyboard's reach")


def came_back(page: Page) -> dict[str, str]:
    expect(page.get_by_role("heading", level=1)).to_have_text("Welcome back")
    url = urlsplit(page.url)
    query = {name: values[0] for name, values in parse_qs(url.query).items()}
    assert query["state"] == STATE
    return query


@pytest.mark.parametrize("key", EVERY)
def test_a_person_allows_by_keyboard_and_the_app_gets_tokens(
    client: Client, page: Page, callback: str, key: str
) -> None:
    walk = Walk(client, key, redirect_uri=callback)
    opened(page, walk)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    tab_to(page, "Allow")
    page.keyboard.press("Enter")
    query = came_back(page)
    assert urlsplit(page.url).fragment == WAYS[key].fragment
    assert walk.exchange(query["code"], redirect_uri=callback).json()["access_token"]


@pytest.mark.parametrize("key", EVERY)
def test_a_person_denies_by_keyboard(client: Client, page: Page, callback: str, key: str) -> None:
    opened(page, Walk(client, key, redirect_uri=callback))
    tab_to(page, "Deny")
    page.keyboard.press("Space")
    query = came_back(page)
    assert {name: query[name] for name in WAYS[key].denial} == WAYS[key].denial and "code" not in query


def test_a_person_chooses_another_account_and_unticks_a_scope(client: Client, page: Page, callback: str) -> None:
    walk = Walk(client, "tiktok", redirect_uri=callback)
    second = walk.form().named("account")[1].value
    opened(page, walk)
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowDown")
    expect(page.get_by_role("radio").nth(1)).to_be_checked()
    page.keyboard.press("Tab")
    expect(page.get_by_label("user.info.stats")).to_be_focused()
    page.keyboard.press("Space")
    expect(page.get_by_label("user.info.basic")).to_be_disabled()
    tab_to(page, "Allow")
    page.keyboard.press("Enter")
    query = came_back(page)
    assert query["scopes"] == "user.info.basic,video.list"
    assert walk.exchange(query["code"], redirect_uri=callback).json()["open_id"] == second


def test_a_person_picks_some_of_their_pages(client: Client, page: Page, callback: str) -> None:
    walk = Walk(client, "facebook", redirect_uri=callback)
    opened(page, walk)
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    expect(page.get_by_role("checkbox").first).not_to_be_checked()
    tab_to(page, "Allow")
    page.keyboard.press("Enter")
    token = walk.exchange(came_back(page)["code"], redirect_uri=callback).json()["access_token"]
    rows = client.get("graph.facebook.com/v26.0/me/accounts", access_token=token).json()["data"]
    assert [row["id"] for row in rows] == [one.value for one in walk.form().named("account")][1:]

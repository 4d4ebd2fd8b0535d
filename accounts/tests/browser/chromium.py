"""A page in the system's Chromium, for the tests of what people see."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import connections
from playwright.sync_api import Page, sync_playwright

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
SWITCHES = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update")
FURTHER = ("--disable-sync", "--no-first-run")
BROWSER = [
    pytest.mark.browser,
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium"),
]


@pytest.fixture
def page(live_server: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Page]:
    """A page as wide as staff have it, that may ask nobody but us."""
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
    with opened(live_server.url, width=1500, height=950) as page:
        yield page


@contextmanager
def opened(url: str, *others: str, width: int, height: int) -> Iterator[Page]:
    """A page that may ask nobody but `url` and `others`, and that has nothing to complain of.

    Playwright keeps a loop in this thread as long as it runs: one for each test, so that no other test meets it.
    """
    asked: list[str] = []
    complaints: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=[*SWITCHES, *FURTHER])
        page = browser.new_page(base_url=url, viewport={"width": width, "height": height})
        page.set_default_timeout(10_000)
        page.on("request", lambda request: asked.append(request.url))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
        yield page
        browser.close()
        connections.close_all()  # those of the loop: another than the thread's
    assert asked
    assert not [one for one in asked if not one.startswith((url, *others, "data:", "blob:"))]
    assert not complaints

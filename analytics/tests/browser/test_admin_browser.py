"""The admin in a browser, as staff use it."""

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.urls import reverse
from django.utils import timezone
from playwright.sync_api import Page, expect

from accounts.models import WebhookDelivery, WebhookEvent
from accounts.services import keys
from accounts.tests.browser.chromium import BROWSER
from accounts.tests.factories import (
    ConnectSessionFactory,
    SocialAccountFactory,
    SocialNetworkFactory,
    WebhookEndpointFactory,
)
from analytics.models import PostAnalytics, Target
from analytics.tests.factories import AccountMetricsFactory, PostAnalyticsFactory, PostFactory, TargetFactory

PASSWORD = "a-long-password"

pytestmark = BROWSER


@pytest.fixture
def log_in(page: Page) -> Callable[[], None]:
    def log_in() -> None:
        """By keyboard only."""
        User.objects.create_superuser("root", password=PASSWORD)
        page.goto(reverse("admin:index"))
        page.locator("#id_username").focus()
        page.keyboard.type("root")
        page.keyboard.press("Tab")
        expect(page.locator("#id_password")).to_be_focused()
        page.keyboard.type(PASSWORD)
        page.keyboard.press("Enter")
        expect(page).to_have_url(re.compile(rf"{re.escape(reverse('admin:index'))}$"))

    return log_in


def ready(page: Page) -> None:
    """Wait until the page's scripts, which are deferred, listen: a person is slower than a test."""
    page.wait_for_function("document.readyState === 'complete' && window.Alpine !== undefined")


def address(row: Any) -> str:
    return reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_change", args=(row.pk,))


def test_a_posts_history_is_found_by_its_id_and_its_raw_answer_read(page: Page, log_in: Callable[[], None]) -> None:
    target = TargetFactory(post=PostFactory(external_ref="launch"))
    raw = {"post": {"id": target.platform_post_id, "public_metrics": {"like_count": 12345}}}
    PostAnalyticsFactory(target=target, captured_at=timezone.now() - timedelta(hours=1), likes=12000)
    PostAnalyticsFactory(target=target, likes=12345, raw=raw)
    PostAnalyticsFactory(target=TargetFactory(post=target.post, platform="bluesky"))
    PostAnalyticsFactory.create_batch(2)
    log_in()
    page.get_by_role("link", name="Post analytics").first.click()
    rows = page.locator("#result_list tbody tr")
    expect(rows).to_have_count(5)
    ready(page)
    page.keyboard.press("/")
    expect(page.locator("#searchbar")).to_be_focused()
    page.keyboard.type(str(target.post_id))
    page.keyboard.press("Enter")
    expect(rows).to_have_count(3)

    ready(page)
    page.get_by_role("button", name="Filters").press("Enter")
    page.locator("#changelist-filter").get_by_role("link", name="X", exact=True).click()
    expect(rows).to_have_count(2)
    page.locator("#result_list tbody th a").first.click()
    content = page.locator("#content")
    expect(content.get_by_text("like_count").locator("visible=true").first).to_be_visible()
    expect(content).to_contain_text("+345")
    expect(content).to_contain_text("X never reports it")
    expect(page.get_by_role("button", name="Save")).to_have_count(0)


def test_a_target_is_collected_now(page: Page, log_in: Callable[[], None]) -> None:
    target = TargetFactory(next_collect_at=None, gone_at=timezone.now())
    PostAnalyticsFactory.create_batch(3, target=target)
    log_in()
    page.goto(address(target))
    expect(page.locator("canvas.chart")).to_be_visible()
    page.get_by_role("link", name="Collect now").click()
    page.get_by_role("button", name="Collect now").press("Enter")
    expect(page.get_by_text("1 target due now")).to_be_visible()
    assert Target.objects.get(pk=target.pk).next_collect_at <= timezone.now()


def test_ticked_targets_are_collected_now(page: Page, log_in: Callable[[], None]) -> None:
    targets = [TargetFactory(next_collect_at=timezone.now() + timedelta(days=1)) for _ in range(3)]
    log_in()
    page.goto(reverse("admin:analytics_target_changelist"))
    ready(page)
    for box in page.locator("#result_list input.action-select").all()[:2]:
        box.check()
    page.locator("select[name=action]").select_option("collect_selected")
    page.get_by_role("button", name="Run").click()
    expect(page.get_by_text("2 targets due now")).to_be_visible()
    due = Target.objects.filter(next_collect_at__lte=timezone.now())
    assert due.count() == len(targets) - 1


def test_a_key_is_created_and_seen_once(page: Page, log_in: Callable[[], None]) -> None:
    organization = PostFactory().organization
    log_in()
    page.goto(address(organization))
    page.get_by_role("link", name="Create key").click()
    page.get_by_label("Name").fill("Reports")
    page.get_by_label("everything").uncheck()
    page.get_by_label("posts:write").check()
    page.get_by_role("button", name="Create key").click()
    field = page.get_by_label("API key")
    expect(field).to_be_focused()
    expect(field).not_to_be_editable()
    text = field.input_value()
    key = keys.find_key(text)
    assert key is not None
    assert (key.organization, key.name, key.scopes, key.mode) == (organization, "Reports", ["posts:write"], "test")
    ready(page)
    page.get_by_role("button", name="Copy").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()

    page.get_by_role("link", name="Done").click()
    expect(page).to_have_url(re.compile(re.escape(address(organization))))
    assert text not in page.content()
    page.goto(address(key))
    assert text not in page.content()
    expect(page.locator("#content")).to_contain_text("valid")


def test_an_account_is_edited_and_its_page_reached_by_keyboard(page: Page, log_in: Callable[[], None]) -> None:
    account = AccountMetricsFactory().account
    AccountMetricsFactory(account=account, captured_at=timezone.now() + timedelta(seconds=1))
    log_in()
    page.goto(reverse("admin:accounts_socialaccount_changelist"))
    ready(page)
    reached = page.locator("#result_list tbody th a").first
    for _ in range(60):
        page.keyboard.press("Tab")
        if reached.evaluate("element => element === document.activeElement"):
            break
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(re.escape(address(account))))
    page.locator("#id_tenant_id").fill("acme-1")
    page.keyboard.press("Enter")
    expect(page.get_by_text("was changed successfully")).to_be_visible()
    account.refresh_from_db()
    assert account.tenant_id == "acme-1"


def test_the_first_page_leads_to_who_needs_help(page: Page, log_in: Callable[[], None]) -> None:
    account = PostAnalyticsFactory().account
    type(account).objects.filter(pk=account.pk).update(
        username="needs_help", last_error_code="scope_missing", last_error_detail="A scope is missing."
    )
    log_in()
    page.get_by_role("link", name="x needs_help").click()
    expect(page).to_have_url(re.compile(re.escape(address(account))))
    expect(page.locator("#content")).to_contain_text("A scope is missing.")
    page.get_by_role("link", name="Snapshots of its posts").click()
    expect(page.locator("#result_list tbody tr")).to_have_count(PostAnalytics.objects.count())


LONG = "https://app.example.com/" + "a-long-path/" * 40


def wide_rows() -> list[Any]:
    """Rows whose pages hold much that does not break by itself."""
    raw = {"data": [{"name": "impressions", "values": [{"value": 1}], "link": LONG, "deep": {"er": {"still": LONG}}}]}
    account = SocialAccountFactory(extra={"link": LONG}, display_name="W" * 255, tenant_id="t" * 255)
    snapshot = PostAnalyticsFactory(target=TargetFactory(account=account, platform_post_url=LONG), raw=raw)
    told = {"scopes": ["https://www.googleapis.com/auth/business.manage"], "profile_image_url": LONG}
    event = WebhookEvent.objects.create(organization=account.organization, mode="test", type="x", data=told)
    endpoint = WebhookEndpointFactory(organization=account.organization, url=LONG)
    delivery = WebhookDelivery.objects.create(endpoint=endpoint, event=event, response_body=LONG, history=[{"e": LONG}])
    return [
        *(snapshot, AccountMetricsFactory(account=account, raw=raw), snapshot.target, snapshot.target.post, account),
        *(event, endpoint, delivery, ConnectSessionFactory(redirect_uri=LONG, redirect_url=LONG, tenant_id="t" * 255)),
        SocialNetworkFactory(redirect_uri=LONG),
    ]


@pytest.mark.parametrize("width", [375, 1280])
def test_pages_of_rows_fit_the_screen(page: Page, log_in: Callable[[], None], width: int) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    log_in()
    wide = {}
    for row in wide_rows():
        page.goto(address(row))
        ready(page)
        if (needed := page.evaluate("document.documentElement.scrollWidth")) > width:
            wide[row._meta.label] = needed
    assert wide == {}

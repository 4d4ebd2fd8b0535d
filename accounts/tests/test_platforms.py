"""What the API says of platforms."""

from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from accounts.tests.factories import OrganizationFactory
from platforms import registry

pytestmark = pytest.mark.django_db


@pytest.fixture
def asked(client_for: Any) -> list[dict[str, Any]]:
    response = client_for(OrganizationFactory()).get("/api/v1/platforms")
    assert response.status_code == 200
    return response.json()["data"]


def test_every_platform_is_listed_with_what_it_reports(asked: list[dict[str, Any]]) -> None:
    found = {each["key"]: each for each in asked}
    assert set(found) == set(registry.PLATFORMS)
    assert found["bluesky"]["dimensions"] == ["likes", "comments", "shares", "saves"]
    assert found["x"]["batch_size"] == 100
    assert found["x"]["has_refresh"] is True
    assert "offline.access" in found["x"]["scopes"]


def test_a_platform_without_post_metrics_reports_no_dimensions_of_posts(asked: list[dict[str, Any]]) -> None:
    for each in asked:
        assert each["has_post_metrics"] or each["dimensions"] == []
        assert each["account_dimensions"]


def test_the_table_is_written_between_its_markers_and_checked(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- platforms -->\nold\n<!-- /platforms -->\nafter\n")
    with pytest.raises(CommandError, match="not up to date"):
        call_command("platform_table", page, "--check", stdout=StringIO())
    call_command("platform_table", page)
    call_command("platform_table", page, "--check")
    assert "| Bluesky | `bluesky` | likes, comments, shares, saves |" in page.read_text()
    assert page.read_text().startswith("before\n")
    assert page.read_text().endswith("after\n")


def test_a_page_without_markers_is_named(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("nothing")
    with pytest.raises(CommandError, match="markers"):
        call_command("platform_table", page)


@pytest.mark.parametrize("spoil", [Path.mkdir, lambda file: file.write_bytes(b"\xff"), lambda file: None])
def test_a_page_that_cannot_be_read_is_named(tmp_path: Path, spoil: Callable[[Path], object]) -> None:
    page = tmp_path / "page.md"
    spoil(page)
    with pytest.raises(CommandError, match=r"page\.md cannot be read or written: [^\n]+\Z"):
        call_command("platform_table", page)

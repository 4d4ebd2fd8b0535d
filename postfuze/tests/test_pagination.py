from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User

pytestmark = pytest.mark.django_db
START = datetime(2026, 6, 10, 18, tzinfo=UTC)


@pytest.fixture
def users() -> list[User]:
    """Seven, in groups that share their instant, a microsecond apart."""
    return User.objects.bulk_create(
        User(username=f"u{n}", date_joined=START + timedelta(microseconds=n // 3)) for n in range(7)
    )


def walk(api: Any, url: str) -> list[str]:
    names, cursor = [], ""
    while cursor is not None:
        page = api.get(f"{url}&cursor={cursor}" if cursor else url).json()
        names += [user["username"] for user in page["data"]]
        cursor = page["next_cursor"]
    return names


@pytest.mark.parametrize("limit", [1, 2, 3, 6, 7, 8])
@pytest.mark.parametrize("listing", ["users", "values"])
def test_pages_give_every_row_once_newest_first(api: Any, users: Any, listing: str, limit: int) -> None:
    assert walk(api, f"/api/v1/{listing}?limit={limit}") == [f"u{n}" for n in reversed(range(7))]


@pytest.mark.parametrize("limit", [1, 3, 7])
def test_an_ascending_series_pages_too(api: Any, users: Any, limit: int) -> None:
    assert walk(api, f"/api/v1/series?limit={limit}") == [f"u{n}" for n in range(7)]


def test_a_row_added_meanwhile_moves_nothing(api: Any, users: Any) -> None:
    cursor = api.get("/api/v1/users?limit=3").json()["next_cursor"]
    User.objects.create(username="new", date_joined=START + timedelta(days=1))
    page = api.get(f"/api/v1/users?limit=3&cursor={cursor}").json()
    assert [user["username"] for user in page["data"]] == ["u3", "u2", "u1"]


def test_a_page_is_one_query(api: Any, users: Any, django_assert_num_queries: Any) -> None:
    cursor = api.get("/api/v1/users?limit=3").json()["next_cursor"]
    with django_assert_num_queries(1):
        api.get(f"/api/v1/users?limit=3&cursor={cursor}")


def test_an_empty_listing_is_empty(api: Any) -> None:
    assert api.get("/api/v1/users").json() == {"data": [], "next_cursor": None}


@pytest.mark.parametrize("limit", ["0", "101", "-1", "x", "1.5", "", "9" * 5000, "٣", "1e1", " 1"])
def test_a_limit_out_of_range_is_named(api: Any, problem: Any, limit: str) -> None:
    body = problem(api.get("/api/v1/users", {"limit": limit}), 400, "validation_failed")
    assert body["errors"][0]["field"] == "limit"


def test_a_series_has_limits_of_its_own(api: Any, problem: Any) -> None:
    assert api.get("/api/v1/series?limit=5000").status_code == 200
    problem(api.get("/api/v1/series?limit=5001"), 400, "validation_failed")


def test_a_cursor_is_good_for_its_listing_and_organization_only(api: Any, users: Any, problem: Any) -> None:
    cursor = api.get("/api/v1/users?limit=3").json()["next_cursor"]
    problem(api.get("/api/v1/series", {"cursor": cursor}), 400, "invalid_cursor")
    for wrong in (cursor[:-1], cursor + "x", "nonsense", "ü", "a:b:c", "x" * 5000):
        problem(api.get("/api/v1/users", {"cursor": wrong}), 400, "invalid_cursor")
    api.credentials(HTTP_AUTHORIZATION="Bearer * 00000000-0000-4000-8000-000000000002")
    problem(api.get("/api/v1/users", {"cursor": cursor}), 400, "invalid_cursor")


def test_instants_of_models_are_rendered_with_three_decimals(api: Any, users: Any) -> None:
    for listing in ("users", "values"):
        assert api.get(f"/api/v1/{listing}").json()["data"][0]["date_joined"] == "2026-06-10T18:00:00.000Z"

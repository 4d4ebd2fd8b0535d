from typing import Any

import pytest

URL = "/api/v1/things"
ONE = f"{URL}/00000000-0000-4000-8000-00000000000a"


@pytest.mark.parametrize("scopes", ["*", "posts:write", "accounts:write,posts:write"])
def test_a_write_needs_its_scope(api: Any, scopes: str) -> None:
    api.credentials(HTTP_AUTHORIZATION=f"Bearer {scopes}")
    assert api.post(URL, {"name": "a"}).status_code == 201


def test_without_the_scope_reading_is_all_there_is(api: Any, problem: Any) -> None:
    api.credentials(HTTP_AUTHORIZATION="Bearer accounts:write")
    assert "posts:write" in problem(api.post(URL, {"name": "a"}), 403, "insufficient_scope")["detail"]
    assert api.get(URL).status_code == 200


@pytest.mark.parametrize(
    "identity", ["x", "1", "00000000-0000-4000-8000-00000000000", "{0}", "a" * 500, "%F0%9F%98%80"]
)
def test_an_id_that_is_no_uuid_names_nothing(api: Any, problem: Any, identity: str) -> None:
    problem(api.get(f"{URL}/{identity}"), 404, "not_found")
    api.credentials()
    problem(api.get(f"{URL}/{identity}"), 401, "unauthorized")


def test_an_id_arrives_as_uuid_whatever_its_case(api: Any) -> None:
    assert api.get(ONE.upper().replace("/API/V1/THINGS", URL)).json() == {"id": ONE[-36:], "type": "UUID"}

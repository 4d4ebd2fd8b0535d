from typing import Any

import pytest

URL = "/api/v1/things"


def test_every_unknown_or_read_only_field_is_named_along_with_the_others(api: Any, problem: Any) -> None:
    body = {"id": "x", "extra": 1, "name": "a" * 11, "targets": [{"account_id": "x", "more": 1}]}
    errors = problem(api.post(URL, body), 400, "validation_failed")["errors"]
    assert {error["field"]: error["message"] for error in errors} == {
        "id": "This field cannot be set.",
        "extra": "Unknown field.",
        "name": "Ensure this field has no more than 10 characters.",
        "targets.0.account_id": "Must be a valid UUID.",
        "targets.0.more": "Unknown field.",
    }


ONE = "0b1c2d3e-4f50-4617-8293-a4b5c6d7e8f9"


@pytest.mark.parametrize("given", [5, True, 1.5, None, [], {}, ONE.replace("-", ""), f"{{{ONE}}}", f"urn:uuid:{ONE}"])
def test_an_id_in_a_body_has_the_usual_form_of_a_uuid(api: Any, problem: Any, given: Any) -> None:
    body = {"name": "a", "targets": [{"account_id": given}]}
    [error] = problem(api.post(URL, body), 400, "validation_failed")["errors"]
    assert error["field"] == "targets.0.account_id"


def test_an_id_in_a_body_may_have_any_case(api: Any) -> None:
    made = api.post(URL, {"name": "a", "targets": [{"account_id": ONE.upper()}]}).json()
    assert made["targets"] == [{"account_id": ONE}]


def test_a_time_in_a_body_is_read_and_written_as_everywhere(api: Any, problem: Any) -> None:
    for given in ("2026-06-10T20:00:00+02:00", 1781114400):
        assert api.post(URL, {"name": "a", "at": given}).json()["at"] == "2026-06-10T18:00:00.000Z"
    for given in ("soon", True, [], 10**12):
        assert (
            problem(api.post(URL, {"name": "a", "at": given}), 400, "validation_failed")["errors"][0]["field"] == "at"
        )

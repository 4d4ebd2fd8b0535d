from typing import Any

import pytest
from django.core.exceptions import PermissionDenied, RequestDataTooBig, SuspiciousOperation
from django.core.exceptions import ValidationError as DjangoValidationError
from rest_framework import exceptions

from postfuze.api.problems import CODES, TITLES, Problem, as_problem, flatten, invalid

ONE = "/api/v1/things/00000000-0000-4000-8000-00000000000a"


@pytest.mark.parametrize("code", CODES)
def test_every_code_has_a_status_with_a_title(code: str) -> None:
    problem = Problem(code).as_dict()
    assert problem["title"] == TITLES[problem["status"]]
    assert problem["detail"]


def test_a_problem_can_carry_members_of_its_own(api: Any, problem: Any) -> None:
    body = problem(api.get(f"{ONE}?raise=conflict"), 409, "conflict")
    assert (body["detail"], body["post_id"]) == ("Taken.", "00000000-0000-4000-8000-00000000000a")


def test_a_missing_thing_says_nothing_of_tables(api: Any, problem: Any) -> None:
    assert problem(api.get(f"{ONE}?raise=404"), 404, "not_found")["detail"] == "Not found."


def test_a_database_that_does_not_answer_is_a_503_with_a_time_to_retry(api: Any, problem: Any) -> None:
    response = api.get(f"{ONE}?raise=database")
    problem(response, 503, "unavailable")
    assert int(response["Retry-After"]) > 0


def test_a_broken_constraint_is_not_swallowed(api: Any, problem: Any) -> None:
    problem(api.get(f"{ONE}?raise=integrity"), 500, "internal")
    api.handler.raise_request_exception = True
    assert as_problem(RuntimeError()) is None


def test_without_a_key_the_answer_asks_for_one(api: Any, problem: Any) -> None:
    api.credentials()
    response = api.get(ONE)
    problem(response, 401, "unauthorized")
    assert response["WWW-Authenticate"] == "Bearer"


def test_errors_of_nested_serializers_are_flattened() -> None:
    detail = {
        "targets": [{}, {"account_id": ["Must be a valid UUID."], "non_field_errors": ["Odd."]}],
        "tags": {0: ["Too long."]},
        "non_field_errors": ["Neither."],
    }
    assert list(flatten(detail)) == [
        {"field": "targets.1.account_id", "message": "Must be a valid UUID."},
        {"field": "targets.1", "message": "Odd."},
        {"field": "tags.0", "message": "Too long."},
        {"field": "body", "message": "Neither."},
    ]


def test_the_detail_of_a_validation_problem_says_what_is_wrong_first() -> None:
    errors = [{"field": "a", "message": "Wrong."}, {"field": "b", "message": "Wrong."}]
    assert Problem("validation_failed", errors=errors).as_dict()["detail"] == "a: Wrong. (and 1 more)"
    assert invalid("limit", "Too large.").as_dict()["errors"] == [{"field": "limit", "message": "Too large."}]


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (exceptions.NotFound(), 404, "not_found"),
        (exceptions.AuthenticationFailed(), 401, "unauthorized"),
        (exceptions.Throttled(wait=3.2), 429, "rate_limited"),
        (exceptions.ParseError(), 400, "validation_failed"),
        (PermissionDenied(), 403, "insufficient_scope"),
        (DjangoValidationError({"name": ["Wrong."]}), 400, "validation_failed"),
        (RequestDataTooBig(), 413, "payload_too_large"),
        (SuspiciousOperation(), 400, "validation_failed"),
    ],
)
def test_exceptions_of_django_and_drf_become_problems(error: Exception, status: int, code: str) -> None:
    problem = as_problem(error)
    assert problem is not None
    assert (problem.status_code, problem.code) == (status, code)


def test_a_lone_surrogate_in_a_message_does_not_break_the_answer() -> None:
    assert Problem("validation_failed", "\ud800").response().status_code == 400

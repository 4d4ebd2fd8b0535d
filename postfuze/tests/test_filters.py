from typing import Any

import pytest
from django.contrib.auth.models import User

from postfuze.api.times import parse

pytestmark = pytest.mark.django_db


ONE = "0b1c2d3e-4f50-4617-8293-a4b5c6d7e8f9"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("token", "x"),
        ("token", ""),
        ("token", f"{{{ONE}}}"),
        ("token", f"urn:uuid:{ONE}"),
        ("token", ONE.replace("-", "")),
        ("since", "soon"),
        ("since", "1969-01-01"),
        ("since", ""),
        ("since", " "),
    ],
)
def test_a_malformed_parameter_is_named(api: Any, problem: Any, name: str, value: str) -> None:
    body = problem(api.get("/api/v1/users", {name: value}), 400, "validation_failed")
    assert body["errors"][0]["field"] == name


def test_an_instant_is_read_as_everywhere(api: Any) -> None:
    User.objects.create(username="a", date_joined=parse("2026-06-10T18:00:00Z"))
    for since, found in [("2026-06-10T20:00:00+02:00", 1), ("2026-06-10 20:00:00 02:00", 1), ("1781114401", 0)]:
        assert len(api.get(f"/api/v1/users?since={since}").json()["data"]) == found

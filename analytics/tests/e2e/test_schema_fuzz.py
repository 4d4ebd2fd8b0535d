"""Whatever the OpenAPI document allows is answered as it says, by the served API."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from postfuze.api.schema import document
from postfuze.tests.e2e.stage import Stage, database_url

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

EXAMPLES = 25
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Iterator[Stage]:
    folder = tmp_path_factory.mktemp("fuzz")
    with Stage(folder, database_url(folder), name=f"fuzz_{worker_id}", LOG_LEVEL="error").playing() as stage:
        yield stage


@pytest.fixture(scope="module")
def demo(stage: Stage) -> Any:
    return stage.manage_json("demo")


@pytest.fixture(scope="module")
def endpoint(stage: Stage, demo: Any) -> str:
    """A webhook endpoint whose host has no address."""
    given = {"url": "https://receiver.invalid/", "events": ["*"]}
    headers = {"Authorization": f"Bearer {demo['key']}"}
    return str(stage.session.post(f"{stage.address}/api/v1/webhooks", json=given, headers=headers).json()["id"])


DOCUMENT = json.loads(document())
schema = schemathesis.openapi.from_dict(DOCUMENT)
with_an_id = schema.include(path_regex=r"\{id\}").exclude(method="DELETE")
bounded = settings(
    max_examples=EXAMPLES,
    deadline=None,
    database=None,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)


def check(case: Any, stage: Stage, demo: Any) -> None:
    headers = {"Authorization": f"Bearer {demo['key']}"}
    case.call_and_validate(base_url=stage.address, headers=headers, checks=CHECKS, timeout=60)


def test_the_served_document_is_the_one_that_is_tested(stage: Stage) -> None:
    assert stage.session.get(f"{stage.address}/api/v1/openapi.json").json() == DOCUMENT


@schema.parametrize()
@bounded
def test_answers_are_declared_whatever_the_ids(case: Any, stage: Stage, demo: Any) -> None:
    check(case, stage, demo)


@with_an_id.parametrize()
@bounded
def test_answers_are_declared_for_what_is_there(case: Any, stage: Stage, demo: Any, endpoint: str) -> None:
    known = {"posts": demo["posts"][0], "webhooks": endpoint}
    case.path_parameters["id"] = known.get(case.path.split("/")[3], demo["accounts"][0]["id"])
    check(case, stage, demo)

import uuid
from typing import Any

import pytest


def test_a_callers_id_is_kept(api: Any) -> None:
    assert api.get("/api/v1/health", HTTP_X_REQUEST_ID="a.b_C-1")["X-Request-Id"] == "a.b_C-1"


@pytest.mark.parametrize("given", ["", "a b", "ü", "x" * 129, "a\n", "<script>"])
def test_any_other_gets_a_new_one(api: Any, given: str) -> None:
    assert uuid.UUID(api.get("/api/v1/health", HTTP_X_REQUEST_ID=given)["X-Request-Id"])


def test_pages_outside_of_the_api_have_one_too(api: Any) -> None:
    assert api.get("/nothing")["X-Request-Id"]

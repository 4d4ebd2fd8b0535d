from typing import Any

import pytest
from rest_framework.test import APIClient

from postfuze.api import throttling


@pytest.fixture(autouse=True)
def _no_counts_from_before(settings: Any) -> None:
    settings.LIMITS_STORAGE_URL = "memory://"
    throttling.reset()


@pytest.fixture
def api(settings: Any) -> APIClient:
    """Asks the stub views, with a key that may do everything."""
    settings.ROOT_URLCONF = "postfuze.tests.stubs"
    client = APIClient(raise_request_exception=False)
    client.credentials(HTTP_AUTHORIZATION="Bearer *")
    return client


@pytest.fixture
def problem() -> Any:
    """Checks that an answer is a problem of RFC 9457 and returns it."""

    def check(response: Any, status: int, code: str) -> dict[str, Any]:
        assert response.status_code == status, response.content
        assert response["Content-Type"] == "application/problem+json"
        body = response.json()
        assert (body["type"], body["status"], body["code"]) == ("about:blank", status, code)
        assert body["title"] and body["detail"]
        assert response["X-Request-Id"]
        return body

    return check

"""A running sandbox and a client that knows how to reach its platforms."""

import time
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from platforms.sandbox.server import RunningSandbox, start


class Client:
    """Calls the sandbox over a socket."""

    def __init__(self, running: RunningSandbox) -> None:
        self.running = running
        self.http = requests.Session()
        self.http.trust_env = False

    def get(self, path: str, token: str = "", **query: Any) -> requests.Response:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return self.http.get(
            f"{self.running.url}/{path}", params=query, headers=headers, timeout=5, allow_redirects=False
        )

    def post(self, path: str, token: str = "", **kwargs: Any) -> requests.Response:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return self.http.post(f"{self.running.url}/{path}", headers=headers, timeout=5, **kwargs)

    def account(self, platform: str, account_id: str, **more: Any) -> dict[str, Any]:
        body = {"platform": platform, "account_id": account_id, **more}
        answer = self.post("_control/accounts", json=body)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def switch(self, platform: str, **switches: Any) -> None:
        answer = self.post(f"_control/platforms/{platform}", json=switches)
        assert answer.status_code == 200, answer.text

    def calls(self, platform: str) -> dict[str, int]:
        found: dict[str, int] = self.get("_control").json()["platforms"][platform]["calls"]
        return found


@pytest.fixture(scope="session")
def running() -> Iterator[RunningSandbox]:
    with start() as running:
        yield running


@pytest.fixture
def client(running: RunningSandbox) -> Iterator[Client]:
    client = Client(running)
    client.post("_control/reset")
    yield client
    client.http.close()


@pytest.fixture
def now() -> float:
    return time.time()

"""Fixtures for the tests of `accounts` and `analytics`; a `conftest.py` imports what its tests use.

Tests that ask for live answers need `@pytest.mark.django_db(transaction=True)`: platforms are called in threads, which
do not see what a test's open transaction holds.
"""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from rest_framework.test import APIClient

from accounts.models import Organization, SocialAccount, Status
from accounts.tests.factories import ACCOUNT_IDS, OrganizationFactory, SocialAccountFactory, make_key
from platforms.sandbox.server import RunningSandbox, start
from platforms.sandbox.wire import SandboxRequest

_ACCOUNT_FIELDS = {field.name for field in SocialAccount._meta.fields}


class Sandbox:
    """A running sandbox, with its control endpoint as methods; `platforms/sandbox/control.py` says what they take."""

    def __init__(self, running: RunningSandbox) -> None:
        self.url = running.url
        self._sandbox = running.sandbox

    def control(self, method: str, path: str, body: Any = None) -> Any:
        """Ask the control endpoint."""
        data = b"" if body is None else json.dumps(body).encode()
        now = datetime.now(UTC).timestamp()
        answer = self._sandbox.handle(SandboxRequest(method, "_control", path, body=data), now)
        assert answer.status == 200, answer.body
        return answer.json()

    def reset(self) -> None:
        self.control("POST", "/reset")

    def grant(self, platform: str, account_id: str, **more: Any) -> dict[str, Any]:
        """New tokens: `access_token`, `refresh_token`, `expires_at` (unix seconds), and the account's `post_ids`."""
        return self.control("POST", "/accounts", {"platform": platform, "account_id": account_id, **more})

    def switch(self, platform: str, **switches: Any) -> None:
        self.control("POST", f"/platforms/{platform}", switches)

    def fault(self, platform: str, kind: str, **more: Any) -> None:
        """One fault instead of those there are."""
        self.switch(platform, faults=[{"kind": kind, **more}])

    def heal(self, platform: str) -> None:
        """No faults any more."""
        self.switch(platform, faults=[])

    def calls(self, platform: str, group: str = "total") -> int:
        """How often the platform, or one endpoint group of it, was called."""
        return self.control("GET", "")["platforms"][platform]["calls"].get(group, 0)

    def connect(self, platform: str = "x", **more: Any) -> SocialAccount:
        """An account with tokens of the sandbox. Arguments are the account's fields, else they are for `grant`."""
        known = {name: more.pop(name) for name in _ACCOUNT_FIELDS & more.keys()}
        known.setdefault("network_unique_id", ACCOUNT_IDS[platform](SocialAccount.objects.count()))
        login = known.get("extra", {}).get("login", "facebook")
        if platform == "instagram":
            more.setdefault("login", login)
        tokens = self.grant(platform, known["network_unique_id"], **more)
        expires_at = tokens["expires_at"] and datetime.fromtimestamp(tokens["expires_at"], UTC)
        return SocialAccountFactory(
            platform=platform,
            access=tokens["access_token"],
            refresh=tokens["refresh_token"] or "",
            **{"token_expires_at": expires_at, **known},
        )

    def revoke(self, account: SocialAccount) -> None:
        """The owner withdraws the grant."""
        self.grant(account.platform, account.network_unique_id, revoked=True)


@pytest.fixture(scope="session")
def running_sandbox() -> Iterator[RunningSandbox]:
    with start() as running:
        yield running


@pytest.fixture
def sandbox(running_sandbox: RunningSandbox, settings: Any) -> Iterator[Sandbox]:
    """A sandbox that has forgotten everything; accounts in test mode talk to it."""
    settings.SANDBOX_URL = running_sandbox.url
    found = Sandbox(running_sandbox)
    found.reset()
    yield found
    found.reset()


@pytest.fixture
def client_for() -> Callable[..., APIClient]:
    """A client of the API: by the text of a key, by an organization, or by any row of one, in that row's mode."""

    def make(owner: str | Organization | Any, **more: Any) -> APIClient:
        client = APIClient(raise_request_exception=False)
        if not isinstance(owner, str):
            more.setdefault("mode", getattr(owner, "mode", "test"))
            owner = make_key(getattr(owner, "organization", owner), **more)[1]
        client.credentials(HTTP_AUTHORIZATION=f"Bearer {owner}")
        return client

    return make


@pytest.fixture
def organization() -> Organization:
    return OrganizationFactory()


@pytest.fixture
def api(organization: Organization, client_for: Callable[..., APIClient]) -> APIClient:
    """A client of the API for `organization`."""
    return client_for(organization)


@pytest.fixture
def status_of() -> Callable[[SocialAccount], str]:
    """The status of an account as it is stored now."""
    return lambda account: Status(SocialAccount.objects.values_list("status", flat=True).get(pk=account.pk)).value

"""Walks the way of a consent through the API, against answers on file."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from rest_framework.test import APIClient

from accounts.models import Organization
from accounts.services import access, consent
from accounts.tests.factories import SocialNetworkFactory
from platforms.hosts import HostMap
from platforms.tests.replay import APP, Conversation, Replay, on_file

BACK = "https://customer.example/done?tenant=7"
CALLBACK = "/api/v1/connect/callback"
HTML = {"HTTP_ACCEPT": "text/html,application/xhtml+xml"}


def good(key: str) -> Conversation:
    """A consent on file that led to accounts."""
    return next(each for each in on_file(key, "consent") if each.expect.get("accounts"))


def network(organization: Organization, key: str, **more: Any) -> Any:
    """The OAuth app of the consents on file."""
    known = {
        "client_id": APP.client_id,
        "secret": APP.client_secret,
        "redirect_uri": "https://app.example.com/callback",
    }
    return SocialNetworkFactory(organization=organization, platform=key, **{**known, **more})


def query_of(url: str) -> dict[str, str]:
    return {name: values[-1] for name, values in parse_qs(urlsplit(url).query, keep_blank_values=True).items()}


@dataclass
class Walk:
    """One organization's way. `answer` sets what the platform says from now on."""

    api: APIClient
    answer: Callable[[Any], Any]

    def begin(self, key: str = "x", status: int = 200, **body: Any) -> Any:
        answer = self.api.post(f"/api/v1/social-networks/{key}/auth-url", body)
        assert answer.status_code == status, answer.content
        return answer.json()

    def state(self, key: str = "x", **body: Any) -> str:
        return query_of(self.begin(key, **body)["auth_url"])["state"]

    def back(self, state: str, **more: Any) -> Any:
        """The person comes back from the platform, without any key."""
        headers = more.pop("headers", {})
        return APIClient().get(CALLBACK, {"state": state, "code": "code-on-file", **more}, **headers)

    def pending(self, key: str = "x", **body: Any) -> str:
        """The pending token of a consent that is on file."""
        self.answer(Replay(good(key).turns))
        answer = self.back(self.state(key, redirect_url=BACK, **body))
        assert answer.status_code == 302, answer.content
        return query_of(answer["Location"])["pending"]

    def offered(self, token: str, status: int = 200) -> Any:
        answer = self.api.get(f"/api/v1/social-accounts/pending/{token}")
        assert answer.status_code == status, answer.content
        return answer.json()

    def finalize(self, token: str, *ids: str, status: int = 200) -> Any:
        answer = self.api.post(f"/api/v1/social-accounts/pending/{token}/finalize", {"ids": list(ids)})
        assert answer.status_code == status, answer.content
        return answer.json()


@pytest.fixture
def answer(monkeypatch: pytest.MonkeyPatch, settings: Any) -> Callable[[Any], Any]:
    """Sets the transport that platforms are called by; hosts are the platforms' own."""
    real = access.platform_settings
    settings.CONNECT_REDIRECT_HOSTS = ["customer.example"]

    def answer(transport: Any) -> Any:
        def changed(mode: str) -> Any:
            return replace(real(mode), hosts=HostMap({}), meter=None, transport=transport)

        monkeypatch.setattr(access, "platform_settings", changed)
        return transport

    return answer


@pytest.fixture
def walk(api: APIClient, answer: Callable[[Any], Any], monkeypatch: pytest.MonkeyPatch) -> Iterator[Walk]:
    monkeypatch.setattr(consent, "new_verifier", lambda: "verifier-on-file")
    answer(Replay([]))
    yield Walk(api, answer)

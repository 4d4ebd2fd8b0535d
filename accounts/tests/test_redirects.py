"""Where people may be sent back to, and what is said where they may not."""

from typing import Any

import pytest

from accounts.models import ConnectSession
from accounts.tests.consents import Walk, network

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example/done",
        "https://customer.example.evil.example/",
        "https://customer.example@evil.example/",
        "https://evil.example\\@customer.example/",
        "http://customer.example/",
        "javascript://customer.example/%0aalert(1)",
        "//customer.example/",
        "/done",
        "https://customer.example/#fragment",
        "https://customer.example/\r\nX: y",
        "https://127.0.0.1/",
        "https://customer.example?".ljust(2000, "a"),
    ],
)
def test_nobody_is_sent_to_a_host_that_is_not_allowed(walk: Walk, organization: Any, url: str) -> None:
    network(organization, "x")
    body = walk.begin(status=400, redirect_url=url)
    assert [each["field"] for each in body["errors"]] == ["redirect_url"]
    assert not ConnectSession.objects.exists()


def test_localhost_may_be_named_without_https(walk: Walk, organization: Any, settings: Any) -> None:
    settings.CONNECT_REDIRECT_HOSTS = ["localhost:3000"]
    network(organization, "x")
    assert walk.begin(redirect_url="http://localhost:3000/done")["auth_url"]


def test_a_refused_redirect_says_what_is_expected_of_one(walk: Walk, organization: Any, settings: Any) -> None:
    settings.CONNECT_REDIRECT_HOSTS = ["app2.example.com:8443"]
    network(organization, "x")

    def said(url: str) -> str:
        [error] = walk.begin(status=400, redirect_url=url)["errors"]
        return str(error["message"])

    assert "it names app2.example.com with another port" in said("https://app2.example.com:9443/x")
    assert "it names app2.example.com with another port" in said("https://app2.example.com/x")
    assert "app3.example.com:8443 is none" in said("https://app3.example.com:8443/x")
    assert "such as https://app.example.com/connected" in said("nonsense")


def test_a_host_may_be_named_with_its_usual_port(walk: Walk, organization: Any, settings: Any) -> None:
    settings.CONNECT_REDIRECT_HOSTS = ["app.example.com:443"]
    network(organization, "x")
    assert walk.begin(redirect_url="https://app.example.com/x")["auth_url"]
    walk.begin(status=400, redirect_url="https://app.example.com:8443/x")

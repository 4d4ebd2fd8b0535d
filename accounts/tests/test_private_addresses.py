"""No caller makes the service call a private address: not by a webhook, not by a Bluesky account's host."""

import socket
import ssl
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from accounts.models import WebhookDelivery, WebhookEndpoint
from accounts.services import deliveries
from accounts.tests.factories import SocialAccountFactory, WebhookEndpointFactory
from accounts.tests.receivers import emit, run
from accounts.tests.social_accounts import BLUESKY
from accounts.tests.social_accounts import URL as ACCOUNTS
from platforms import transport
from platforms.tests.socket_server import Server, ok, saying

pytestmark = pytest.mark.django_db(transaction=True)
WEBHOOKS = "/api/v1/webhooks"
PUBLIC = "93.184.216.34"
PRIVATE = [
    "127.0.0.1",
    "127.1",
    "127.0.0.1.",
    "2130706433",
    "0x7f000001",
    "0x7f.0.0.1",
    "0177.0.0.1",
    "017700000001",
    "0",
    "0.0.0.0",
    "10.0.0.8",
    "172.16.0.1",
    "192.168.1.1",
    "100.64.0.1",
    "169.254.169.254",
    "0xa9fea9fe",
    "2852039166",
    "224.0.0.1",
    "255.255.255.255",
    "[::]",
    "[::1]",
    "[::127.0.0.1]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[::ffff:169.254.169.254]",
    "[64:ff9b::7f00:1]",
    "[64:ff9b::a9fe:a9fe]",
    "[2002:7f00:1::]",
    "[fd00:ec2::254]",
    "[fe80::1]",
    "[fe80::1%25eth0]",
    "[fec0::1]",
    "localhost",
    "LOCALHOST.",
    "a.localhost",
    "metadata",
    "metadata.google.internal",
    "printer.local",
    "user@127.0.0.1",
    "user:password@receiver.example",
    "@receiver.example",
    "receiver.example@127.0.0.1",
    "receiver.example#@127.0.0.1",
    "receiver.example\\@127.0.0.1",
    "receiver.example:0",
    "receiver.example:99999",
    "receiver .example",
    "127\u30020\u30020\u30021",
    "\uff11\uff12\uff17.0.0.1",
    "b\u00fccher.example",
    "",
]


def pds(host: str) -> dict[str, Any]:
    return {**BLUESKY, "extra": {"pds_host": f"https://{host}"}}


def hook(host: str) -> dict[str, Any]:
    return {"url": f"https://{host}", "events": ["*"]}


@pytest.mark.parametrize("host", PRIVATE)
def test_a_private_or_odd_host_is_refused_when_it_is_given(api: Any, host: str) -> None:
    for url, body, field in ((WEBHOOKS, hook(host), "url"), (ACCOUNTS, pds(host), "extra.pds_host")):
        response = api.post(url, body)
        assert response.status_code == 400, (url, host)
        assert [error["field"] for error in response.json()["errors"]] == [field]


@pytest.mark.parametrize("url", ["http://8.8.8.8/", "ftp://8.8.8.8/", "//8.8.8.8/", "file:///etc/passwd", "gopher://a"])
def test_a_webhook_is_https_only(api: Any, url: str) -> None:
    assert api.post(WEBHOOKS, {"url": url, "events": ["*"]}).status_code == 400


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        ("https://8.8.8.8", "https://8.8.8.8/"),
        ("https://8.8.8.8:443/a?b=c", "https://8.8.8.8/a?b=c"),
        ("https://[2606:4700::1111]:8443/", "https://[2606:4700::1111]:8443/"),
        ("HTTPS://No-Such-Name.Invalid./x/../y", "https://no-such-name.invalid/x/../y"),
    ],
)
def test_a_public_url_is_stored_in_one_form(api: Any, given: str, stored: str) -> None:
    assert api.post(WEBHOOKS, {"url": given, "events": ["*"]}).json()["url"] == stored


# --- names ------------------------------------------------------------


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str]]:
    """What names resolve to, one answer after the other and then the last; others are asked for as ever."""
    known: dict[str, list[str]] = {}
    really = socket.getaddrinfo

    def getaddrinfo(host: Any, port: Any, *args: Any, **kwargs: Any) -> Any:
        if host not in known or kwargs.get("flags") == socket.AI_NUMERICHOST:
            return really(host, port, *args, **kwargs)
        answers = known[host]
        address = answers.pop(0) if len(answers) > 1 else answers[0]
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        return [(family, socket.SOCK_STREAM, 6, "", (address, port or 0))]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    monkeypatch.setattr(transport, "CONNECT_SECONDS", 0.2)
    return known


@pytest.fixture
def serve() -> Iterator[Callable[..., Server]]:
    servers: list[Server] = []

    def start(*parts: bytes) -> Server:
        servers.append(Server(saying(*parts or (ok(),))))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


@pytest.mark.parametrize("address", ["127.0.0.1", "10.1.2.3", "169.254.169.254", "::ffff:10.0.0.1", "fd00:ec2::254"])
def test_a_name_for_a_private_address_is_refused_when_it_is_given(api: Any, names: Any, address: str) -> None:
    names["rebind.example"] = [address]
    response = api.post(WEBHOOKS, hook("rebind.example/x"))
    assert response.status_code == 400
    assert "private" in response.json()["errors"][0]["message"]
    assert not WebhookEndpoint.objects.exists()


def test_a_name_that_leads_to_loopback_later_is_refused_when_it_is_called(
    api: Any, organization: Any, names: Any, serve: Any
) -> None:
    server = serve()
    names["rebind.example"] = [PUBLIC, "127.0.0.1"]
    response = api.post(WEBHOOKS, hook(f"rebind.example:{server.port}/x"))
    assert response.status_code == 201
    endpoint = WebhookEndpoint.objects.get()
    emit(endpoint)
    assert run() == 1
    delivery = WebhookDelivery.objects.get()
    assert (delivery.status, delivery.response_status) == ("pending", None)
    assert delivery.error == "The receiver does not have a public address."
    assert api.post(f"{WEBHOOKS}/{endpoint.pk}/test").json()["error"] == delivery.error
    assert server.connections == 0


def test_what_was_checked_is_what_is_connected_to(names: Any, serve: Any, monkeypatch: Any) -> None:
    server = serve()
    monkeypatch.setattr(deliveries, "SECONDS", 1.0)
    names["rebind.example"] = [PUBLIC, "127.0.0.1", "::1"]  # public when asked, loopback a moment later
    emit(WebhookEndpointFactory(url=f"https://rebind.example:{server.port}/"))
    run()
    assert names["rebind.example"] == ["127.0.0.1", "::1"], "asked once"
    assert server.connections == 0


@pytest.mark.parametrize("host", ["127.0.0.1", "2130706433", "0x7f.1", "[::ffff:127.0.0.1]", "[64:ff9b::7f00:1]"])
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_private_address_that_is_stored_all_the_same_is_not_called(serve: Any, scheme: str, host: str) -> None:
    server = serve()
    emit(WebhookEndpointFactory(url=f"{scheme}://{host}:{server.port}/"))
    run()
    assert WebhookDelivery.objects.get().status == "pending"
    assert server.connections == 0


def test_a_blueskys_host_that_leads_to_loopback_is_not_called(
    client_for: Any, names: Any, serve: Any, monkeypatch: Any
) -> None:
    monkeypatch.setattr(ssl.SSLSocket, "do_handshake", lambda *_: pytest.fail("it was connected"))
    for address in ("127.0.0.1", "::ffff:127.0.0.1"):
        server = serve()
        names["pds.example.com"] = [address]
        extra = {"pds_host": f"https://pds.example.com:{server.port}"}
        account = SocialAccountFactory(platform="bluesky", mode="live", extra=extra)
        found = client_for(account).get(f"{ACCOUNTS}/{account.pk}/health").json()
        assert (found["healthy"], found["error_code"]) == (False, "platform_unavailable")
        assert server.connections == 0


def test_a_redirect_to_loopback_is_followed_neither_by_webhooks_nor_for_bluesky(
    client_for: Any, serve: Any, settings: Any
) -> None:
    target = serve()
    away = f"HTTP/1.1 307 Temporary Redirect\r\nLocation: {target.url}\r\nContent-Length: 0\r\n\r\n".encode()
    front = serve(away)
    settings.WEBHOOK_ALLOWED_HOSTS = [f"127.0.0.1:{front.port}"]
    settings.PLATFORM_HOST_MAP = {"pds.example.com": front.url}
    emit(WebhookEndpointFactory(url=front.url))
    run()
    assert WebhookDelivery.objects.get().response_status == 307
    account = SocialAccountFactory(platform="bluesky", mode="live", extra={"pds_host": "https://pds.example.com"})
    assert client_for(account).get(f"{ACCOUNTS}/{account.pk}/health").json()["healthy"] is False
    assert front.connections >= 2 and target.connections == 0


# --- what the operator allows ------------------------------------------------------------


@pytest.mark.parametrize(
    ("allowed", "url", "status"),
    [
        (["127.0.0.1"], "http://127.0.0.1:9000/x", 201),
        (["127.0.0.1"], "https://127.0.0.1/x", 201),
        (["127.0.0.1:9000"], "http://127.0.0.1:9000/x", 201),
        (["127.0.0.1:9000"], "http://127.0.0.1:9001/x", 400),
        (["hooks.internal"], "http://hooks.internal/x", 201),
        (["hooks.internal"], "http://HOOKS.internal:80/x", 201),
        (["hooks.internal"], "http://hooks.internal.example/x", 400),
        (["hooks.internal"], "http://a.hooks.internal/x", 400),
        (["hooks.internal"], "ftp://hooks.internal/x", 400),
        (["hooks.internal"], "http://user@hooks.internal/x", 400),
        ([], "http://127.0.0.1:9000/x", 400),
    ],
)
def test_a_host_that_the_operator_allows_may_be_private_and_plain(
    api: Any, settings: Any, allowed: list[str], url: str, status: int
) -> None:
    settings.WEBHOOK_ALLOWED_HOSTS = allowed
    assert api.post(WEBHOOKS, {"url": url, "events": ["*"]}).status_code == status


def test_a_host_that_is_allowed_no_more_is_called_no_more(receiver: Any, settings: Any) -> None:
    endpoint = WebhookEndpointFactory(url=receiver.url)
    settings.WEBHOOK_ALLOWED_HOSTS = []
    emit(endpoint)
    run()
    assert receiver.messages == [] and WebhookDelivery.objects.get().status == "pending"

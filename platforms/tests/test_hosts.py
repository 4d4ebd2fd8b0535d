"""Where platform hosts are, and which addresses are public."""

import socket
import time

import pytest

from platforms import hosts
from platforms.errors import Unavailable
from platforms.hosts import (
    Destination,
    HostMap,
    check_public_origin,
    check_public_url,
    check_resolves_public,
    is_public,
    resolves_privately,
)

MAP = HostMap({"api.x.com": "http://127.0.0.1:9001", "graph.facebook.com": "http://127.0.0.1:9002/fb/"})


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://api.x.com/2/tweets?ids=1", "http://127.0.0.1:9001/2/tweets?ids=1"),
        ("https://API.X.com/2/tweets", "http://127.0.0.1:9001/2/tweets"),
        ("https://api.x.com:443/2", "http://127.0.0.1:9001/2"),
        ("https://graph.facebook.com/v26.0/1/insights", "http://127.0.0.1:9002/fb/v26.0/1/insights"),
        ("https://graph.facebook.com/", "http://127.0.0.1:9002/fb/"),
        ("https://api.twitter.com/2/tweets", "https://api.twitter.com/2/tweets"),
    ],
)
def test_a_mapped_host_keeps_path_and_query(url: str, expected: str) -> None:
    assert MAP.locate(url).url == expected
    assert not MAP.locate(url).guarded


def test_a_host_with_a_port_of_its_own_can_be_mapped() -> None:
    hosts = HostMap({"pds.example.com:8443": "http://127.0.0.1:1"})
    assert hosts.locate("https://pds.example.com:8443/xrpc/x", foreign=True) == Destination(
        "http://127.0.0.1:1/xrpc/x", guarded=False
    )
    assert hosts.locate("https://pds.example.com/x", foreign=True).guarded


def test_a_callers_host_is_guarded_unless_it_is_mapped() -> None:
    assert MAP.locate("https://pds.example.com/x", foreign=True).guarded
    assert not MAP.locate("https://api.x.com/x", foreign=True).guarded
    assert MAP.maps("API.x.com") and not MAP.maps("pds.example.com")


def test_the_sandbox_takes_every_host_below_a_path_of_its_own() -> None:
    hosts = HostMap({"api.x.com": "http://127.0.0.1:9001"}, sandbox="http://127.0.0.1:8001/")
    assert hosts.locate("https://api.x.com/2/tweets?ids=1") == Destination(
        "http://127.0.0.1:8001/api.x.com/2/tweets?ids=1", guarded=False
    )
    assert hosts.locate("https://pds.example.com/x", foreign=True).url == "http://127.0.0.1:8001/pds.example.com/x"
    assert hosts.maps("anything")


PUBLIC = ["8.8.8.8", "93.184.216.34", "2606:4700::1111", "::ffff:8.8.8.8", "2002:808:808::1", "64:ff9b::808:808"]
PRIVATE = [
    "127.0.0.1",
    "127.255.255.254",
    "10.0.0.1",
    "172.16.0.1",
    "192.168.0.1",
    "169.254.169.254",
    "100.64.0.1",
    "0.0.0.0",
    "198.18.0.1",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "192.0.2.1",
    "::",
    "::1",
    "::127.0.0.1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "ff02::1",
    "2001:db8::1",
    "2002:7f00:1::1",
    "2002:a00:1::1",
    "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::a00:1",
    "2001:0:7f00:1::",
    "not an address",
    "",
]


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize("address", PRIVATE)
def test_addresses_that_are_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize(
    ("given", "canonical"),
    [
        ("https://pds.example.com", "https://pds.example.com"),
        (" https://PDS.Example.com/ ", "https://pds.example.com"),
        ("https://pds.example.com.", "https://pds.example.com"),
        ("https://pds.example.com:443", "https://pds.example.com"),
        ("https://pds.example.com:8443", "https://pds.example.com:8443"),
        ("https://8.8.8.8", "https://8.8.8.8"),
        ("https://[2606:4700::1111]", "https://[2606:4700::1111]"),
        ("https://xn--bcher-kva.example", "https://xn--bcher-kva.example"),
    ],
)
def test_an_origin_has_one_form(given: str, canonical: str) -> None:
    assert check_public_origin(given) == canonical
    assert check_public_origin(canonical) == canonical


@pytest.mark.parametrize(
    "given",
    [
        "",
        "pds.example.com",
        "http://pds.example.com",
        "ftp://pds.example.com",
        "https://",
        "https://user@pds.example.com",
        "https://user:secret@pds.example.com",
        "https://@pds.example.com",
        "https://pds.example.com/path",
        "https://pds.example.com?q",
        "https://pds.example.com#f",
        "https://pds.example.com:0",
        "https://pds.example.com:99999",
        "https://pds.example.com:x",
        "https://pds example.com",
        "https://pds.example.com\\@evil.com",
        "https://bücher.example",
        "https://localhost",
        "https://intranet",
        "https://db.internal",
        "https://printer.local",
        "https://a.localhost",
        "https://127.0.0.1",
        "https://127.1",
        "https://2130706433",
        "https://0x7f000001",
        "https://0x7f.0.0.1",
        "https://0177.0.0.1",
        "https://0",
        "https://169.254.169.254",
        "https://[::1]",
        "https://[::ffff:127.0.0.1]",
        "https://[::ffff:7f00:1]",
        "https://[2002:7f00:1::]",
        "https://[64:ff9b::7f00:1]",
        "https://[fe80::1%25eth0]",
        "https://[::1",
    ],
)
def test_what_is_no_public_https_origin_is_refused(given: str) -> None:
    with pytest.raises(ValueError, match="must"):
        check_public_origin(given)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "no-such-host.invalid", "a..b"])
def test_a_host_without_a_public_address_is_unavailable(host: str) -> None:
    with pytest.raises(Unavailable):
        check_resolves_public(host, 443)


@pytest.mark.parametrize(
    ("given", "canonical"),
    [
        ("https://example.com", "https://example.com/"),
        ("HTTPS://Example.com.:443/A?b=C", "https://example.com/A?b=C"),
        ("https://example.com:8443/%7Ea/../b?", "https://example.com:8443/%7Ea/../b"),
        ("https://[2606:4700::1111]/", "https://[2606:4700::1111]/"),
    ],
)
def test_a_callers_url_has_one_form(given: str, canonical: str) -> None:
    assert check_public_url(given) == canonical
    assert check_public_url(canonical) == canonical


def test_a_callers_url_is_not_too_long_in_its_one_form_either() -> None:
    whole, bare = "https://example.com/?".ljust(2000, "a"), "https://example.com?".ljust(2000, "a")
    assert check_public_url(whole) == whole
    with pytest.raises(ValueError, match="must not be longer than 2000"):
        check_public_url(bare)


def test_plain_http_is_for_hosts_that_are_allowed() -> None:
    allowed = ["127.0.0.1:9000", "hooks"]
    assert check_public_url("http://127.0.0.1:9000/x", allowed=allowed) == "http://127.0.0.1:9000/x"
    assert check_public_url("http://hooks:80", allowed=allowed) == "http://hooks/"
    for url in ("http://127.0.0.1/x", "http://127.0.0.1:9001/x", "http://example.com/", "ftp://hooks/"):
        with pytest.raises(ValueError, match="must"):
            check_public_url(url, allowed=allowed)


def test_the_usual_port_of_a_host_that_is_allowed_may_be_named() -> None:
    allowed = ["a:443", "b:80"]
    assert check_public_url("https://a/x", allowed=allowed) == check_public_url("https://a:443/x", allowed=allowed)
    assert check_public_url("http://b/x", allowed=allowed) == "http://b/x"
    for url in ("https://a:8443/x", "http://a/x", "https://b/x"):
        with pytest.raises(ValueError, match="must"):
            check_public_url(url, allowed=allowed)


def test_a_name_without_an_address_does_not_resolve_privately() -> None:
    assert not resolves_privately("no-such-host.invalid", 443)
    assert not resolves_privately("a..b", 443)
    assert resolves_privately("localhost", 443)


def test_a_name_server_that_hangs_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hosts, "RESOLVE_SECONDS", 0.1)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: time.sleep(5) or [])
    began = time.monotonic()
    assert not resolves_privately("slow.example", 443)
    assert time.monotonic() - began < 5

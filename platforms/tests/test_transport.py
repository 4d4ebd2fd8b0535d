"""One exchange over real sockets: deadlines, caps, redirects, reuse, guarded addresses."""

import gzip
import ipaddress
import logging
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from platforms import transport as module
from platforms.errors import DeadlineExceeded, MalformedPayload, PlatformError, Unavailable
from platforms.tests.socket_server import Script, Server, drip, ok, saying
from platforms.transport import Exchange, HttpTransport, Response

SHORT = 0.4
"""Seconds until the deadline of a call that will not end by itself."""
PATIENCE = 5.0
"""Well before a server that drips would have ended."""


@pytest.fixture
def serve() -> Iterator[Callable[..., Server]]:
    servers: list[Server] = []

    def start(script: Script, **more: Any) -> Server:
        servers.append(Server(script, **more))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


def send(url: str, *, seconds: float = PATIENCE, carrier: HttpTransport | None = None, **more: Any) -> Response:
    method = more.pop("method", "GET")
    return (carrier or HttpTransport()).send(Exchange(method, url, time.monotonic() + seconds, **more))


def test_an_answer_comes_back_whole(serve: Callable[..., Server]) -> None:
    server = serve(saying(ok(b'{"a": 1}', "X-Rate-Limit-Remaining: 9")))
    answer = send(server.url)
    assert (answer.status, answer.body, answer.headers["x-rate-limit-remaining"]) == (200, b'{"a": 1}', "9")


def test_a_request_is_sent_as_it_is_told(serve: Callable[..., Server]) -> None:
    server = serve(saying(ok()))
    params = [("uris", "at://did:plc:a/x"), ("uris", "b c")]
    send(server.url, params=params, headers={"Authorization": "Bearer t"})
    assert b"GET /?uris=at%3A%2F%2Fdid%3Aplc%3Aa%2Fx&uris=b+c HTTP/1.1" in server.requests[0]
    assert b"Authorization: Bearer t" in server.requests[0]


def test_a_body_of_bytes_is_sent_as_it_is(serve: Callable[..., Server]) -> None:
    server = serve(saying(ok(), close=True))
    send(server.url, method="POST", content=b'{"a":\xc3\xbc}', headers={"Content-Type": "application/json"})
    assert b"Content-Length: 8" in server.requests[0]
    assert b"Content-Type: application/json" in server.requests[0]


def test_of_a_long_answer_the_beginning_can_be_kept(serve: Callable[..., Server]) -> None:
    server = serve(saying(ok(b"ab" * 400_000)))
    answer = send(server.url, carrier=HttpTransport(max_body=3, cut=True))
    assert (answer.status, answer.body) == (200, b"aba")


def test_failures_are_said_to_be_of_the_peer(serve: Callable[..., Server]) -> None:
    carrier = HttpTransport(peer="receiver")
    with pytest.raises(Unavailable, match="The receiver's answer broke off"):
        send(serve(saying(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc", close=True)).url, carrier=carrier)
    with pytest.raises(Unavailable, match="The receiver does not have a public address"):
        send(serve(saying(ok())).url, carrier=carrier, guarded=True)


def test_a_bare_post_has_no_body(serve: Callable[..., Server]) -> None:
    server = serve(saying(ok()))
    send(server.url, method="POST")
    assert b"Content-Length: 0" in server.requests[0]
    assert b"Content-Type" not in server.requests[0]


@pytest.mark.parametrize(
    "script",
    [
        pytest.param(drip(b"HTTP/1.1 200 OK\r\nContent-Length: 60\r\n\r\n", b" "), id="body"),
        pytest.param(drip(b"HTTP/1.1 200 OK\r\n\r\n", b" "), id="body without a length"),
        pytest.param(drip(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n"), id="chunks"),
        pytest.param(drip(b"HTTP/1.1 200 OK\r\n", b"X: y\r\n"), id="headers"),
        pytest.param(drip(b"HTTP/1.1 200 OK\r\nX: ", b"y"), id="one header"),
        pytest.param(drip(b"H", b"T"), id="status line"),
        pytest.param(lambda connection: time.sleep(6), id="silence"),
    ],
)
def test_a_server_that_drips_is_cut_off_at_the_deadline(serve: Callable[..., Server], script: Script) -> None:
    server = serve(script)
    started = time.monotonic()
    with pytest.raises(Unavailable) as caught:
        send(server.url, seconds=SHORT)
    assert time.monotonic() - started < PATIENCE
    assert "in time" in caught.value.detail


def test_a_deadline_cuts_only_its_own_exchange(serve: Callable[..., Server]) -> None:
    slow, carrier = serve(saying(ok(b"")[:-2], b"\r\n", pause=SHORT * 2)), HttpTransport()
    results: list[Any] = []

    def ask(seconds: float) -> None:
        try:
            results.append(send(slow.url, seconds=seconds, carrier=carrier).status)
        except PlatformError as error:
            results.append(type(error).__name__)

    threads = [threading.Thread(target=ask, args=(seconds,)) for seconds in (SHORT, PATIENCE)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results, key=str) == [200, "Unavailable"]


def test_a_time_already_up_calls_nobody(serve: Callable[..., Server]) -> None:
    server = serve(saying(ok()))
    with pytest.raises(DeadlineExceeded):
        send(server.url, seconds=-1)
    assert server.connections == 0


def test_a_server_that_takes_no_connection_is_given_up_at_the_deadline() -> None:
    full = socket.create_server(("127.0.0.1", 0), backlog=0)
    port = full.getsockname()[1]
    filling = [socket.socket() for _ in range(4)]
    for each in filling:
        each.setblocking(False)
        each.connect_ex(("127.0.0.1", port))
    started = time.monotonic()
    with pytest.raises(Unavailable):
        send(f"http://127.0.0.1:{port}/", seconds=SHORT)
    assert time.monotonic() - started < PATIENCE
    for each in (*filling, full):
        each.close()


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 9000\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2328\r\n",
    ],
)
def test_a_body_larger_than_allowed_is_not_read(serve: Callable[..., Server], head: bytes) -> None:
    server = serve(saying(head + b" " * 9000 + b"\r\n0\r\n\r\n"))
    with pytest.raises(MalformedPayload, match="larger"):
        send(server.url, carrier=HttpTransport(max_body=1000))


def test_a_small_body_that_unpacks_to_a_large_one_is_not_read(serve: Callable[..., Server]) -> None:
    packed = gzip.compress(b" " * 50_000_000)
    server = serve(saying(ok(packed, "Content-Encoding: gzip")))
    with pytest.raises(MalformedPayload, match="larger"):
        send(server.url, carrier=HttpTransport(max_body=1_000_000))


@pytest.mark.parametrize(
    "script",
    [
        pytest.param(saying(b'HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{"posts": []}', close=True), id="body"),
        pytest.param(saying(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{}", close=True), id="chunk"),
        pytest.param(saying(b"", close=True), id="nothing"),
        pytest.param(saying(b"\x00\x01\x02\r\n\r\n", close=True), id="no HTTP"),
        pytest.param(saying(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 7\r\n\r\n12345"), id="lengths"),
        pytest.param(saying(ok(b"no gzip", "Content-Encoding: gzip")), id="encoding"),
        pytest.param(saying(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 500 + b"\r\n", close=True), id="headers"),
    ],
)
def test_a_broken_answer_is_unavailable(serve: Callable[..., Server], script: Script) -> None:
    server = serve(script)
    with pytest.raises(Unavailable):
        send(server.url)
    assert server.connections == 1, "nothing is sent twice"


def test_a_refused_connection_is_unavailable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(Unavailable, match="could not be reached"):
        send(f"http://127.0.0.1:{port}/")


@pytest.mark.parametrize("url", ["http://no-such-host.invalid/", "http://[::1", "http://a..b/", "ftp://127.0.0.1/"])
def test_an_address_that_leads_nowhere_is_unavailable(url: str) -> None:
    with pytest.raises(Unavailable):
        send(url)


def test_a_redirect_is_not_followed(serve: Callable[..., Server]) -> None:
    target = serve(saying(ok()))
    head = f"HTTP/1.1 302 Found\r\nLocation: {target.url}\r\nContent-Length: 0\r\n\r\n".encode()
    assert send(serve(saying(head)).url).status == 302
    assert target.connections == 0


def test_cookies_are_not_kept(serve: Callable[..., Server]) -> None:
    server, carrier = serve(saying(ok(b"{}", "Set-Cookie: a=b"))), HttpTransport()
    for _ in range(2):
        send(server.url, carrier=carrier)
    assert b"Cookie" not in server.requests[1]


def test_a_connection_is_used_again(serve: Callable[..., Server]) -> None:
    server, carrier = serve(saying(ok())), HttpTransport()
    for _ in range(3):
        assert send(server.url, carrier=carrier).status == 200
    assert server.connections == 1


def test_a_connection_used_again_still_has_a_deadline(serve: Callable[..., Server]) -> None:
    answers = iter([saying(ok()), drip(b"HTTP/1.1 200 OK\r\nContent-Length: 60\r\n\r\n", b" "), saying(ok())])
    server, carrier = serve(lambda connection: next(answers)(connection)), HttpTransport()
    assert send(server.url, carrier=carrier).status == 200
    started = time.monotonic()
    with pytest.raises(Unavailable):
        send(server.url, carrier=carrier, seconds=SHORT)
    assert time.monotonic() - started < PATIENCE
    assert send(server.url, carrier=carrier).status == 200
    assert server.connections == 2


def test_an_environment_proxy_and_netrc_are_ignored(
    serve: Callable[..., Server], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login a password b\n")
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9/")
    server = serve(saying(ok()))
    send(server.url, headers={"Authorization": "Bearer t"})
    assert b"Authorization: Bearer t" in server.requests[0]


def test_no_failure_and_no_log_line_shows_the_query(
    serve: Callable[..., Server], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    odd = serve(saying(b"HTTP/1.1 200 OK\r\nno colon here\r\nContent-Length: 2\r\n\r\n{}", close=True))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        closed = f"http://127.0.0.1:{listener.getsockname()[1]}/"
    for url in (odd.url, closed):
        try:
            send(url, params=[("access_token", "very-secret")])
        except PlatformError as error:
            assert "very-secret" not in f"{error.detail} {error.evidence} {error!r}"
            assert error.__cause__ is None and error.__context__ is None
    assert "very-secret" not in caplog.text


# --- guarded exchanges -------------------------------------------------------------------------------------------


def resolving(monkeypatch: pytest.MonkeyPatch, *answers: str, port: int) -> list[str]:
    """Let every host name resolve to the given addresses, one after the other and then the last."""
    asked: list[str] = []

    def getaddrinfo(host: str, *args: Any, **kwargs: Any) -> list[Any]:
        asked.append(host)
        address = answers[min(len(asked), len(answers)) - 1]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return asked


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "0x7f.1", "2130706433", "[::ffff:127.0.0.1]"])
def test_a_guarded_exchange_connects_to_no_private_address(serve: Callable[..., Server], host: str) -> None:
    server = serve(saying(ok()))
    with pytest.raises(Unavailable):
        send(f"http://{host}:{server.port}/", guarded=True)
    assert server.connections == 0


@pytest.mark.parametrize("address", ["10.0.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0"])
def test_a_name_for_a_private_address_is_refused(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    resolving(monkeypatch, address, port=80)
    with pytest.raises(Unavailable):
        send("http://pds.example.com/", guarded=True)


def test_a_name_that_changes_its_address_is_checked_for_the_address_that_is_connected(
    serve: Callable[..., Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    server = serve(saying(ok()))
    asked = resolving(monkeypatch, "93.184.216.34", "127.0.0.1", port=server.port)
    monkeypatch.setattr(module, "CONNECT_SECONDS", 0.2)
    for _ in range(2):
        with pytest.raises(Unavailable):
            send("http://pds.example.com/", guarded=True, seconds=SHORT)
    assert len(asked) == 2, "what was checked is what is connected to, without asking again"
    assert server.connections == 0


def test_a_connection_made_unguarded_is_not_used_for_a_guarded_exchange(serve: Callable[..., Server]) -> None:
    server, carrier = serve(saying(ok())), HttpTransport()
    send(server.url, carrier=carrier)
    with pytest.raises(Unavailable):
        send(server.url, carrier=carrier, guarded=True)


# --- TLS ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for 127.0.0.1 that nobody signed, with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    built = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now, now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "server.pem"
    form = serialization.PrivateFormat.PKCS8
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())
        + built.public_bytes(serialization.Encoding.PEM)
    )
    return path


def secured(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


def test_a_certificate_nobody_signed_is_refused(serve: Callable[..., Server], certificate: Path) -> None:
    server = serve(saying(ok()), context=secured(certificate))
    with pytest.raises(Unavailable, match="secure"):
        send(server.url)
    assert server.requests == []


@pytest.mark.parametrize("reuse", [False, True])
def test_a_drip_through_tls_is_cut_off_too(
    serve: Callable[..., Server], certificate: Path, monkeypatch: pytest.MonkeyPatch, reuse: bool
) -> None:
    trusting = module._new_session

    def session() -> Any:
        made = trusting()
        made.verify = str(certificate)
        return made

    monkeypatch.setattr(module, "_new_session", session)
    slow = drip(b"HTTP/1.1 200 OK\r\nContent-Length: 60\r\n\r\n", b" ")
    answers = iter([saying(ok()), slow] if reuse else [slow])
    server, carrier = serve(lambda connection: next(answers)(connection), context=secured(certificate)), HttpTransport()
    if reuse:
        assert send(server.url, carrier=carrier).status == 200
    started = time.monotonic()
    with pytest.raises(Unavailable, match="in time"):
        send(server.url, carrier=carrier, seconds=SHORT)
    assert time.monotonic() - started < PATIENCE
    assert server.connections == 1


def test_a_server_silent_in_the_handshake_is_cut_off() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        started = time.monotonic()
        with pytest.raises(Unavailable):
            send(f"https://127.0.0.1:{silent.getsockname()[1]}/", seconds=SHORT)
        assert time.monotonic() - started < PATIENCE

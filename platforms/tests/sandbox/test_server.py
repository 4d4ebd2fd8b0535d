"""The sandbox as a server."""

import signal
import socket
import threading
import time

import pytest
import requests
from django.core.management import CommandError, call_command

from platforms.sandbox import server
from platforms.sandbox.server import RunningSandbox, start
from platforms.tests.sandbox.conftest import Client


def test_a_taken_port_is_named() -> None:
    with start() as running, pytest.raises(OSError, match=str(running.port)):
        start(running.port)


def test_stopping_lets_hanging_and_idle_connections_go() -> None:
    running = start()
    client = Client(running)
    client.get("_control")
    client.switch("x", faults=[{"kind": "hang"}])
    done = threading.Event()

    def hang() -> None:
        with pytest.raises(requests.RequestException):
            requests.get(f"{running.url}/api.x.com/2/tweets", timeout=5)
        done.set()

    threading.Thread(target=hang, daemon=True).start()
    time.sleep(0.1)
    running.stop()
    assert done.wait(2)
    with pytest.raises(requests.ConnectionError):
        client.get("_control")
    with start(running.port) as again:
        assert requests.get(f"{again.url}/_control", timeout=5).status_code == 200


def test_a_signal_ends_serving_and_the_handlers_return() -> None:
    before, urls = signal.getsignal(signal.SIGTERM), []

    def ready(running: RunningSandbox) -> None:
        urls.append(running.url)
        signal.raise_signal(signal.SIGTERM)

    server.serve(0, on_ready=ready)
    assert urls and signal.getsignal(signal.SIGTERM) is before


def test_one_connection_carries_many_calls_without_delay(client: Client) -> None:
    client.get("_control")
    took = []
    for _ in range(25):
        begin = time.perf_counter()
        assert client.get("public.api.bsky.app/xrpc/app.bsky.feed.getPosts").status_code == 400
        took.append(time.perf_counter() - begin)
    assert min(took[10:]) < 0.04, "a delayed acknowledgement takes 40 ms"


def test_a_body_without_a_length_is_refused(client: Client) -> None:
    with socket.create_connection(("127.0.0.1", client.running.port)) as sock:
        sock.sendall(b"POST /api.x.com/2/oauth2/token HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        assert sock.recv(100).startswith(b"HTTP/1.1 411")


def test_calls_at_the_same_time_are_answered_at_the_same_time(client: Client) -> None:
    client.switch("bluesky", latency_ms=150)
    threads = [
        threading.Thread(target=requests.get, args=(f"{client.running.url}/bsky.social/xrpc/x",), kwargs={"timeout": 5})
        for _ in range(10)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert client.get("_control").json()["platforms"]["bluesky"]["in_flight_max"] >= 2


@pytest.mark.parametrize("port", [-1, 65536])
def test_a_port_that_there_is_not_is_an_error_that_says_so(port: int) -> None:
    with pytest.raises(CommandError, match="from 0 to 65535"):
        call_command("sandbox", port=port)

"""The sandbox on a socket: HTTP/1.1 with keep-alive, on the loopback interface only."""

import logging
import re
import signal
import socket
import threading
import time
from collections.abc import Callable
from http.client import responses
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from platforms.sandbox.app import CONTROL, Sandbox, SandboxRequest, SandboxResponse
from platforms.sandbox.state import Fault

HOST = "127.0.0.1"
MAX_BODY = 16 * 1024 * 1024
_LOOPBACK = re.compile(r"(127\.0\.0\.1|localhost|\[::1\])(:\d+)?")
logger = logging.getLogger(__name__)


class SandboxServer(ThreadingHTTPServer):
    """A thread for each connection; stopping closes the connections that are open."""

    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 512

    def __init__(self, port: int, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self.stopping = threading.Event()
        self._open: set[socket.socket] = set()
        self._open_lock = threading.Lock()
        try:
            super().__init__((HOST, port), SandboxHandler)
        except OSError as error:
            raise OSError(error.errno, f"The sandbox cannot listen on {HOST}:{port}: {error.strerror}") from error

    def server_bind(self) -> None:
        """Bind without the look-up of the host's name that the base class makes."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        socket.socket.bind(self.socket, self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = HOST, self.server_address[1]

    def remember(self, connection: socket.socket) -> None:
        """Note an open connection."""
        with self._open_lock:
            self._open.add(connection)

    def forget(self, connection: socket.socket) -> None:
        """A connection has ended."""
        with self._open_lock:
            self._open.discard(connection)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is no news."""
        logger.debug("sandbox connection failed", exc_info=True)

    def stop(self) -> None:
        """Stop listening, let hanging calls go and close what is open."""
        self.stopping.set()
        self.shutdown()
        self.server_close()
        with self._open_lock:
            for connection in self._open:
                _hang_up(connection)


def _hang_up(connection: socket.socket) -> None:
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        logger.debug("connection was already closed")


class SandboxHandler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: SandboxServer

    def setup(self) -> None:
        super().setup()
        self.server.remember(self.connection)

    def finish(self) -> None:
        self.server.forget(self.connection)
        super().finish()

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: tokens stand in query strings."""

    def answer(self) -> None:
        """Read one request, ask the sandbox, and send what it says."""
        try:
            response = self.ask()
        except Exception:  # a mistake of the sandbox must not look like a broken connection
            logger.exception("the sandbox failed")
            response = SandboxResponse(500, {}, b"the sandbox failed")
        self.send(response)

    def ask(self) -> SandboxResponse:
        """The sandbox's response to the request on the connection."""
        length = self.headers.get("Content-Length", "0")
        if "Transfer-Encoding" in self.headers or not length.isdecimal() or int(length) > MAX_BODY:
            self.close_connection = True
            return SandboxResponse(411, {}, b"")
        body = self.rfile.read(int(length)) if length != "0" else b""
        url = urlsplit(self.path)
        host, _, path = url.path.lstrip("/").partition("/")
        request = SandboxRequest(
            method=self.command,
            host=host.lower(),
            path=f"/{unquote(path)}" if host != CONTROL else f"/{path}",
            query=parse_qs(url.query, keep_blank_values=True),
            headers={name.lower(): value for name, value in self.headers.items()},
            body=body,
        )
        if host == CONTROL and not _LOOPBACK.fullmatch(request.headers.get("host", "")):
            return SandboxResponse(403, {}, b"")
        return self.server.sandbox.handle(request, time.time(), pause=self.server.stopping.wait)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = answer

    def send(self, response: SandboxResponse) -> None:
        """Head and body in one piece, unless the connection is to misbehave."""
        head = [f"HTTP/1.1 {response.status} {responses.get(response.status, '')}", f"Date: {self.date_time_string()}"]
        head += [f"{name}: {value}" for name, value in response.headers.items()]
        fault = response.transport
        extra = {"truncated": len(response.body) + 512, "huge": 1 << 40}.get(fault.kind if fault else "", 0)
        head.append(f"Content-Length: {extra or len(response.body)}")
        if self.close_connection:
            head.append("Connection: close")
        data = "\r\n".join((*head, "", "")).encode("latin-1")
        if fault is None:
            self.wfile.write(data if self.command == "HEAD" else data + response.body)
        else:
            self.close_connection = True
            self.misbehave(fault, data, response.body)

    def misbehave(self, fault: Fault, head: bytes, body: bytes) -> None:
        """Send the response as the fault wants it, then close."""
        if fault.kind == "hang":
            self.server.stopping.wait()
        elif fault.kind == "truncated":
            self.wfile.write(head + body)
        elif fault.kind == "huge":
            self.wfile.write(head + body)
            while not self.server.stopping.is_set():
                self.wfile.write(b" " * 65536)
        elif fault.kind == "drip":
            at_once, slowly = (b"", head + body) if fault.variant == "headers" else (head, body)
            self.wfile.write(at_once)
            for index in range(len(slowly)):
                if self.server.stopping.wait(fault.seconds):
                    return
                self.wfile.write(slowly[index : index + 1])
        _hang_up(self.connection)


class RunningSandbox:
    """A sandbox that serves in a thread."""

    def __init__(self, server: SandboxServer) -> None:
        self.sandbox = server.sandbox
        self.port: int = server.server_port
        self.url = f"http://{HOST}:{self.port}"
        self._server = server
        self._thread = threading.Thread(target=server.serve_forever, args=(0.05,), name="sandbox", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop serving; a second time does nothing."""
        if self._thread.is_alive():
            self._server.stop()
            self._thread.join()

    def __enter__(self) -> "RunningSandbox":
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()


def start(port: int = 0, sandbox: Sandbox | None = None) -> RunningSandbox:
    """Serve in a thread; port 0 takes a free one."""
    return RunningSandbox(SandboxServer(port, sandbox or Sandbox()))


def serve(port: int, *, on_ready: Callable[[RunningSandbox], None] | None = None) -> None:
    """Serve until SIGTERM or SIGINT. OSError, naming the port, if it is taken."""
    done = threading.Event()
    with start(port) as running:
        before = {name: signal.signal(name, lambda *_: done.set()) for name in (signal.SIGTERM, signal.SIGINT)}
        try:
            if on_ready:
                on_ready(running)
            done.wait()
        finally:
            for name, handler in before.items():
                signal.signal(name, handler)

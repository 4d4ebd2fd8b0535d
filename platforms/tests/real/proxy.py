"""A reverse proxy that writes down the calls which pass through it."""

import base64
import http.client
import json
import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

HOP_BY_HOP = frozenset({"connection", "keep-alive", "transfer-encoding", "te", "trailer", "upgrade", "content-length"})
TIMEOUT_SECONDS = 60


@dataclass(frozen=True)
class Call:
    """One call: the XRPC method, the answer's status, the ids it asked for, and the bearer token's claims."""

    method: str
    status: int
    uris: tuple[str, ...]
    claims: dict[str, Any]


class CountingProxy:
    """Listens on a free port of this machine; a target that refuses a connection shows as a dropped one."""

    def __init__(self, target: str) -> None:
        self.target = urlsplit(target).netloc
        self._calls: list[Call] = []
        self._lock = threading.Lock()
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.proxy = self

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def record(self, call: Call) -> None:
        with self._lock:
            self._calls.append(call)

    def clear(self) -> None:
        with self._lock:
            self._calls.clear()

    def calls(self, *methods: str) -> list[Call]:
        """The calls since `clear`, oldest first; with `methods`, theirs alone."""
        with self._lock:
            return [call for call in self._calls if not methods or call.method in methods]


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128
    proxy: CountingProxy


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_GET(self) -> None:
        self._forward()

    def do_POST(self) -> None:
        self._forward()

    def log_message(self, format: str, *args: object) -> None:
        pass

    def _forward(self) -> None:
        sent = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        upstream = http.client.HTTPConnection(self.server.proxy.target, timeout=TIMEOUT_SECONDS)
        try:
            upstream.request(self.command, self.path, body=sent or None, headers=self._passed_on())
            answer = upstream.getresponse()
            body = answer.read()
        except OSError:
            self.close_connection = True
            return
        finally:
            upstream.close()
        self.server.proxy.record(self._describe(answer.status))
        self.send_response_only(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in HOP_BY_HOP:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _passed_on(self) -> dict[str, str]:
        return {name: value for name, value in self.headers.items() if name.lower() not in HOP_BY_HOP}

    def _describe(self, status: int) -> Call:
        parts = urlsplit(self.path)
        uris = tuple(parse_qs(parts.query).get("uris", ()))
        token = (self.headers.get("Authorization") or "").removeprefix("Bearer ")
        return Call(parts.path.rpartition("/")[2], status, uris, _claims(token))


def _claims(token: str) -> dict[str, Any]:
    try:
        payload = token.split(".")[1]
        claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    except (IndexError, ValueError):
        return {}
    return claims

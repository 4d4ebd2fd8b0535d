"""A receiver of webhooks: a real HTTP server that verifies by the `standardwebhooks` library alone."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from standardwebhooks import Webhook

from accounts.models import WebhookEndpoint, WebhookEvent
from accounts.services import events, messenger

EVERYTHING = {"id": "1", "text": "Grüße 👋"}


@dataclass
class Message:
    """What came in."""

    path: str
    headers: dict[str, str]
    body: bytes
    at: float = field(default_factory=time.monotonic)

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    def verified(self, secret: str) -> Any:
        """The event, or the library's error."""
        return Webhook(secret).verify(self.body, self.headers)

    def json(self) -> Any:
        return json.loads(self.body)


class Receiver:
    """Answers 204 unless `answer` says otherwise: a status, with a body and headers."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.answer: Callable[[Message], Any] = lambda message: 204
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                message = Message(self.path, {k.lower(): v for k, v in self.headers.items()}, body)
                receiver.messages.append(message)
                answer = receiver.answer(message)
                status, text, headers = answer if isinstance(answer, tuple) else (answer, b"", {})
                self.send_response(status)
                for name, value in {**headers, "Content-Length": str(len(text))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}/hook"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def make_receiver(settings: Any) -> Iterator[Callable[[], Receiver]]:
    """Receivers on loopback, which is allowed for the test."""
    settings.WEBHOOK_ALLOWED_HOSTS = ["127.0.0.1"]
    made: list[Receiver] = []

    def make() -> Receiver:
        made.append(Receiver())
        return made[-1]

    yield make
    for receiver in made:
        receiver.close()


@pytest.fixture
def receiver(make_receiver: Callable[[], Receiver]) -> Receiver:
    return make_receiver()


def emit(endpoint: WebhookEndpoint, kind: str = "post.published", data: Any = None) -> WebhookEvent:
    """Have something happen in an endpoint's organization."""
    events.emit(endpoint.organization_id, endpoint.mode, kind, data or EVERYTHING)
    return WebhookEvent.objects.latest("created_at")


def run(seconds: float = 20) -> int:
    """Deliver what is due. Returns how much was sent."""
    return messenger.run(until=time.monotonic() + seconds)

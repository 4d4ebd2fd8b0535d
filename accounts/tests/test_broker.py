"""Waking workers by a broker that is away, or hangs."""

import socket
import time
from collections.abc import Iterator
from typing import Any

import pytest
from celery import Celery
from django.conf import settings

from accounts.services import broker


@pytest.fixture
def hanging() -> Iterator[str]:
    """The address of a server that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"redis://127.0.0.1:{server.getsockname()[1]}/0"


def test_a_broker_that_hangs_is_waited_for_once_and_not_for_long(
    hanging: str, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    options = settings.CELERY_BROKER_TRANSPORT_OPTIONS
    app = Celery("hanging", broker=hanging, broker_transport_options=options, set_as_current=False)
    monkeypatch.setattr(broker, "current_app", app)
    monkeypatch.setattr(broker, "_silent_until", 0.0)
    sent: list[str] = []
    send = app.send_task
    monkeypatch.setattr(app, "send_task", lambda name, **more: (sent.append(name), send(name, **more)))
    began = time.monotonic()
    for _ in range(3):
        broker.send("a.task", expires=60)
    assert time.monotonic() - began < 25
    assert sent == ["a.task"] and caplog.messages == ["no worker was woken: OperationalError"]
    monkeypatch.setattr(broker, "PAUSE", 0.0)
    monkeypatch.setattr(broker, "_silent_until", 0.0)
    monkeypatch.setattr(app, "send_task", lambda name, **more: sent.append(name))
    broker.send("a.task", expires=60)
    assert len(sent) == 2

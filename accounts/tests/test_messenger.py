"""Who is woken when something happens, and that nobody's trouble with it is the caller's."""

import threading
import time
from typing import Any

import pytest
from celery import current_app
from django.db import transaction

from accounts import tasks
from accounts.models import WebhookDelivery, WebhookEvent
from accounts.services import broker, messenger
from accounts.tests.factories import WebhookEndpointFactory
from accounts.tests.processes import wait_for
from accounts.tests.receivers import emit, run
from postfuze.celery import beat_schedule

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def sent(settings: Any, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, dict[str, Any]]]:
    """What is sent to a broker."""
    settings.CELERY_TASK_ALWAYS_EAGER = False
    monkeypatch.setattr(broker, "_silent_until", 0.0)
    messages: list[tuple[str, dict[str, Any]]] = []
    monkeypatch.setattr(current_app, "send_task", lambda name, **options: messages.append((name, options)))
    return messages


def test_a_worker_is_woken_once_the_change_is_committed(sent: Any) -> None:
    endpoint = WebhookEndpointFactory()
    with transaction.atomic():
        emit(endpoint)
        assert sent == []
    [(name, options)] = sent
    assert name == tasks.deliver_webhooks.name
    assert 0 < options["expires"] <= 60


def test_nobody_is_woken_for_what_did_not_happen(sent: Any) -> None:
    endpoint = WebhookEndpointFactory()
    with transaction.atomic():
        emit(endpoint)
        transaction.set_rollback(True)
    assert sent == []


def test_a_broker_that_is_down_costs_the_caller_nothing(
    receiver: Any, settings: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    settings.CELERY_TASK_ALWAYS_EAGER = False
    monkeypatch.setattr(broker, "_silent_until", 0.0)

    def down(*args: Any, **options: Any) -> None:
        raise ConnectionError("the broker is down")

    monkeypatch.setattr(current_app, "send_task", down)
    emit(WebhookEndpointFactory(url=receiver.url))
    assert "no worker was woken: ConnectionError" in caplog.text
    assert WebhookEvent.objects.count() == 1
    assert run() == 1, "beat's next wake-up finds it"


def test_deliveries_have_a_queue_of_their_own_that_any_worker_takes_from_and_a_beat_of_seconds() -> None:
    app = tasks.deliver_webhooks.app
    route = app.amqp.router.route({}, tasks.deliver_webhooks.name)
    assert route["queue"].name == "webhooks"
    assert app.amqp.router.route({}, "analytics.tasks.collect_lane")["queue"].name == "postfuze"
    assert set(app.amqp.queues.consume_from) == {"postfuze", "webhooks"}
    assert beat_schedule(every=60)["deliver-webhooks"]["schedule"] <= 5


@pytest.mark.parametrize("process", ["web", "beat"])
def test_without_a_broker_a_thread_delivers(
    receiver: Any, settings: Any, monkeypatch: pytest.MonkeyPatch, process: str
) -> None:
    rested = threading.Event()
    background = messenger._Background()
    rest = messenger._rest

    def resting() -> float:
        found = rest()
        rested.set()
        return found

    monkeypatch.setattr(messenger, "_rest", resting)
    monkeypatch.setattr(messenger, "_background", background)
    settings.PROCESS = process
    endpoint = WebhookEndpointFactory(url=receiver.url)
    for number in (1, 2):
        rested.clear()
        emitted = threading.Event()
        receiver.answer = lambda message, emitted=emitted: 204 if emitted.wait(10) else 500
        emit(endpoint)
        tasks.deliver_webhooks()
        emitted.set()  # whoever emits does not wait for the receiver
        wait_for(lambda number=number: len(receiver.messages) == number)
        wait_for(lambda: not WebhookDelivery.objects.filter(status="pending").exists())
        assert rested.wait(10)
    time.sleep(0.2)  # it gives its connection back
    assert set(WebhookDelivery.objects.values_list("status", flat=True)) == {"delivered"}


def test_a_command_leaves_delivering_to_the_others(receiver: Any, settings: Any) -> None:
    settings.PROCESS = "command"
    emit(WebhookEndpointFactory(url=receiver.url))
    time.sleep(0.2)
    assert receiver.messages == []

"""Webhooks between real processes: prompt with a broker and without one, and not lost by who is killed."""

import sys
import time

import pytest
from django.db.models import F
from django.utils import timezone

from accounts.models import WebhookDelivery, WebhookEndpoint, WebhookEvent
from accounts.services import deliveries
from accounts.tests.factories import SECRET, WebhookEndpointFactory
from accounts.tests.receivers import emit, make_receiver, receiver  # noqa: F401
from analytics.tests.e2e.test_processes import broker, kill, postgres, procfile, spawn, wait_for, work  # noqa: F401

pytestmark = [pytest.mark.e2e, pytest.mark.django_db(transaction=True), pytest.mark.timeout(180)]
ALLOWED = {"WEBHOOK_ALLOWED_HOSTS": "127.0.0.1"}
HAPPEN = (
    "from accounts.services import events; from accounts.models import WebhookEndpoint\n"
    "from django.db import transaction\n"
    "with transaction.atomic():\n"
    "    for each in WebhookEndpoint.objects.all():\n"
    "        events.emit(each.organization_id, each.mode, 'post.published', {'id': 'x'})"
)


def worker(spawn, work):  # noqa: F811
    return spawn(*procfile("Procfile", "webhooks"), **work, **ALLOWED)


@postgres
def test_a_worker_killed_in_the_middle_of_a_delivery_leaves_it_to_the_next(
    spawn,  # noqa: F811
    work,  # noqa: F811
    broker,  # noqa: F811
    receiver,  # noqa: F811
    tmp_path,
):
    receiver.answer = lambda message: (time.sleep(60) or 204) if len(receiver.messages) == 1 else 204
    endpoint = WebhookEndpointFactory(url=receiver.url)
    event = emit(endpoint)
    spawn("celery", "-q", "-A", "postfuze", "beat", "--schedule", str(tmp_path / "schedule"), **work)
    first = worker(spawn, work)
    wait_for(lambda: receiver.messages)
    kill(first)
    broker.flushdb()
    delivery = WebhookDelivery.objects.get()
    assert (delivery.status, delivery.attempts) == ("pending", 0)
    second = worker(spawn, work)
    time.sleep(6)
    assert len(receiver.messages) == 1, "the dead worker's claim holds"
    # As if the time had passed for which a claim holds.
    WebhookEndpoint.objects.update(claimed_until=F("claimed_until") - deliveries.CLAIM_LAPSES)
    wait_for(lambda: WebhookDelivery.objects.filter(status="delivered").exists())
    assert second.poll() is None
    assert [message.id for message in receiver.messages] == [str(event.pk)] * 2
    assert receiver.messages[0].body == receiver.messages[1].body
    assert receiver.messages[1].verified(SECRET)["type"] == "post.published"
    # The claim is given back after the outcome is written.
    wait_for(lambda: not WebhookEndpoint.objects.exclude(claim=None).exists())


@postgres
def test_with_a_broker_an_event_arrives_without_beat(spawn, work, receiver):  # noqa: F811
    WebhookEndpointFactory(url=receiver.url)
    worker(spawn, work)
    for number in (1, 2, 3):
        happened = spawn(sys.executable, "manage.py", "shell", "--no-imports", "-c", HAPPEN, **work)
        assert happened.wait(60) == 0
        wait_for(lambda number=number: len(receiver.messages) == number)


def test_without_a_broker_beat_delivers_within_seconds(spawn, receiver, tmp_path):  # noqa: F811
    endpoint = WebhookEndpointFactory(url=receiver.url)
    receiver.answer = lambda message: 500 if len(receiver.messages) == 1 else 204
    beat = [*procfile("Procfile.dev", "beat"), "--schedule", str(tmp_path / "schedule")]
    spawn(*beat, **ALLOWED)
    emit(endpoint)
    wait_for(lambda: len(receiver.messages) == 2)
    assert 5 <= receiver.messages[1].at - receiver.messages[0].at < 60, "not the second time, after five minutes"
    emit(endpoint)
    wait_for(lambda: len(receiver.messages) == 3)
    wait_for(lambda: WebhookDelivery.objects.filter(status="delivered").count() == 2)
    assert WebhookEvent.objects.filter(created_at__lt=timezone.now()).count() == 2

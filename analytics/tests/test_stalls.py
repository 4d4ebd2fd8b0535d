"""A platform that does not answer takes workers only now and then, and all others are collected meanwhile."""

from datetime import timedelta

import pytest
import time_machine
from django.db import connection
from django.utils import timezone

from accounts.models import Gate
from analytics import tasks
from analytics.models import PostAnalytics, Target
from analytics.services import due, stalls
from analytics.services.lanes import lane_of

pytestmark = pytest.mark.django_db(transaction=True)
SOON = timedelta(seconds=1)


@pytest.fixture
def sent(settings, monkeypatch):
    """Which lanes a beat sends to workers."""
    settings.CELERY_TASK_ALWAYS_EAGER = False
    lanes = []
    monkeypatch.setattr(tasks.collect_lane, "apply_async", lambda args, **_: lanes.append(args[0]))

    def sent():
        lanes.clear()
        tasks.wake_collectors()
        return sorted(lanes)

    return sent


@pytest.mark.parametrize("seconds", [0.0, 60.0])
def test_only_what_fails_slowly_makes_workers_rest(busy, sandbox, sent, monkeypatch, seconds):
    monkeypatch.setattr(stalls, "SLOW", seconds)
    slow, others = [busy("threads", 2) for _ in range(3)], [busy("tiktok", 2), busy("x", 2)]
    sandbox.fault("threads", "server_error")
    assert sent() == sorted(map(lane_of, [*slow, *others]))
    tasks.collect_lane(lane_of(slow[0]))
    rests = seconds == 0.0
    assert Gate.objects.filter(key="threads:stalled:test:").exists() is rests
    Target.objects.update(next_collect_at=timezone.now() - SOON)
    assert sent() == sorted(map(lane_of, [*others, *(() if rests else slow)]))
    calls = sandbox.calls("threads")
    tasks.collect_lane(lane_of(slow[1]))  # as one that was sent before
    assert (sandbox.calls("threads") == calls) is rests
    assert due.due_account_platforms(tasks._awake()) == []
    tasks.collect_lane(lane_of(others[0]))
    assert PostAnalytics.objects.count() == 2


def test_after_its_rest_a_platform_is_tried_with_one_lane_and_then_with_all(busy, sandbox, sent, monkeypatch):
    monkeypatch.setattr(stalls, "SLOW", 0.0)
    slow, other = [busy("threads", 2) for _ in range(3)], busy("tiktok", 2)
    sandbox.fault("threads", "server_error")
    tasks.collect_lane(lane_of(slow[0]))
    Target.objects.update(next_collect_at=timezone.now() - SOON)
    with time_machine.travel(timezone.now() + stalls.RESTS + SOON):
        lanes = sent()
        assert len(lanes) == 2 and lane_of(other) in lanes
        sandbox.heal("threads")
        [trial] = [lane for lane in lanes if lane.startswith("threads")]
        tasks.collect_lane(trial)
        assert PostAnalytics.objects.count() == 2
    with time_machine.travel(timezone.now() + stalls.RESTS + stalls.ON_TRIAL + SOON):
        assert len(sent()) == 3


def test_another_mode_of_the_platform_goes_on():
    gate = Gate(key="threads:stalled:live:", platform="threads-stalled", reason="stalled", not_before=timezone.now())
    gate.not_before += timedelta(minutes=1)
    gate.save()
    assert stalls.resting() == {("threads", "live")}


@pytest.mark.skipif("connection.vendor != 'postgresql'", reason="needs PostgreSQL")
def test_work_without_a_broker_survives_the_loss_of_its_connection(busy):
    busy("tiktok", 2)
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        [pid] = cursor.fetchone()
    other = connection.copy()
    with other.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s)", [pid])
    other.close()
    for _ in range(2):
        tasks.wake_collectors.apply()
    assert PostAnalytics.objects.count() == 2

import pytest
from django.conf import settings

from postfuze.celery import app, beat_schedule, role


def test_every_entry_of_the_schedule_expires_before_it_piles_up() -> None:
    for entry in beat_schedule(every=60).values():
        assert 0 < entry["options"]["expires"] <= 3600
    assert set(app.conf.beat_schedule) == set(beat_schedule(every=60))


def test_messages_are_json_and_are_acknowledged_late() -> None:
    assert app.conf.accept_content == ["json"]
    assert app.conf.task_serializer == "json"
    assert app.conf.task_acks_late
    assert app.conf.task_reject_on_worker_lost
    assert app.conf.worker_prefetch_multiplier == 1
    assert app.conf.broker_transport_options["visibility_timeout"] > app.conf.task_time_limit
    assert settings.COLLECT_TASK_SECONDS < app.conf.task_soft_time_limit < app.conf.task_time_limit


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        (["/x/bin/celery", "-A", "postfuze", "beat"], "beat"),
        (["celery", "-A", "postfuze", "worker", "-c", "2"], "worker"),
        (["celery", "-A", "postfuze", "inspect", "ping"], None),
        (["manage.py", "worker"], None),
        ([""], None),
    ],
)
def test_a_process_of_celery_knows_what_it_is(argv: list[str], expected: str | None) -> None:
    assert role(argv) == expected

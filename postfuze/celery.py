"""The Celery application and the whole beat schedule. Tasks are wake-ups: the database says what is due."""

import logging.config
import os
import sys
from pathlib import Path
from typing import Any

from celery import Celery, Task
from celery.schedules import crontab
from celery.signals import setup_logging, task_postrun, task_prerun
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import connections

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "postfuze.settings")


def role(argv: list[str]) -> str | None:
    """What `celery -A postfuze …` is about to be, if this is it."""
    if Path(argv[0]).name not in {"celery", "__main__.py"}:
        return None
    return next((word for word in argv[1:] if word in {"beat", "worker"}), None)


if ROLE := role(sys.argv):
    os.environ["POSTFUZE_PROCESS"] = os.environ.get("POSTFUZE_PROCESS", "").strip() or ROLE
    try:
        _ = settings.SECRET_KEY  # reads all of them
    except ImproperlyConfigured as error:
        sys.exit(f"PostFuze cannot start: {error}")

app = Celery("postfuze")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@setup_logging.connect
def set_up_logs(**_: object) -> None:
    """Whoever answers this signal keeps Celery from setting up the root logger, with a level of its own."""
    logging.config.dictConfig(settings.LOGGING)


def beat_schedule(*, every: int) -> dict[str, dict[str, Any]]:
    """A wake-up nobody got to before the next one is due is dropped."""
    return {
        "wake-collectors": entry("analytics.tasks.wake_collectors", every),
        "wake-account-collectors": entry("analytics.tasks.wake_account_collectors", every),
        "import-posts": entry("analytics.tasks.import_posts", min(every, 10)),
        "refresh-due-tokens": entry("accounts.tasks.refresh_due_tokens", 300),
        "deliver-webhooks": entry("accounts.tasks.deliver_webhooks", 5),
        "tell-captured": entry("analytics.tasks.tell_captured", 15),
        "empty-old-raw": entry("analytics.tasks.empty_old_raw", crontab(hour=3, minute=47), expires=3600),
        "sweep": entry("analytics.tasks.sweep", crontab(hour=3, minute=17), expires=3600),
    }


def entry(task: str, schedule: float | crontab, *, expires: float | None = None) -> dict[str, Any]:
    return {"task": task, "schedule": schedule, "options": {"expires": expires or schedule}}


@app.on_after_configure.connect
def schedule(sender: Celery, **_: object) -> None:
    sender.conf.beat_schedule = beat_schedule(every=settings.COLLECT_EVERY)
    Path(sender.conf.beat_schedule_filename).parent.mkdir(exist_ok=True)


@task_prerun.connect
@task_postrun.connect
def leave_lost_connections(sender: Task, **_: object) -> None:
    """Celery closes its workers' connections itself, but not those of beat, where it does the work."""
    if sender.request.is_eager:
        for connection in connections.all(initialized_only=True):
            if not connection.in_atomic_block:  # a caller's transaction
                connection.close_if_unusable_or_obsolete()

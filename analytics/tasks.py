"""Wake-ups for collecting; the database says what is due."""

import time

from celery import shared_task
from django.conf import settings
from django.db import transaction

from accounts.services import audit, broker, flights, gates, pending, redelivery
from analytics.services import captured, collect, content, due, imports, resume, retention, stalls


def _until() -> float:
    return time.monotonic() + settings.COLLECT_TASK_SECONDS


def _awake() -> due.Scope:
    """All but the platforms that do not answer."""
    return due.Scope(resting=stalls.resting())


@shared_task(ignore_result=True)
def wake_collectors() -> None:
    """Without a broker the work is done here, lanes side by side; with one each lane is a message."""
    resume.resume_opened()
    if settings.CELERY_TASK_ALWAYS_EAGER:
        collect.run_pass(until=_until())
        return
    for lane in stalls.with_trials(due.due_lanes(_awake())):
        collect_lane.apply_async((lane,), expires=settings.COLLECT_EVERY)
    collect.beat("collect")


@shared_task(ignore_result=True)
def wake_account_collectors() -> None:
    if settings.CELERY_TASK_ALWAYS_EAGER:
        return  # part of the pass
    for platform in due.due_account_platforms(_awake()):
        collect_accounts.apply_async((platform,), expires=settings.COLLECT_EVERY)


@shared_task(ignore_result=True)
def collect_lane(lane: str) -> None:
    collect.work_through(lane, until=_until(), scope=_awake())


@shared_task(ignore_result=True)
def collect_accounts(platform: str) -> None:
    collect.work_through_accounts(platform, until=_until(), scope=_awake())


@shared_task(ignore_result=True)
def import_posts() -> None:
    """Go on with imports, and begin those that are due by a schedule."""
    imports.start_scheduled()
    imports.work_through(until=_until())


def wake_importers() -> None:
    """Begin at once where there is a worker; else beat does within seconds."""
    if not settings.CELERY_TASK_ALWAYS_EAGER:
        transaction.on_commit(lambda: broker.send(import_posts.name, expires=settings.COLLECT_EVERY), robust=True)


@shared_task(ignore_result=True)
def tell_captured() -> None:
    """Tell those who asked for it of new snapshots."""
    captured.tell()


@shared_task(ignore_result=True)
def empty_old_raw() -> None:
    """With a broker it goes on until all is done; without one beat has other work, and goes on tomorrow."""
    content.remove_marked()
    if not retention.empty_old(until=_until()) and not settings.CELERY_TASK_ALWAYS_EAGER:
        empty_old_raw.apply_async(expires=3600)


@shared_task(ignore_result=True)
def sweep() -> None:
    """Remove what has served its time."""
    flights.forget_landed()
    gates.open_expired()
    pending.forget_old()
    redelivery.forget_old()
    audit.forget_old(until=_until())

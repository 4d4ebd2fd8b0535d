"""Messages that wake workers. Beat makes up for each that is lost, so nobody waits for a broker that is away."""

import logging
import time

from celery import current_app

logger = logging.getLogger(__name__)

PAUSE = 10.0
"""Seconds for which no message is sent after one could not be."""
_silent_until = 0.0


def send(task: str, *, expires: float) -> None:
    """Have a worker do a task soon."""
    global _silent_until
    if time.monotonic() < _silent_until:
        return
    try:
        current_app.send_task(task, expires=expires, retry=False)
    except Exception as error:  # kombu's, redis' or the system's
        _silent_until = time.monotonic() + PAUSE
        logger.error("no worker was woken: %s", type(error).__name__)

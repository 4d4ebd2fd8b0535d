"""Who delivers, and when: many endpoints side by side, woken by events and by beat."""

import logging
import threading
import time
import uuid
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait

from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone

from accounts.services import broker, deliveries, outbox

logger = logging.getLogger(__name__)

TASK = "accounts.tasks.deliver_webhooks"
WAKE_UP_EXPIRES = 60
WORKING, FAILING = 16, 8
"""How many endpoints are delivered to at a time: those that work, and apart from them those that fail."""
LOOK_AGAIN = 0.5
"""Seconds until an event is noticed that comes while deliveries are under way."""
TURN_SECONDS = 10.0
"""After this an endpoint with much to be sent lets others have the thread."""
ENDPOINTS_AT_ONCE = 1000
LONGEST_REST = 3600.0

# --- one round ------------------------------------------------------------


def run(*, until: float) -> int:
    """Deliver what is due until nothing is, or until `until` (of `time.monotonic()`). Returns how much was sent.

    A receiver that does not answer holds one thread, of those for endpoints that fail from the second time on.
    """
    sent = 0
    turns: dict[Future[int], uuid.UUID] = {}
    with (
        ThreadPoolExecutor(WORKING, thread_name_prefix="webhooks") as working,
        ThreadPoolExecutor(FAILING, thread_name_prefix="webhooks-failing") as failing,
    ):
        while time.monotonic() < until:
            _dispatch()
            for endpoint in deliveries.due_endpoints(ENDPOINTS_AT_ONCE):
                if endpoint.pk not in turns.values():
                    pool = working if endpoint.failing_since is None else failing
                    turns[pool.submit(_turn, endpoint.pk, until)] = endpoint.pk
            if not turns:
                break
            done, _ = wait(turns, timeout=LOOK_AGAIN, return_when=FIRST_COMPLETED)
            for turn in done:
                sent += turn.result()
                del turns[turn]
    return sent + sum(turn.result() for turn in turns)


def _dispatch() -> None:
    """No trouble with one event keeps others from being delivered."""
    try:
        outbox.dispatch()
    except Exception:
        logger.exception("events were not dispatched")


def _turn(endpoint_id: uuid.UUID, until: float) -> int:
    """Deliver to one endpoint, in a thread of its own, until something fails. Returns how much was sent."""
    sent = 0
    try:
        if (mine := deliveries.claim(endpoint_id)) is None:
            return 0
        until = min(until, time.monotonic() + TURN_SECONDS)
        while time.monotonic() < until and deliveries.keep(endpoint_id, mine):
            delivery = deliveries.next_due(endpoint_id)
            if delivery is None:
                break
            sent += 1
            if not deliveries.attempt(delivery):
                break
        deliveries.release(endpoint_id, mine)
    except Exception:
        logger.exception("endpoint %s was not delivered to", endpoint_id)
    finally:
        connection.close()
    return sent


# --- wake-ups ------------------------------------------------------------


def wake() -> None:
    """Have events delivered as soon as the transaction is committed. What gets lost here, beat makes up for."""
    transaction.on_commit(wake_now, robust=True)


def wake_now() -> None:
    """By a message where there is a broker; without one, in a thread of the process that is always there."""
    if not settings.CELERY_TASK_ALWAYS_EAGER:
        broker.send(TASK, expires=WAKE_UP_EXPIRES)
    elif settings.PROCESS in {"web", "beat"}:
        _background.wake()


class _Background:
    """Without a broker: a thread that delivers, so that neither requests nor collecting wait for receivers."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._woken = threading.Event()
        self._thread: threading.Thread | None = None

    def wake(self) -> None:
        self._woken.set()
        with self._lock:
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._work, name="webhooks", daemon=True)
                self._thread.start()

    def _work(self) -> None:
        rest: float | None = 0.0
        while True:
            self._woken.wait(rest)
            self._woken.clear()
            try:
                run(until=time.monotonic() + settings.COLLECT_TASK_SECONDS)
                rest = _rest()
            except Exception:
                logger.exception("webhooks were not delivered")
                rest = TURN_SECONDS
            finally:
                connection.close()


def _rest() -> float:
    """Seconds until something is due, or something may have changed."""
    due_at = deliveries.next_due_at()
    if due_at is None:
        return LONGEST_REST
    return min(max((due_at - timezone.now()).total_seconds(), LOOK_AGAIN), LONGEST_REST)


_background = _Background()

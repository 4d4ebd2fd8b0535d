"""Deliveries: taking an endpoint, sending it what is due, and noting what came of it."""

import logging
import time
import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import connection, transaction
from django.db.models import Exists, F, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Now
from django.utils import timezone

from accounts.models import DeliveryStatus, DisabledReason, WebhookDelivery, WebhookEndpoint, WebhookEvent
from accounts.services import crypto, endpoints, signing
from platforms.errors import PlatformError
from platforms.payloads import excerpt
from platforms.transport import Exchange, HttpTransport, Response
from postfuze.api.renderers import to_bytes
from postfuze.api.times import render

logger = logging.getLogger(__name__)

TEST = "webhook.test"
SECONDS = 10.0
"""What an endpoint may take for its whole answer."""
CLAIM_LAPSES = timedelta(seconds=60)
"""Well above that: a resolver that hangs is not cut off."""
SCHEDULE = tuple(
    timedelta(seconds=seconds) for seconds in (5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400)
)  # 5 s, 5 min, 30 min, 2 h, 5 h, 10 h, 14 h, 20 h, 24 h
DISABLED_AFTER = timedelta(days=5)
STARTS_ANEW = timedelta(days=2)
"""After so long without an attempt, earlier failures say nothing of now."""
GONE = 410
BODY_KEPT = 1024
HISTORY_KEPT = 20
DELIVERED_EVERY = timedelta(minutes=1)

_transport = HttpTransport(max_body=2 * BODY_KEPT, cut=True, peer="receiver")


@dataclass(frozen=True)
class Outcome:
    """What came of an attempt: an answer, or an error instead of one."""

    at: datetime
    duration_ms: int
    status: int | None = None
    body: str = ""
    error: str = ""
    is_ours: bool = False
    """Whether it failed on this side: no endpoint is to blame."""

    @property
    def is_success(self) -> bool:
        return self.status is not None and 200 <= self.status < 300

    def columns(self) -> dict[str, Any]:
        return {
            "last_attempt_at": self.at,
            "duration_ms": self.duration_ms,
            "response_status": self.status,
            "response_body": self.body,
            "error": self.error,
        }

    def as_history(self) -> dict[str, Any]:
        return {
            "attempted_at": render(self.at),
            "duration_ms": self.duration_ms,
            "response_status": self.status,
            "error": self.error or None,
        }


# --- claims ------------------------------------------------------------


def _pending() -> QuerySet[WebhookDelivery]:
    return WebhookDelivery.objects.filter(status=DeliveryStatus.PENDING)


def due_endpoints(limit: int) -> list[WebhookEndpoint]:
    """Endpoints that something is due for and that nobody is at: those that work first, then the longest waiting."""
    first = _pending().filter(endpoint=OuterRef("pk")).order_by("next_attempt_at").values("next_attempt_at")[:1]
    free = Q(claimed_until=None) | Q(claimed_until__lt=Now())
    due = WebhookEndpoint.objects.filter(free, is_enabled=True).alias(due_at=Subquery(first)).filter(due_at__lte=Now())
    return list(due.order_by(F("failing_since").asc(nulls_first=True), "due_at").only("failing_since")[:limit])


def next_due_at() -> datetime | None:
    """When the next delivery is due."""
    enabled = Exists(WebhookEndpoint.objects.filter(pk=OuterRef("endpoint"), is_enabled=True))
    due = _pending().filter(enabled).order_by("next_attempt_at")
    return due.values_list("next_attempt_at", flat=True).first()


def claim(endpoint_id: uuid.UUID) -> uuid.UUID | None:
    """Take an endpoint: nobody else delivers to it until it is released, or the claim lapses. None if it is taken."""
    mine = uuid.uuid4()
    free = Q(claimed_until=None) | Q(claimed_until__lt=Now())
    taken = WebhookEndpoint.objects.filter(free, pk=endpoint_id, is_enabled=True)
    return mine if taken.update(claim=mine, claimed_until=Now() + CLAIM_LAPSES) else None


def keep(endpoint_id: uuid.UUID, mine: uuid.UUID) -> bool:
    """Hold on to an endpoint; False if it was lost, disabled or deleted."""
    ours = WebhookEndpoint.objects.filter(pk=endpoint_id, claim=mine, is_enabled=True)
    return bool(ours.update(claimed_until=Now() + CLAIM_LAPSES))


def release(endpoint_id: uuid.UUID, mine: uuid.UUID) -> None:
    """Let others deliver to an endpoint."""
    WebhookEndpoint.objects.filter(pk=endpoint_id, claim=mine).update(claim=None, claimed_until=None)


def next_due(endpoint_id: uuid.UUID) -> WebhookDelivery | None:
    """What an endpoint is to be sent next, with all that sending takes."""
    due = _pending().filter(endpoint=endpoint_id, next_attempt_at__lte=Now())
    return due.select_related("endpoint", "event").order_by("next_attempt_at", "created_at").first()


# --- attempts ------------------------------------------------------------


def attempt(delivery: WebhookDelivery) -> bool:
    """Send a delivery, and note what came of it. Whoever calls has claimed its endpoint. Returns whether it arrived."""
    if not connection.in_atomic_block:
        connection.close()  # a receiver may take its time
    outcome = _send(delivery)
    _record(delivery, outcome)
    return outcome.is_success


def body_of(event: WebhookEvent) -> bytes:
    """What is sent of an event, the same in each attempt."""
    return to_bytes({"type": event.type, "timestamp": render(event.created_at), "data": event.data})


def _send(delivery: WebhookDelivery) -> Outcome:
    at, began = timezone.now(), time.monotonic()
    answer: Response | None = None
    error, is_ours = "", False
    try:
        answer = _transport.send(_exchange(delivery, at, began + SECONDS))
    except crypto.Undecryptable:
        unopened = "delivery %s is not sent: no key of TOKEN_ENCRYPTION_KEYS opens the secret of endpoint %s"
        logger.error(unopened, delivery.pk, delivery.endpoint_id)
        error, is_ours = "The signing secret cannot be read.", True
    except PlatformError as problem:
        error = problem.detail
    duration_ms = round((time.monotonic() - began) * 1000)
    if answer is None:
        return Outcome(at, duration_ms, error=error[:255], is_ours=is_ours)
    if 300 <= answer.status < 400:
        error = "Redirects are not followed."
    return Outcome(at, duration_ms, answer.status, excerpt(answer.body, BODY_KEPT), error)


def _exchange(delivery: WebhookDelivery, at: datetime, deadline: float) -> Exchange:
    """The signed request. Only a host that is trusted now may have an address that is not public."""
    endpoint, event = delivery.endpoint, delivery.event
    body = body_of(event)
    signed = signing.headers(str(event.pk), body, endpoints.valid_secrets(endpoint), at)
    return Exchange(
        "POST",
        endpoint.url,
        deadline,
        headers={"Content-Type": "application/json", **signed},
        content=body,
        guarded=not endpoints.is_trusted(endpoint.url),
    )


def _record(delivery: WebhookDelivery, outcome: Outcome) -> None:
    """Note an outcome, unless another attempt was noted meanwhile."""
    attempts = delivery.attempts + 1
    changed = outcome.columns() | {"url": delivery.endpoint.url}
    changed["history"] = [*delivery.history, outcome.as_history()][-HISTORY_KEPT:]
    with transaction.atomic():
        ours = WebhookDelivery.objects.filter(pk=delivery.pk, attempts=delivery.attempts, status=DeliveryStatus.PENDING)
        if not ours.update(attempts=attempts, **changed, **_what_follows(delivery, outcome, attempts)):
            return
        said = outcome.status or outcome.error
        logger.info("delivery %s, attempt %d: %s in %d ms", delivery.pk, attempts, said, outcome.duration_ms)
        if outcome.is_success:
            _note_success(delivery.endpoint, outcome.at)
        elif not outcome.is_ours:
            _note_failure(delivery, outcome)


def _what_follows(delivery: WebhookDelivery, outcome: Outcome, attempts: int) -> dict[str, Any]:
    if outcome.is_success:
        return {"status": DeliveryStatus.DELIVERED, "next_attempt_at": None}
    if outcome.status == GONE or delivery.event.type == TEST or attempts > len(SCHEDULE):
        return {"status": DeliveryStatus.FAILED, "next_attempt_at": None}
    return {"next_attempt_at": Now() + SCHEDULE[attempts - 1]}


def _note_success(endpoint: WebhookEndpoint, at: datetime) -> None:
    """Written at most once a minute while all is well."""
    last = endpoint.last_delivered_at
    if endpoint.failing_since is None and last is not None and at - last < DELIVERED_EVERY:
        return
    WebhookEndpoint.objects.filter(pk=endpoint.pk).update(last_delivered_at=at, failing_since=None)


def _note_failure(delivery: WebhookDelivery, outcome: Outcome) -> None:
    """Since when nothing arrived; after days of that, or at a 410, the endpoint is disabled."""
    endpoint = WebhookEndpoint.objects.select_for_update().filter(pk=delivery.endpoint_id).first()
    if endpoint is None:
        return
    if delivery.event.type != TEST:
        rested = endpoint.last_failed_at is None or outcome.at - endpoint.last_failed_at > STARTS_ANEW
        if endpoint.failing_since is None or rested:
            endpoint.failing_since = outcome.at
        endpoint.last_failed_at = outcome.at
    if outcome.status == GONE:
        _disable(endpoint, DisabledReason.GONE, outcome.at)
    elif endpoint.failing_since is not None and outcome.at - endpoint.failing_since >= DISABLED_AFTER:
        _disable(endpoint, DisabledReason.FAILING, outcome.at)
    endpoint.save(update_fields=["failing_since", "last_failed_at", *endpoints.SWITCH_FIELDS, "updated_at"])


def _disable(endpoint: WebhookEndpoint, reason: DisabledReason, at: datetime) -> None:
    if endpoint.is_enabled:
        endpoint.is_enabled, endpoint.disabled_at, endpoint.disabled_reason = False, at, reason
        logger.warning("endpoint %s is disabled: %s", endpoint.pk, reason.label)

"""Webhook endpoints: where they may lead, their secrets, and who subscribes to what."""

import json
import threading
import time
from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils import timezone

from accounts.models import DisabledReason, EventType, WebhookEndpoint
from accounts.services import crypto, signing
from platforms import hosts
from postfuze.api.times import render

ALL = "*"
"""Every event but those that are opted into by name."""
OPT_IN = frozenset({EventType.ANALYTICS_CAPTURED.value})
BOTH_SECRETS_FOR = timedelta(days=1)
DELETE_TRIES = 5
MOST_PREVIOUS = 9
"""Each valid secret lengthens a header of every message."""
SUBSCRIBERS_KNOWN_FOR = 30.0
"""Seconds until a process notices that somebody else began to listen for `analytics.captured`."""


class TooManySecrets(Exception):
    """So many secrets were replaced within a day that another is not taken; the message says until when."""


def check_url(url: str) -> str:
    """An endpoint's URL in canonical form; ValueError if it is none, or leads to an address that is not public."""
    checked = hosts.check_public_url(url, allowed=settings.WEBHOOK_ALLOWED_HOSTS)
    if not is_trusted(checked):
        parts = urlsplit(checked)
        if hosts.resolves_privately(str(parts.hostname), parts.port or 443):
            raise ValueError("must not lead to a private, loopback or link-local address")
    return checked


def is_trusted(url: str) -> bool:
    """Whether WEBHOOK_ALLOWED_HOSTS names the host of a URL."""
    parts = urlsplit(url)
    return hosts.names_host(settings.WEBHOOK_ALLOWED_HOSTS, str(parts.hostname), parts.netloc, scheme=parts.scheme)


def create(organization_id: UUID, mode: str, given: dict[str, Any]) -> tuple[WebhookEndpoint, str]:
    """A new endpoint and its signing secret, which is shown once."""
    secret = given.get("signing_secret") or signing.new_secret()
    endpoint = WebhookEndpoint(
        organization_id=organization_id,
        mode=mode,
        url=given["url"],
        events=given["events"],
        description=given.get("description") or "",
        secret=crypto.encrypt(secret),
    )
    _switch(endpoint, given.get("is_enabled", True))
    endpoint.save(force_insert=True)
    subscribers.forget()
    return endpoint, secret


def update(endpoint: WebhookEndpoint, given: dict[str, Any]) -> WebhookEndpoint:
    """Change what is given. A new secret is valid along with the old one for a day.

    Raises TooManySecrets, and DoesNotExist if the endpoint is deleted.
    """
    with transaction.atomic():
        endpoint = WebhookEndpoint.objects.select_for_update().get(pk=endpoint.pk)
        changed = {name: given[name] for name in ("url", "events", "description") if name in given}
        for name, value in changed.items():
            setattr(endpoint, name, value)
        if given.get("signing_secret"):
            _replace_secret(endpoint, given["signing_secret"])
        if "is_enabled" in given:
            _switch(endpoint, given["is_enabled"])
        endpoint.save(update_fields=[*changed, *SECRET_FIELDS, *SWITCH_FIELDS, "updated_at"])
    subscribers.forget()
    return endpoint


SECRET_FIELDS = ("secret", "previous_secret", "previous_secret_expires_at", "older_secrets")
SWITCH_FIELDS = ("is_enabled", "disabled_at", "disabled_reason", "failing_since")


def rotate_secret(endpoint: WebhookEndpoint, secret: str | None = None) -> tuple[WebhookEndpoint, str]:
    """Give an endpoint a new secret. For a day messages are signed with the old one, too."""
    secret = secret or signing.new_secret()
    return update(endpoint, {"signing_secret": secret}), secret


def _replace_secret(endpoint: WebhookEndpoint, secret: str) -> None:
    """Each secret that was replaced is valid for a day of its own. The same secret again replaces nothing."""
    current = _opened(endpoint.secret)
    if secret == current:
        return
    older = [(each, ends_at) for each, ends_at in _previous(endpoint) if each != secret]
    if len(older) >= MOST_PREVIOUS:
        raise TooManySecrets(f"Too many secrets are valid still; the next can be given from {render(older[-1][1])} on.")
    endpoint.older_secrets = crypto.encrypt(json.dumps([(each, at.isoformat()) for each, at in older]) if older else "")
    endpoint.previous_secret = crypto.encrypt(current)
    endpoint.previous_secret_expires_at = timezone.now() + BOTH_SECRETS_FOR
    endpoint.secret = crypto.encrypt(secret)


def _previous(endpoint: WebhookEndpoint) -> list[tuple[str, datetime]]:
    """The secrets that were replaced and are valid still, each with its end, the latest first."""
    older = json.loads(_opened(endpoint.older_secrets) or "[]")
    ends_at = endpoint.previous_secret_expires_at or timezone.now()
    replaced = [
        (_opened(endpoint.previous_secret), ends_at),
        *((each, datetime.fromisoformat(at)) for each, at in older),
    ]
    return [(each, at) for each, at in replaced if each and at > timezone.now()]


def _opened(ciphertext: str) -> str:
    """A secret in the clear; nothing if its key is lost, which a new secret is the cure for."""
    try:
        return crypto.decrypt(ciphertext)
    except crypto.Undecryptable:
        return ""


def _switch(endpoint: WebhookEndpoint, is_enabled: bool) -> None:
    """Turn an endpoint on or off; on again, its failures are forgotten."""
    if is_enabled and not endpoint.is_enabled:
        endpoint.disabled_at, endpoint.disabled_reason, endpoint.failing_since = None, "", None
    if not is_enabled and endpoint.is_enabled:
        endpoint.disabled_at, endpoint.disabled_reason = timezone.now(), DisabledReason.OWNER
    endpoint.is_enabled = is_enabled


def delete(endpoint: WebhookEndpoint) -> None:
    """Delete an endpoint and what is listed of its deliveries."""
    for tries_left in reversed(range(DELETE_TRIES)):
        try:
            WebhookEndpoint.objects.filter(pk=endpoint.pk).delete()
            break
        except IntegrityError:  # an event was dispatched to it after its deliveries had been looked for
            if not tries_left:
                raise
    subscribers.forget()


def valid_secrets(endpoint: WebhookEndpoint) -> list[str]:
    """The secrets, in the clear, that messages are signed with now."""
    return [crypto.decrypt(endpoint.secret), *(secret for secret, _ in _previous(endpoint))]


def subscribes(events: Collection[str], kind: str) -> bool:
    """Whether a list of events holds a kind."""
    return kind in events or (ALL in events and kind not in OPT_IN)


class _Subscribers:
    """Whom `analytics.captured` is for, known in each process so that collecting need not ask for every batch."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: frozenset[tuple[UUID, str]] = frozenset()
        self._until = 0.0

    def includes(self, organization_id: UUID, mode: str) -> bool:
        with self._lock:
            if time.monotonic() >= self._until:
                self._known, self._until = _listeners(), time.monotonic() + SUBSCRIBERS_KNOWN_FOR
            return (organization_id, mode) in self._known

    def forget(self) -> None:
        """Ask the database next time."""
        with self._lock:
            self._until = 0.0


def _listeners() -> frozenset[tuple[UUID, str]]:
    enabled = WebhookEndpoint.objects.filter(is_enabled=True).order_by()
    rows = enabled.values_list("organization_id", "mode", "events")
    return frozenset((owner, mode) for owner, mode, events in rows if subscribes(events, EventType.ANALYTICS_CAPTURED))


subscribers = _Subscribers()

"""Webhook endpoints: where they may lead, their secrets, and who subscribes to what."""

import threading
import time
from collections.abc import Collection
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils import timezone

from accounts.models import DisabledReason, EventType, WebhookEndpoint
from accounts.services import crypto, signing
from platforms import hosts

ALL = "*"
"""Every event but those that are opted into by name."""
OPT_IN = frozenset({EventType.ANALYTICS_CAPTURED.value})
BOTH_SECRETS_FOR = timedelta(days=1)
DELETE_TRIES = 5
SUBSCRIBERS_KNOWN_FOR = 30.0
"""Seconds until a process notices that somebody else began to listen for `analytics.captured`."""


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
    return hosts.names_host(settings.WEBHOOK_ALLOWED_HOSTS, str(parts.hostname), parts.netloc)


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
    """Change what is given. A new secret is valid along with the old one for a day. DoesNotExist if it is deleted."""
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


SECRET_FIELDS = ("secret", "previous_secret", "previous_secret_expires_at")
SWITCH_FIELDS = ("is_enabled", "disabled_at", "disabled_reason", "failing_since")


def rotate_secret(endpoint: WebhookEndpoint, secret: str | None = None) -> tuple[WebhookEndpoint, str]:
    """Give an endpoint a new secret. For a day messages are signed with the old one, too."""
    secret = secret or signing.new_secret()
    return update(endpoint, {"signing_secret": secret}), secret


def _replace_secret(endpoint: WebhookEndpoint, secret: str) -> None:
    endpoint.previous_secret = endpoint.secret
    endpoint.previous_secret_expires_at = timezone.now() + BOTH_SECRETS_FOR
    endpoint.secret = crypto.encrypt(secret)


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
    valid = [crypto.decrypt(endpoint.secret)]
    ends = endpoint.previous_secret_expires_at
    if endpoint.previous_secret and ends is not None and ends > timezone.now():
        valid.append(crypto.decrypt(endpoint.previous_secret))
    return valid


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

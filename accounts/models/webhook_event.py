"""The outbox: what happened, written in the transaction in which it happened."""

import uuid

from django.db import models
from django.utils import timezone

from accounts.models.modes import Mode
from accounts.models.organization import Organization


class EventType(models.TextChoices):
    """What endpoints may subscribe to."""

    ACCOUNT_CONNECTED = "account.connected"
    ACCOUNT_DISCONNECTED = "account.disconnected"
    ACCOUNT_TOKEN_EXPIRED = "account.token_expired"
    ACCOUNT_REAUTH_REQUIRED = "account.reauth_required"
    IMPORT_COMPLETED = "import.completed"
    IMPORT_FAILED = "import.failed"
    POST_PUBLISHED = "post.published"
    POST_ERROR = "post.error"
    ANALYTICS_CAPTURED = "analytics.captured"


class WebhookEvent(models.Model):
    """The id is the `webhook-id` of all deliveries, which were written at `dispatched_at`."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    organization = models.ForeignKey(Organization, on_delete=models.CASCADE, related_name="webhook_events")
    mode = models.CharField(max_length=4, choices=Mode.choices)
    type = models.CharField(max_length=64)
    data = models.JSONField()
    created_at = models.DateTimeField(default=timezone.now, editable=False, db_index=True)
    dispatched_at = models.DateTimeField(null=True, editable=False)

    class Meta:
        ordering = ["-created_at", "-id"]
        indexes = [
            models.Index(
                fields=["created_at"], name="event_undispatched", condition=models.Q(dispatched_at__isnull=True)
            ),
            models.Index(fields=["organization", "mode", "type", "-created_at"], name="event_by_owner"),
        ]

    def __str__(self) -> str:
        return self.type

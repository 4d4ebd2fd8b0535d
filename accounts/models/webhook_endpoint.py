"""Where an organization is told of events."""

import uuid

from django.db import models
from django.utils import timezone

from accounts.models.modes import Mode
from accounts.models.organization import Organization


class DisabledReason(models.TextChoices):
    OWNER = "owner", "By its owner"
    GONE = "gone", "Answered 410 Gone"
    FAILING = "failing", "Nothing but failure for days"


class WebhookEndpoint(models.Model):
    """Secrets are ciphertext. `claim` is held by whoever is delivering: one delivery at a time for each endpoint."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    organization = models.ForeignKey(Organization, on_delete=models.CASCADE, related_name="webhook_endpoints")
    mode = models.CharField(max_length=4, choices=Mode.choices)
    url = models.CharField(max_length=2000)
    events = models.JSONField(default=list)
    description = models.CharField(max_length=255, blank=True)
    secret = models.TextField(editable=False)
    previous_secret = models.TextField(blank=True, editable=False)
    older_secrets = models.TextField(blank=True, editable=False)
    previous_secret_expires_at = models.DateTimeField(null=True, editable=False)
    is_enabled = models.BooleanField(default=True)
    disabled_at = models.DateTimeField(null=True, blank=True, editable=False)
    disabled_reason = models.CharField(max_length=16, choices=DisabledReason.choices, blank=True, editable=False)
    failing_since = models.DateTimeField(null=True, blank=True, editable=False)
    last_failed_at = models.DateTimeField(null=True, blank=True, editable=False)
    last_delivered_at = models.DateTimeField(null=True, blank=True, editable=False)
    claim = models.UUIDField(null=True, editable=False)
    claimed_until = models.DateTimeField(null=True, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["-created_at", "-id"]
        indexes = [models.Index(fields=["organization", "mode", "-created_at", "-id"], name="endpoint_listing")]

    def __str__(self) -> str:
        return self.url

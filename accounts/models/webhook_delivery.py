"""One event on its way to one endpoint."""

import uuid

from django.db import models
from django.utils import timezone

from accounts.models.webhook_endpoint import WebhookEndpoint
from accounts.models.webhook_event import WebhookEvent


class DeliveryStatus(models.TextChoices):
    PENDING = "pending", "Pending"
    DELIVERED = "delivered", "Delivered"
    FAILED = "failed", "Failed"


class WebhookDelivery(models.Model):
    """What is told of an answer is of the last attempt; `history` has the earlier ones, too.

    `attempts` counts since the event, or since it was last redelivered.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    endpoint = models.ForeignKey(WebhookEndpoint, on_delete=models.CASCADE, related_name="deliveries", db_index=False)
    event = models.ForeignKey(WebhookEvent, on_delete=models.CASCADE, related_name="deliveries", db_index=False)
    status = models.CharField(max_length=16, choices=DeliveryStatus.choices, default=DeliveryStatus.PENDING)
    attempts = models.PositiveSmallIntegerField(default=0)
    next_attempt_at = models.DateTimeField(null=True, default=timezone.now)
    last_attempt_at = models.DateTimeField(null=True)
    url = models.CharField(max_length=2000, blank=True, help_text="Where it was sent last.")
    response_status = models.PositiveSmallIntegerField(null=True)
    response_body = models.TextField(blank=True)
    duration_ms = models.PositiveIntegerField(null=True)
    error = models.CharField(max_length=255, blank=True)
    history = models.JSONField(default=list)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        verbose_name_plural = "webhook deliveries"
        ordering = ["-created_at", "-id"]
        indexes = [
            models.Index(fields=["endpoint", "-created_at", "-id"], name="delivery_listing"),
            models.Index(fields=["-created_at", "-id"], name="delivery_by_time"),
            models.Index(
                fields=["endpoint", "next_attempt_at"], name="delivery_due", condition=models.Q(status="pending")
            ),
        ]
        constraints = [models.UniqueConstraint(fields=["event", "endpoint"], name="one_delivery_per_event")]

    def __str__(self) -> str:
        return f"{self.event} to {self.endpoint}"

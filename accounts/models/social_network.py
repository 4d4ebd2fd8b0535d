"""An organization's own OAuth app on a platform."""

import uuid

from django.db import models
from django.utils import timezone

from accounts.models.modes import Mode
from accounts.models.organization import Organization
from platforms.registry import choices


class SocialNetwork(models.Model):
    """`client_secret` is ciphertext; see `accounts.services.crypto`."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    organization = models.ForeignKey(Organization, on_delete=models.CASCADE, related_name="social_networks")
    mode = models.CharField(max_length=4, choices=Mode.choices)
    platform = models.CharField(max_length=32, choices=choices)
    display_name = models.CharField(max_length=200, blank=True)
    client_id = models.CharField(max_length=500)
    client_secret = models.TextField(blank=True)
    redirect_uri = models.CharField(max_length=2000, blank=True)
    scopes = models.JSONField(default=list, blank=True)
    extra_config = models.JSONField(default=dict, blank=True)
    is_enabled = models.BooleanField(default=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["-created_at", "-id"]
        constraints = [
            models.UniqueConstraint(fields=["organization", "mode", "platform"], name="one_network_per_platform"),
        ]

    def __str__(self) -> str:
        return f"{self.platform} ({self.mode})"

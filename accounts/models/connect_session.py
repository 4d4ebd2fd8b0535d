"""A person's way from an OAuth dialog to connected accounts."""

import uuid

from django.db import models
from django.utils import timezone

from accounts.models.modes import Mode
from accounts.models.organization import Organization
from accounts.models.social_account import SocialAccount
from accounts.models.social_network import SocialNetwork


class ConnectSession(models.Model):
    """First a state, which the platform's answer uses up; then pending, until what it found is connected.

    Its id is in the state. `verifier` and `payload` are ciphertext, `token_hash` is that of the pending token.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    organization = models.ForeignKey(Organization, on_delete=models.CASCADE, related_name="connect_sessions")
    mode = models.CharField(max_length=4, choices=Mode.choices)
    social_network = models.ForeignKey(SocialNetwork, on_delete=models.CASCADE, related_name="connect_sessions")
    account = models.ForeignKey(
        SocialAccount, on_delete=models.CASCADE, null=True, related_name="+", help_text="The one to be connected again."
    )
    tenant_id = models.CharField(max_length=255, blank=True)
    redirect_url = models.CharField(max_length=2000, blank=True)
    redirect_uri = models.CharField(max_length=2000, help_text="Where the platform sent the person back to.")
    scopes = models.JSONField(default=list, help_text="What was asked for.")
    verifier = models.TextField(blank=True, editable=False)
    payload = models.TextField(blank=True, editable=False)
    token_hash = models.CharField(max_length=64, blank=True, editable=False)
    expires_at = models.DateTimeField(db_index=True, help_text="The end of the state, then of the pending session.")
    answered_at = models.DateTimeField(null=True, help_text="When the platform sent the person back.")
    finalized_at = models.DateTimeField(null=True)
    chosen = models.JSONField(default=list, help_text="The platform's ids of what was connected.")
    failure = models.CharField(max_length=64, blank=True, help_text="Why nothing could be connected.")
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ["-created_at", "-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["token_hash"], condition=~models.Q(token_hash=""), name="one_session_per_token"
            ),
        ]

    def __str__(self) -> str:
        return str(self.pk)

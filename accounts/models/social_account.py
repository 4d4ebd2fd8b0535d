"""Connected profiles, pages and channels."""

import uuid
from typing import ClassVar

from django.db import models
from django.utils import timezone

from accounts.models.modes import Mode
from accounts.models.organization import Organization
from accounts.models.social_network import SocialNetwork
from platforms.registry import choices


class Status(models.TextChoices):
    ACTIVE = "active", "Active"
    TOKEN_EXPIRED = "token_expired", "Token expired"
    REVOKED = "revoked", "Revoked"
    DISABLED = "disabled", "Disabled"


class SocialAccountQuerySet(models.QuerySet["SocialAccount"]):
    def alive(self) -> "SocialAccountQuerySet":
        """Without deleted ones."""
        return self.filter(deleted_at=None)


class SocialAccount(models.Model):
    """Tokens and the app password are ciphertext; see `accounts.services.crypto`.

    `last_ok_at` is when the platform last accepted the token, `refused_at` when it last refused it. `grant` is another
    with all tokens that are given to us, and stays the same when they are renewed.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    organization = models.ForeignKey(Organization, on_delete=models.CASCADE, related_name="social_accounts")
    mode = models.CharField(max_length=4, choices=Mode.choices)
    platform = models.CharField(max_length=32, choices=choices)
    social_network = models.ForeignKey(
        SocialNetwork, on_delete=models.SET_NULL, null=True, blank=True, related_name="social_accounts"
    )
    network_unique_id = models.CharField(max_length=255)
    username = models.CharField(max_length=255, blank=True)
    display_name = models.CharField(max_length=255, blank=True)
    profile_image_url = models.CharField(max_length=2000, blank=True)
    account_type = models.CharField(max_length=64, blank=True)
    tenant_id = models.CharField(max_length=255, blank=True)
    scopes = models.JSONField(default=list, blank=True)
    extra = models.JSONField(default=dict, blank=True)
    memory = models.JSONField(default=dict, blank=True, help_text="What the adapter remembers of the account.")
    status = models.CharField(max_length=16, choices=Status.choices, default=Status.ACTIVE)
    status_when_enabled = models.CharField(
        max_length=16,
        choices=Status.choices,
        blank=True,
        editable=False,
        help_text="What a disabled account was, and is again when it is enabled.",
    )

    access_token = models.TextField(blank=True, editable=False)
    refresh_token = models.TextField(blank=True, editable=False)
    grant = models.UUIDField(null=True, editable=False)
    token_expires_at = models.DateTimeField(null=True, blank=True)
    token_obtained_at = models.DateTimeField(null=True, blank=True, editable=False)
    refresh_expires_at = models.DateTimeField(
        null=True,
        blank=True,
        editable=False,
        help_text="When the refresh token itself ends, where the platform says so.",
    )
    token_retry_at = models.DateTimeField(
        null=True, blank=True, help_text="When the background tries a dead token again."
    )
    app_password = models.TextField(blank=True, editable=False)
    refresh_claim = models.UUIDField(null=True, editable=False)
    refresh_claimed_until = models.DateTimeField(null=True, editable=False)
    last_ok_at = models.DateTimeField(null=True, blank=True, editable=False)
    refused_at = models.DateTimeField(null=True, blank=True, editable=False)

    last_error_code = models.CharField(max_length=64, blank=True, editable=False)
    last_error_detail = models.TextField(blank=True, editable=False)
    last_error_at = models.DateTimeField(null=True, blank=True, editable=False)
    last_synced_at = models.DateTimeField(null=True, blank=True, editable=False)

    next_collect_at = models.DateTimeField(null=True, blank=True, default=timezone.now)
    claim = models.UUIDField(null=True, editable=False)
    claimed_until = models.DateTimeField(null=True, editable=False)
    failures = models.PositiveIntegerField(default=0, editable=False)

    deleted_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(auto_now=True)

    objects: ClassVar[models.Manager["SocialAccount"]] = SocialAccountQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at", "-id"]
        indexes = [
            models.Index(fields=["organization", "mode", "-created_at", "-id"], name="account_listing"),
            models.Index(
                fields=["platform", "next_collect_at"],
                name="account_due",
                condition=models.Q(next_collect_at__isnull=False, deleted_at=None),
            ),
            models.Index(fields=["platform", "refused_at"], name="account_refused"),
            models.Index(fields=["token_expires_at"], name="account_token_expiry", condition=models.Q(deleted_at=None)),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "mode", "platform", "network_unique_id"],
                condition=models.Q(deleted_at=None),
                name="one_live_account",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_platform_display()} {self.name}"

    @property
    def name(self) -> str:
        """What an account is called beside its platform's name."""
        return self.username or self.display_name or self.network_unique_id

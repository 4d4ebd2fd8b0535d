"""Targets: a post on one account."""

import uuid

from django.db import models
from django.utils import timezone

from accounts.models import SocialAccount
from analytics.models.post import Post
from platforms.registry import choices

LONGEST_POST_ID = 600


class TargetStatus(models.TextChoices):
    PENDING = "pending", "Pending"
    QUEUED = "queued", "Queued"
    PUBLISHING = "publishing", "Publishing"
    PUBLISHED = "published", "Published"
    FAILED = "failed", "Failed"
    CANCELED = "canceled", "Canceled"


class Target(models.Model):
    """`lane` names the targets that one platform call may carry together; null `next_collect_at` means never."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    # Its index is that of one_target_per_account.
    post = models.ForeignKey(Post, on_delete=models.CASCADE, related_name="targets", db_index=False)
    account = models.ForeignKey(SocialAccount, on_delete=models.PROTECT, related_name="targets")
    platform = models.CharField(max_length=32, choices=choices)
    status = models.CharField(max_length=16, choices=TargetStatus.choices, default=TargetStatus.PENDING)
    platform_post_id = models.CharField(max_length=LONGEST_POST_ID, null=True, blank=True)  # noqa: DJ001 - null is exempt from uniqueness
    platform_post_url = models.CharField(max_length=2000, blank=True)
    published_at = models.DateTimeField(null=True, blank=True)

    lane = models.CharField(max_length=120, editable=False)
    next_collect_at = models.DateTimeField(null=True, blank=True)
    claim = models.UUIDField(null=True, editable=False)
    claimed_until = models.DateTimeField(null=True, editable=False)
    failures = models.PositiveIntegerField(default=0, editable=False)
    missing_count = models.PositiveIntegerField(default=0, editable=False)
    gone_at = models.DateTimeField(null=True, blank=True)
    content_to_remove = models.BooleanField(default=False, editable=False)
    last_error_code = models.CharField(max_length=64, blank=True, editable=False)
    last_error_detail = models.TextField(blank=True, editable=False)
    last_error_at = models.DateTimeField(null=True, blank=True, editable=False)
    deleted_at = models.DateTimeField(null=True, blank=True, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["created_at", "id"]
        indexes = [
            models.Index(
                fields=["lane", "next_collect_at"],
                name="target_due",
                condition=models.Q(next_collect_at__isnull=False),
            ),
            models.Index(fields=["id"], name="target_content_to_remove", condition=models.Q(content_to_remove=True)),
            models.Index(
                fields=["platform_post_id"],
                name="target_deleted_by_platform_id",
                condition=models.Q(deleted_at__isnull=False),
            ),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["account", "platform_post_id"],
                condition=models.Q(deleted_at=None),
                name="one_live_target_per_platform_post",
            ),
            models.UniqueConstraint(fields=["post", "account"], name="one_target_per_account"),
        ]

    def __str__(self) -> str:
        return f"{self.get_platform_display()} {self.platform_post_id or self.id}"

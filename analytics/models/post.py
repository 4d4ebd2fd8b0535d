"""Posts: one publishing intent each."""

import uuid
from typing import ClassVar

from django.db import models
from django.utils import timezone

from accounts.models import Mode, Organization


class PostStatus(models.TextChoices):
    DRAFT = "draft", "Draft"
    SCHEDULED = "scheduled", "Scheduled"
    QUEUED = "queued", "Queued"
    PUBLISHING = "publishing", "Publishing"
    PUBLISHED = "published", "Published"
    PARTIAL = "partial", "Partial"
    FAILED = "failed", "Failed"
    CANCELED = "canceled", "Canceled"


class PostQuerySet(models.QuerySet["Post"]):
    def alive(self) -> "PostQuerySet":
        """Without deleted ones."""
        return self.filter(deleted_at=None)


class Post(models.Model):
    """`status` is rolled up from the targets by `analytics.services.posts`."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    organization = models.ForeignKey(Organization, on_delete=models.CASCADE, related_name="posts")
    mode = models.CharField(max_length=4, choices=Mode.choices)
    content = models.TextField(blank=True)
    external_ref = models.CharField(max_length=255, null=True, blank=True)  # noqa: DJ001 - null is exempt from uniqueness
    idempotency_key = models.CharField(max_length=255, null=True, blank=True, editable=False)  # noqa: DJ001
    scheduled_at = models.DateTimeField(null=True, blank=True)
    is_draft = models.BooleanField(default=False)
    published_at = models.DateTimeField(null=True, blank=True)
    status = models.CharField(max_length=16, choices=PostStatus.choices, default=PostStatus.QUEUED)
    deleted_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(auto_now=True)

    objects: ClassVar[models.Manager["Post"]] = PostQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at", "-id"]
        indexes = [
            models.Index(fields=["organization", "mode", "-created_at", "-id"], name="post_listing"),
            models.Index(
                fields=["external_ref"],
                name="post_deleted_by_reference",
                condition=models.Q(deleted_at__isnull=False),
            ),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "mode", "external_ref"],
                condition=models.Q(deleted_at=None),
                name="one_post_per_external_ref",
            ),
            models.UniqueConstraint(
                fields=["organization", "mode", "idempotency_key"],
                condition=models.Q(deleted_at=None),
                name="one_post_per_idempotency_key",
            ),
        ]

    def __str__(self) -> str:
        return self.external_ref or str(self.id)

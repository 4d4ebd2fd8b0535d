"""Bringing in what an account published already."""

import uuid

from django.db import models
from django.db.models.functions import Now
from django.utils import timezone

from accounts.models import SocialAccount


class ImportStatus(models.TextChoices):
    PENDING = "pending", "Pending"
    RUNNING = "running", "Running"
    COMPLETED = "completed", "Completed"
    FAILED = "failed", "Failed"


UNFINISHED = (ImportStatus.PENDING, ImportStatus.RUNNING)


class ImportJob(models.Model):
    """One run through an account's listing, page by page. `cursor` is where it goes on after a crash.

    `limit` bounds `seen_count`, the posts of the wanted days that were looked at; `imported_count` are those that were
    new. `is_discovery` marks what `ImportSchedule` asked for.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    account = models.ForeignKey(SocialAccount, on_delete=models.CASCADE, related_name="imports", db_index=False)
    status = models.CharField(max_length=16, choices=ImportStatus.choices, default=ImportStatus.PENDING)
    from_date = models.DateField(null=True, blank=True)
    to_date = models.DateField(null=True, blank=True)
    limit = models.PositiveIntegerField(default=100)
    is_discovery = models.BooleanField(default=False)

    cursor = models.TextField(blank=True, editable=False)
    pages = models.PositiveIntegerField(default=0, editable=False)
    seen_count = models.PositiveIntegerField(default=0, editable=False)
    imported_count = models.PositiveIntegerField(default=0, editable=False)
    error_code = models.CharField(max_length=64, blank=True, editable=False)
    error_message = models.TextField(blank=True, editable=False)
    failures = models.PositiveIntegerField(default=0, editable=False)
    failing_since = models.DateTimeField(null=True, blank=True, editable=False)

    next_attempt_at = models.DateTimeField(null=True, blank=True, db_default=Now(), editable=False)
    claim = models.UUIDField(null=True, editable=False)
    claimed_until = models.DateTimeField(null=True, editable=False)
    started_at = models.DateTimeField(null=True, blank=True, editable=False)
    finished_at = models.DateTimeField(null=True, blank=True, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ["-created_at", "-id"]
        indexes = [
            models.Index(fields=["account", "-created_at", "-id"], name="import_by_account"),
            models.Index(
                fields=["next_attempt_at"], name="import_due", condition=models.Q(next_attempt_at__isnull=False)
            ),
        ]

    def __str__(self) -> str:
        return f"import of {self.created_at:%Y-%m-%d %H:%M}"


class ImportSchedule(models.Model):
    """An account whose new posts are brought in every hour. `next_at` is when they are looked for again."""

    account = models.OneToOneField(SocialAccount, on_delete=models.CASCADE, primary_key=True, related_name="schedule")
    next_at = models.DateTimeField(db_default=Now(), db_index=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ["next_at"]

    def __str__(self) -> str:
        return f"hourly import of {self.pk}"

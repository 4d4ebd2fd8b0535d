"""What platforms have withdrawn: not asked for any more, but for one try a week."""

from django.db import models
from django.utils import timezone

from accounts.models.modes import Mode
from platforms.registry import choices


class Subject(models.TextChoices):
    POST = "post", "Posts"
    ACCOUNT = "account", "Accounts"


class RetiredMetric(models.Model):
    """One name in the platform's own words. Posts and accounts have names of their own, and so has each version."""

    platform = models.CharField(max_length=32, choices=choices)
    mode = models.CharField(max_length=4, choices=Mode.choices)
    api_version = models.CharField(max_length=64, blank=True)
    subject = models.CharField(max_length=8, choices=Subject.choices)
    metric = models.CharField(max_length=100)
    first_seen_at = models.DateTimeField(default=timezone.now)
    last_seen_at = models.DateTimeField(default=timezone.now)
    next_try_at = models.DateTimeField()

    class Meta:
        ordering = ["-last_seen_at", "-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["platform", "mode", "api_version", "subject", "metric"], name="one_row_per_retired_metric"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.platform} {self.subject}: {self.metric}"

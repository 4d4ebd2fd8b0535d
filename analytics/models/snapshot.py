"""Snapshots: what a platform reported at an instant. Append only."""

from django.db import models

from accounts.models import SocialAccount
from analytics.models.target import Target
from platforms.registry import choices


class PostAnalytics(models.Model):
    """Numbers of one target. `unavailable` holds only reasons that cannot be derived from the row itself."""

    target = models.ForeignKey(Target, on_delete=models.CASCADE, related_name="snapshots", db_index=False)
    account = models.ForeignKey(SocialAccount, on_delete=models.PROTECT, related_name="+", db_index=False)
    platform = models.CharField(max_length=32, choices=choices)
    captured_at = models.DateTimeField()
    impressions = models.BigIntegerField(null=True)
    reach = models.BigIntegerField(null=True)
    likes = models.BigIntegerField(null=True)
    comments = models.BigIntegerField(null=True)
    shares = models.BigIntegerField(null=True)
    saves = models.BigIntegerField(null=True)
    clicks = models.BigIntegerField(null=True)
    video_views = models.BigIntegerField(null=True)
    engagement_rate = models.FloatField(null=True)
    unavailable = models.JSONField(default=dict, blank=True)
    raw = models.JSONField(null=True)
    mapping_version = models.PositiveSmallIntegerField(default=1)

    class Meta:
        db_table = "post_analytics"
        verbose_name_plural = "post analytics"
        indexes = [
            models.Index(fields=["target", "-captured_at", "-id"], name="post_analytics_by_target"),
            models.Index(fields=["account", "-captured_at", "-id"], name="post_analytics_by_account"),
            models.Index(fields=["platform", "-captured_at", "-id"], name="post_analytics_by_platform"),
            models.Index(fields=["-captured_at", "-id"], name="post_analytics_by_time"),
        ]

    def __str__(self) -> str:
        return f"{self.platform} {self.captured_at:%Y-%m-%d %H:%M}"


class AccountMetrics(models.Model):
    """Numbers of one account."""

    account = models.ForeignKey(SocialAccount, on_delete=models.CASCADE, related_name="metrics", db_index=False)
    platform = models.CharField(max_length=32, choices=choices)
    captured_at = models.DateTimeField()
    followers = models.BigIntegerField(null=True)
    following = models.BigIntegerField(null=True)
    posts_count = models.BigIntegerField(null=True)
    impressions = models.BigIntegerField(null=True)
    reach = models.BigIntegerField(null=True)
    profile_views = models.BigIntegerField(null=True)
    unavailable = models.JSONField(default=dict, blank=True)
    raw = models.JSONField(null=True)
    mapping_version = models.PositiveSmallIntegerField(default=1)

    class Meta:
        db_table = "account_metrics"
        verbose_name_plural = "account metrics"
        indexes = [
            models.Index(fields=["account", "-captured_at", "-id"], name="account_metrics_by_account"),
            models.Index(fields=["platform", "-captured_at", "-id"], name="account_metrics_by_platform"),
            models.Index(fields=["-captured_at", "-id"], name="account_metrics_by_time"),
        ]

    def __str__(self) -> str:
        return f"{self.platform} {self.captured_at:%Y-%m-%d %H:%M}"

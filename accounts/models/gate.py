"""What is parked until an instant: the platform, one app, one account or one host, or an endpoint group of it."""

from django.db import models
from django.utils import timezone


class Gate(models.Model):
    """`key` is `platform:scope:owner:group`; the same names that limits are counted under."""

    key = models.CharField(primary_key=True, max_length=300)
    platform = models.CharField(max_length=32, db_index=True)
    not_before = models.DateTimeField(db_index=True)
    reason = models.CharField(max_length=64, blank=True)
    updated_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["-not_before"]

    def __str__(self) -> str:
        return self.key

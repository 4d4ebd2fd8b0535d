"""New snapshots that subscribers of `analytics.captured` are still to be told of."""

from django.db import models
from django.utils import timezone

from accounts.models.modes import Mode
from accounts.models.organization import Organization


class WebhookMark(models.Model):
    """Written along with a batch of snapshots, only for organizations that subscribe; gone once they are told."""

    organization = models.ForeignKey(Organization, on_delete=models.CASCADE, related_name="+", db_index=False)
    mode = models.CharField(max_length=4, choices=Mode.choices)
    snapshot_ids = models.JSONField()
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ["id"]
        indexes = [models.Index(fields=["organization", "mode", "id"], name="mark_by_owner")]

    def __str__(self) -> str:
        return f"{len(self.snapshot_ids)} snapshots"

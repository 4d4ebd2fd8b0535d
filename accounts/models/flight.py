"""Live calls under way, so that requests at the same time share one, across processes."""

from django.db import models


class Flight(models.Model):
    """`outcome` is null while under way, then `{}` for success or the failure that every sharer is told."""

    key = models.CharField(primary_key=True, max_length=80)
    holder = models.UUIDField()
    in_flight_until = models.DateTimeField()
    finished_at = models.DateTimeField(null=True, db_index=True)
    outcome = models.JSONField(null=True)

    def __str__(self) -> str:
        return self.key

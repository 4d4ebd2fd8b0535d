"""When a recurring piece of work last ran, and what it did."""

from django.db import models


class Heartbeat(models.Model):
    name = models.CharField(primary_key=True, max_length=64)
    at = models.DateTimeField()
    detail = models.JSONField(default=dict)

    def __str__(self) -> str:
        return self.name

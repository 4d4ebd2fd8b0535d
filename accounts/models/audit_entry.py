"""Who changed what, and when: a row for each write by a key, by staff or by a command."""

from django.db import models
from django.utils import timezone

from accounts.models.organization import Organization


class Actor(models.TextChoices):
    KEY = "key", "Key"
    STAFF = "staff", "Staff"
    COMMAND = "command", "Command"


class AuditEntry(models.Model):
    """Names only: no value that was given is kept. Actor and object are told by id, so that they may go."""

    organization = models.ForeignKey(
        Organization, null=True, on_delete=models.SET_NULL, related_name="+", db_index=False
    )
    mode = models.CharField(max_length=4, blank=True)
    actor_kind = models.CharField(max_length=8, choices=Actor.choices)
    actor_id = models.CharField(max_length=64, blank=True)
    actor_label = models.CharField(max_length=255, blank=True)
    action = models.CharField(max_length=255)
    detail = models.CharField(max_length=255, blank=True)
    object_kind = models.CharField(max_length=64, blank=True)
    object_id = models.CharField(max_length=64, blank=True)
    fields = models.JSONField(default=list, blank=True)
    status = models.PositiveSmallIntegerField(null=True)
    request_id = models.CharField(max_length=128, blank=True)
    at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["-at", "-id"]
        verbose_name_plural = "audit entries"
        # What staff ask: the newest, an organization's, what happened to an object, what an actor or a request did.
        # The sweep reads the first one from its end.
        indexes = [
            models.Index(fields=["-at", "-id"], name="audit_by_time"),
            models.Index(fields=["organization", "-at", "-id"], name="audit_by_organization"),
            models.Index(fields=["object_id", "-at", "-id"], name="audit_by_object"),
            models.Index(fields=["actor_id", "-at", "-id"], name="audit_by_actor"),
            models.Index(fields=["request_id", "-at", "-id"], name="audit_by_request"),
        ]

    def __str__(self) -> str:
        return f"{self.action} {self.object_id}".strip()

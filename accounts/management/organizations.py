"""The organization that a command is told."""

import uuid

from django.core.management.base import CommandError

from accounts.models import Organization


def organization_named(text: str) -> Organization:
    """By its id; CommandError if there is none."""
    try:
        return Organization.objects.get(pk=uuid.UUID(text))
    except (ValueError, Organization.DoesNotExist) as error:
        raise CommandError(f"There is no organization {text}.") from error

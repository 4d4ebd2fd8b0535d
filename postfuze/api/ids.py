"""Ids as the API reads them: UUIDs in their usual form, and no other that Python would take."""

import re
from typing import Any
from uuid import UUID

from django import forms
from django.core.exceptions import ValidationError
from django_filters import UUIDFilter
from rest_framework import serializers

EXPECTED = "Expected a UUID."
FORM = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII | re.IGNORECASE)


def parse(value: Any) -> UUID:
    """The id that a caller means. Raises `ValueError` with a message for that caller."""
    if isinstance(value, UUID):
        return value
    if not isinstance(value, str) or not FORM.fullmatch(value):
        raise ValueError(EXPECTED)
    return UUID(value)


class IdField(serializers.UUIDField):
    """An id in a body."""

    def to_internal_value(self, data: Any) -> UUID:
        try:
            return parse(data)
        except ValueError:
            self.fail("invalid", value=data)


class _FormField(forms.UUIDField):
    def to_python(self, value: Any) -> UUID | None:
        if value in self.empty_values:
            return None
        try:
            return parse(value)
        except ValueError as error:
            raise ValidationError(str(error)) from None


class IdFilter(UUIDFilter):
    """An id in a query parameter, for a filterset."""

    field_class = _FormField

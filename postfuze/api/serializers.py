"""Serializers that refuse what they do not know."""

from collections.abc import Mapping
from typing import Any

from django.db import models
from rest_framework import serializers

from postfuze.api.times import TimeField

UNKNOWN = "Unknown field."
READ_ONLY = "This field cannot be set."


class StrictFields:
    """Names every field of the body that is unknown or read-only, along with whatever else is wrong."""

    def to_internal_value(self, data: Any) -> Any:
        refused = self._refused(data) if isinstance(data, Mapping) else {}
        try:
            value = super().to_internal_value(data)
        except serializers.ValidationError as error:
            detail = error.detail if isinstance(error.detail, dict) else {"non_field_errors": error.detail}
            raise serializers.ValidationError({**detail, **refused}) from None
        if refused:
            raise serializers.ValidationError(refused)
        return value

    def _refused(self, data: Mapping[str, Any]) -> dict[str, list[str]]:
        known = self.fields
        unknown = {name: [UNKNOWN] for name in data if name not in known}
        return unknown | {name: [READ_ONLY] for name in data if name in known and known[name].read_only}


class StrictSerializer(StrictFields, serializers.Serializer):
    pass


class StrictModelSerializer(StrictFields, serializers.ModelSerializer):
    serializer_field_mapping = {
        **serializers.ModelSerializer.serializer_field_mapping,
        models.DateTimeField: TimeField,
    }

"""Addresses on the web as the API reads and writes them."""

from typing import Any
from urllib.parse import urlsplit

from rest_framework import serializers


class WebAddressField(serializers.CharField):
    """An http(s) URL; what is not set is null in answers."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(max_length=2000, required=False, allow_null=True, allow_blank=True, **kwargs)

    def run_validation(self, data: Any = serializers.empty) -> Any:
        value = super().run_validation(data)
        return "" if value is None else value

    def to_internal_value(self, data: Any) -> str:
        value: str = super().to_internal_value(data)
        try:
            parts = urlsplit(value)
            fits = parts.scheme in ("http", "https") and bool(parts.hostname)
        except ValueError:
            fits = False
        if value and not fits:
            raise serializers.ValidationError("Expected an http or https URL.")
        return value

    def to_representation(self, value: Any) -> str | None:
        return str(value) or None

"""Instants as the API writes and reads them."""

import re
from datetime import UTC, date, datetime, time
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django_filters import Filter
from rest_framework import serializers

EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
AFTER = datetime(2101, 1, 1, tzinfo=UTC)
EXPECTED = "Expected an ISO 8601 time such as 2026-06-10T18:00:00Z, or unix seconds."
OUT_OF_RANGE = "Out of range: expected a time from 1970 to 2100."

NUMBER = re.compile(r"[+-]?\d+(?:\.\d+)?", re.ASCII)
DAY = re.compile(r"\d{4}-\d{2}-\d{2}|\d{4}\d{2}\d{2}(?=T)", re.ASCII)
CLOCK = re.compile(r"\d{2}(?::?\d{2}(?::?\d{2}(?:[.,]\d{1,12})?)?)?(?:Z|[+-]\d{2}(?::?\d{2}(?::?\d{2})?)?)?", re.ASCII)
# A "+" that arrived as a space, because the caller did not encode it: only after a clock is it an offset.
LOST_PLUS = re.compile(r"(?<=\d) (?=\d{2}(?::?\d{2})?\Z)", re.ASCII)


def render(moment: datetime) -> str:
    """`2026-06-10T18:00:00.000Z`; what is finer than a millisecond is cut off."""
    return f"{moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec='milliseconds')}Z"


def parse(value: str | int | float) -> datetime:
    """The instant a caller means, in UTC. Raises `ValueError` with a message for that caller."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError(EXPECTED)
    text = str(value).strip() if isinstance(value, str) else repr(value)
    if isinstance(value, int | float) or NUMBER.fullmatch(text):
        return _from_seconds(text)
    moment = _from_iso(text.upper())
    try:
        moment = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except OverflowError:
        raise ValueError(OUT_OF_RANGE) from None
    if not EARLIEST <= moment < AFTER:
        raise ValueError(OUT_OF_RANGE)
    return moment


def _from_seconds(text: str) -> datetime:
    seconds = float(text) if len(text) <= 40 else float("inf")
    if not 0 <= seconds < AFTER.timestamp():
        raise ValueError(f"{OUT_OF_RANGE} Numbers are unix seconds.")
    whole, _, fraction = text.partition(".")
    if "e" in text.lower():
        return datetime.fromtimestamp(seconds, UTC)
    return datetime.fromtimestamp(abs(int(whole)), UTC).replace(microsecond=int(f"{fraction:0<6}"[:6]))


def _from_iso(text: str) -> datetime:
    day = DAY.match(text)
    if not day:
        raise ValueError(EXPECTED)
    rest = text[day.end() :]
    try:
        if not rest:
            return datetime.combine(date.fromisoformat(day[0]), time(), UTC)
        clock = LOST_PLUS.sub("+", rest[1:])
        if rest[0] not in "T " or not CLOCK.fullmatch(clock):
            raise ValueError(EXPECTED)
        return datetime.fromisoformat(f"{day[0]}T{clock}")
    except ValueError:
        raise ValueError(EXPECTED) from None


class TimeField(serializers.Field):
    """An instant in a body."""

    default_error_messages = {"invalid": EXPECTED}

    def to_internal_value(self, data: Any) -> datetime:
        try:
            return parse(data)
        except ValueError as error:
            raise serializers.ValidationError(str(error)) from None

    def to_representation(self, value: datetime) -> str:
        return render(value)


class _FormField(forms.Field):
    def to_python(self, value: Any) -> datetime | None:
        if value in self.empty_values:
            return None
        try:
            return parse(value)
        except ValueError as error:
            raise ValidationError(str(error)) from None


class TimeFilter(Filter):
    """An instant in a query parameter, for a filterset."""

    field_class = _FormField

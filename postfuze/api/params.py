"""Numbers in query parameters."""

import re

from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request

from postfuze.api.problems import invalid

_DIGITS = re.compile(r"[0-9]{1,12}")


def whole_number(request: Request, name: str, *, default: int, at_least: int, at_most: int) -> int:
    """The parameter as a whole number; a 400 that names it if it is none, or out of range."""
    text = request.query_params.get(name)
    if text is None:
        return default
    if not _DIGITS.fullmatch(text) or not at_least <= int(text) <= at_most:
        raise invalid(name, f"Expected a whole number from {at_least} to {at_most}.")
    return int(text)


def deadline_ms(request: Request) -> int:
    """How long a caller waits for platforms, in milliseconds."""
    return whole_number(request, "deadline_ms", default=8000, at_least=200, at_most=30000)


def max_age(request: Request) -> int:
    """How old a stored snapshot may be to be served instead of a live pull, in seconds."""
    return whole_number(request, "max_age", default=0, at_least=0, at_most=31536000)


def _parameter(name: str, description: str, *, default: int, at_least: int, at_most: int) -> OpenApiParameter:
    schema = {"type": "integer", "minimum": at_least, "maximum": at_most, "default": default}
    return OpenApiParameter(name, schema, description=description)


DEADLINE_MS = _parameter(
    "deadline_ms",
    "What has not answered by then is served from its snapshot.",
    default=8000,
    at_least=200,
    at_most=30000,
)
MAX_AGE = _parameter(
    "max_age", "Serve snapshots younger than this many seconds.", default=0, at_least=0, at_most=31536000
)

"""JSON in: an object in UTF-8 that every layer below can store, or a 400 that says where it is not."""

import json
import math
from collections.abc import Iterator, Mapping
from typing import IO, Any

from django.conf import settings
from django.http import UnreadablePostError
from rest_framework.parsers import BaseParser

from postfuze.api.problems import Problem

MAX_DEPTH = 20
LARGEST = 2**63 - 1


class StrictJSONParser(BaseParser):
    media_type = "application/json"

    def parse(
        self, stream: IO[bytes], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        body = _decode(_read(stream))
        if not isinstance(body, dict):
            raise Problem("validation_failed", "The body must be a JSON object.")
        errors = [{"field": field, "message": message} for field, message in faults(body)]
        if errors:
            raise Problem("validation_failed", errors=errors)
        return body


def _read(stream: IO[bytes]) -> bytes:
    limit = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
    try:
        body = stream.read(limit + 1)
    except UnreadablePostError:
        raise Problem("validation_failed", "The body could not be read to its end.") from None
    if len(body) > limit:
        raise Problem("payload_too_large")
    return body


def _decode(body: bytes) -> Any:
    try:
        return json.loads(body.decode(), parse_constant=_refuse_constant)
    except UnicodeDecodeError:
        raise Problem("validation_failed", "The body is not UTF-8.") from None
    except RecursionError:
        raise Problem("validation_failed", "The body is nested too deeply.") from None
    except ValueError as error:
        where = f" (line {error.lineno}, column {error.colno})" if isinstance(error, json.JSONDecodeError) else ""
        raise Problem("validation_failed", f"The body is not valid JSON{where}.") from None


def _refuse_constant(name: str) -> Any:
    raise ValueError(name)


def faults(body: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """What JSON can carry and a database cannot."""
    stack: list[tuple[str, Any, int]] = [("", body, 1)]
    while stack:
        path, value, depth = stack.pop()
        if isinstance(value, dict | list):
            if depth > MAX_DEPTH:
                yield path, "Nested too deeply."
                continue
            for key, child in value.items() if isinstance(value, dict) else enumerate(value):
                if isinstance(key, str) and (message := fault(key)):
                    yield f"{path}.{key}".lstrip("."), f"The name of this field is wrong: {message}"
                else:
                    stack.append((f"{path}.{key}".lstrip("."), child, depth + 1))
        elif message := fault(value):
            yield path, message


def fault(value: Any) -> str | None:
    if isinstance(value, str):
        if "\x00" in value:
            return "NUL characters are not allowed."
        if not value.isascii() and any("\ud800" <= character <= "\udfff" for character in value):
            return "Lone surrogates are not allowed."
    elif isinstance(value, int):
        if abs(value) > LARGEST:
            return "The number is too large."
    elif isinstance(value, float) and not math.isfinite(value):
        return "The number is too large."
    return None

"""Decoding, reading and cleaning of what platforms answer."""

import json
import logging
import math
import re
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from platforms.errors import MalformedPayload

logger = logging.getLogger(__name__)

BIGINT_MAX = 2**63 - 1
_DIGITS = re.compile(r"-?[0-9]{1,30}")
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_SECRET_KEY = re.compile(r"(token|secret|password|jwt|authorization)$", re.I)
_SECRET_URL = re.compile(r"https?://[^\s\"'<>\\]*[?&#](access_?token|token|key|signature|sig|code)=[^\s\"'<>\\]*", re.I)
# In text that is not (or no longer) JSON: a named string, and a form's field.
_SECRET_PAIR = re.compile(
    r"""("[^"\\]{0,40}(?:token|secret|password|jwt|authorization)"\s*:\s*)"(?:[^"\\]|\\.)*"?""", re.I | re.S
)
_SECRET_FIELD = re.compile(r"\b((?:access_?|refresh_?)token|client_secret|password)=[^&\s\"'<>]+", re.I)
DEPTH = 50
"""Deeper nesting than any platform answers with; what lies below is dropped."""


def decode(body: bytes) -> Any:
    """Parse a JSON answer. Numbers that no column can hold stay as text, so that the evidence survives."""
    try:
        return json.loads(body, parse_constant=str, parse_float=_finite, parse_int=_bounded)
    except (ValueError, RecursionError) as error:
        raise MalformedPayload("The answer is not JSON.", evidence=excerpt(body)) from error


def _finite(text: str) -> float | str:
    number = float(text)
    return number if math.isfinite(number) else text


def _bounded(text: str) -> int | str:
    return int(text) if len(text) <= 30 else text[:400]


def excerpt(body: bytes, size: int = 2000) -> str:
    """The beginning of an answer, for logs."""
    text = body[: size * 2].decode("utf-8", "replace")
    text = _SECRET_FIELD.sub(r"\1=[removed]", _SECRET_PAIR.sub(r'\1"[removed]"', text))
    return str(clean(text))[:size]


def lookup(raw: Any, path: str | tuple[str, ...]) -> Any:
    """The value at `path` in nested objects; None where a key is absent."""
    for key in (path,) if isinstance(path, str) else path:
        if not isinstance(raw, dict):
            return None
        raw = raw.get(key)
    return raw


def count(raw: Any, path: str | tuple[str, ...]) -> int | None:
    """The count at `path`: a whole number that fits a column, else None. A negative one is 0."""
    return to_count(lookup(raw, path), path)


def to_count(value: Any, name: object = "") -> int | None:
    """`value` as a count. A number may come as text. What is no count is None, with an error in the log."""
    if value is None:
        return None
    number: int | None = None
    if isinstance(value, int) and not isinstance(value, bool):
        number = value
    elif (isinstance(value, float) and value.is_integer()) or (isinstance(value, str) and _DIGITS.fullmatch(value)):
        number = int(value)
    if number is None or number > BIGINT_MAX:
        shown = type(value).__name__ if isinstance(value, dict | list) else value
        logger.error("not a count at %s: %.100r", name, shown)
        return None
    return max(0, number)


def clean(value: Any) -> Any:
    """A payload fit to be stored: no NUL, no lone surrogate, no token, no URL that bears one."""
    return _clean(value, DEPTH)


def _clean(value: Any, depth: int) -> Any:
    if isinstance(value, int):
        return value
    if isinstance(value, str):
        return _clean_text(value)
    if isinstance(value, dict | list | tuple) and not depth:
        return "[removed]"
    if isinstance(value, dict):
        cleaned = {}
        for key, each in ((str(name), each) for name, each in value.items()):
            name, is_secret = _clean_name(key) if len(key) < 200 else _clean_name.__wrapped__(key)
            cleaned[name] = "[removed]" if is_secret and each not in (None, "") else _clean(each, depth - 1)
        return cleaned
    if isinstance(value, list | tuple):
        return [_clean(item, depth - 1) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value


def _clean_text(text: str) -> str:
    return _SECRET_URL.sub("[removed]", _UNSTORABLE.sub("\ufffd", text))


@lru_cache(maxsize=4096)
def _clean_name(name: str) -> tuple[str, bool]:
    """A field's name, and whether what it holds is a secret; the names in answers are few."""
    return _clean_text(name), bool(_SECRET_KEY.search(name))


def instant(text: Any) -> datetime | None:
    """The instant of an ISO 8601 text, in UTC if it names no offset; None if it is none."""
    try:
        told = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        return None
    return told if told.tzinfo else told.replace(tzinfo=UTC)


def epoch(text: str | None) -> datetime | None:
    """The instant of a header in unix seconds; None if it is none."""
    if not text or not text.isascii() or not text.isdecimal():
        return None
    return datetime.fromtimestamp(min(int(text[:20]), 2**33), UTC)


def page_after(told: Any, cursor: str) -> str:
    """Where a listing goes on; empty after its last page, and where it would repeat itself."""
    if told is None or told == cursor:
        return ""
    if not isinstance(told, str) or not told.isprintable():
        raise TypeError("expected a cursor to be text")
    return told

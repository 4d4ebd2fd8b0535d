"""Logs as JSON or for a console, each line with its request's id and without secrets."""

import json
import logging
import re
import traceback
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import sentry_sdk

from postfuze.api import request_id

GUNICORN_REQUEST_ID = "{x-request-id}o"

SECRETS = (
    (re.compile(r"\b(sk_(?:live|test)_|whsec_)[\w+/=-]+", re.ASCII), r"\1…"),
    (re.compile(r"(?i)\b(bearer|basic)(\s+)[^\s\"',]+"), r"\1\2…"),
    (
        re.compile(r"(?i)\b(\w*(?:token|secret|password|api_key|authorization)[\"']?\s*[=:]\s*[\"']?)[^\s\"'&,)}]+"),
        r"\1…",
    ),
    (re.compile(r"(?i)(\bhttps?://[^\s?\"'<>]+\?)[^\s\"'<>)]+"), r"\1…"),
    (re.compile(r"(/social-accounts/pending/)[^/\s\"]+"), r"\1…"),
)


def without_secrets(text: str) -> str:
    for pattern, replacement in SECRETS:
        text = pattern.sub(replacement, text)
    return text


class RequestIdFilter(logging.Filter):
    """Marks the record while the request is still known; Gunicorn writes its line after that."""

    def filter(self, record: logging.LogRecord) -> bool:
        given = record.args.get(GUNICORN_REQUEST_ID) if isinstance(record.args, Mapping) else None
        record.request_id = request_id.current.get() or (given if given != "-" else None)
        return True


class JSONFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": without_secrets(record.getMessage()),
        }
        if identity := getattr(record, "request_id", None):
            line["request_id"] = identity
        if record.exc_info and record.exc_info[0]:
            line["exception"] = without_secrets("".join(traceback.format_exception(*record.exc_info)))
        return json.dumps(line)


class ConsoleFormatter(logging.Formatter):
    def __init__(self) -> None:
        super().__init__("{asctime} {levelname:<7} {name}: {message}{identity}", "%H:%M:%S", style="{")

    def format(self, record: logging.LogRecord) -> str:
        identity = getattr(record, "request_id", None)
        record.identity = f" [{identity}]" if identity else ""
        return without_secrets(super().format(record))


def logging_config(level: str, style: str) -> dict[str, Any]:
    to_console = {"handlers": ["console"], "level": level, "propagate": False}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "filters": {"request_id": {"()": RequestIdFilter}},
        "formatters": {"json": {"()": JSONFormatter}, "console": {"()": ConsoleFormatter}},
        "handlers": {
            "console": {"class": "logging.StreamHandler", "formatter": style, "filters": ["request_id"]},
        },
        "root": {"handlers": ["console"], "level": level},
        "loggers": {
            "django": to_console,
            "django.request": {"level": "ERROR"},  # a caller's mistakes are in the access log
            "django.security.DisallowedHost": {"level": "CRITICAL"},
            "gunicorn.error": to_console,
            "gunicorn.access": {**to_console, "level": "INFO"},
            "celery.app.trace": {"level": "WARNING"},  # our tasks tell their outcomes themselves
            "celery.worker.strategy": {"level": "WARNING"},
            "celery.beat": {"level": "WARNING"},
            "urllib3": {"level": "CRITICAL"},  # its warnings show addresses with tokens in them
        },
    }


# --- error reports ------------------------------------------------------------

_ORIGIN = re.compile(r"https?://[^/?#@\s]+(?=[/?#]|$)")


def _texts(*names: str) -> dict[str, Any]:
    return dict.fromkeys(names, without_secrets)


def _origin(url: str) -> str:
    found = _ORIGIN.match(url)
    return found.group() if found else ""


_CODE = dict.fromkeys(
    ("filename", "abs_path", "module", "function", "context_line", "pre_context", "post_context"), str
)
_EXCEPTION = {
    **_texts("type", "module", "value"),
    "mechanism": _texts("type", "handled", "exception_id", "parent_id", "is_exception_group", "source"),
    "stacktrace": {"frames": {**_CODE, **_texts("lineno", "in_app")}},
}
_BREADCRUMB = {
    **_texts("type", "category", "level", "timestamp", "message"),
    "data": {**_texts("http.method", "http.response.status_code"), "url": _origin},
}
REPORTED = {
    **_texts("event_id", "timestamp", "level", "platform", "logger", "transaction", "message"),
    **_texts("server_name", "release", "environment", "dist", "fingerprint"),
    "sdk": _texts("name", "version", "integrations"),
    "contexts": {"runtime": _texts("name", "version"), "trace": _texts("trace_id", "span_id")},
    "tags": _texts("celery_task_id"),
    "request": _texts("method", "url"),
    "logentry": _texts("message", "formatted"),
    "exception": {"values": _EXCEPTION},
    "breadcrumbs": {"values": _BREADCRUMB},
}
"""All that is sent of an error. What the SDK gathers besides, now or one day, may hold a token or a query string."""


def start_sentry(dsn: str) -> None:
    sentry_sdk.init(
        dsn=dsn,
        send_default_pii=False,
        include_local_variables=False,
        max_request_body_size="never",
        trace_propagation_targets=[],  # platforms and receivers of webhooks need not know of it
        before_send=lambda event, hint: clean_event(event),
        before_send_transaction=lambda event, hint: None,
    )


def clean_event(event: Any) -> Any:
    """What of an error is reported, its texts without secrets, and the id of its request."""
    cleaned = _only(event, REPORTED)
    cleaned.setdefault("tags", {})["request_id"] = request_id.current.get() or "-"
    return cleaned


def _only(value: Any, shape: Any) -> Any:
    if isinstance(value, list):
        return [_only(each, shape) for each in value]
    if isinstance(value, Mapping):
        return {name: _only(value[name], shape[name]) for name in value if isinstance(shape, dict) and name in shape}
    if isinstance(value, str) and callable(shape):
        return shape(value)
    return value if isinstance(value, int | float) else None

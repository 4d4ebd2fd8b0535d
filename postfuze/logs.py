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
            "urllib3": {"level": "WARNING"},
        },
    }


def start_sentry(dsn: str) -> None:
    sentry_sdk.init(
        dsn=dsn,
        send_default_pii=False,
        include_local_variables=False,
        max_request_body_size="never",
        before_send=lambda event, hint: clean_event(event),
    )


def clean_event(event: Any) -> Any:
    """Errors go out without headers, cookies and query strings."""
    request = event.get("request", {})
    event["request"] = {name: request[name] for name in ("method", "url") if name in request}
    event["request"] = {name: without_secrets(str(value)) for name, value in event["request"].items()}
    for exception in event.get("exception", {}).get("values", []):
        exception["value"] = without_secrets(str(exception.get("value") or ""))
    event.setdefault("tags", {})["request_id"] = request_id.current.get() or "-"
    return event

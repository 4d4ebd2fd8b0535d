"""Errors as RFC 9457 problems: the codes, the exception to raise, and the handler for everything else."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from django import http
from django.core import exceptions as django_exceptions
from django.db import InterfaceError, OperationalError
from rest_framework import exceptions
from rest_framework.fields import get_error_detail

from postfuze.api.renderers import to_bytes

logger = logging.getLogger(__name__)

CONTENT_TYPE = "application/problem+json"
RETRY_SECONDS = 5

TITLES = {
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    406: "Not Acceptable",
    409: "Conflict",
    413: "Content Too Large",
    415: "Unsupported Media Type",
    422: "Unprocessable Content",
    429: "Too Many Requests",
    500: "Internal Server Error",
    503: "Service Unavailable",
}
CODES = {
    "validation_failed": (400, "The request is not valid."),
    "invalid_cursor": (400, "The cursor is not one of this listing."),
    "invalid_range": (400, "The range is not valid."),
    "unauthorized": (401, "A valid API key is required: Authorization: Bearer sk_…"),
    "insufficient_scope": (403, "The API key lacks the scope for this."),
    "not_found": (404, "Not found."),
    "method_not_allowed": (405, "The method is not allowed here."),
    "not_acceptable": (406, "Only application/json can be answered."),
    "conflict": (409, "This conflicts with what is stored."),
    "payload_too_large": (413, "The body is larger than 1 MiB."),
    "unsupported_media_type": (415, "The body must be application/json."),
    "post_not_published": (422, "Analytics are only available after a post is published"),
    "unknown_account": (422, "There is no such account."),
    "import_unsupported": (422, "The platform cannot list the posts of this account."),
    "rate_limited": (429, "Too many requests."),
    "internal": (500, "Something went wrong on our side."),
    "unavailable": (503, "Try again in a moment."),
}
CODE_OF_STATUS = {
    400: "validation_failed",
    401: "unauthorized",
    403: "insufficient_scope",
    404: "not_found",
    405: "method_not_allowed",
    406: "not_acceptable",
    409: "conflict",
    413: "payload_too_large",
    415: "unsupported_media_type",
    422: "validation_failed",
    429: "rate_limited",
    500: "internal",
    503: "unavailable",
}
Errors = Sequence[Mapping[str, str]]


class Problem(exceptions.APIException):
    """Raise it anywhere: `Problem("conflict", "…")`; for one wrong field there is `invalid(field, message)`."""

    def __init__(
        self,
        code: str,
        detail: str = "",
        *,
        errors: Errors = (),
        headers: Mapping[str, str] | None = None,
        extra: Mapping[str, Any] | None = None,
        status: int | None = None,
    ) -> None:
        usual_status, usual_detail = CODES[code]
        self.code = code
        self.status_code = status or usual_status
        self.detail = _printable(detail or _summary(errors) or usual_detail)
        self.errors = [{name: _printable(text) for name, text in error.items()} for error in errors]
        self.headers = dict(headers or {})
        self.extra = dict(extra or {})
        if self.status_code == 401:
            self.headers.setdefault("WWW-Authenticate", "Bearer")
        if self.status_code in {429, 503}:
            self.headers.setdefault("Retry-After", str(RETRY_SECONDS))

    def as_dict(self) -> dict[str, Any]:
        title = TITLES.get(self.status_code, TITLES[500 if self.status_code >= 500 else 400])
        problem = {"type": "about:blank", "title": title, "status": self.status_code, "detail": self.detail}
        errors = {"errors": self.errors} if self.errors else {}
        return {**problem, "code": self.code, **errors, **self.extra}

    def response(self) -> http.HttpResponse:
        body = to_bytes(self.as_dict())
        headers = {**self.headers, "Content-Length": str(len(body))}
        return http.HttpResponse(body, status=self.status_code, content_type=CONTENT_TYPE, headers=headers)


def invalid(field: str, message: str) -> Problem:
    """A parameter or a field of the body that is malformed or out of range."""
    return Problem("validation_failed", errors=[{"field": field, "message": message}])


def _printable(text: str) -> str:
    return str(text).encode("utf-8", "replace").decode()


def _summary(errors: Errors) -> str:
    if not errors:
        return ""
    more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
    return f"{errors[0]['field']}: {errors[0]['message']}{more}"


def flatten(detail: Any, path: str = "") -> Iterator[dict[str, str]]:
    """DRF's nested errors as `targets.0.account_id`; what concerns no single field is said of the one around it."""
    if isinstance(detail, Mapping):
        for name, inner in detail.items():
            own = str(name) in {"non_field_errors", "__all__"}
            yield from flatten(inner, path if own else f"{path}.{name}".lstrip("."))
    elif isinstance(detail, list | tuple):
        for index, inner in enumerate(detail):
            nested = isinstance(inner, Mapping | list | tuple)
            yield from flatten(inner, f"{path}.{index}".lstrip(".") if nested else path)
    else:
        yield {"field": path or "body", "message": str(detail)}


def of_status(status: int, detail: str = "", headers: Mapping[str, str] | None = None) -> Problem:
    code = CODE_OF_STATUS.get(status, "internal" if status >= 500 else "validation_failed")
    return Problem(code, detail, headers=headers, status=status)


def exception_handler(error: Exception, context: Mapping[str, Any]) -> http.HttpResponse | None:
    """None lets Django log and report the error; the middleware then answers a plain 500."""
    problem = as_problem(error)
    return problem.response() if problem else None


def as_problem(error: Exception) -> Problem | None:
    match error:
        case Problem():
            return error
        case exceptions.ValidationError():
            return Problem("validation_failed", errors=list(flatten(error.detail)))
        case django_exceptions.ValidationError():
            return Problem("validation_failed", errors=list(flatten(get_error_detail(error))))
        case http.Http404():
            return Problem("not_found")
        case django_exceptions.PermissionDenied():
            return Problem("insufficient_scope")
        case django_exceptions.RequestDataTooBig():
            return Problem("payload_too_large")
        case django_exceptions.SuspiciousOperation() | django_exceptions.BadRequest() | http.UnreadablePostError():
            return Problem("validation_failed")
        case exceptions.APIException():
            return _of_api_exception(error)
        case OperationalError() | InterfaceError():
            logger.exception("The database could not answer")
            return Problem("unavailable")
    return None


def _of_api_exception(error: exceptions.APIException) -> Problem:
    headers = {}
    if wait := getattr(error, "wait", None):
        headers["Retry-After"] = str(int(wait) + 1)
    speaking = isinstance(error, exceptions.AuthenticationFailed | exceptions.MethodNotAllowed)
    return of_status(error.status_code, str(error.detail) if speaking else "", headers)

"""Stands around the API: whatever goes wrong below, a caller of `/api/` is answered a problem."""

import logging
from collections.abc import Callable
from contextlib import suppress
from io import BytesIO

from django.conf import settings
from django.core.exceptions import DisallowedHost, TooManyFieldsSent
from django.http import HttpRequest, HttpResponse
from django.utils.http import parse_header_parameters

from postfuze.api import problems
from postfuze.api.problems import Problem

logger = logging.getLogger(__name__)

PIECE = 64 * 1024
KEPT_HEADERS = ("Allow", "Retry-After", "WWW-Authenticate", "Vary")


class ApiMiddleware:
    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if not (request.path_info.startswith("/api/") or request.path_info == "/api"):
            return self.get_response(request)
        try:
            check_head(request)
            read_chunks(request)
            response = as_promised(self.get_response(request))
        except Problem as problem:
            response = problem.response()
        except Exception:
            logger.exception("Unhandled: %s %s", request.method, request.path_info)
            response = Problem("internal").response()
        discard_rest(request)
        return finish(request, response)


def check_head(request: HttpRequest) -> None:
    """Refuse what the layers below would answer in HTML, or stumble over."""
    try:
        request.get_host()
    except DisallowedHost:
        raise Problem("validation_failed", "The Host header does not name this service.") from None
    if int(request.META.get("CONTENT_LENGTH") or 0) > settings.DATA_UPLOAD_MAX_MEMORY_SIZE:
        raise Problem("payload_too_large")
    check_media_types(request.META.get("HTTP_ACCEPT", ""), "not_acceptable")
    check_media_types(request.META.get("CONTENT_TYPE", ""), "unsupported_media_type")
    try:
        request.encoding = "utf-8"  # whatever charset the content type claims
        errors = [
            {"field": name, "message": "NUL characters are not allowed."}
            for name, values in request.GET.lists()
            if "\x00" in name or any("\x00" in value for value in values)
        ]
    except TooManyFieldsSent:
        raise Problem("validation_failed", "Too many query parameters.") from None
    if errors:
        raise Problem("validation_failed", errors=errors)


def check_media_types(header: str, code: str) -> None:
    if "'" not in header:  # only RFC 2231 parameters (charset'language'value) can fail
        return
    try:
        for media_range in header.split(","):
            parse_header_parameters(media_range)
    except (ValueError, LookupError):
        raise Problem(code) from None


def read_chunks(request: HttpRequest) -> None:
    """A chunked body has no Content-Length, for which Django would take it as empty."""
    if "chunked" not in request.META.get("HTTP_TRANSFER_ENCODING", "").lower() or "wsgi.input" not in request.META:
        return
    if not request.META.get("wsgi.input_terminated"):
        raise Problem("validation_failed", "Send the body with a Content-Length.")
    body = request.META["wsgi.input"].read(settings.DATA_UPLOAD_MAX_MEMORY_SIZE + 1)
    if len(body) > settings.DATA_UPLOAD_MAX_MEMORY_SIZE:
        raise Problem("payload_too_large")
    request._stream = BytesIO(body)
    request.META["CONTENT_LENGTH"] = str(len(body))


def discard_rest(request: HttpRequest) -> None:
    """Gunicorn closes a connection that it called alive when more than a little of a body is left unread."""
    if int(request.META.get("CONTENT_LENGTH") or 0) > settings.DATA_UPLOAD_MAX_MEMORY_SIZE:
        return
    with suppress(OSError):  # whoever left needs no connection
        while request.read(PIECE):
            pass


def as_promised(response: HttpResponse) -> HttpResponse:
    """An error that is not a problem yet came from Django itself: an unknown path, a crash, a debug page."""
    if response.status_code < 400 or response.get("Content-Type") == problems.CONTENT_TYPE:
        return response
    kept = {name: response[name] for name in KEPT_HEADERS if name in response}
    return problems.of_status(response.status_code, headers=kept).response()


def finish(request: HttpRequest, response: HttpResponse) -> HttpResponse:
    for name, value in getattr(request, "rate_limit_headers", {}).items():
        response[name] = value
    response.headers.setdefault("Cache-Control", "no-store")
    if request.method == "HEAD":
        response["Content-Length"] = str(len(response.content))
        response.content = b""
    return response

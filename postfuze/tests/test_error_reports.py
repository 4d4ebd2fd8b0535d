"""What goes out to Sentry: through its own SDK, with only the wire replaced."""

import json
import logging
import secrets
import time
from collections.abc import Iterator
from functools import partial
from typing import Any
from unittest.mock import Mock

import pytest
import sentry_sdk
from django.core.wsgi import get_wsgi_application
from django.test import RequestFactory
from sentry_sdk.envelope import Envelope
from sentry_sdk.transport import Transport

from platforms.tests.socket_server import Server, ok, saying
from platforms.transport import Exchange, HttpTransport
from postfuze import logs
from postfuze.api import request_id

logger = logging.getLogger(__name__)
sent: list[dict[str, Any]] = []
SECRET = secrets.token_hex(16)
"""Not in the source, which is part of a report."""


class Wire(Transport):
    def capture_envelope(self, envelope: Envelope) -> None:
        sent.extend(item.payload.json for item in envelope.items if item.payload.json)


@pytest.fixture(autouse=True)
def reports(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[dict[str, Any]]]:
    """What is sent, in order."""
    sent.clear()
    monkeypatch.setattr(sentry_sdk, "init", partial(sentry_sdk.init, transport=Wire))
    with sentry_sdk.isolation_scope():
        logs.start_sentry("http://key@sentry.invalid/1")
        yield sent
    sentry_sdk.get_client().close()
    sentry_sdk.get_global_scope().set_client(None)


@pytest.fixture
def platform() -> Iterator[Server]:
    server = Server(saying(ok(b'{"id": "1"}')))
    yield server
    server.close()


def call(server: Server) -> None:
    url = f"{server.url}{SECRET}/posts?fields=id&access_token={SECRET}"
    headers = {"Authorization": f"Bearer {SECRET}"}
    assert HttpTransport().send(Exchange("GET", url, time.monotonic() + 5, headers=headers)).status == 200


def test_a_report_tells_of_calls_to_platforms_without_what_they_were_asked_with(
    platform: Server, reports: list[dict[str, Any]]
) -> None:
    call(platform)
    logger.error("posts of account %s cannot be read: %s", 7, f"https://x.com/a?access_token={SECRET}")
    [report] = reports
    assert SECRET not in json.dumps(report)
    crumb = next(each for each in report["breadcrumbs"]["values"] if each["category"] == "httplib")
    assert crumb["data"] == {"url": platform.url.rstrip("/"), "http.method": "GET", "http.response.status_code": 200}
    assert report["logentry"]["formatted"] == "posts of account 7 cannot be read: https://x.com/a?…"


def test_platforms_are_not_told_of_sentry(platform: Server) -> None:
    call(platform)
    head = platform.requests[0].lower()
    assert b"authorization" in head and b"sentry" not in head and b"baggage" not in head


@pytest.mark.django_db
def test_a_report_of_a_failed_request_has_nothing_of_what_came_with_it(
    settings: Any, reports: list[dict[str, Any]]
) -> None:
    settings.ROOT_URLCONF = "postfuze.tests.stubs"
    headers = {"Cookie": f"sessionid={SECRET}", "Authorization": f"Bearer {SECRET}", "X-Own": SECRET}
    body = json.dumps({"client_secret": SECRET, "content": SECRET})
    request = RequestFactory(headers={**headers, "X-Request-Id": "abc"})
    environ = request.generic("GET", f"/api/v1/crash?code={SECRET}", body, "application/json").environ
    answer = get_wsgi_application()(environ, Mock())  # what the SDK knows of a request is from WSGI
    assert b"internal" in b"".join(answer)
    [report] = reports
    assert SECRET not in json.dumps(report)
    assert report["request"] == {"method": "GET", "url": "http://testserver/api/v1/crash"}
    [found] = report["exception"]["values"]
    assert (found["value"], found["stacktrace"]["frames"][-1]["function"]) == ("a bug outside of DRF", "crash")
    assert report["tags"]["request_id"] == "abc"


def test_a_report_has_no_local_variables_and_no_secret_of_the_message(reports: list[dict[str, Any]]) -> None:
    answer = {"body": SECRET}
    try:
        raise RuntimeError(f"refused: Bearer {answer['body']}")
    except RuntimeError:
        logger.exception("failed", extra=answer)
    [report] = reports
    assert SECRET not in json.dumps(report)
    assert report["exception"]["values"][0]["value"] == "refused: Bearer …"


def test_what_is_set_on_the_scope_stays_here(reports: list[dict[str, Any]]) -> None:
    scope = sentry_sdk.get_isolation_scope()
    scope.set_user({"username": SECRET})
    scope.set_extra("answer", SECRET)
    scope.set_tag("token", SECRET)
    scope.set_context("answer", {"body": SECRET})
    sentry_sdk.capture_message("hello")
    [report] = reports
    assert SECRET not in json.dumps(report) and report["message"] == "hello"


def test_traces_are_not_sent_whatever_is_measured(platform: Server, reports: list[dict[str, Any]]) -> None:
    sentry_sdk.get_client().options["traces_sample_rate"] = 1.0
    with sentry_sdk.start_transaction(op="test", name=SECRET) as trace:
        call(platform)
    assert trace.sampled and reports == []


def test_a_report_outside_of_requests_says_so(reports: list[dict[str, Any]]) -> None:
    assert request_id.current.get() is None
    logger.error("failed")
    assert reports[0]["tags"] == {"request_id": "-"}

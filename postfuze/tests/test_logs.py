import json
import logging
import sys
from typing import Any

import pytest

from postfuze import logs
from postfuze.api import request_id


def line(message: str, *args: Any, error: bool = False) -> dict[str, Any]:
    exc_info = sys.exc_info() if error else None
    record = logging.LogRecord("postfuze.x", logging.INFO, __file__, 1, message, args, exc_info)  # type: ignore[arg-type]
    logs.RequestIdFilter().filter(record)
    return json.loads(logs.JSONFormatter().format(record))


def test_a_line_is_json_with_the_id_of_its_request() -> None:
    token = request_id.current.set("abc")
    try:
        found = line("collected %s", 3)
    finally:
        request_id.current.reset(token)
    assert (found["message"], found["request_id"], found["level"]) == ("collected 3", "abc", "info")
    assert "request_id" not in line("outside")


def test_the_access_log_keeps_the_id_of_its_answer() -> None:
    assert line("GET", {"{x-request-id}o": "abc"})["request_id"] == "abc"


@pytest.mark.parametrize(
    "text",
    [
        "key sk_live_SECRET-x",
        "Authorization: Bearer SECRET",
        "https://graph.facebook.com/v26.0/1?fields=a&access_token=SECRET",
        "https://api.x.com/2/tweets?ids=SECRET failed",
        "refresh_token='SECRET'",
        '{"client_secret": "SECRET"}',
        "GET /api/v1/social-accounts/pending/SECRET 200",
        "whsec_SECRET",
    ],
)
def test_secrets_and_query_strings_stay_out(text: str) -> None:
    assert "SECRET" not in line(text)["message"]
    try:
        raise RuntimeError(text)
    except RuntimeError:
        assert "SECRET" not in line("failed", error=True)["exception"].split("RuntimeError:")[1]

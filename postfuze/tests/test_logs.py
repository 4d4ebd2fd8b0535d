import json
import logging
import os
import subprocess
import sys
from typing import Any

import pytest
from django.conf import settings

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


def logged(body: str, **environment: str) -> tuple[str, list[dict[str, Any]]]:
    """What lines of code in a process of their own print, and what they log."""
    lines = f"import logging, django; django.setup(); logger = logging.getLogger('accounts.tasks'); {body}"
    ours = {"DJANGO_SETTINGS_MODULE": "postfuze.settings", "DATABASE_URL": "sqlite:////dev/null"}
    ours |= {"LOG_LEVEL": "info", "LOG_FORMAT": "json"}
    found = subprocess.run(
        [sys.executable, "-c", lines],
        cwd=settings.BASE_DIR,
        env=os.environ | ours | environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return found.stdout, [json.loads(each) for each in found.stderr.splitlines()]


def test_logs_go_to_standard_error_so_that_a_command_prints_its_document_alone() -> None:
    printed, (found,) = logged("logger.info('done'); print('{}')")
    assert (printed, found["message"]) == ("{}\n", "done")


@pytest.mark.parametrize(
    ("level", "expected"), [("info", ["outcome"]), ("warning", []), ("debug", ["step", "outcome"])]
)
def test_a_worker_and_beat_log_what_the_level_says_as_every_process_does(level: str, expected: list[str]) -> None:
    body = "from postfuze.celery import app; app.log.setup(loglevel='WARNING'); logger.debug('step');"
    _, found = logged(
        f"{body} from postfuze.api.request_id import current; current.set('abc'); logger.info('outcome')",
        LOG_LEVEL=level,
    )
    ours = [each for each in found if each["logger"] == "accounts.tasks"]
    assert [each["message"] for each in ours] == expected
    assert all(each["request_id"] == "abc" for each in ours if each["message"] == "outcome")


def test_a_worker_keeps_addresses_of_platforms_with_tokens_in_them_out_of_its_log() -> None:
    body = "import platforms.transport; from postfuze.celery import app; app.log.setup();"
    printed, _ = logged(f"{body} print(logging.getLogger('urllib3.connection').getEffectiveLevel())")
    assert printed == f"{logging.CRITICAL}\n"

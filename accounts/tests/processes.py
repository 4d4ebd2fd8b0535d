"""Other processes of the service, for tests of what must hold between processes: they can be killed."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from django.conf import settings
from django.db import connection

_BODY = """
import json, sys, time
import django
django.setup()
from accounts.models import *
from accounts.services import access, flights, health, renewals, tokens
print(json.dumps("ready"), flush=True)
for line in sys.stdin:
    asked = json.loads(line)
    answer = None
    try:
        exec(asked["code"], globals())
    except Exception as error:
        answer = f"{type(error).__name__}: {error}"
    print(json.dumps(answer, default=str), flush=True)
"""


def database_url() -> str:
    """The test database, as another process names it."""
    known = connection.settings_dict
    if connection.vendor == "sqlite":
        return f"sqlite:///{known['NAME']}"
    user = quote(known["USER"] or "", safe="") + (f":{quote(known['PASSWORD'], safe='')}" if known["PASSWORD"] else "")
    return f"postgres://{user}@{known['HOST']}:{known['PORT'] or 5432}/{known['NAME']}"


class Process:
    """A process with the service's code; `run` has it execute lines that may set `answer`."""

    def __init__(self) -> None:
        environment = {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "postfuze.settings",
            "DATABASE_URL": database_url(),
            "SANDBOX_URL": settings.SANDBOX_URL,
            "REDIS_URL": "",
            "LOG_LEVEL": "critical",
        }
        self._process = subprocess.Popen(
            [sys.executable, "-c", _BODY],
            cwd=settings.BASE_DIR,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> "Process":
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def ready(self) -> "Process":
        """Wait until it has started."""
        assert self.result() == "ready"
        return self

    def begin(self, code: str) -> None:
        """Have it run `code`, and go on."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"code": code}) + "\n")
        self._process.stdin.flush()

    def result(self) -> Any:
        """What it answers."""
        assert self._process.stdout is not None
        return json.loads(self._process.stdout.readline())

    def run(self, code: str) -> Any:
        """Have it run `code`; what that set as `answer`."""
        self.begin(code)
        return self.result()

    def died(self) -> bool:
        """Whether it ends within ten seconds by kill -9."""
        return self._process.wait(10) == -signal.SIGKILL

    def kill(self) -> None:
        """kill -9."""
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            assert stream is not None
            try:
                stream.close()
            except BrokenPipeError:
                continue


def wait_for(condition: Callable[[], Any]) -> None:
    """Wait until it holds; fail if it does not in ten seconds."""
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.02)

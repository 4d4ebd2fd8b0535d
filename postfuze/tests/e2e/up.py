"""`make up` in a clone of its own, as on a machine where nothing is set."""

import json
import os
import re
import shlex
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from postfuze.tests.e2e.stage import ROOT

STOP_SECONDS = 40
LEFT_OUT = ("DATABASE_URL", "REDIS_URL", "SECRET_KEY", "TOKEN_ENCRYPTION_KEYS", "ENV_FILE", "DJANGO_SETTINGS_MODULE")
MARK = "POSTFUZE_MAKE_UP_TEST"


class Up:
    """`make up` in a clone."""

    def __init__(self, clone: Path, ports: tuple[int, int]) -> None:
        self.mark = f"{clone}:{ports[0]}"
        kept = {name: value for name, value in os.environ.items() if name not in LEFT_OUT and "POSTFUZE" not in name}
        environment = {**kept, "PORT": str(ports[0]), "SANDBOX_PORT": str(ports[1]), MARK: self.mark}
        environment.pop("VIRTUAL_ENV", None)
        self._log: IO[str] = tempfile.TemporaryFile("w+")  # noqa: SIM115 - lives as long as the process
        self.process = subprocess.Popen(
            ["make", "up"],
            cwd=clone,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    @property
    def output(self) -> str:
        self._log.seek(0)
        return self._log.read()

    def curl(self, seconds: float) -> list[str]:
        """The printed command, once it is printed."""
        until = time.monotonic() + seconds
        while not (found := re.search(r"^\s*(curl .*)$", self.output, re.MULTILINE)):
            assert self.process.poll() is None, self.output
            assert time.monotonic() < until, self.output
            time.sleep(0.1)
        return [*shlex.split(found[1]), "--silent", "--show-error", "--fail", "--max-time", "20"]

    def stop(self) -> None:
        """As Ctrl-C does: every process of the terminal's foreground group hears of it."""
        os.killpg(self.process.pid, signal.SIGINT)
        self.process.wait(STOP_SECONDS)

    def survivors(self) -> dict[int, str]:
        """Processes that it started and that are still there, and what they run."""
        sought, found = f"{MARK}={self.mark}".encode(), {}
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                if sought in (folder / "environ").read_bytes().split(b"\0"):
                    found[int(folder.name)] = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            except OSError:
                continue
        return found

    def end(self) -> None:
        """Whatever became of the test, leave nothing behind; each runs in a session of its own."""
        for pid in self.survivors():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait()


def fresh_clone(folder: Path) -> Path:
    """A clone of what is committed, in a new folder below this one."""
    clone = folder / "postfuze"
    subprocess.run(["git", "clone", "--quiet", "--no-hardlinks", str(ROOT), str(clone)], check=True)
    return clone


@contextmanager
def running(clone: Path, ports: tuple[int, int]) -> Iterator[Up]:
    up = Up(clone, ports)
    try:
        yield up
    finally:
        up.end()


def ask(command: list[str]) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    return answer

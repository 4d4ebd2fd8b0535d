"""The README's promise: a fresh clone, `make up`, and the printed curl answers with live numbers."""

import json
import os
import re
import shlex
import shutil
import signal
import socket
import stat
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

import pytest

from platforms.registry import PLATFORMS
from postfuze.tests.e2e.stage import ROOT, free_port

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(400)]

FIRST_SECONDS = 240
AGAIN_SECONDS = 60
"""How long the tests have patience; how long it takes is measured by hand."""
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


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("fresh") / "postfuze"
    if not shutil.which("curl") or not (ROOT / ".git").exists():
        pytest.skip("needs curl and a git checkout")
    subprocess.run(["git", "clone", "--quiet", "--no-hardlinks", str(ROOT), str(folder)], check=True)
    return folder


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


def test_a_fresh_clone_answers_with_live_numbers_and_so_does_a_second_run_in_seconds(clone: Path) -> None:
    ports = free_port(), free_port()
    with running(clone, ports) as up:
        answer = ask(up.curl(FIRST_SECONDS))
        sources = {row["platform"]: row["source"] for row in answer["metrics_by_account"]}
        measured = [key for key, platform in PLATFORMS.items() if platform.has_posts]
        assert sources == dict.fromkeys(measured, "live")
        assert answer["coverage"] == {"targets": 11, "live": 10, "snapshot": 0, "missing": 1}
        assert [each["code"] for each in answer["skipped"]] == ["no_post_metrics"]
        stops_and_leaves_nothing(up)
    settings = clone / ".env"
    assert stat.S_IMODE(settings.stat().st_mode) == 0o600
    keys = settings.read_text()
    with running(clone, ports) as up:
        assert ask(up.curl(AGAIN_SECONDS))["coverage"]["live"] == 10
        assert "installing" not in up.output
        stops_and_leaves_nothing(up)
    assert settings.read_text() == keys


def stops_and_leaves_nothing(up: Up) -> None:
    assert up.survivors()
    up.stop()
    assert up.survivors() == {}


@pytest.mark.parametrize("number, name", [(0, "PORT"), (1, "SANDBOX_PORT")], ids=("web", "sandbox"))
def test_a_taken_port_gets_a_clear_message(clone: Path, number: int, name: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        ports = [free_port(), free_port()]
        ports[number] = taken.getsockname()[1]
        with running(clone, (ports[0], ports[1])) as up:
            assert up.process.wait(AGAIN_SECONDS) != 0
            assert f"port {ports[number]} is in use" in up.output
            assert f"{name}=" in up.output
            assert "Traceback" not in up.output
            assert up.survivors() == {}

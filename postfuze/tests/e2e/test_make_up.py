"""The README's promise: a fresh clone, `make up`, and the printed curl answers with live numbers."""

import shutil
import socket
import stat
from pathlib import Path

import pytest

from platforms.registry import PLATFORMS
from postfuze.tests.e2e.stage import ROOT, free_port
from postfuze.tests.e2e.up import Up, ask, fresh_clone, running

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(400)]

FIRST_SECONDS = 240
AGAIN_SECONDS = 60
"""How long the tests have patience; benchmarks/first_answer.py measures."""


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if not shutil.which("curl") or not (ROOT / ".git").exists():
        pytest.skip("needs curl and a git checkout")
    return fresh_clone(tmp_path_factory.mktemp("fresh"))


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

import os
import signal
import socket
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from postfuze import bootstrap


def test_the_env_file_is_private_and_never_overwritten(tmp_path: Path, monkeypatch: Any) -> None:
    file = tmp_path / ".env"
    monkeypatch.setattr(bootstrap, "ENV_FILE", str(file))
    bootstrap.write_env_file()
    written = file.read_text()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert bootstrap.read_env_file().keys() >= {"SECRET_KEY", "TOKEN_ENCRYPTION_KEYS"}
    bootstrap.write_env_file()
    assert file.read_text() == written


def test_a_port_in_use_is_named() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(SystemExit, match=r"port \d+ is in use.*SANDBOX_PORT="):
            bootstrap.check_free("SANDBOX_PORT", taken.getsockname()[1])


def test_a_port_comes_from_the_environment_then_from_the_file(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(bootstrap, "ENV_FILE", str(tmp_path / ".env"))
    monkeypatch.delenv("PORT", raising=False)
    assert bootstrap.port_of("PORT", "8000") == 8000
    (tmp_path / ".env").write_text("# comment\nPORT='9000'\n")
    assert bootstrap.port_of("PORT", "8000") == 9000
    monkeypatch.setenv("PORT", "x")
    with pytest.raises(SystemExit, match="PORT is wrong"):
        bootstrap.port_of("PORT", "8000")


SUPERVISOR = """
import os, sys
sys.path.insert(0, {root!r})
from postfuze import bootstrap
bootstrap.supervise.__globals__.update(STOP_SECONDS=2, PYTHON={python!r})
os.chdir({directory!r})
bootstrap.listen_for_stop()
print("up", flush=True)
bootstrap.supervise(dict(os.environ), dict(PORT=1, SANDBOX_PORT=1), "")
"""
# Two that end when asked, one that ignores it, and one that leaves its session.
PROCFILE = """
a: exec sleep 300
b: trap '' TERM; sleep 300 & sleep 300 & wait
c: setsid sleep 300 & exec sleep 300
"""


def alive(mark: bytes) -> list[str]:
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            if mark in path.read_bytes():
                found.append(path.parts[2])
        except OSError:
            continue
    return found


@pytest.mark.e2e
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
@pytest.mark.parametrize("received", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_being_told_to_stop_leaves_no_process(tmp_path: Path, received: int) -> None:
    (tmp_path / "Procfile.dev").write_text(PROCFILE)
    names = {"root": bootstrap.ROOT, "python": sys.executable, "directory": str(tmp_path)}
    mark = f"POSTFUZE_TEST_MARK={tmp_path}"
    environment = os.environ | {"POSTFUZE_TEST_MARK": str(tmp_path)}
    process = subprocess.Popen(
        [sys.executable, "-c", SUPERVISOR.format(**names)], env=environment, stdout=subprocess.PIPE
    )
    until(lambda: len(alive(mark.encode())) >= 8)
    process.send_signal(received)
    process.communicate(timeout=30)
    until(lambda: not alive(mark.encode()))


def until(condition: Any) -> None:
    for _ in range(300):
        if condition():
            return
        time.sleep(0.1)
    raise AssertionError("it did not happen within 30 s")

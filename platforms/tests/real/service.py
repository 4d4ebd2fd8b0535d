"""Our own service as its customers meet it: a server process, a key, and HTTP."""

import base64
import os
import re
import secrets
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit, urlunsplit

import requests

ROOT = Path(__file__).resolve().parents[3]
START_SECONDS = 60
COMMAND_SECONDS = 300
KEPT_VARIABLES = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "VIRTUAL_ENV")


class Service:
    """Migrates a database of its own, makes an organization and a key, and serves until the block ends."""

    def __init__(self, folder: Path, host_map: Mapping[str, str]) -> None:
        self.port = free_port()
        self._environment = {
            **{name: os.environ[name] for name in KEPT_VARIABLES if name in os.environ},
            "DATABASE_URL": database_url(folder),
            "REDIS_URL": "",
            "SECRET_KEY": secrets.token_urlsafe(50),
            "TOKEN_ENCRYPTION_KEYS": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
            "DEBUG": "false",
            "ALLOWED_HOSTS": "127.0.0.1",
            "API_RATE_LIMITS": "all=100000,posts=100000,social_accounts=1000",
            "PLATFORM_HOST_MAP": ",".join(f"{host}={url}" for host, url in host_map.items()),
        }
        self._log = tempfile.TemporaryFile("w+")  # noqa: SIM115 (lives as long as the server)
        self._server: subprocess.Popen[str] | None = None
        self._session = requests.Session()

    def __enter__(self) -> Self:
        self.manage("migrate", "--no-input")
        organization = _find(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", self.manage("create_org", "Devnet"))
        key = _find(r"sk_live_\S+", self.manage("create_api_key", organization, "--scopes", "*"))
        self._session = self.session(key)
        self._serve()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._server is None:
            return
        self._server.terminate()
        try:
            self._server.wait(15)
        except subprocess.TimeoutExpired:
            self._server.kill()
            self._server.wait()

    def manage(self, *arguments: str) -> str:
        """What a management command prints; it has to succeed."""
        done = subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=ROOT,
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=COMMAND_SECONDS,
            check=False,
        )
        if done.returncode != 0:
            raise RuntimeError(f"manage.py {arguments[0]} failed:\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}")
        return done.stdout

    def get(self, path: str, **params: str | int) -> dict[str, Any]:
        return self.call("GET", path, params=params)

    def call(self, method: str, path: str, *, expect: int = 200, **keywords: Any) -> dict[str, Any]:
        """The body of an answer whose status must be `expect`."""
        answer = self._session.request(method, self.url(path), timeout=60, **keywords)
        if answer.status_code != expect:
            raise AssertionError(
                f"{method} {path} answered {answer.status_code}, not {expect}: {answer.text[:1000]}\n{self._log_tail()}"
            )
        body: dict[str, Any] = answer.json()
        return body

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}/api/v1/{path}"

    def session(self, key: str = "") -> requests.Session:
        """A keep-alive connection with the organization's key, for a thread of its own."""
        session = requests.Session()
        session.trust_env = False
        session.headers["Authorization"] = f"Bearer {key}" if key else self._session.headers["Authorization"]
        return session

    def _serve(self) -> None:
        bind = f"127.0.0.1:{self.port}"
        self._server = subprocess.Popen(
            [sys.executable, "-m", "gunicorn", "postfuze.wsgi", "-b", bind, "--threads", "32", "-k", "gthread"],
            cwd=ROOT,
            env=self._environment,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            text=True,
        )
        until = time.monotonic() + START_SECONDS
        while not self._answers():
            if self._server.poll() is not None or time.monotonic() > until:
                self._server.kill()
                raise RuntimeError(f"The service did not start:\n{self._log_tail()}")
            time.sleep(0.2)

    def _answers(self) -> bool:
        try:
            return self._session.get(self.url("health"), timeout=5).ok
        except requests.RequestException:
            return False

    def _log_tail(self) -> str:
        self._log.seek(0)
        return self._log.read()[-4000:]


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def database_url(folder: Path) -> str:
    """SQLite below `folder`, or, where DATABASE_URL names a PostgreSQL server, a fresh database on it."""
    parts = urlsplit(os.environ.get("DATABASE_URL", ""))
    if not parts.scheme.startswith("postgres"):
        return f"sqlite:///{folder / 'real.sqlite3'}"
    name = f"{parts.path.strip('/') or 'postfuze'}_real"
    _recreate_database(urlunsplit(("postgresql", parts.netloc, "/postgres", "", "")), name)
    return urlunsplit((parts.scheme, parts.netloc, f"/{name}", parts.query, ""))


def _recreate_database(server_url: str, name: str) -> None:
    import psycopg  # SQLite needs no driver
    from psycopg import sql

    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))


def _find(pattern: str, text: str) -> str:
    found = re.search(pattern, text)
    if found is None:
        raise AssertionError(f"Nothing like {pattern} in: {text[:500]}")
    return found.group()

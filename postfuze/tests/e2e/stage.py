"""A stage for whole-process tests and benchmarks: a database of its own, the sandbox and the web server."""

import base64
import json
import os
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psycopg
import requests
from psycopg import sql

ROOT = Path(__file__).resolve().parents[3]
START_SECONDS = 60


class Stage:
    """`name` sets its database apart from those of others on the same server."""

    def __init__(self, folder: Path, database_url: str, *, name: str, **environment: str) -> None:
        self.folder = folder
        self.database = "PostgreSQL" if database_url.startswith("postgres") else "SQLite"
        self.port, self.sandbox_port = free_port(), free_port()
        self.environment = {
            **os.environ,
            "POSTFUZE_PROCESS": "",
            "DATABASE_URL": own_database(database_url, name),
            "REDIS_URL": "",
            "ENV_FILE": "",
            "SECRET_KEY": secrets.token_urlsafe(50),
            "TOKEN_ENCRYPTION_KEYS": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
            "DEBUG": "off",
            "HTTPS": "off",
            "LOG_LEVEL": "error",
            "PORT": str(self.port),
            "SANDBOX_PORT": str(self.sandbox_port),
            "SANDBOX_URL": f"http://127.0.0.1:{self.sandbox_port}",
            "DJANGO_SETTINGS_MODULE": "postfuze.settings",
            "API_RATE_LIMITS": "all=1000000,posts=1000000,social_accounts=1000000,webhooks=1000000",
            **environment,
        }
        self.session = requests.Session()
        self.session.trust_env = False

    @contextmanager
    def playing(self) -> Iterator["Stage"]:
        """The processes run until the block ends."""
        self.manage("migrate", "--no-input", "--verbosity", "0")
        started = [self._start("manage.py", "sandbox")]
        bind = ["--bind", f"127.0.0.1:{self.port}", "--worker-class", "gthread", "--threads", "32", "--no-sendfile"]
        started.append(
            self._start("-m", "gunicorn", "postfuze.wsgi", *bind, "--no-control-socket", "--log-level", "error")
        )
        try:
            self._wait(f"{self.address}/api/v1/health")
            self._wait(f"{self.sandbox}/_control")
            yield self
        finally:
            for process in started:
                process.terminate()
            for process in started:
                process.wait(20)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def sandbox(self) -> str:
        return f"http://127.0.0.1:{self.sandbox_port}"

    def manage(self, *arguments: str) -> str:
        """What a management command prints."""
        done = subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=ROOT,
            env=self.environment,
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        return done.stdout

    def most_memory(self, *arguments: str) -> int:
        """The largest resident set of a management command, in bytes."""
        command = [sys.executable, "manage.py", *arguments]
        process = subprocess.Popen(command, cwd=ROOT, env=self.environment, stdout=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise subprocess.CalledProcessError(process.returncode, command)
        return usage.ru_maxrss * 1024

    def manage_json(self, *arguments: str) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(self.manage(*arguments, "--json"))
        return document

    def control(self, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """Ask or tell the sandbox's control endpoint."""
        url = f"{self.sandbox}/_control{path}"
        answer = self.session.get(url) if body is None else self.session.post(url, json=body)
        answer.raise_for_status()
        document: dict[str, Any] = answer.json()
        return document

    def calls(self, platform: str) -> int:
        """How many calls the sandbox counted."""
        return int(self.control("")["platforms"][platform]["calls"]["total"])

    def _start(self, *command: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen([sys.executable, *command], cwd=ROOT, env=self.environment, stdout=subprocess.DEVNULL)

    def _wait(self, url: str) -> None:
        until = time.monotonic() + START_SECONDS
        while True:
            try:
                if self.session.get(url, timeout=5).ok:
                    return
            except requests.RequestException:
                if time.monotonic() > until:
                    raise
            time.sleep(0.1)


def database_url(folder: Path) -> str:
    """Where the tests run: the PostgreSQL server that DATABASE_URL names, else SQLite below `folder`."""
    named = os.environ.get("DATABASE_URL", "")
    return named if named.startswith("postgres") else f"sqlite:///{folder}/stage.sqlite3"


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def own_database(url: str, name: str) -> str:
    """A fresh database beside the one that is named; of SQLite the file itself."""
    if not url.startswith("postgres"):
        return url
    parts = urlsplit(url)
    name = f"{parts.path.strip('/') or 'postfuze'}_{name}"
    with psycopg.connect(urlunsplit(("postgresql", parts.netloc, "/postgres", "", "")), autocommit=True) as server:
        server.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))
        server.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    return urlunsplit((parts.scheme, parts.netloc, f"/{name}", parts.query, ""))

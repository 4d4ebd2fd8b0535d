"""AT Protocol's own development network, as a process that a test starts, silences and stops."""

import base64
import hashlib
import hmac
import json
import os
import queue
import subprocess
import tempfile
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit, urlunsplit

from platforms.tests.real.client import DevAccount, call
from platforms.tests.real.install import install

HERE = Path(__file__).parent
START_SECONDS = 120
ORDER_SECONDS = 150
STOP_SECONDS = 20
DATABASE = "postfuze_devnet"
DEFAULT_POSTGRES_URL = f"postgresql://postgres@127.0.0.1:5432/{DATABASE}"


class DevNetwork:
    """A PDS, an AppView and a PLC directory. What they hold lasts from `start` to `stop`, `down` and `up` included."""

    def __init__(self, *, pds_port: int = 2583, appview_port: int = 2584, rate_limits: bool = False) -> None:
        self.pds_port = pds_port
        self.appview_port = appview_port
        self.rate_limits = rate_limits
        self.facts: dict[str, Any] = {}
        self._process: subprocess.Popen[str] | None = None
        self._answers: queue.Queue[dict[str, Any] | None] = queue.Queue()
        self._log = tempfile.TemporaryFile("w+")  # noqa: SIM115 (lives as long as the network)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def pds_url(self) -> str:
        return str(self.facts["pds_url"])

    @property
    def appview_url(self) -> str:
        return str(self.facts["appview_url"])

    def start(self) -> Self:
        home = install()
        environment = {
            **os.environ,
            "DEVNET_HOME": str(home),
            "DEVNET_POSTGRES_URL": postgres_url(),
            "DEVNET_PDS_PORT": str(self.pds_port),
            "DEVNET_APPVIEW_PORT": str(self.appview_port),
            "DEVNET_RATE_LIMITS": "true" if self.rate_limits else "false",
        }
        self._answers = queue.Queue()
        self._process = subprocess.Popen(
            ["node", str(HERE / "network.mjs")],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
        )
        threading.Thread(target=self._read, args=(self._process, self._answers), daemon=True).start()
        try:
            self.facts = self._answer(START_SECONDS)
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """End the process, wait for it, and leave neither a listener nor a file."""
        process, self._process = self._process, None
        if process is None:
            return
        if process.stdin:
            process.stdin.close()  # the end of the input is the order to stop
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def process(self) -> None:
        """Wait until the AppView has indexed all that was written on the PDS."""
        self._order("process")

    def down(self) -> None:
        """From here on the PDS and the AppView refuse connections."""
        self._order("down")

    def up(self) -> None:
        self._order("up")

    def create_account(self, handle: str, password: str = "correct-horse") -> DevAccount:
        body = {"handle": handle, "email": f"{handle}@mail.test", "password": password}
        return DevAccount.from_session(
            self.pds_url, call(self.pds_url, "com.atproto.server.createAccount", body=body).json()
        )

    def get_posts(self, *uris: str) -> dict[str, dict[str, Any]]:
        """What the AppView itself says of these posts, by URI, in one unauthenticated call."""
        answer = call(self.appview_url, "app.bsky.feed.getPosts", params={"uris": list(uris)}).json()
        return {post["uri"]: post for post in answer["posts"]}

    def get_profile(self, actor: str) -> dict[str, Any]:
        profile: dict[str, Any] = call(self.appview_url, "app.bsky.actor.getProfile", params={"actor": actor}).json()
        return profile

    def expired_access_token(self, did: str, *, scope: str = "com.atproto.access", age_seconds: int = 60) -> str:
        """An access token like the PDS's own, signed with its key, that ended `age_seconds` ago."""
        expired_at = int(time.time()) - age_seconds
        claims = {
            "scope": scope,
            "aud": self.facts["pds_did"],
            "sub": did,
            "iat": expired_at - 7200,
            "exp": expired_at,
        }
        return _sign({"typ": "at+jwt", "alg": "HS256"}, claims, key=str(self.facts["jwt_secret"]))

    def _order(self, order: str) -> None:
        if self._process is None or self._process.stdin is None:
            raise RuntimeError("The development network is not running")
        self._process.stdin.write(f"{order}\n")
        self._process.stdin.flush()
        self._answer(ORDER_SECONDS)

    def _answer(self, seconds: float) -> dict[str, Any]:
        try:
            answer = self._answers.get(timeout=seconds)
        except queue.Empty:
            raise RuntimeError(f"The development network did not answer in {seconds} s\n{self._log_tail()}") from None
        if answer is None or "failed" in answer:
            raise RuntimeError(f"The development network failed: {answer}\n{self._log_tail()}")
        return answer

    def _log_tail(self) -> str:
        self._log.seek(0)
        return self._log.read()[-4000:]

    @staticmethod
    def _read(process: subprocess.Popen[str], answers: "queue.Queue[dict[str, Any] | None]") -> None:
        for line in process.stdout or ():
            if line.startswith("{"):
                answers.put(json.loads(line))
        answers.put(None)


def postgres_url() -> str:
    """A database of its own, on the server DEVNET_POSTGRES_URL or DATABASE_URL names, else on this machine's."""
    if url := os.environ.get("DEVNET_POSTGRES_URL"):
        return url
    parts = urlsplit(os.environ.get("DATABASE_URL", ""))
    if not parts.scheme.startswith("postgres"):
        return DEFAULT_POSTGRES_URL
    return urlunsplit(("postgresql", parts.netloc, f"/{DATABASE}", "", ""))


def _sign(header: dict[str, Any], claims: dict[str, Any], *, key: str) -> str:
    signed = b".".join(_base64url(json.dumps(part).encode()) for part in (header, claims))
    signature = hmac.new(key.encode(), signed, hashlib.sha256).digest()
    return b".".join((signed, _base64url(signature))).decode()


def _base64url(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")

"""One HTTP exchange: total deadline, capped body, no redirects, kept-alive connections."""

import contextlib
import heapq
import http.client
import http.cookiejar
import itertools
import logging
import os
import socket
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import HTTPError

from platforms.errors import DeadlineExceeded, MalformedPayload, PlatformError, Unavailable
from platforms.hosts import is_public

# It logs URLs when headers are odd, and a URL may bear a token.
logging.getLogger("urllib3").setLevel(logging.CRITICAL)

MAX_BODY = 16 * 1024 * 1024
CONNECT_SECONDS = 5.0
USER_AGENT = "PostFuze-Analytics"


@dataclass(frozen=True)
class Exchange:
    """A request ready for the wire. `deadline` is an instant of `time.monotonic()`."""

    method: str
    url: str
    deadline: float
    params: Any = None
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    json: Any = None
    form: Mapping[str, str] | None = None
    guarded: bool = False
    content: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Response:
    """What came back. Header names are lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Transport(Protocol):
    """Anything that can carry an exchange out."""

    def send(self, exchange: Exchange) -> Response:
        """The answer, or Unavailable, DeadlineExceeded or MalformedPayload."""


class _Watchdog:
    """Cuts off connections whose deadline passes: `requests` times out per read only, and a drip never ends."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, _Watch]] = []
        self._order = itertools.count()
        self._wake = threading.Condition()
        self._thread: threading.Thread | None = None

    def watch(self, watch: "_Watch") -> None:
        with self._wake:
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="deadlines", daemon=True)
                self._thread.start()
            heapq.heappush(self._heap, (watch.deadline, next(self._order), watch))
            if self._heap[0][2] is watch:
                self._wake.notify()

    def _run(self) -> None:
        while True:
            with self._wake:
                while not self._heap or self._heap[0][0] > time.monotonic():
                    self._wake.wait(self._heap[0][0] - time.monotonic() if self._heap else None)
                watch = heapq.heappop(self._heap)[2]
            watch.fire()


class _Watch:
    """One exchange under a deadline."""

    def __init__(self, deadline: float, *, guarded: bool) -> None:
        self.deadline = deadline
        self.guarded = guarded
        self.fired = False
        self.refused = False
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._owned = False
        self._done = False

    def bind(self, handle: socket.socket | None) -> None:
        """Put the connection's socket under watch; at once cut off if the deadline has passed."""
        with self._lock:
            if self._owned and self._socket is not None:
                self._socket.close()
            self._socket, self._owned = handle, False
            fired = self.fired
        if fired:
            self._cut(handle)

    def keep(self, handle: socket.socket) -> bool:
        """Take over the socket of a connection that closes while its answer is read; False if it is not watched."""
        with self._lock:
            self._owned = self._socket is handle and not self._done
            return self._owned

    def done(self) -> None:
        with self._lock:
            if self._owned and self._socket is not None:
                self._socket.close()
            self._done = True
            self._socket = None

    def fire(self) -> None:
        with self._lock:
            if self._done:
                return
            self.fired = True
            self._cut(self._socket)

    @staticmethod
    def _cut(handle: socket.socket | None) -> None:
        if handle is not None:
            with contextlib.suppress(OSError):
                handle.shutdown(socket.SHUT_RDWR)


_watchdog = _Watchdog()
_current = threading.local()


def _after_fork() -> None:
    """A child process has none of its parent's threads, and must not wait for a lock that one of them held."""
    global _watchdog
    _watchdog = _Watchdog()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


class _Watched:
    """Mixed into urllib3's connections: shares the socket with the watchdog, connects to checked addresses only."""

    _handle: socket.socket | None = None

    def _new_conn(self) -> socket.socket:
        watch: _Watch = _current.watch
        sock = _connect(self.host, self.port, watch)  # type: ignore[attr-defined]
        # A duplicate outlives TLS wrapping, which detaches the original; shutting it down ends the connection.
        self._handle = sock.dup()
        watch.bind(self._handle)
        return sock

    def request(self, *args: Any, **kwargs: Any) -> None:
        _current.watch.bind(self._handle)
        super().request(*args, **kwargs)  # type: ignore[misc]

    def close(self) -> None:
        watch: _Watch | None = getattr(_current, "watch", None)
        handle, self._handle = self._handle, None
        if handle is not None and not (watch is not None and watch.keep(handle)):
            handle.close()
        super().close()  # type: ignore[misc]


def _connect(host: str, port: int, watch: _Watch) -> socket.socket:
    """A connection to the first address that takes one; all attempts together end at the deadline."""
    problem: OSError = OSError("no address")
    for family, kind, proto, _, address in socket.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM):
        if watch.guarded and not is_public(str(address[0])):
            watch.refused = True
            raise OSError("not a public address")
        remaining = watch.deadline - time.monotonic()
        if remaining <= 0:
            raise TimeoutError("out of time")
        sock = socket.socket(family, kind, proto)
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.settimeout(min(CONNECT_SECONDS, remaining))
            sock.connect(address)
            return sock
        except OSError as error:
            sock.close()
            problem = error
    raise problem


class _Connection(_Watched, HTTPConnection):
    pass


class _TLSConnection(_Watched, HTTPSConnection):
    pass


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _TLSPool(HTTPSConnectionPool):
    ConnectionCls = _TLSConnection


class _Adapter(HTTPAdapter):
    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"http": _Pool, "https": _TLSPool}


def _new_session() -> requests.Session:
    session = requests.Session()
    session.trust_env = False  # a .netrc entry would replace the Authorization header
    session.cookies.set_policy(http.cookiejar.DefaultCookiePolicy(allowed_domains=[]))
    session.headers["User-Agent"] = USER_AGENT
    adapter = _Adapter(pool_connections=16, pool_maxsize=2, max_retries=0)  # a platform may count every attempt
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    return session


class HttpTransport:
    """Carries exchanges out with one `requests` session a thread.

    Guarded and plain exchanges never share a session, so that a checked address is checked on each connection.
    """

    def __init__(self, *, max_body: int = MAX_BODY, cut: bool = False, peer: str = "platform") -> None:
        """A larger body is refused, or with `cut` only its beginning kept. `peer` is who failures are said to be of."""
        self._max_body = max_body
        self._cut = cut
        self._peer = peer
        self._local = threading.local()

    def send(self, exchange: Exchange) -> Response:
        remaining = exchange.deadline - time.monotonic()
        if remaining <= 0:
            raise DeadlineExceeded(f"The time was up before the {self._peer} was called.")
        watch = _Watch(exchange.deadline, guarded=exchange.guarded)
        _current.watch = watch
        _watchdog.watch(watch)
        try:
            answer = self._exchange(exchange, remaining)
        except (requests.RequestException, HTTPError, http.client.HTTPException, OSError, ValueError) as error:
            refused = f"The {self._peer} does not have a public address."
            failure: PlatformError = Unavailable(refused if watch.refused else _describe(error, self._peer))
        else:
            if not watch.fired:
                return answer
        finally:
            watch.done()
            _current.watch = None
        # Raised out here, so that no traceback shows the URL.
        if watch.fired:
            raise Unavailable(f"The {self._peer} did not answer completely in time.")
        raise failure

    def _exchange(self, exchange: Exchange, remaining: float) -> Response:
        with self._session(guarded=exchange.guarded).request(
            exchange.method,
            exchange.url,
            params=exchange.params,
            headers=dict(exchange.headers),
            json=exchange.json,
            data=exchange.form if exchange.content is None else exchange.content,
            timeout=(min(CONNECT_SECONDS, remaining), remaining + 1),
            allow_redirects=False,
            stream=True,
        ) as answer:
            headers = {name.lower(): value for name, value in answer.headers.items()}
            return Response(answer.status_code, headers, self._body(answer))

    def _body(self, answer: requests.Response) -> bytes:
        parts: list[bytes] = []
        size = 0
        for part in answer.iter_content(64 * 1024):
            parts.append(part)
            size += len(part)
            if size <= self._max_body:
                continue
            answer.close()
            if self._cut:
                break
            raise MalformedPayload(f"The answer is larger than {self._max_body} bytes.")
        return b"".join(parts)[: self._max_body]

    def _session(self, *, guarded: bool) -> requests.Session:
        name = "guarded" if guarded else "plain"
        session: requests.Session | None = getattr(self._local, name, None)
        if session is None:
            session = _new_session()
            setattr(self._local, name, session)
        return session


def _describe(error: Exception, peer: str) -> str:
    """What went wrong, without the URL: it may bear a token."""
    if isinstance(error, requests.exceptions.SSLError):
        return f"No secure connection to the {peer} could be made."
    if isinstance(error, requests.exceptions.ConnectTimeout | requests.exceptions.ReadTimeout):
        return f"The {peer} did not answer in time."
    if isinstance(error, requests.exceptions.ChunkedEncodingError | requests.exceptions.ContentDecodingError):
        return f"The {peer}'s answer broke off."
    return f"The {peer} could not be reached."

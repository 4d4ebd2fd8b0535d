"""A server that says what a script says, byte by byte."""

import socket
import ssl
import threading
import time
from collections.abc import Callable

Script = Callable[[socket.socket], None]


class Server:
    """Listens on loopback and lets a script speak on each connection."""

    def __init__(self, script: Script, *, context: ssl.SSLContext | None = None) -> None:
        self.connections = 0
        self.requests: list[bytes] = []
        self._script = script
        self._context = context
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self.url = f"{'https' if context else 'http'}://127.0.0.1:{self.port}/"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            if self._context is not None:
                connection = self._context.wrap_socket(connection, server_side=True)
            while request := self._read(connection):
                self.requests.append(request)
                self._script(connection)
        except OSError:
            pass
        finally:
            connection.close()

    def _read(self, connection: socket.socket) -> bytes:
        found = b""
        while b"\r\n\r\n" not in found:
            part = connection.recv(65536)
            if not part:
                return b""
            found += part
        return found

    def close(self) -> None:
        self._socket.close()


def saying(*parts: bytes, pause: float = 0.0, close: bool = False) -> Script:
    """A script that sends parts, with a pause before each but the first."""

    def script(connection: socket.socket) -> None:
        for number, part in enumerate(parts):
            if number and pause:
                time.sleep(pause)
            connection.sendall(part)
        if close:
            raise OSError

    return script


def ok(body: bytes = b"{}", *headers: str) -> bytes:
    lines = ["HTTP/1.1 200 OK", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


def drip(head: bytes, piece: bytes) -> Script:
    return saying(head, *[piece] * 60, pause=0.1, close=True)

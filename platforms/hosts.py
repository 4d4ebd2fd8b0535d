"""Where a platform's host really is, and which addresses may be called at all."""

import ipaddress
import socket
from collections.abc import Container, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from platforms.errors import Unavailable


@dataclass(frozen=True)
class Destination:
    """A URL to call. `guarded` means that the connected address must be a public one."""

    url: str
    guarded: bool


@dataclass(frozen=True)
class HostMap:
    """Points platform hosts elsewhere: `mapping` host by host, `sandbox` all of them, below a path segment each."""

    mapping: Mapping[str, str]
    sandbox: str = ""

    def locate(self, url: str, *, foreign: bool = False) -> Destination:
        """The destination of a call to `url`; `foreign` if its host came from a caller."""
        parts = urlsplit(url)
        rest = parts.path + (f"?{parts.query}" if parts.query else "")
        if self.sandbox:
            return Destination(f"{self.sandbox.rstrip('/')}/{parts.netloc}{rest}", guarded=False)
        target = self.mapping.get(parts.netloc.lower()) or self.mapping.get((parts.hostname or "").lower())
        if target:
            return Destination(target.rstrip("/") + rest, guarded=False)
        return Destination(url, guarded=foreign)

    def maps(self, host: str) -> bool:
        """Whether calls to `host` are pointed elsewhere."""
        return bool(self.sandbox) or host.lower() in self.mapping


_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_UNICAST = ipaddress.ip_network("2000::/3")


def is_public(address: str) -> bool:
    """Whether an IP address belongs to the public internet."""
    try:
        ip = ipaddress.ip_address(address.split("%")[0])
    except ValueError:
        return False
    if isinstance(ip, ipaddress.IPv4Address):
        return ip.is_global and not ip.is_multicast
    inner = ip.ipv4_mapped or ip.sixtofour or (ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF) if ip in _NAT64 else None)
    if inner is not None:
        return is_public(str(inner))
    return ip.is_global and ip in _UNICAST


def check_public_origin(origin: str, *, mapped: Container[str] = ()) -> str:
    """An `https://host[:port]` origin in canonical form; ValueError if it is none, or plainly not a public one.

    A host in `mapped` is pointed elsewhere by whoever runs the service, and need not look public.
    """
    try:
        parts = urlsplit(origin.strip())
        port = parts.port
        if port == 0:
            raise ValueError("no such port")
    except ValueError as error:
        raise ValueError("must be an https origin such as https://pds.example.com") from error
    host = (parts.hostname or "").rstrip(".").lower()
    bare = parts.path in ("", "/") and not parts.query and not parts.fragment and parts.username is None
    plausible = host.isascii() and all(c.isalnum() or c in "-.:" for c in host)
    if parts.scheme != "https" or not host or not bare or not plausible:
        raise ValueError("must be an https origin such as https://pds.example.com")
    shown = f"[{host}]" if ":" in host else host
    netloc = shown + (f":{port}" if port not in (None, 443) else "")
    if netloc not in mapped and host not in mapped:
        _check_looks_public(host)
    return f"https://{netloc}"


def _check_looks_public(host: str) -> None:
    literal = _literal_address(host)
    if literal is not None and not is_public(literal):
        raise ValueError("must not be a private, loopback or link-local address")
    if literal is None and ("." not in host or host.endswith((".localhost", ".local", ".internal"))):
        raise ValueError("must be a public host name")


def _literal_address(host: str) -> str | None:
    """The address that a host written in digits stands for, in any of the notations that resolvers accept."""
    try:
        found = socket.getaddrinfo(host, None, flags=socket.AI_NUMERICHOST)
    except (OSError, UnicodeError):
        return None
    return str(found[0][4][0])


def check_resolves_public(host: str, port: int) -> None:
    """Resolve a caller's host; Unavailable if it has no address or one that is not public."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise Unavailable(f"The host {host} has no address.") from error
    if not all(is_public(str(entry[4][0])) for entry in found):
        raise Unavailable(f"The host {host} does not have a public address.")

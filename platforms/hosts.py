"""Where a platform's host really is, and which addresses may be called at all."""

import ipaddress
import re
import socket
from collections.abc import Container, Mapping
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from platforms import pools
from platforms.errors import Unavailable

RESOLVE_SECONDS = 2.0


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
    expected = "must be an https origin such as https://pds.example.com"
    parts = _parts(origin.strip(), expected)
    host, netloc = _authority(parts, expected)
    if parts.scheme != "https" or parts.path not in ("", "/") or parts.query:
        raise ValueError(expected)
    if not names_host(mapped, host, netloc):
        _check_looks_public(host)
    return f"https://{netloc}"


def secured(origin: str, *, mapped: Container[str]) -> str:
    """An http origin in https, if its host is in `mapped`: how that is really called, the mapping says."""
    try:
        parts = urlsplit(origin)
        trusted = names_host(mapped, str(parts.hostname), parts.netloc)
    except ValueError:
        return origin
    return parts._replace(scheme="https").geturl() if trusted and parts.scheme == "http" else origin


def check_public_url(url: str, *, allowed: Container[str] = (), example: str = "https://example.com/hooks") -> str:
    """An https URL of a caller in canonical form; ValueError if it is none, or its host is plainly not a public one.

    A host in `allowed` is trusted by whoever runs the service: it need not be public, and plain http will do.
    """
    expected = f"must be an https URL such as {example}"
    if not _PRINTABLE.fullmatch(url):
        raise ValueError(f"{expected}, other characters percent-encoded")
    parts = _parts(url, expected)
    host, netloc = _authority(parts, expected)
    trusted = names_host(allowed, host, netloc, scheme=parts.scheme)
    if parts.scheme != "https" and not (trusted and parts.scheme == "http"):
        raise ValueError(expected)
    if not trusted:
        _check_looks_public(host)
    canonical = f"{parts.scheme}://{netloc}{parts.path or '/'}" + (f"?{parts.query}" if parts.query else "")
    if len(canonical) > _LONGEST_URL:
        raise ValueError(f"must not be longer than {_LONGEST_URL} characters, with a path")
    return canonical


def names_host(names: Container[str], host: str, netloc: str, *, scheme: str = "") -> bool:
    """Whether a host is among `names`, with its port or for all of them. With `scheme` also the usual port is one."""
    return netloc in names or host in names or f"{netloc}:{_DEFAULT_PORTS.get(scheme)}" in names


_LONGEST_URL = 2000
_PRINTABLE = re.compile(rf"[\x21-\x5b\x5d-\x7e]{{1,{_LONGEST_URL}}}")
_DEFAULT_PORTS = {"https": 443, "http": 80}


def _parts(text: str, expected: str) -> SplitResult:
    try:
        parts = urlsplit(text)
        if parts.port == 0:
            raise ValueError("no such port")
    except ValueError as error:
        raise ValueError(expected) from error
    if parts.username is not None or parts.fragment or "#" in text:
        raise ValueError(expected)
    return parts


def _authority(parts: SplitResult, expected: str) -> tuple[str, str]:
    """The host, and how a URL names it together with a port that is not the usual one."""
    host = (parts.hostname or "").rstrip(".").lower()
    if not host or not host.isascii() or not all(c.isalnum() or c in "-.:" for c in host):
        raise ValueError(expected)
    shown = f"[{host}]" if ":" in host else host
    usual = parts.port in (None, _DEFAULT_PORTS.get(parts.scheme))
    return host, shown if usual else f"{shown}:{parts.port}"


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
        found = _addresses(host, port)
    except (OSError, UnicodeError) as error:
        raise Unavailable(f"The host {host} has no address.") from error
    if not all(map(is_public, found)):
        raise Unavailable(f"The host {host} does not have a public address.")


def resolves_privately(host: str, port: int) -> bool:
    """Whether a host has an address now that is not public.

    One that has none, or whose name server takes its time, may have one later: connecting checks again.
    """
    asked = pools.resolving_pool().submit(_addresses, host, port)
    try:
        return not all(map(is_public, asked.result(RESOLVE_SECONDS)))
    except (OSError, UnicodeError, TimeoutError):
        return False


def _addresses(host: str, port: int) -> list[str]:
    return [str(entry[4][0]) for entry in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]

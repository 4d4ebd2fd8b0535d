"""Reads and checks environment variables: whatever is wrong with one becomes a line that names it."""

import os
import re
from collections.abc import Callable, Iterable
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import environ
from cryptography.fernet import Fernet
from django.core.exceptions import ImproperlyConfigured
from redis.connection import parse_url
from sentry_sdk.utils import Dsn

from postfuze.api.durations import duration

REQUIRED: Any = object()
TRUE = {"1", "true", "yes", "y", "on"}
FALSE = {"0", "false", "no", "n", "off"}
HOST_AND_PORT = re.compile(
    r"([a-z0-9](?:[a-z0-9.-]*[a-z0-9])?|\[[0-9a-f:.]+\]|(?:[0-9a-f]*:){2,7}[0-9a-f.]*)\.?(?::(\d{1,5}))?"
)
ANSWERED_HOST = re.compile(r"\*|(\.?[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?|\[[0-9a-f:.]+\])\.?")
HOST = re.compile(r"(?:\*\.)?[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?(?::\d{1,5})?")

Retention = dict[str, timedelta | None]
Cadence = tuple[tuple[timedelta | None, timedelta], ...]


class Environment:
    """The process environment, completed by a file of `NAME=value` lines; blank counts as unset.

    A file need not be there, unless it is one that ENV_FILE names.
    """

    def __init__(self, file: Path | None = None, *, is_named: bool = False) -> None:
        if file is None or not (is_named or file.is_file()):
            return
        try:
            with file.open(encoding="utf-8") as lines:
                environ.Env.read_env(lines)
        except (OSError, UnicodeDecodeError) as error:
            raise ImproperlyConfigured(f"ENV_FILE is wrong: {file} cannot be read: {error}") from None

    def __call__(self, name: str, parse: Callable[[str], Any] = str, default: Any = REQUIRED) -> Any:
        value = str(os.environ.get(name, "")).strip()
        if not value:
            if default is REQUIRED:
                raise ImproperlyConfigured(f"{name} is not set. See .env.example.")
            return default
        try:
            return parse(value)
        except ValueError as error:
            raise ImproperlyConfigured(f"{name} is wrong: {error}") from None


def boolean(value: str) -> bool:
    if value.lower() in TRUE | FALSE:
        return value.lower() in TRUE
    raise ValueError("expected true or false")


def whole(value: str, *, at_least: int = 1, at_most: int = 1_000_000) -> int:
    if not re.fullmatch(r"\d{1,9}", value, re.ASCII) or not at_least <= int(value) <= at_most:
        raise ValueError(f"expected a whole number from {at_least} to {at_most}")
    return int(value)


def port(value: str) -> int:
    return whole(value, at_most=65535)


def share(value: str) -> float:
    if not re.fullmatch(r"[01](\.\d+)?|\.\d+", value, re.ASCII) or not 0 <= float(value) <= 1:
        raise ValueError("expected a share from 0 to 1, as 0.2")
    return float(value)


def one_of(*choices: str) -> Callable[[str], str]:
    def parse(value: str) -> str:
        if value.lower() not in choices:
            raise ValueError(f"expected one of {', '.join(choices)}")
        return value.lower()

    return parse


def graph_version(value: str) -> str:
    if not re.fullmatch(r"v\d{1,3}\.\d{1,2}", value, re.ASCII):
        raise ValueError("expected a version of the Graph API, as v26.0")
    return value


def monthly_version(value: str) -> str:
    if not re.fullmatch(r"20\d\d(0[1-9]|1[0-2])", value, re.ASCII):
        raise ValueError("expected a year and a month, as 202609")
    return value


def names(value: str) -> list[str]:
    return [name.strip() for name in value.split(",") if name.strip()]


def hosts(value: str) -> list[str]:
    """At least one host name: with none, nobody would be answered."""
    if not (found := names(value.lower())):
        raise ValueError("it names no host")
    for name in found:
        if not ANSWERED_HOST.fullmatch(name):
            raise ValueError(
                f"expected host names as example.com or .example.com, without scheme or port, not {name!r}"
            )
    return [name.removesuffix(".") for name in found]


def hosts_and_ports(value: str) -> list[str]:
    """`app.example.com,localhost:3000`, as `platforms.hosts.names_host` looks for them."""
    return [_host_and_port(name) for name in names(value.lower())]


def _host_and_port(name: str) -> str:
    found = HOST_AND_PORT.fullmatch(name)
    if not found or not 0 < int(found[2] or 1) <= 65535:
        raise ValueError(
            f"expected hosts as app.example.com or localhost:3000, without scheme, path or *, not {name!r}"
        )
    return f"{found[1]}:{int(found[2])}" if found[2] else found[1].strip("[]")


def origin(value: str) -> str:
    """An http(s) address without query, its trailing slash removed."""
    parts = urlsplit(value)
    try:
        well_formed = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError:
        well_formed = False
    if not well_formed or parts.query or parts.fragment or parts.username or re.search(r"\s", value):
        raise ValueError("expected an address as http://127.0.0.1:9001, without query")
    return value.rstrip("/")


def origins(value: str) -> list[str]:
    return [origin(each) for each in names(value)]


def host_map(value: str) -> dict[str, str]:
    """`api.x.com=http://127.0.0.1:9001,graph.facebook.com=http://127.0.0.1:9002/fb`."""
    mapped: dict[str, str] = {}
    for pair in names(value):
        host, equals, target = (part.strip() for part in pair.partition("="))
        host = host.lower()
        if not equals or not HOST.fullmatch(host):
            raise ValueError(f"expected host=url[,host=url], not {pair!r}")
        if host in mapped:
            raise ValueError(f"{host} is mapped twice")
        mapped[host] = _target(host, target)
    return mapped


def _target(host: str, target: str) -> str:
    try:
        return origin(target)
    except ValueError as error:
        raise ValueError(f"{host}: {error}") from None


def rate_limits(defaults: dict[str, int]) -> Callable[[str], dict[str, int]]:
    """`all=600,posts=120`: what is not named keeps its default."""

    def parse(value: str) -> dict[str, int]:
        limits = dict(defaults)
        for pair in names(value):
            name, _, number = (part.strip() for part in pair.partition("="))
            name = name.replace("-", "_")
            if name not in defaults:
                raise ValueError(f"unknown name {name!r}, expected {', '.join(defaults)}")
            limits[name] = _labelled(name, number)
        return limits

    return parse


def _labelled(name: str, number: str) -> int:
    try:
        return whole(number)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None


def cadence(value: str) -> Cadence:
    """`1d=30m,7d=6h,*=7d`: up to that age, at that interval; ages ascend and `*` is the last."""
    steps: list[tuple[timedelta | None, timedelta]] = []
    for pair in names(value):
        age, _, interval = (part.strip() for part in pair.partition("="))
        steps.append((None if age == "*" else duration(age), duration(interval)))
    ages = [age for age, _ in steps if age is not None]
    if len(ages) != len(steps) - 1 or steps[-1][0] is not None or ages != sorted(set(ages)):
        raise ValueError("expected ascending ages and * last, as 1d=30m,7d=6h,90d=1d,*=7d")
    return tuple(steps)


def retention(platforms: Iterable[str], defaults: dict[str, timedelta]) -> Callable[[str], Retention]:
    """`linkedin=365d,*=forever`: how long for each platform, None for ever. `*` is whoever is not named.

    A default that is not named holds on, unless `*` is shorter.
    """
    known = sorted(platforms)

    def parse(value: str) -> Retention:
        given: Retention = {}
        for pair in names(value):
            name, _, kept = (part.strip() for part in pair.partition("="))
            if name not in ("*", *known) or name in given:
                raise ValueError(f"{name!r} is unknown or named twice, expected *, {', '.join(known)}")
            given[name] = None if kept == "forever" else keeping(kept)
        rest = given.get("*")
        return {name: given.get(name, _shorter(defaults.get(name), rest)) for name in known}

    return parse


def keeping(value: str) -> timedelta:
    """How long something is kept: a duration that a date has room for."""
    kept = duration(value)
    if kept > timedelta(days=36_500):
        raise ValueError(f"expected at most 36500d, not {value!r}")
    return kept


def _shorter(*durations: timedelta | None) -> timedelta | None:
    return min((each for each in durations if each is not None), default=None)


def fernet_keys(value: str) -> list[str]:
    """Never repeats a key in its message."""
    keys = names(value)
    for number, key in enumerate(keys, start=1):
        try:
            Fernet(key)
        except ValueError:
            raise ValueError(f"key {number} of {len(keys)} is not a Fernet key (32 bytes, url-safe base64)") from None
    if not keys:
        raise ValueError("it holds no key")
    return keys


def redis_url(value: str) -> str:
    """Never repeats its password in its message."""
    try:
        parts = urlsplit(value)
        parse_url(value)  # the port, and what follows a question mark
        well_formed = parts.scheme in {"redis", "rediss"} and parts.hostname and re.fullmatch(r"(/\d*)?", parts.path)
    except ValueError:
        well_formed = False
    if not well_formed:
        raise ValueError("expected redis://host:6379/0 or rediss://…, where 0 is the number of a database")
    return value


def sentry_dsn(value: str) -> str:
    try:
        Dsn(value)
    except ValueError:
        raise ValueError("expected an address as https://key@host/project") from None
    return value


def database(base: Path) -> Callable[[str], dict[str, Any]]:
    """A PostgreSQL or file-based SQLite database; a relative SQLite path starts at `base`."""

    def parse(value: str) -> dict[str, Any]:
        if value.partition(":")[0] not in {"postgres", "postgresql", "sqlite"}:
            raise ValueError("expected postgres://user:password@host:5432/name or sqlite:///file.sqlite3")
        try:
            config = environ.Env.db_url_config(value)
        except Exception:
            raise ValueError("it could not be read as a database address") from None
        if not config["NAME"] or config["NAME"] == ":memory:":
            raise ValueError("it names no database (one in memory cannot be shared by processes)")
        if value.startswith("sqlite"):
            config["NAME"] = str(base / config["NAME"])
        return config

    return parse

"""Where people may be sent back to: only to hosts that CONNECT_REDIRECT_HOSTS names."""

from urllib.parse import parse_qsl, urlencode, urlsplit

from django.conf import settings
from django.urls import reverse

from platforms import hosts

EXAMPLE = "https://app.example.com/connected"
LOOPBACK = ("localhost", "127.0.0.1", "::1")


def check_redirect_url(url: str) -> str:
    """A caller's URL in canonical form; ValueError if nobody may be sent there."""
    named = settings.CONNECT_REDIRECT_HOSTS
    checked = hosts.check_public_url(url, allowed=named, example=EXAMPLE)
    parts = urlsplit(checked)
    host = str(parts.hostname)
    if not hosts.names_host(named, host, parts.netloc, scheme=parts.scheme):
        elsewhere = any(name.startswith(f"{host}:") for name in named)
        why = f"it names {host} with another port" if elsewhere else f"{parts.netloc} is none"
        raise ValueError(f"must be on a host that CONNECT_REDIRECT_HOSTS names; {why}")
    if parts.scheme != "https" and host not in LOOPBACK:
        raise ValueError("must be an https URL, but for localhost")
    return checked


def is_allowed(url: str) -> bool:
    """Whether people may be sent there now."""
    try:
        check_redirect_url(url)
    except ValueError:
        return False
    return True


def page(name: str) -> str:
    """The address of a page of ours; a platform may have sent people to another host that leads here."""
    return f"{settings.PUBLIC_URL}{reverse(name)}"


def with_query(url: str, **more: str) -> str:
    """The URL with further parameters; those of its own that are called the same make way."""
    parts = urlsplit(url)
    own = [(name, value) for name, value in parse_qsl(parts.query, keep_blank_values=True) if name not in more]
    return parts._replace(query=urlencode([*own, *more.items()])).geturl()

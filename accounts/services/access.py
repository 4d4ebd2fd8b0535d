"""Speaking to a platform for an account: the only place where a platform client is made."""

from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from django.conf import settings
from django.db.models import Value
from limits.storage import Storage, storage_from_string

from accounts.models import Mode, SocialAccount, SocialNetwork
from accounts.services import crypto
from accounts.services.gates import DatabaseGates
from accounts.services.retirements import Retirements
from platforms import client, registry
from platforms.base import Account, Platform
from platforms.hosts import HostMap
from platforms.oauth import App, Credentials
from platforms.rates import Meter

REDIS_OPTIONS = {"socket_timeout": 1, "socket_connect_timeout": 1}


@lru_cache
def limits_storage(url: str, mode: str) -> Storage:
    """Where calls are counted: one storage for each address, mode and process. Redis is not waited for."""
    if url.startswith("memory:"):
        return storage_from_string(url)
    return storage_from_string(url, wrap_exceptions=True, key_prefix=f"postfuze-{mode}", **REDIS_OPTIONS)


@lru_cache
def _meter(url: str, mode: str, share: float, reserved: float) -> Meter:
    return Meter(limits_storage(url, mode), share=share, reserved=reserved)


def platform_settings(mode: str) -> client.Settings:
    """How platforms are called in a mode: test accounts reach the sandbox, live ones the real hosts."""
    sandbox = settings.SANDBOX_URL if mode == Mode.TEST else ""
    shares = settings.PROCESS_SHARE_OF_LIMITS, settings.LIVE_SHARE_OF_LIMITS
    return client.Settings(
        hosts=HostMap(settings.PLATFORM_HOST_MAP, sandbox),
        meter=_meter(settings.LIMITS_STORAGE_URL, mode, *shares),
    )


def adapter_settings(platform: str) -> dict[str, Any]:
    """The settings that an adapter may read."""
    known: dict[str, dict[str, Any]] = settings.PLATFORM_SETTINGS
    return known.get(platform, {})


def platform_of(account: SocialAccount) -> Platform:
    """The adapter of an account."""
    return registry.get(account.platform)


def as_platform_account(account: SocialAccount, *, retired: Iterable[str] = ()) -> Account:
    """What an adapter may know of an account; `retired` where it is about to ask for metrics."""
    return Account(
        id=str(account.id),
        network_unique_id=account.network_unique_id,
        username=account.username,
        scopes=tuple(account.scopes),
        extra=account.extra,
        memory=dict(account.memory),
        settings=adapter_settings(account.platform),
        retired=set(retired),
    )


def credentials_of(account: SocialAccount) -> Credentials:
    """The account's tokens in the clear."""
    return Credentials(
        access_token=crypto.decrypt(account.access_token),
        refresh_token=crypto.decrypt(account.refresh_token),
        expires_at=account.token_expires_at,
    )


def app_of(account: SocialAccount) -> App:
    """The OAuth app that the account was connected with: the organization's own, or what the caller named."""
    network = SocialNetwork.objects.filter(
        organization_id=account.organization_id, mode=account.mode, platform=account.platform, is_enabled=True
    ).first()
    if network is None:
        return App(id=f"{account.mode}-default", client_id=str(account.extra.get("client_id", "")))
    return App(id=str(network.id), client_id=network.client_id, client_secret=crypto.decrypt(network.client_secret))


def gates_of(account: SocialAccount) -> DatabaseGates:
    """The gates that calls for an account pass; test accounts have their own."""
    return DatabaseGates(account.platform, account.mode)


def notes_of(account: SocialAccount, subject: str) -> tuple[DatabaseGates, Retirements]:
    """The gates and withdrawn metrics of an account's platform, for a conversation. Read in one query."""
    version = platform_of(account).version_for(as_platform_account(account))
    gates, retired = gates_of(account), Retirements(account.platform, account.mode, version, subject)
    closed = gates.rows().values_list(Value("gate"), "key", "not_before")
    withdrawn = retired.rows().values_list(Value("metric"), "metric", "next_try_at")
    rows = list(closed.union(withdrawn, all=True))
    gates.load({name: at for kind, name, at in rows if kind == "gate"})
    retired.load((name, at) for kind, name, at in rows if kind == "metric")
    return gates, retired

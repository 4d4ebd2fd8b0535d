"""Speaking to a platform for an account: the only place where a platform client is made."""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

from django.conf import settings
from django.db import connection
from django.db.models import QuerySet
from django.utils import timezone
from limits.storage import Storage, storage_from_string

from accounts.models import Gate, Mode, SocialAccount, SocialNetwork
from accounts.services import crypto
from accounts.services.gates import DatabaseGates
from accounts.services.retirements import Retirements
from platforms import client, registry
from platforms.base import Account, Platform
from platforms.hosts import HostMap
from platforms.oauth import App, Credentials
from platforms.rates import Meter, Parked

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
    return _as_app(account, _apps([account]).first())


def _apps(accounts: Sequence[SocialAccount]) -> QuerySet[SocialNetwork]:
    """The organizations' own apps on the platforms of accounts."""
    return SocialNetwork.objects.filter(
        organization_id__in={account.organization_id for account in accounts},
        mode__in={account.mode for account in accounts},
        platform__in={account.platform for account in accounts},
        is_enabled=True,
    )


def _as_app(account: SocialAccount, network: SocialNetwork | None) -> App:
    if network is None:
        client_id = str(account.extra.get("client_id", ""))
        return App(id=_unnamed_app_id(account, client_id), client_id=client_id)
    return App(id=str(network.id), client_id=network.client_id, client_secret=crypto.decrypt(network.client_secret))


def _unnamed_app_id(account: SocialAccount, client_id: str) -> str:
    """Whose budget an app spends that has no row: never another organization's, though it names the same client id.

    As a digest, because it becomes part of keys and a caller may write what they like.
    """
    digest = hashlib.sha256(client_id.encode("utf-8", "replace")).hexdigest()[:16]
    return f"{account.organization_id}-{digest}"


def gates_of(account: SocialAccount) -> DatabaseGates:
    """The gates that calls for an account pass; test accounts have their own."""
    return DatabaseGates(account.platform, account.mode)


# As text, because building the query takes longer than answering it.
_GATES_AND_RETIRED = """
    SELECT key, platform, not_before, reason, 'gate' AS kind, '' AS mode, '' AS api_version
    FROM accounts_gate WHERE platform IN ({platforms}) AND not_before > %s
    UNION ALL
    SELECT metric, platform, next_try_at, '', 'metric', mode, api_version
    FROM accounts_retiredmetric WHERE platform IN ({platforms}) AND subject = %s
"""


class Notes:
    """What is stored for conversations about posts or about accounts: closed gates, withdrawn metrics, OAuth apps.

    Two queries, for however many accounts.
    """

    def __init__(self, accounts: Sequence[SocialAccount], subject: str) -> None:
        self._subject = subject
        platforms = sorted({account.platform for account in accounts})
        now = connection.ops.adapt_datetimefield_value(timezone.now())
        asked = _GATES_AND_RETIRED.format(platforms=", ".join(["%s"] * len(platforms)))
        self._rows: dict[tuple[str, ...], dict[str, Parked]] = defaultdict(dict)
        for row in Gate.objects.raw(asked, [*platforms, now, *platforms, subject]) if platforms else ():
            self._rows[row.kind, row.platform, row.mode, row.api_version][row.key] = Parked(row.not_before, row.reason)
        self._apps = {(app.organization_id, app.mode, app.platform): app for app in _apps(accounts)}

    def gates_of(self, account: SocialAccount) -> DatabaseGates:
        """The gates that calls for an account pass."""
        gates = gates_of(account)
        gates.load(self._rows.get(("gate", account.platform, "", ""), {}))
        return gates

    def retired_for(self, account: SocialAccount) -> Retirements:
        """The metrics that are not to be asked for."""
        version = platform_of(account).version_for(as_platform_account(account))
        retired = Retirements(account.platform, account.mode, version, self._subject)
        found = self._rows.get(("metric", account.platform, account.mode, retired.version), {})
        retired.load((name, parked.until) for name, parked in found.items())
        return retired

    def app_of(self, account: SocialAccount) -> App:
        """The OAuth app that the account was connected with."""
        return _as_app(account, self._apps.get((account.organization_id, account.mode, account.platform)))

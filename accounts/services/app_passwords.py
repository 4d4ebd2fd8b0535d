"""Connecting an account by name and app password, where the platform has those."""

from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import connection

from accounts.models import SocialAccount
from accounts.services import access, connections
from accounts.services.gates import DatabaseGates
from platforms import hosts, registry
from platforms.base import Account, Call
from platforms.client import Client
from platforms.consent import Candidate
from platforms.errors import AccountNotFound
from platforms.oauth import Credentials, TokenSet

PROFILE = ("username", "display_name", "profile_image_url", "account_type")


def connect(
    platform: str, organization_id: UUID, mode: str, *, name: str, password: str, more: dict[str, Any], keep: bool
) -> tuple[SocialAccount, bool]:
    """Sign in as `name` and connect the account; `keep` the password, encrypted, for when its tokens have ended.

    Returns the account and whether it is new. Raises a PlatformError: AccountNotFound for a name that leads nowhere,
    PasswordRefused for the password.
    """
    adapter = registry.get(platform)
    found = _identified(platform, mode, name)
    account = Account(id=found.network_unique_id, network_unique_id=found.network_unique_id, extra=found.extra)

    def store(tokens: TokenSet) -> tuple[SocialAccount, bool]:
        told = connections.given_of(platform, found, tokens)
        given = {key: value for key, value in told.items() if value or key not in PROFILE}  # what was not told stays
        given["app_password"] = password if keep else ""
        return connections.connect(organization_id, mode, {**given, **more}, consented=True)

    return _client(platform, mode, account, password).keep(adapter.sign_in(account, password), store)


def _identified(platform: str, mode: str, name: str) -> Candidate:
    """Whose a name is. Hosts that it leads to are checked as a caller's are."""
    adapter, nobody, mapped = registry.get(platform), Account(id="", network_unique_id=""), settings.PLATFORM_HOST_MAP
    call: Call[Candidate] = adapter.identify(name)
    found = _client(platform, mode, nobody, "").run(call)
    try:
        extra = {
            key: adapter.check_extra(key, hosts.secured(value, mapped=mapped), mapped=mapped)
            for key, value in found.extra.items()
        }
    except ValueError as error:
        raise AccountNotFound(f"The account's server {error}.") from error
    return Candidate(found.network_unique_id, found.username, found.display_name, found.profile_image_url, extra=extra)


def _client(platform: str, mode: str, account: Account, password: str) -> Client:
    if not connection.in_atomic_block:
        connection.close()  # back into the pool of the web process: a platform may take its time
    return Client(
        registry.get(platform),
        account,
        settings=access.platform_settings(mode),
        credentials=Credentials(refresh_token=password),  # by whose name it stays out of logs
        gates=DatabaseGates(platform, mode),
        live=True,
    )

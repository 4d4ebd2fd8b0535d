"""An organization's own OAuth apps: one for each platform and mode."""

import uuid
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django.conf import settings

from accounts.models import SocialNetwork
from accounts.services import access, crypto
from platforms import registry
from platforms.base import Account, Platform
from platforms.consent import Consent
from platforms.grants import Loss, losses, scopes_of

CALLBACK_PATH = "/api/v1/connect/callback"


class SecretMissing(ValueError):
    """The platform's apps need a secret, and none is stored yet."""


def upsert(organization_id: UUID, mode: str, given: Mapping[str, Any]) -> tuple[SocialNetwork, bool]:
    """Store an organization's app on a platform, or change what is given of it. Returns it and whether it is new.

    Without a new secret the old one stays; SecretMissing if there is none and the platform wants one.
    """
    identity = {"organization_id": organization_id, "mode": mode, "platform": given["platform"]}
    fresh = {name: value for name, value in given.items() if name not in ("platform", "client_secret")}
    if "client_secret" in given:
        fresh["client_secret"] = crypto.encrypt(given["client_secret"] or "")
    require_secret(identity, given)
    return SocialNetwork.objects.update_or_create(**identity, defaults=fresh)


def require_secret(identity: Mapping[str, Any], given: Mapping[str, Any]) -> None:
    """Raise SecretMissing if the platform's apps have a secret, and an app would have none by what is given."""
    if not given.get("client_secret") and not _may_lack_secret(identity, given):
        raise SecretMissing("This platform's apps have a secret.")


def _may_lack_secret(identity: Mapping[str, Any], given: Mapping[str, Any]) -> bool:
    consent = consent_of(given["platform"], given.get("extra_config", {}))
    if consent is not None and consent.public_apps:
        return True
    return "client_secret" not in given and SocialNetwork.objects.filter(**identity).exclude(client_secret="").exists()


def consent_of(platform: str, extra_config: Mapping[str, Any]) -> Consent | None:
    """How an app with this configuration asks for consent; None if the platform has no such way."""
    return registry.get(platform).consent_for(_stand_in(platform, extra_config))


def with_consent() -> list[str]:
    """The platforms that have such a way."""
    return [platform for platform in registry.PLATFORMS if consent_of(platform, {}) is not None]


def platform_of(network: SocialNetwork) -> Platform:
    """The adapter of an app's platform."""
    return registry.get(network.platform)


def grant_of(network: SocialNetwork) -> Account:
    """What stands for a grant to an app, before it is known whose it is. Its id has a budget of its own."""
    return _stand_in(network.platform, network.extra_config)


def _stand_in(platform: str, extra_config: Mapping[str, Any]) -> Account:
    return Account(
        id=f"grant-{uuid.uuid4()}", network_unique_id="", extra=extra_config, settings=access.adapter_settings(platform)
    )


def asked_scopes(network: SocialNetwork) -> tuple[str, ...]:
    """What a person is asked for."""
    return tuple(network.scopes) or scopes_of(platform_of(network), grant_of(network))


def redirect_uri_of(network: SocialNetwork) -> str:
    """Where a platform sends people back to; the app must know it."""
    return network.redirect_uri or f"{settings.PUBLIC_URL}{CALLBACK_PATH}"


def lost(network: SocialNetwork) -> list[Loss]:
    """What stays null on accounts that are connected by an app as it is."""
    return losses(platform_of(network), grant_of(network), asked_scopes(network))

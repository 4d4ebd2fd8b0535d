"""Reading accounts and webhooks."""

import re
from uuid import UUID

from django.db.models import QuerySet

from accounts.models import ApiKey, Organization, SocialAccount, SocialNetwork, WebhookDelivery, WebhookEndpoint


def social_accounts(organization_id: UUID, mode: str) -> QuerySet[SocialAccount]:
    """An organization's connected accounts in a mode."""
    return SocialAccount.objects.filter(organization_id=organization_id, mode=mode, deleted_at=None)


def social_networks(organization_id: UUID, mode: str) -> QuerySet[SocialNetwork]:
    """An organization's OAuth apps in a mode."""
    return SocialNetwork.objects.filter(organization_id=organization_id, mode=mode)


def webhook_endpoints(organization_id: UUID, mode: str) -> QuerySet[WebhookEndpoint]:
    """An organization's webhook endpoints in a mode."""
    return WebhookEndpoint.objects.filter(organization_id=organization_id, mode=mode)


def webhook_deliveries(endpoint: WebhookEndpoint) -> QuerySet[WebhookDelivery]:
    """What an endpoint was sent, with the kinds of events."""
    return WebhookDelivery.objects.filter(endpoint=endpoint).select_related("event").defer("event__data")


def key_named(text: str) -> ApiKey | None:
    """A key by its id, or by as much of its text as is no secret: `sk_live_` and twelve characters, or those alone."""
    pk = as_uuid(text)
    prefix = re.fullmatch(r"(?:sk_(?:live|test)_)?([a-z0-9]{12})(?:…|[A-Za-z0-9_-]{43})?", text.strip())
    given = {"pk": pk} if pk is not None else {"prefix": prefix[1] if prefix else ""}
    return ApiKey.objects.select_related("organization").filter(**given).first()


def keys_of(organization: Organization) -> QuerySet[ApiKey]:
    """An organization's keys of both modes, the newest first."""
    return ApiKey.objects.filter(organization=organization).defer("secret_hash")


def as_uuid(text: str) -> UUID | None:
    """The id that a text is, if it is one."""
    try:
        return UUID(text.strip())
    except ValueError:
        return None

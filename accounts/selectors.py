"""Reading accounts and webhooks."""

from uuid import UUID

from django.db.models import QuerySet

from accounts.models import SocialAccount, SocialNetwork, WebhookDelivery, WebhookEndpoint


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


def as_uuid(text: str) -> UUID | None:
    """The id that a text is, if it is one."""
    try:
        return UUID(text.strip())
    except ValueError:
        return None

"""Writing events to the outbox, in the transaction of the change they tell of."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from accounts.models import SocialAccount, WebhookEvent
from accounts.serializers import SocialAccountSerializer
from accounts.services import messenger


def emit(organization_id: UUID, mode: str, kind: str, data: Mapping[str, Any]) -> None:
    """Tell an organization of something. To be called inside the transaction that changes it."""
    WebhookEvent.objects.create(organization_id=organization_id, mode=mode, type=kind, data=dict(data))
    messenger.wake()


def emit_account_event(account: SocialAccount, kind: str, *, reason: str = "") -> None:
    """Tell of an account. To be called inside the transaction that changes it."""
    data = dict(SocialAccountSerializer(account).data)
    if reason:
        data["reason"] = reason[:500]
    emit(account.organization_id, account.mode, kind, data)

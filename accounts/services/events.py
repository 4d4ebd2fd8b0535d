"""Writing events to the outbox, in the transaction of the change they tell of."""

from accounts.models import SocialAccount, WebhookEvent
from accounts.serializers import SocialAccountSerializer


def emit_account_event(account: SocialAccount, kind: str, *, reason: str = "") -> None:
    """Tell of an account. To be called inside the transaction that changes it."""
    data = dict(SocialAccountSerializer(account).data)
    if reason:
        data["reason"] = reason[:500]
    WebhookEvent.objects.create(organization_id=account.organization_id, mode=account.mode, type=kind, data=data)

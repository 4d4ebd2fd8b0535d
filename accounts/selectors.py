"""Reading accounts."""

from uuid import UUID

from django.db.models import QuerySet

from accounts.models import SocialAccount


def social_accounts(organization_id: UUID, mode: str) -> QuerySet[SocialAccount]:
    """An organization's connected accounts in a mode."""
    return SocialAccount.objects.filter(organization_id=organization_id, mode=mode, deleted_at=None)


def as_uuid(text: str) -> UUID | None:
    """The id that a text is, if it is one."""
    try:
        return UUID(text.strip())
    except ValueError:
        return None

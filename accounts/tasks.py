"""Wake-ups for work on accounts; the database says what is due."""

from celery import shared_task

from accounts.services import renewals


@shared_task(ignore_result=True)
def refresh_due_tokens() -> None:
    """Renew tokens that are near their end."""
    renewals.refresh_due()

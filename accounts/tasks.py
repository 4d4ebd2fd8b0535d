"""Wake-ups for work on accounts; the database says what is due."""

from celery import shared_task

from accounts.services import tokens


@shared_task(ignore_result=True)
def refresh_due_tokens() -> None:
    tokens.refresh_due()

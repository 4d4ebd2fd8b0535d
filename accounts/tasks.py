"""Wake-ups for work on accounts; the database says what is due."""

import time

from celery import shared_task
from django.conf import settings

from accounts.services import messenger, renewals


@shared_task(ignore_result=True)
def refresh_due_tokens() -> None:
    """Renew tokens that are near their end."""
    renewals.refresh_due()


@shared_task(ignore_result=True)
def deliver_webhooks() -> None:
    """Without a broker a thread delivers, so that receivers do not hold up what else beat does."""
    if settings.CELERY_TASK_ALWAYS_EAGER:
        messenger.wake_now()
    else:
        messenger.run(until=time.monotonic() + settings.COLLECT_TASK_SECONDS)

"""What waited behind a gate is due when staff have opened it."""

import logging

from django.conf import settings
from django.utils import timezone

from accounts.models import SocialAccount
from accounts.services import gates
from accounts.services.gates import Opened
from analytics.models import Target
from platforms.errors import BudgetExhausted, RateLimited

logger = logging.getLogger(__name__)

PARKED = (RateLimited.code, BudgetExhausted.code)


def resume_opened() -> int:
    """Make targets and accounts due that an opened gate held back. Returns how many.

    Those of the platform that another gate holds back as well find it closed, and wait on without a call.
    """
    resumed = 0
    for gate in gates.opened():
        count = _resume(gate)
        gates.note_resumed(gate.key)
        logger.info("gate %s was opened: %d due again", gate.key, count)
        resumed += count
    return resumed


def _resume(gate: Opened) -> int:
    now = timezone.now()
    waiting = {"platform": gate.platform, "claim": None}
    targets = Target.objects.filter(
        **waiting,
        account__mode=gate.mode,
        last_error_code__in=PARKED,
        last_error_at__lte=gate.at,
        next_collect_at__gt=now,
    )
    parked = now + settings.ACCOUNT_CADENCE  # no account waits for longer unless a limit has named a time
    accounts = SocialAccount.objects.filter(**waiting, mode=gate.mode, deleted_at=None, next_collect_at__gt=parked)
    return sum(each.update(next_collect_at=now) for each in (targets, accounts))

"""Platforms that do not answer: workers leave them alone for a while, so that all others are collected meanwhile.

A worker has few processes, and a call that hangs takes one of them for its whole deadline.
"""

import logging
from collections.abc import Iterable, Iterator
from datetime import timedelta
from uuid import UUID

from django.utils import timezone

from accounts.models import Gate, SocialAccount
from accounts.services import gates
from analytics.services.lanes import platform_of_lane
from platforms.errors import DeadlineExceeded, Unavailable

logger = logging.getLogger(__name__)

REASON = "stalled"
SLOW = 20.0
"""Seconds that a batch took of which nothing came back."""
RESTS = timedelta(minutes=2)
ON_TRIAL = timedelta(minutes=1)
"""For so long after a rest one lane alone is tried."""
SILENT = {Unavailable.code, DeadlineExceeded.code}


def note(platform: str, account_id: UUID, codes: Iterable[str], seconds: float) -> bool:
    """Whether a batch that failed with these codes, and with nothing else, shows that its platform does not answer."""
    failed = set(codes)
    if seconds < SLOW or not failed or failed - SILENT:
        return False
    mode = SocialAccount.objects.values_list("mode", flat=True).get(pk=account_id)
    gates.close(f"{platform}-{REASON}", f"{platform}:{REASON}:{mode}:", timezone.now() + RESTS, REASON)
    logger.warning("%s (%s mode) does not answer; workers rest from it", platform, mode)
    return True


def resting() -> frozenset[tuple[str, str]]:
    """Platforms, with a mode, that workers leave alone now."""
    return _stalled(since=timedelta())


def with_trials(lanes: Iterable[str]) -> Iterator[str]:
    """Lanes to be worked on; of platforms whose rest has just ended the first alone."""
    on_trial = {platform for platform, _ in _stalled(since=ON_TRIAL)}
    tried: set[str] = set()
    for lane in lanes:
        platform = platform_of_lane(lane)
        if platform not in tried:
            yield lane
        if platform in on_trial:
            tried.add(platform)


def _stalled(*, since: timedelta) -> frozenset[tuple[str, str]]:
    keys = Gate.objects.filter(reason=REASON, not_before__gt=timezone.now() - since).values_list("key", flat=True)
    return frozenset((platform, mode) for platform, _, mode, _ in (key.split(":") for key in keys))

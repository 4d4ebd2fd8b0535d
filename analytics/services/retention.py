"""Raw answers that were kept long enough are emptied; the numbers read from them stay."""

import logging
import time
from collections import Counter
from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from analytics.services import walks
from analytics.services.walks import TABLES

logger = logging.getLogger(__name__)

WORK = "empty-old-raw"
PAGE = 1000
LATE = timedelta(days=1)
"""How much of the way done is gone over again, for rows that came in after the walk had passed them."""


def empty_old(*, until: float) -> bool:
    """Empty what is older than `RAW_RETENTION`, until `until` (of `time.monotonic()`). Returns whether all is done.

    It remembers how far it has come, so that what was emptied is not looked at every day. Doing it twice at the same
    time, or being cut off, costs nothing: each page is one short transaction.
    """
    kept = {platform: duration for platform, duration in settings.RAW_RETENTION.items() if duration is not None}
    emptied: Counter[str] = Counter()
    done = all(
        _empty_stream(table, platform, duration, emptied, until)
        for table in TABLES
        for platform, duration in sorted(kept.items())
    )
    walks.note(WORK, emptied=dict(emptied), done=done)
    logger.info("emptied old raw answers: %s%s", dict(emptied) or 0, "" if done else "; there are more")
    return done


def _empty_stream(table: str, platform: str, kept: timedelta, emptied: Counter[str], until: float) -> bool:
    stream = f"{table}/{platform}"
    place = walks.places(WORK).get(stream)
    if place is not None:
        place = (place[0] - LATE, 0)
    old = TABLES[table]._default_manager.filter(platform=platform, captured_at__lt=timezone.now() - kept)
    for page in walks.pages(old.values("captured_at", "id"), size=PAGE, place=place):
        emptied[stream] += _empty([row["id"] for row in page], stream, walks.place_of(page[-1]))
        if time.monotonic() >= until:
            return False
    return True


def _empty(ids: list[int], stream: str, place: walks.Place) -> int:
    table = stream.partition("/")[0]
    with transaction.atomic():
        rows: QuerySet = TABLES[table]._default_manager.filter(pk__in=ids, raw__isnull=False)
        number = rows.update(raw=None)
        walks.note(WORK, stream, place)
    return number

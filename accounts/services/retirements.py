"""What platforms have withdrawn: remembered for all accounts, and asked for again once a week."""

import logging
from collections.abc import Collection, Iterable
from datetime import datetime, timedelta

from django.db.models import QuerySet
from django.db.models.functions import Now
from django.utils import timezone

from accounts.models import RetiredMetric

logger = logging.getLogger(__name__)

TRY_AGAIN = timedelta(days=7)
TRY_LAPSES = timedelta(hours=1)
"""A try that came to nothing, because the conversation failed or had no use for the metric, is another's after this."""


class Retirements:
    """The metrics that a platform is known to have withdrawn, for one conversation about posts or about an account.

    `known` are not to be asked for; `trying` are those that this conversation alone asks for again.
    """

    def __init__(self, platform: str, mode: str, version: str, subject: str) -> None:
        self.version = version[:64]
        self._of = {"platform": platform, "mode": mode, "api_version": self.version, "subject": subject}
        self.known: frozenset[str] = frozenset()
        self.trying: frozenset[str] = frozenset()

    def rows(self) -> QuerySet[RetiredMetric]:
        """What is stored of them."""
        return RetiredMetric.objects.filter(**self._of).order_by()

    def load(self, stored: Iterable[tuple[str, datetime]]) -> None:
        """Take over names with the instants of their next tries; a try that is due is claimed."""
        tries = dict(stored)
        now = timezone.now()
        self.trying = frozenset(name for name, due_at in tries.items() if due_at <= now and self._claim(name))
        self.known = frozenset(tries) - self.trying

    def _claim(self, name: str) -> bool:
        """Whether the try is ours. The database's clock decides."""
        due = self.rows().filter(metric=name, next_try_at__lte=Now())
        return bool(due.update(next_try_at=Now() + TRY_LAPSES))

    def note(self, retired: Collection[str], accepted: Collection[str]) -> None:
        """Remember what was refused of late, and forget what was accepted again. Writes only where there is news."""
        refused = frozenset(retired) - self.known
        restored = (self.trying & frozenset(accepted)) - refused
        if refused:
            self._remember(refused)
        if restored:
            self.rows().filter(metric__in=restored).delete()
            logger.info("%s answers %s again", self._of["platform"], ", ".join(sorted(restored)))
        self.known |= refused
        self.trying -= refused | restored

    def _remember(self, names: Iterable[str]) -> None:
        now = timezone.now()
        times = {"first_seen_at": now, "last_seen_at": now, "next_try_at": now + TRY_AGAIN}
        rows = [RetiredMetric(**self._of, metric=name, **times) for name in sorted(names)]
        RetiredMetric.objects.bulk_create(
            rows,
            update_conflicts=True,
            unique_fields=[*self._of, "metric"],
            update_fields=["last_seen_at", "next_try_at"],
        )
        logger.warning("%s has withdrawn %s", self._of["platform"], ", ".join(row.metric for row in rows))

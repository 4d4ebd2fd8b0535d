"""The one writer of snapshots: what was read goes in, and due times move, in one transaction."""

import logging
import random
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import DatabaseError, models, transaction
from django.db.models import Q
from django.db.models.functions import Now

from accounts.models import SocialAccount
from analytics import cadence
from analytics.formulas import engagement_rate
from analytics.models import AccountMetrics, PostAnalytics, Target
from platforms import registry
from platforms.base import Reading
from platforms.dimensions import AccountDimension, Dimension
from platforms.errors import BudgetExhausted, Gone, NeedsOwner, PlatformError, RateLimited, Unavailable
from platforms.payloads import clean

logger = logging.getLogger(__name__)

MAPPING_VERSION = 1
MISSES_UNTIL_GONE = 3


@dataclass(frozen=True)
class Captured:
    """What became of one target's reading; None is a successful answer without the post."""

    target: Target
    result: Reading | PlatformError | None


# --- posts ------------------------------------------------------------


def store_posts(captured: Sequence[Captured], *, captured_at: datetime, claim: UUID | None = None) -> int:
    """Store what was read and say when each target is due again. Returns how many snapshots were written.

    With a `claim`, only targets that still bear it are touched: whoever took them over stores for them.
    Without one (a live read) every reading is stored; due times move only where no claim is held.
    """
    with transaction.atomic():
        if claim is not None:
            captured = _still_ours(captured, claim)
        rows = [
            post_snapshot(each.target, each.result, captured_at)
            for each in captured
            if isinstance(each.result, Reading)
        ]
        written = _insert(PostAnalytics, rows)
        _move_due_times(captured, captured_at, claim)
    return written


def _still_ours(captured: Sequence[Captured], claim: UUID) -> list[Captured]:
    ids = [each.target.pk for each in captured]
    held = Target.objects.select_for_update().filter(pk__in=ids, claim=claim)
    ours = set(held.order_by("pk").values_list("pk", flat=True))
    return [each for each in captured if each.target.pk in ours]


def post_snapshot(target: Target, reading: Reading, captured_at: datetime) -> PostAnalytics:
    """The unsaved snapshot of a reading."""
    values = registry.get(target.platform).metrics(reading.raw)
    return PostAnalytics(
        target_id=target.pk,
        account_id=target.account_id,
        platform=target.platform,
        captured_at=captured_at,
        engagement_rate=engagement_rate(values),
        unavailable=_reasons(reading, values),
        raw=clean(reading.raw),
        mapping_version=MAPPING_VERSION,
        **{dimension.value: values.get(dimension) for dimension in Dimension},
    )


def _reasons(reading: Reading, values: Any) -> dict[str, str]:
    return {str(name): str(reason) for name, reason in reading.unavailable.items() if values.get(name) is None}


def _insert(model: type[models.Model], rows: list[Any]) -> int:
    """All rows at once; if the database refuses them, one by one, so that one cannot take the others with it."""
    if not rows:
        return 0
    try:
        with transaction.atomic():
            model._default_manager.bulk_create(rows)
        return len(rows)
    except DatabaseError:
        logger.exception("a batch of %d rows of %s was refused", len(rows), model._meta.db_table)
    return sum(_insert_alone(row) for row in rows)


def _insert_alone(row: models.Model) -> bool:
    try:
        with transaction.atomic():
            row.pk = None
            row.save(force_insert=True)
        return True
    except DatabaseError:
        logger.exception("a row of %s was refused", row._meta.db_table)
        return False


# --- due times ------------------------------------------------------------


def _move_due_times(captured: Sequence[Captured], now: datetime, claim: UUID | None) -> None:
    """One UPDATE for each kind of outcome, not for each target. A live read moves due times where no claim is held."""
    unclaimed = Q(claim=None) | Q(claimed_until__lt=Now())
    for change, ids in _grouped(captured, now).items():
        fields = {**dict(change), "updated_at": now}
        due = {"next_collect_at": fields.pop("next_collect_at"), "claim": None, "claimed_until": None}
        targets = Target.objects.filter(pk__in=ids)
        if claim is not None:
            targets.update(**fields, **due)
        else:
            targets.update(**fields)
            targets.filter(unclaimed, next_collect_at__isnull=False).update(**due)


def _grouped(captured: Sequence[Captured], now: datetime) -> dict[tuple[tuple[str, Any], ...], list[UUID]]:
    groups: dict[tuple[tuple[str, Any], ...], list[UUID]] = defaultdict(list)
    spread = random.random()
    for each in captured:
        groups[tuple(sorted(_change(each, now, spread).items()))].append(each.target.pk)
    return groups


def _change(each: Captured, now: datetime, spread: float) -> dict[str, Any]:
    """The columns of a target that an outcome changes."""
    step = _step(each.target, now)
    result = each.result
    if isinstance(result, Reading):
        good = {
            "failures": 0,
            "missing_count": 0,
            "last_error_code": "",
            "last_error_detail": "",
            "last_error_at": None,
        }
        return {"next_collect_at": now + step, **good}
    if result is None or isinstance(result, Gone):
        return _missing(each.target, result, now, step, spread)
    failed = {"last_error_code": result.code, "last_error_detail": result.detail[:500], "last_error_at": now}
    if isinstance(result, RateLimited | BudgetExhausted) and result.retry_at is not None:
        return {"next_collect_at": result.retry_at, **failed}
    if isinstance(result, NeedsOwner):
        return {"next_collect_at": now + step, **failed}
    delay = cadence.retry_delay(each.target.failures + 1, cap=step, spread=spread)
    return {"next_collect_at": now + delay, "failures": each.target.failures + 1, **failed}


def _missing(target: Target, result: Gone | None, now: datetime, step: timedelta, spread: float) -> dict[str, Any]:
    """A clear "gone" counts at once, being left out of a successful answer the third time in a row."""
    misses = target.missing_count + 1
    detail = result.detail if result is not None else "The platform's answer left the post out."
    told = {
        "last_error_code": Gone.code,
        "last_error_detail": detail[:500],
        "last_error_at": now,
        "missing_count": misses,
    }
    if result is not None or misses >= MISSES_UNTIL_GONE:
        return {"next_collect_at": None, "gone_at": now, **told}
    return {"next_collect_at": now + cadence.retry_delay(misses, cap=step, spread=spread), **told}


def _step(target: Target, now: datetime) -> timedelta:
    return cadence.interval(settings.COLLECT_CADENCE, now - (target.published_at or target.created_at))


# --- accounts ------------------------------------------------------------


def store_account(
    account: SocialAccount,
    result: Reading | PlatformError,
    *,
    captured_at: datetime,
    claim: UUID | None = None,
) -> int:
    """Store an account's numbers and say when it is due again. Returns how many snapshots were written."""
    with transaction.atomic():
        rows = SocialAccount.objects.filter(pk=account.pk)
        if claim is not None and not rows.select_for_update().filter(claim=claim).exists():
            return 0
        written = 0
        if isinstance(result, Reading):
            written = _insert(AccountMetrics, [account_snapshot(account, result, captured_at)])
            rows.update(last_synced_at=captured_at)
        _move_account(account, result, captured_at, claim)
    return written


def account_snapshot(account: SocialAccount, reading: Reading, captured_at: datetime) -> AccountMetrics:
    """The unsaved snapshot of an account's reading."""
    values = registry.get(account.platform).account_metrics(reading.raw)
    return AccountMetrics(
        account_id=account.pk,
        platform=account.platform,
        captured_at=captured_at,
        unavailable=_reasons(reading, values),
        raw=clean(reading.raw),
        mapping_version=MAPPING_VERSION,
        **{dimension.value: values.get(dimension) for dimension in AccountDimension},
    )


def _move_account(account: SocialAccount, result: Reading | PlatformError, now: datetime, claim: UUID | None) -> None:
    due = now + settings.ACCOUNT_CADENCE
    failures = 0
    if isinstance(result, RateLimited | BudgetExhausted) and result.retry_at is not None:
        due = result.retry_at
    elif isinstance(result, Unavailable):
        failures = account.failures + 1
        due = now + cadence.retry_delay(failures, cap=settings.ACCOUNT_CADENCE, spread=random.random())
    free = Q(claim=claim) if claim is not None else Q(claim=None) | Q(claimed_until__lt=Now())
    SocialAccount.objects.filter(free, pk=account.pk, next_collect_at__isnull=False).update(
        next_collect_at=due, failures=failures, claim=None, claimed_until=None
    )

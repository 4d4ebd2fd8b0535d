"""The one writer of snapshots: what was read goes in, and due times move, in one transaction."""

import logging
import random
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import DatabaseError, IntegrityError, models, transaction
from django.db.models import Q
from django.db.models.functions import Now

from accounts.models import SocialAccount
from accounts.services.standing import is_refusal
from analytics import cadence
from analytics.formulas import engagement_rate
from analytics.models import AccountMetrics, PostAnalytics, Target
from analytics.services import captured as captured_events
from analytics.services import content
from platforms import registry
from platforms.base import Raw, Reading
from platforms.client import UNREADABLE
from platforms.dimensions import AccountDimension, Dimension
from platforms.errors import (
    BudgetExhausted,
    Gone,
    MalformedPayload,
    NeedsOwner,
    PlatformError,
    RateLimited,
)
from platforms.payloads import BIGINT_MAX, clean

logger = logging.getLogger(__name__)

MAPPING_VERSION = 1
MISSES_UNTIL_GONE = 3
UNSTORABLE = (DatabaseError, OverflowError, ValueError, TypeError)
"""What a database, its driver or the JSON encoder raises for a value that it cannot hold."""
GOOD = {
    "failures": 0,
    "missing_count": 0,
    "gone_at": None,
    "last_error_code": "",
    "last_error_detail": "",
    "last_error_at": None,
}
Result = Reading | PlatformError
Outcome = dict[str, Any]


@dataclass(frozen=True)
class Captured:
    """What became of one target's reading; None is a successful answer without the post."""

    target: Target
    result: Result | None


# --- posts ------------------------------------------------------------


def store_posts(captured: Sequence[Captured], *, captured_at: datetime, claim: UUID | None = None) -> list[Captured]:
    """Store what was read and say when each target is due again. Returns what was stored, and what failed.

    With a `claim`, only targets that still bear it are touched: whoever took them over stores for them.
    Without one (a live read) every reading is stored. Due times then move only by good answers, and only where no
    claim is held. A target that has become another post meanwhile is left alone.
    """
    with transaction.atomic():
        results = {each.target: each.result for each in _still_the_same(captured, claim)}
        rows: dict[Target, PostAnalytics] = {}
        for target, result in results.items():
            if isinstance(result, Reading):
                try:
                    rows[target] = post_snapshot(target, result, captured_at)
                except UNREADABLE as error:
                    results[target] = _unreadable(target, error)
        refused = _insert(list(rows.values()))
        results |= {target: _refused() for index, target in enumerate(rows) if index in refused}
        captured_events.note({target: row for index, (target, row) in enumerate(rows.items()) if index not in refused})
        outcomes = [Captured(target, result) for target, result in results.items()]
        _move_due_times(outcomes, captured_at, claim)
        _settle_ids(outcomes, captured_at)
    _remove_content_of_gone(outcomes)
    return outcomes


def _still_the_same(captured: Sequence[Captured], claim: UUID | None) -> list[Captured]:
    """Lock the targets, in one order for all who write, and take over what others counted meanwhile."""
    locked = Target.objects.select_for_update().filter(pk__in=[each.target.pk for each in captured]).order_by("pk")
    columns = ("pk", "platform_post_id", "claim", "failures", "missing_count")
    stored = {row[0]: row for row in locked.values_list(*columns)}
    same: list[Captured] = []
    for each in captured:
        _, post_id, holder, failures, missing_count = stored.get(each.target.pk, (None,) * 5)
        own = each.result.id if isinstance(each.result, Reading) else ""
        if post_id in (each.target.platform_post_id, own or None) and claim in (None, holder):
            each.target.failures, each.target.missing_count = failures, missing_count
            same.append(each)
    return same


def _settle_ids(captured: Sequence[Captured], now: datetime) -> None:
    """Store the own ids of posts that were asked for by what stood for them, such as TikTok's publish ids.

    Where another live target of the account has that id already, a target keeps the one it has: both go on being read
    and stored, each in its own series.
    """
    named = {each.target: each.result.id for each in captured if isinstance(each.result, Reading) and each.result.id}
    named = {target: own for target, own in named.items() if own != target.platform_post_id}
    if not named:
        return
    accounts = {target.account_id for target in named}
    alike = Target.objects.filter(account__in=accounts, platform_post_id__in=named.values(), deleted_at=None)
    taken = set(alike.values_list("account_id", "platform_post_id"))
    for target, own in named.items():
        if (target.account_id, own) not in taken and _settle_id(target, own, now):
            taken.add((target.account_id, own))


def _settle_id(target: Target, own: str, now: datetime) -> bool:
    try:
        with transaction.atomic():
            Target.objects.filter(pk=target.pk).update(platform_post_id=own, updated_at=now)
    except IntegrityError:  # somebody has registered it since
        return False
    target.platform_post_id = own
    return True


def _remove_content_of_gone(outcomes: Sequence[Captured]) -> None:
    """After the transaction: a post may have many snapshots. Those that are marked are looked for among these.

    Fails nobody: who was told that storing failed would store again what is there already.
    """
    absent = [each.target for each in outcomes if each.result is None or isinstance(each.result, Gone)]
    suspects = [target.pk for target in absent if target.platform in content.DUTIES]
    if not suspects:
        return
    try:
        content.remove_marked(suspects)
    except Exception:  # the marks stay, for the daily task
        logger.exception("the content of removed targets is still stored: %s", ", ".join(map(str, suspects)))


def _unreadable(item: models.Model, error: Exception) -> MalformedPayload:
    logger.error("the answer for %s %s cannot be read: %s", item._meta.model_name, item.pk, type(error).__name__)
    return MalformedPayload("The platform's answer could not be read.")


def _refused() -> MalformedPayload:
    return MalformedPayload("The platform's answer could not be stored.")


def post_snapshot(target: Target, reading: Reading, captured_at: datetime) -> PostAnalytics:
    """The unsaved snapshot of a reading."""
    columns = post_columns(target.platform, reading.raw)
    return PostAnalytics(
        target_id=target.pk,
        account_id=target.account_id,
        platform=target.platform,
        captured_at=captured_at,
        unavailable=reasons_left(reading.unavailable, columns),
        raw=clean(reading.raw),
        mapping_version=MAPPING_VERSION,
        **columns,
    )


def post_columns(platform: str, raw: Raw) -> dict[str, Any]:
    """What a raw answer says in our columns, and the rate derived from them."""
    values = _storable(registry.get(platform).metrics(raw))
    return {
        **{dimension.value: values.get(dimension) for dimension in Dimension},
        "engagement_rate": engagement_rate(values),
    }


def account_columns(platform: str, raw: Raw) -> dict[str, Any]:
    """The same for an account's raw answer."""
    values = _storable(registry.get(platform).account_metrics(raw))
    return {dimension.value: values.get(dimension) for dimension in AccountDimension}


def _storable(values: Mapping[Any, int | None]) -> dict[Any, int | None]:
    """Values with null for what no column can hold; the raw answer keeps it."""
    too_large = [name for name, value in values.items() if value is not None and not 0 <= value <= BIGINT_MAX]
    if too_large:
        logger.error("not storable as counts: %s", ", ".join(map(str, too_large)))
    return {name: None if name in too_large else value for name, value in values.items()}


def reasons_left(reasons: Mapping[str, str], columns: Mapping[str, Any]) -> dict[str, str]:
    """The reasons of those columns that are null."""
    return {str(name): str(reason) for name, reason in reasons.items() if columns.get(name) is None}


def _insert(rows: Sequence[models.Model]) -> set[int]:
    """All rows at once; if the database refuses them, one by one, so that one cannot take the others with it.

    Returns the indexes of refused rows.
    """
    if not rows:
        return set()
    try:
        with transaction.atomic():
            type(rows[0])._default_manager.bulk_create(rows)
        return set()
    except UNSTORABLE:
        logger.exception("a batch of %d rows of %s was refused", len(rows), rows[0]._meta.db_table)
    return {index for index, row in enumerate(rows) if not _insert_alone(row)}


def _insert_alone(row: models.Model) -> bool:
    try:
        with transaction.atomic():
            row.pk = None
            row.save(force_insert=True)
        return True
    except UNSTORABLE:
        logger.exception("a row of %s was refused", row._meta.db_table)
        return False


# --- due times ------------------------------------------------------------


def _move_due_times(captured: Sequence[Captured], now: datetime, claim: UUID | None) -> None:
    """One UPDATE for each kind of outcome, not for each target."""
    unclaimed = Q(claim=None) | Q(claimed_until__lt=Now())
    spread = random.random()
    groups: dict[tuple[tuple[str, Any], ...], list[UUID]] = defaultdict(list)
    due: dict[datetime | None, list[UUID]] = defaultdict(list)
    for each in captured:
        change = _change(each, now, spread) if claim is not None else _change_by_live_read(each, now, spread)
        if claim is None and "next_collect_at" in change:
            due[change.pop("next_collect_at")].append(each.target.pk)
        groups[tuple(sorted(change.items()))].append(each.target.pk)
    free = {} if claim is None else {"claim": None, "claimed_until": None}
    for changed, ids in groups.items():
        Target.objects.filter(pk__in=ids).update(**dict(changed), **free, updated_at=now)
    for at, ids in due.items():
        waiting = Target.objects.filter(unclaimed, pk__in=ids, next_collect_at__isnull=False)
        waiting.update(next_collect_at=at, claim=None, claimed_until=None)


def _change(each: Captured, now: datetime, spread: float) -> Outcome:
    """The columns of a target that an outcome of collecting changes."""
    step = _step(each.target, now)
    result = each.result
    if isinstance(result, Reading):
        return {"next_collect_at": now + step, **GOOD}
    if result is None or isinstance(result, Gone):
        return _missing(each.target, result, now, step, spread)
    failed = _told(result.code, result.detail, now)
    if isinstance(result, RateLimited | BudgetExhausted) and result.retry_at is not None:
        return {"next_collect_at": result.retry_at, **failed}
    if is_refusal(result):  # a dead account's targets are not claimed; with new tokens they are due soon
        return {"next_collect_at": now + cadence.retry_delay(1, cap=step, spread=spread), **failed}
    if isinstance(result, NeedsOwner):
        return {"next_collect_at": now + step, **failed}
    delay = cadence.retry_delay(each.target.failures + 1, cap=step, spread=spread)
    return {"next_collect_at": now + delay, "failures": each.target.failures + 1, **failed}


def _change_by_live_read(each: Captured, now: datetime, spread: float) -> Outcome:
    """The same for a live read: its failures are told, but collecting keeps its own rhythm."""
    change = _change(each, now, spread)
    if isinstance(each.result, Reading) or change["next_collect_at"] is None:
        return change
    return {name: value for name, value in change.items() if name not in ("next_collect_at", "failures")}


def _missing(target: Target, result: Gone | None, now: datetime, step: timedelta, spread: float) -> Outcome:
    """A clear "gone" counts at once, being left out of a successful answer the third time in a row."""
    misses = target.missing_count + 1
    detail = result.detail if result is not None else "The platform's answer left the post out."
    told = {**_told(Gone.code, detail, now), "missing_count": misses}
    if result is not None or misses >= MISSES_UNTIL_GONE:
        duty = {"content_to_remove": True} if target.platform in content.DUTIES else {}
        return {"next_collect_at": None, "gone_at": now, **told, **duty}
    return {"next_collect_at": now + cadence.retry_delay(misses, cap=step, spread=spread), **told}


def _told(code: str, detail: str, now: datetime) -> Outcome:
    return {"last_error_code": code, "last_error_detail": detail[:500], "last_error_at": now}


def _step(target: Target, now: datetime) -> timedelta:
    return cadence.interval(settings.COLLECT_CADENCE, now - (target.published_at or target.created_at))


# --- accounts ------------------------------------------------------------


def store_account(
    account: SocialAccount, result: Result, *, captured_at: datetime, claim: UUID | None = None
) -> Result | None:
    """Store an account's numbers and say when it is due again. Returns what became of it; None if the claim is lost."""
    with transaction.atomic():
        stored = SocialAccount.objects.select_for_update().filter(pk=account.pk).only("claim", "failures").first()
        if stored is None or claim not in (None, stored.claim):
            return None
        if isinstance(result, Reading):
            result = _insert_account(account, result, captured_at)
        _move_account(stored, result, captured_at, claim)
    return result


def _insert_account(account: SocialAccount, reading: Reading, captured_at: datetime) -> Result:
    try:
        row = account_snapshot(account, reading, captured_at)
    except UNREADABLE as error:
        return _unreadable(account, error)
    if _insert([row]):
        return _refused()
    SocialAccount.objects.filter(pk=account.pk).update(last_synced_at=captured_at)
    return reading


def account_snapshot(account: SocialAccount, reading: Reading, captured_at: datetime) -> AccountMetrics:
    """The unsaved snapshot of an account's reading."""
    columns = account_columns(account.platform, reading.raw)
    return AccountMetrics(
        account_id=account.pk,
        platform=account.platform,
        captured_at=captured_at,
        unavailable=reasons_left(reading.unavailable, columns),
        raw=clean(reading.raw),
        mapping_version=MAPPING_VERSION,
        **columns,
    )


def _move_account(stored: SocialAccount, result: Result, now: datetime, claim: UUID | None) -> None:
    if claim is None and not isinstance(result, Reading):
        return  # a live read that failed; collecting keeps its own rhythm
    due, failures = now + settings.ACCOUNT_CADENCE, 0
    if isinstance(result, RateLimited | BudgetExhausted) and result.retry_at is not None:
        due, failures = result.retry_at, stored.failures
    elif isinstance(result, PlatformError) and not isinstance(result, NeedsOwner):
        failures = stored.failures + 1
        due = now + cadence.retry_delay(failures, cap=settings.ACCOUNT_CADENCE, spread=random.random())
    free = Q(claim=claim) if claim is not None else Q(claim=None) | Q(claimed_until__lt=Now())
    SocialAccount.objects.filter(free, pk=stored.pk, next_collect_at__isnull=False).update(
        next_collect_at=due, failures=failures, claim=None, claimed_until=None
    )

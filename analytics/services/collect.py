"""Collecting in the background: claim a batch, read it, store it, until time is up or nothing is due."""

import logging
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Min, Q, QuerySet
from django.db.models.functions import Now
from django.utils import timezone

from accounts.models import SocialAccount, Status
from analytics.models import Heartbeat, Target
from analytics.services import snapshots
from analytics.services.lanes import platform_of_lane
from analytics.services.pull import pull_account, pull_posts
from analytics.services.snapshots import Captured
from platforms import registry
from platforms.base import Reading
from platforms.errors import PlatformError

logger = logging.getLogger(__name__)

CLAIM_LAPSES = timedelta(seconds=settings.CELERY_TASK_TIME_LIMIT + 30)
SIDE_BY_SIDE = 8
ACCOUNTS_AT_ONCE = 8
LANES_A_PASS = 5000
COUNTED = ("targets", "accounts", "calls", "snapshots")
PUBLIC = tuple(key for key, platform in registry.PLATFORMS.items() if platform.public_reads)
WITH_POSTS = tuple(key for key, platform in registry.PLATFORMS.items() if platform.has_posts)


@dataclass
class Summary:
    """What a pass did. `failures` counts targets by error code."""

    targets: int = 0
    accounts: int = 0
    calls: int = 0
    snapshots: int = 0
    failures: Counter[str] = field(default_factory=Counter)
    platforms: dict[str, Counter[str]] = field(default_factory=dict)

    def count(self, platform: str, **numbers: int) -> None:
        of_platform = self.platforms.setdefault(platform, Counter())
        for name, number in numbers.items():
            setattr(self, name, getattr(self, name) + number)
            of_platform[name] += number

    def fail(self, platform: str, code: str) -> None:
        self.failures[code] += 1
        self.platforms.setdefault(platform, Counter())["failures"] += 1

    def as_dict(self) -> dict[str, Any]:
        """As plain data, for printing and storing."""
        numbers = {name: getattr(self, name) for name in COUNTED}
        return {
            **numbers,
            "failures": sum(self.failures.values()),
            "failures_by_code": dict(self.failures),
            "platforms": {name: dict(counter) for name, counter in self.platforms.items()},
        }

    def add(self, other: "Summary") -> None:
        for name in COUNTED:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.failures.update(other.failures)
        for platform, numbers in other.platforms.items():
            self.platforms.setdefault(platform, Counter()).update(numbers)


@dataclass(frozen=True)
class Scope:
    """What a pass is restricted to."""

    platform: str | None = None
    account_id: uuid.UUID | None = None

    def targets(self) -> QuerySet[Target]:
        given: dict[str, object] = {}
        if self.platform is not None:
            given["platform"] = self.platform
        if self.account_id is not None:
            given["account_id"] = self.account_id
        return Target.objects.filter(**given)

    def accounts(self) -> QuerySet[SocialAccount]:
        given: dict[str, object] = {}
        if self.platform is not None:
            given["platform"] = self.platform
        if self.account_id is not None:
            given["pk"] = self.account_id
        return SocialAccount.objects.filter(**given)


ALL = Scope()


# --- what is due ------------------------------------------------------------


def _callable(prefix: str) -> Q:
    """Accounts that the background may call: dead tokens once a day, unless reading needs none."""
    dead = Q(**{f"{prefix}status": Status.TOKEN_EXPIRED})
    retry = Q(**{f"{prefix}token_retry_at": None}) | Q(**{f"{prefix}token_retry_at__lte": Now()})
    alive = Q(**{f"{prefix}status": Status.ACTIVE}) | (dead & retry) | (dead & Q(platform__in=PUBLIC))
    return Q(**{f"{prefix}deleted_at": None}) & alive


def _due_targets(scope: Scope) -> QuerySet[Target]:
    unclaimed = Q(claimed_until=None) | Q(claimed_until__lt=Now())
    return scope.targets().filter(
        unclaimed, _callable("account__"), next_collect_at__lte=Now(), platform__in=WITH_POSTS, deleted_at=None
    )


def _due_accounts(scope: Scope) -> QuerySet[SocialAccount]:
    unclaimed = Q(claimed_until=None) | Q(claimed_until__lt=Now())
    return scope.accounts().filter(unclaimed, _callable(""), next_collect_at__lte=Now())


def due_lanes(scope: Scope = ALL) -> list[str]:
    """Lanes in which something is due, the longest waiting first."""
    lanes = _due_targets(scope).order_by().values("lane").annotate(first=Min("next_collect_at")).order_by("first")
    return [lane["lane"] for lane in lanes[:LANES_A_PASS]]


def count_due(scope: Scope = ALL) -> int:
    """How many targets and accounts are due."""
    return _due_targets(scope).count() + _due_accounts(scope).count()


def due_account_platforms(scope: Scope = ALL) -> list[str]:
    """Platforms of which accounts are due."""
    return list(_due_accounts(scope).order_by("platform").values_list("platform", flat=True).distinct())


# --- posts ------------------------------------------------------------


def _claim_targets(lane: str, scope: Scope, size: int) -> tuple[uuid.UUID, list[Target]]:
    """Take the lane's longest due targets: nobody else can, until the claim lapses."""
    claim = uuid.uuid4()
    with transaction.atomic():
        due = _due_targets(scope).filter(lane=lane).select_for_update(skip_locked=True, of=("self",))
        targets = list(due.select_related("account").order_by("next_collect_at", "id")[:size])
        ids = [target.pk for target in targets]
        if ids:
            Target.objects.filter(pk__in=ids).update(claim=claim, claimed_until=Now() + CLAIM_LAPSES)
    return claim, targets


def work_through(
    lane: str,
    *,
    until: float,
    scope: Scope = ALL,
    limit: int | None = None,
    on_batch: Callable[[Summary], None] | None = None,
) -> Summary:
    """Collect the lane's due posts batch by batch, until `until` (of `time.monotonic()`), or `limit` targets."""
    summary = Summary()
    platform = platform_of_lane(lane)
    size = registry.get(platform).batch_size
    while time.monotonic() < until and (limit is None or summary.targets < limit):
        room = size if limit is None else min(size, limit - summary.targets)
        claim, targets = _claim_targets(lane, scope, room)
        if not targets:
            break
        batch = _collect_batch(claim, targets)
        summary.add(batch)
        if on_batch is not None:
            on_batch(batch)
    if summary.targets:
        logger.info(
            "collected %s: %d targets, %d snapshots, %d calls, failures %s",
            lane,
            summary.targets,
            summary.snapshots,
            summary.calls,
            dict(summary.failures),
        )
    return summary


def _collect_batch(claim: uuid.UUID, targets: list[Target]) -> Summary:
    summary = Summary()
    platform = targets[0].platform
    ids = {str(target.platform_post_id): target for target in targets}
    pulled = pull_posts(targets[0].account, list(ids), live=False)
    captured = [Captured(target, pulled.readings.get(post_id)) for post_id, target in ids.items()]
    # The same post in two accounts of a lane: one reading serves both.
    captured += [Captured(t, pulled.readings.get(str(t.platform_post_id))) for t in targets if t not in ids.values()]
    written = snapshots.store_posts(captured, captured_at=timezone.now(), claim=claim)
    summary.count(platform, targets=len(targets), calls=pulled.calls, snapshots=written)
    for each in captured:
        if not isinstance(each.result, Reading):
            summary.fail(platform, each.result.code if isinstance(each.result, PlatformError) else "post_gone")
    return summary


# --- accounts ------------------------------------------------------------


def _claim_accounts(platform: str, scope: Scope, size: int) -> tuple[uuid.UUID, list[SocialAccount]]:
    claim = uuid.uuid4()
    with transaction.atomic():
        due = _due_accounts(scope).filter(platform=platform).select_for_update(skip_locked=True)
        accounts = list(due.order_by("next_collect_at", "id")[:size])
        if accounts:
            ids = [account.pk for account in accounts]
            SocialAccount.objects.filter(pk__in=ids).update(claim=claim, claimed_until=Now() + CLAIM_LAPSES)
    return claim, accounts


def work_through_accounts(platform: str, *, until: float, scope: Scope = ALL, limit: int | None = None) -> Summary:
    """Collect a platform's due accounts, some at a time side by side."""
    summary = Summary()
    with ThreadPoolExecutor(ACCOUNTS_AT_ONCE, thread_name_prefix=f"{platform}-accounts") as pool:
        while time.monotonic() < until and (limit is None or summary.accounts < limit):
            room = ACCOUNTS_AT_ONCE if limit is None else min(ACCOUNTS_AT_ONCE, limit - summary.accounts)
            claim, accounts = _claim_accounts(platform, scope, room)
            if not accounts:
                break
            for collected in pool.map(lambda account, claim=claim: _collect_account(account, claim), accounts):
                summary.add(collected)
    return summary


def _collect_account(account: SocialAccount, claim: uuid.UUID) -> Summary:
    summary = Summary()
    try:
        result, calls = pull_account(account, live=False)
        written = snapshots.store_account(account, result, captured_at=timezone.now(), claim=claim)
        summary.count(account.platform, accounts=1, calls=calls, snapshots=written)
        if isinstance(result, PlatformError):
            summary.fail(account.platform, result.code)
    finally:
        connection.close()  # this thread's own
    return summary


# --- passes ------------------------------------------------------------


def run_pass(
    *,
    until: float,
    scope: Scope = ALL,
    limit: int | None = None,
    on_progress: Callable[[Summary], None] | None = None,
) -> Summary:
    """One pass over everything due, lanes side by side, in this process. One lane's crash does not stop the others.

    `on_progress` is called with the numbers so far, from one thread at a time.
    """
    total, lock = Summary(), threading.Lock()

    def add(part: Summary) -> None:
        with lock:
            total.add(part)
            if on_progress is not None:
                on_progress(total)

    def work(lane: str, room: int | None) -> Summary:
        return work_through(lane, until=until, scope=scope, limit=room, on_batch=add)

    _side_by_side(due_lanes(scope), work, limit)
    for platform in due_account_platforms(scope):
        room = None if limit is None else max(0, limit - total.targets - total.accounts)
        add(work_through_accounts(platform, until=until, scope=scope, limit=room))
    beat("collect", total)
    return total


def _side_by_side(lanes: list[str], work: Callable[[str, int | None], Summary], limit: int | None) -> None:
    """All lanes at once; with a limit one after the other, so that it is met exactly."""
    if limit is None:
        with ThreadPoolExecutor(SIDE_BY_SIDE, thread_name_prefix="lanes") as pool:
            for lane in lanes:
                pool.submit(_guarded, work, lane)
        return
    for lane in lanes:
        if limit <= 0:
            return
        limit -= work(lane, limit).targets


def _guarded(work: Callable[[str, int | None], Summary], lane: str) -> None:
    try:
        work(lane, None)
    except Exception:
        logger.exception("lane %s stopped", lane)
    finally:
        connection.close()


def beat(name: str, summary: Summary | None = None) -> None:
    """Note that a recurring piece of work ran."""
    detail = (
        {} if summary is None else {"targets": summary.targets, "snapshots": summary.snapshots, "calls": summary.calls}
    )
    Heartbeat.objects.update_or_create(name=name, defaults={"at": timezone.now(), "detail": detail})


def collect_now(*, targets: QuerySet[Target] | None = None, accounts: QuerySet[SocialAccount] | None = None) -> int:
    """Make rows due at once, for staff. Returns how many. Gone posts are looked for again."""
    moved = 0
    if targets is not None:
        wanted = targets.filter(status="published", deleted_at=None).exclude(platform_post_id=None)
        moved += Target.objects.filter(pk__in=list(wanted.values_list("pk", flat=True))).update(
            next_collect_at=Now(), gone_at=None, missing_count=0
        )
    if accounts is not None:
        alive = accounts.filter(deleted_at=None)
        moved += SocialAccount.objects.filter(pk__in=list(alive.values_list("pk", flat=True))).update(
            next_collect_at=Now()
        )
    return moved

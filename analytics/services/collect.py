"""Collecting in the background: claim a batch, read it, store it, until time is up or nothing is due."""

import logging
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

from django.db import DatabaseError, connection
from django.db.models import QuerySet
from django.db.models.functions import Now
from django.utils import timezone

from accounts.models import SocialAccount
from accounts.services.health import UNCALLABLE
from analytics.models import Heartbeat, Target, TargetStatus
from analytics.services import due, snapshots, stalls
from analytics.services.batches import Read, parts, pull_targets
from analytics.services.due import ALL, Scope
from analytics.services.lanes import platform_of_lane, size_of
from analytics.services.pull import pull_account
from analytics.services.snapshots import Captured
from platforms import registry
from platforms.base import Reading
from platforms.errors import Gone, PlatformError

logger = logging.getLogger(__name__)

SIDE_BY_SIDE = 4
ACCOUNTS_AT_ONCE = 4
NEVER = threading.Event()
COUNTED = ("targets", "accounts", "calls", "snapshots")


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

    @property
    def rows(self) -> int:
        """Targets and accounts together."""
        return self.targets + self.accounts

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


# --- posts ------------------------------------------------------------


def work_through(
    lane: str,
    *,
    until: float,
    scope: Scope = ALL,
    limit: int | None = None,
    on_batch: Callable[[Summary], None] | None = None,
    stop: threading.Event = NEVER,
) -> Summary:
    """Collect the lane's due posts batch by batch, until `until` (of `time.monotonic()`), `stop` or `limit` targets."""
    summary = Summary()
    size = size_of(lane)
    while _goes_on(until, stop) and (limit is None or summary.targets < limit):
        room = size if limit is None else min(size, limit - summary.targets)
        claim, targets = due.claim_targets(lane, scope, room)
        if not targets:
            break
        begun = time.monotonic()
        batch = _collect_batch(claim, targets, until)
        summary.add(batch)
        if on_batch is not None:
            on_batch(batch)
        codes = batch.failures if not batch.snapshots else ()
        if stalls.note(targets[0].platform, targets[0].account_id, codes, time.monotonic() - begun):
            break
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


def _goes_on(until: float, stop: threading.Event) -> bool:
    return time.monotonic() < until and not stop.is_set()


def _collect_batch(claim: uuid.UUID, targets: list[Target], until: float) -> Summary:
    summary = Summary()
    platform = targets[0].platform
    read, now = _pull(targets, until), timezone.now()
    captured = [Captured(target, read.results[target.pk]) for target in targets if target.pk in read.results]
    due.release(claim, [target.pk for target in targets if target.pk not in read.results])
    stored: list[Captured] = []
    for part in parts(captured, registry.get(platform).batch_size):
        stored += snapshots.store_posts(part, captured_at=now, claim=claim)
    written = sum(isinstance(each.result, Reading) for each in stored)
    summary.count(platform, targets=len(captured), calls=read.calls, snapshots=written)
    for each in stored:
        if not isinstance(each.result, Reading):
            summary.fail(platform, each.result.code if each.result is not None else Gone.code)
    return summary


def _pull(targets: list[Target], until: float) -> Read:
    """What was read. A mistake of ours is a failure like any other: it must not come back at once, for ever."""
    accounts = SocialAccount.objects.in_bulk({target.account_id for target in targets})
    try:
        return pull_targets(targets, accounts, live=False, until=until)
    except DatabaseError:
        raise
    except Exception:
        logger.exception(
            "posts of account %s, and of others that share its calls, cannot be read", targets[0].account_id
        )
        failure = PlatformError("The call could not be made.")
        return Read(dict.fromkeys((target.pk for target in targets), failure))


# --- accounts ------------------------------------------------------------


def work_through_accounts(
    platform: str,
    *,
    until: float,
    scope: Scope = ALL,
    limit: int | None = None,
    on_batch: Callable[[Summary], None] | None = None,
    stop: threading.Event = NEVER,
) -> Summary:
    """Collect a platform's due accounts, some at a time side by side."""
    summary = Summary()
    with ThreadPoolExecutor(ACCOUNTS_AT_ONCE, thread_name_prefix=f"{platform}-accounts") as pool:
        while _goes_on(until, stop) and (limit is None or summary.accounts < limit):
            room = ACCOUNTS_AT_ONCE if limit is None else min(ACCOUNTS_AT_ONCE, limit - summary.accounts)
            claim, accounts = due.claim_accounts(platform, scope, room)
            if not accounts:
                break
            for collected in pool.map(lambda account, claim=claim: _collect_account(account, claim), accounts):
                summary.add(collected)
                if on_batch is not None:
                    on_batch(collected)
    return summary


def _collect_account(account: SocialAccount, claim: uuid.UUID) -> Summary:
    """One account, in a thread of its own. Its crash is its own, too: the claim then lapses by itself."""
    summary = Summary()
    try:
        pulled, calls = pull_account(account, live=False)
        result = snapshots.store_account(account, pulled, captured_at=timezone.now(), claim=claim)
        summary.count(account.platform, accounts=1, calls=calls, snapshots=isinstance(result, Reading))
        if isinstance(result, PlatformError):
            summary.fail(account.platform, result.code)
    except Exception:
        logger.exception("account %s was not collected", account.pk)
        summary.count(account.platform, accounts=1)
        summary.fail(account.platform, PlatformError.code)
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
    stop: threading.Event = NEVER,
) -> Summary:
    """One pass over everything due, in this process. One lane's crash does not stop the others.

    `on_progress` is called with the numbers so far, from one thread at a time. When `stop` is set nothing more is
    claimed, and what is under way is stored.
    """
    total, lock = Summary(), threading.Lock()

    def add(part: Summary) -> None:
        with lock:
            total.add(part)
            if on_progress is not None:
                on_progress(total)

    options: dict[str, Any] = {"until": until, "scope": scope, "on_batch": add, "stop": stop}
    more = True
    while more:
        done, lanes = total.rows, due.due_lanes(scope)
        if limit is None:
            _work_side_by_side(lanes, **options)
        else:
            _work_in_turn(lanes, limit - total.rows, **options)
        more = len(lanes) == due.LANES_A_PASS and total.rows > done and _goes_on(until, stop)
    beat("collect", total)
    return total


def _work_side_by_side(lanes: list[str], *, scope: Scope, **options: Any) -> None:
    """Each platform has threads of its own, so that one that hangs takes no other's time."""
    with ExitStack() as stack:
        pools: dict[str, ThreadPoolExecutor] = {}
        for platform in due.due_account_platforms(scope):
            pool = stack.enter_context(ThreadPoolExecutor(1, thread_name_prefix=f"{platform}-accounts"))
            pool.submit(_guarded, work_through_accounts, platform, scope=scope, **options)
        for lane in lanes:
            platform = platform_of_lane(lane)
            if platform not in pools:
                pool = ThreadPoolExecutor(SIDE_BY_SIDE, thread_name_prefix=f"{platform}-lanes")
                pools[platform] = stack.enter_context(pool)
            pools[platform].submit(_guarded, work_through, lane, scope=scope, **options)


def _work_in_turn(lanes: list[str], room: int, *, scope: Scope, **options: Any) -> None:
    """One after the other, so that a limit is met exactly: posts first, then accounts."""
    work = [(work_through, lane) for lane in lanes]
    work += [(work_through_accounts, platform) for platform in due.due_account_platforms(scope)]
    for collect, name in work:
        if room <= 0:
            return
        try:
            room -= collect(name, scope=scope, limit=room, **options).rows
        except Exception:
            logger.exception("%s stopped", name)


def _guarded(work: Callable[..., Summary], name: str, **options: Any) -> None:
    """In a thread of its own."""
    try:
        work(name, **options)
    except Exception:
        logger.exception("%s stopped", name)
    finally:
        connection.close()


def beat(name: str, summary: Summary | None = None) -> None:
    """Note that a recurring piece of work ran."""
    detail = (
        {} if summary is None else {"targets": summary.targets, "snapshots": summary.snapshots, "calls": summary.calls}
    )
    Heartbeat.objects.update_or_create(name=name, defaults={"at": timezone.now(), "detail": detail})


def collect_now(*, targets: QuerySet[Target] | None = None, accounts: QuerySet[SocialAccount] | None = None) -> int:
    """Make rows due at once, for staff. Returns how many. Gone posts are looked for and dead tokens tried again.

    What is of an account that is not called stays as it is.
    """
    moved = 0
    called = SocialAccount.objects.filter(deleted_at=None).exclude(status__in=UNCALLABLE)
    if targets is not None:
        live = targets.filter(status=TargetStatus.PUBLISHED, deleted_at=None, platform__in=due.WITH_POSTS)
        wanted = live.filter(account__in=called).exclude(platform_post_id=None)
        ids = list(wanted.values_list("pk", flat=True))
        again = Target.objects.filter(pk__in=ids)
        moved += again.update(next_collect_at=Now(), gone_at=None, missing_count=0, failures=0, updated_at=Now())
        SocialAccount.objects.filter(targets__in=ids).update(token_retry_at=None)
    if accounts is not None:
        ids = list(accounts.filter(pk__in=called).values_list("pk", flat=True))
        again = SocialAccount.objects.filter(pk__in=ids)
        moved += again.update(next_collect_at=Now(), failures=0, token_retry_at=None)
    return moved

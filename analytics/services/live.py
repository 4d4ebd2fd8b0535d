"""Live reads: every target at once, one call for all who ask at the same time, stored snapshots for what fails."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from hashlib import blake2s
from uuid import UUID

from django.utils import timezone

from accounts.models import SocialAccount, Status, Subject
from accounts.services import flights
from accounts.services.access import Notes
from accounts.services.flights import Failure, Landing, Work
from analytics import selectors
from analytics.models import AccountMetrics, PostAnalytics, Target
from analytics.services import snapshots
from analytics.services.batches import parts, pull_targets
from analytics.services.lanes import company_of
from analytics.services.pull import pull_account
from analytics.services.snapshots import Captured
from platforms import pools, registry
from platforms.batching import Batcher
from platforms.errors import Gone, PlatformError

BECAME_ANOTHER = Failure("platform_error", "The target was given another post while this one was read.", True)


@dataclass(frozen=True)
class Ask:
    """How long a caller waits and how old an answer may be. Instants of `time.monotonic()`."""

    since: float
    deadline: float
    max_age: int = 0


@dataclass(frozen=True)
class TargetReport:
    """One published target: its newest snapshot, whether this request pulled it, and why a wanted pull failed."""

    target: Target
    row: PostAnalytics | None
    is_live: bool
    failure: Failure | None


@dataclass(frozen=True)
class AccountReport:
    """One account's newest numbers, in the same terms."""

    account: SocialAccount
    row: AccountMetrics | None
    is_live: bool
    failure: Failure | None


# --- posts ------------------------------------------------------------


def read_targets(targets: Sequence[Target], ask: Ask, stored: Mapping[UUID, PostAnalytics]) -> list[TargetReport]:
    """The newest numbers of published targets, pulled live unless the stored snapshot is young enough."""
    young = _young(stored, ask.max_age)
    wanted = [target for target in targets if target.pk not in young]
    if ask.max_age and wanted:
        full = selectors.targets_to_read(target.pk for target in wanted)
        targets = [full.get(target.pk, target) for target in targets]
        wanted = list(full.values())
    failures: dict[UUID, Failure] = {}
    lanes: dict[str, list[Target]] = defaultdict(list)
    for target in wanted:
        failure = _obstacle(target)
        if failure is not None:
            failures[target.pk] = failure
        else:
            lanes[company_of(target.account)].append(target)
    landings = _pull(lanes, ask) if lanes else {}
    newest = stored if not wanted else selectors.newest_by_target([target.pk for target in targets])
    return [_report(t, newest.get(t.pk), landings, failures.get(t.pk), t.pk in young) for t in targets]


def _young(stored: Mapping[UUID, PostAnalytics], max_age: int) -> dict[UUID, PostAnalytics]:
    oldest = timezone.now() - timedelta(seconds=max_age)
    return {pk: row for pk, row in stored.items() if max_age and row.captured_at > oldest}


def _obstacle(target: Target) -> Failure | None:
    """Why a target is not even asked for."""
    account = target.account
    if account.deleted_at is not None:
        return Failure("account_deleted", "The account was disconnected.", False)
    if not registry.get(target.platform).has_posts:
        return Failure("no_post_metrics", "The platform reports no metrics of single posts.", False)
    if target.gone_at is not None:
        return Failure(Gone.code, target.last_error_detail or "The post no longer exists on its platform.", False)
    return _obstacle_of_account(account)


def _obstacle_of_account(account: SocialAccount) -> Failure | None:
    if account.status == Status.DISABLED:
        return Failure("disabled", "The account is disabled.", False)
    if account.status == Status.REVOKED:
        return Failure("revoked", "The account's owner withdrew the grant; connect it again.", False)
    return None


def _pull(lanes: dict[str, list[Target]], ask: Ask) -> dict[UUID, Landing]:
    """How the pull of each target ended."""
    targets_by_key = {_key(target): target for targets in lanes.values() for target in targets}
    pks = {key: target.pk for key, target in targets_by_key.items()}  # a pull may settle the ids that keys are made of
    groups: dict[tuple[str, ...], Work] = {}
    platforms: dict[tuple[str, ...], str] = {}
    notes = Notes([target.account for targets in lanes.values() for target in targets], Subject.POST)
    for targets in _batches(lanes):
        keys = tuple(map(_key, targets))
        platforms[keys] = targets[0].platform
        groups[keys] = lambda wanted: _work({key: targets_by_key[key] for key in wanted}, ask, notes)

    def pool_of(keys: tuple[str, ...]) -> ThreadPoolExecutor:
        return pools.conversations_pool(platforms[keys])

    landings = flights.share(groups, pool_of, since=ask.since, deadline=ask.deadline)
    return {pks[key]: landing for key, landing in landings.items()}


def _batches(lanes: dict[str, list[Target]]) -> Iterator[Sequence[Target]]:
    """Each lane's targets in batches of the platform's size, to be read side by side."""
    for targets in lanes.values():
        yield from parts(targets, registry.get(targets[0].platform).batch_size)


def _key(target: Target) -> str:
    """Who shares a call: those who ask for a target while it is the same post."""
    post_id = blake2s(str(target.platform_post_id).encode(), digest_size=8).hexdigest()
    return f"target:{target.pk}:{post_id}"


def _work(by_key: dict[str, Target], ask: Ask, notes: Notes) -> dict[str, Landing]:
    """In the pool: read, store, say how it ended. What comes after the asker's deadline is stored all the same."""
    targets = list(by_key.values())
    accounts = {target.account_id: target.account for target in targets}
    read = pull_targets(targets, accounts, live=True, wait_until=ask.deadline, notes=notes)
    captured = [Captured(target, read.results[target.pk]) for target in targets]
    landings = {each.target.pk: _landing(each) for each in _writer.do(captured)}
    return {key: landings.get(target.pk, BECAME_ANOTHER) for key, target in by_key.items()}


def _store(answered: list[list[Captured]]) -> list[list[Captured]]:
    """What platforms answered at the same time, in one transaction."""
    stored = snapshots.store_posts([each for captured in answered for each in captured], captured_at=timezone.now())
    by_target = {each.target: each for each in stored}
    return [[by_target[each.target] for each in captured if each.target in by_target] for captured in answered]


_writer = Batcher(_store, rest=flights.give_back)


def _landing(each: Captured) -> Landing:
    if isinstance(each.result, PlatformError):
        return Failure.of(each.result)
    if each.result is None:
        will_retry = each.target.missing_count + 1 < snapshots.MISSES_UNTIL_GONE  # as counted before this answer
        return Failure(Gone.code, "The platform's answer left the post out.", will_retry)
    return None


def _report(
    target: Target,
    row: PostAnalytics | None,
    landings: dict[UUID, Landing],
    failure: Failure | None,
    is_young: bool,
) -> TargetReport:
    if is_young or failure is not None:
        return TargetReport(target, row, False, failure)
    landing = landings[target.pk]
    if landing is None and row is None:
        landing = Failure("platform_error", "The platform's answer could not be stored.", True)
    return TargetReport(target, row, landing is None, landing)


# --- accounts ------------------------------------------------------------


def read_account(account: SocialAccount, ask: Ask) -> AccountReport:
    """The account's newest numbers, pulled live unless a snapshot is young enough."""
    newest = selectors.newest_of_account(account)
    if ask.max_age and newest and newest.captured_at > timezone.now() - timedelta(seconds=ask.max_age):
        return AccountReport(account, newest, False, None)
    failure = _obstacle_of_account(account)
    if failure is not None:
        return AccountReport(account, newest, False, failure)
    key = f"account:{account.pk}"
    landing = flights.share(
        {(key,): lambda keys: {key: _account_work(account, ask)}},
        lambda keys: pools.conversations_pool(account.platform),
        since=ask.since,
        deadline=ask.deadline,
    )[key]
    newest = selectors.newest_of_account(account)
    if landing is None and newest is None:
        landing = Failure("platform_error", "The platform's answer could not be stored.", True)
    return AccountReport(account, newest, landing is None, landing)


def _account_work(account: SocialAccount, ask: Ask) -> Landing:
    pulled, _ = pull_account(account, live=True, wait_until=ask.deadline)
    result = snapshots.store_account(account, pulled, captured_at=timezone.now())
    return Failure.of(result) if isinstance(result, PlatformError) else None

"""Reading targets of several accounts in the same calls, so that each failure stays with whose it is."""

import logging
import math
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar
from uuid import UUID

from django.db import DatabaseError, connection

from accounts.models import SocialAccount
from accounts.services import access, standing
from accounts.services.access import Notes
from analytics.models import Target
from analytics.services.lanes import company_of
from analytics.services.pull import Fetch, Pulled, Readings, fetch_posts, pull_posts
from platforms import pools
from platforms.base import Account, Call, Found, Item, Platform, Reading
from platforms.errors import PlatformError

logger = logging.getLogger(__name__)

OWNERS_MAY_WAIT = 20.0
"""Seconds after the time is up in which owners are still asked for what has been begun."""
Accounts = Mapping[UUID, SocialAccount]
Answer = tuple[Sequence[str], Pulled]
Ask = Callable[[SocialAccount, list[str]], list[Answer]]
T = TypeVar("T")


@dataclass
class Read:
    """What became of targets, by id. Those that there was no time for are absent."""

    results: dict[UUID, Found] = field(default_factory=dict)
    calls: int = 0


def pull_targets(
    targets: Sequence[Target],
    accounts: Accounts,
    *,
    live: bool,
    wait_until: float = 0.0,
    until: float = math.inf,
    notes: Notes | None = None,
) -> Read:
    """Read a lane's targets in the fewest calls. Begins no call after `until`, an instant of `time.monotonic()`."""
    pull = partial(pull_posts, live=live, wait_until=wait_until, notes=notes)
    read = Read()
    companies: dict[str, list[Target]] = defaultdict(list)
    for target in targets:
        companies[company_of(accounts[target.account_id])].append(target)
    for company in companies.values():
        batch = _Batch(company, accounts, pull, until=until)
        read.results |= batch.read()
        read.calls += batch.calls
    return read


def parts(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    """A sequence in pieces of a size."""
    for start in range(0, len(items), size):
        yield items[start : start + size]


def _fetch_shared(platform: Platform, ids: Sequence[str], known: Account) -> Call[dict[str, Item]]:
    return platform.fetch_shared(ids, known)


class _Batch:
    """Targets whose accounts share calls. An account whose token fails is not tried again."""

    def __init__(
        self, targets: Sequence[Target], accounts: Accounts, pull: Callable[..., Pulled], *, until: float
    ) -> None:
        self.calls = 0
        self._targets = targets
        self._accounts = {target.account_id: accounts[target.account_id] for target in targets}
        self._platform = access.platform_of(next(iter(self._accounts.values())))
        self._pull, self._until = pull, until
        self._owners: dict[str, list[UUID]] = defaultdict(list)
        for target in sorted(targets, key=lambda each: each.account_id):  # one account's posts are in few calls
            self._owners[str(target.platform_post_id)].append(target.account_id)
        self._found: Readings = {}
        self._seen: set[tuple[str, UUID]] = set()
        """Which accounts' tokens were asked for which posts."""
        self._whole: set[tuple[str, UUID]] = set()
        """Those of them after which there is no more to ask for."""
        self._failed: dict[UUID, PlatformError] = {}

    def read(self) -> dict[UUID, Found]:
        ids, size = list(self._owners), self._platform.batch_size
        alone = len(self._accounts) == 1 and len(ids) <= size
        for chunk in parts(ids, size):
            self._read_chunk(chunk, fetch_posts if alone else _fetch_shared)
        if alone:
            self._whole |= self._seen
        self._ask_owners()
        results = [(target, self._result(target)) for target in self._targets]
        return {target.pk: result[0] for target, result in results if result}

    # --- with any token ------------------------------------------------------------------------------------------

    def _read_chunk(self, chunk: Sequence[str], fetch: Fetch) -> None:
        """With one account's token after the other's, until one works."""
        left = list(chunk)
        for account in self._readers(chunk):
            left = [post_id for post_id in left if not self._is_withdrawn(post_id)]
            if not left or time.monotonic() >= self._until:
                return
            pulled = self._note(account, self._pull(account, left, fetch=fetch))
            read = [post_id for post_id in left if not _is_unread(pulled, post_id)]
            self._found |= {post_id: pulled.readings.get(post_id) for post_id in read}
            self._seen |= {(post_id, account.pk) for post_id in read}
            left = [post_id for post_id in left if post_id not in self._found]

    def _readers(self, chunk: Sequence[str]) -> list[SocialAccount]:
        """The accounts in the order in which they are tried: who is well first, then who has most of the posts."""
        posts = Counter(owner for post_id in chunk for owner in self._owners[post_id])
        usable = [account for pk, account in self._accounts.items() if pk not in self._failed]
        return sorted(usable, key=lambda account: (bool(account.last_error_code), -posts[account.pk]))

    def _is_withdrawn(self, post_id: str) -> bool:
        """Whether the grants that a post was to be read by have been refused: it is then not read by others' either."""
        failures = [self._failed.get(owner) for owner in self._owners[post_id]]
        return all(failure is not None and standing.is_refusal(failure) for failure in failures)

    def _note(self, account: SocialAccount, pulled: Pulled) -> Pulled:
        self.calls += pulled.calls
        self._accounts[account.pk] = pulled.account  # with the tokens that it has now
        if pulled.failure is not None and pulled.is_own:
            self._failed[account.pk] = pulled.failure
        return pulled

    # --- with the owners' ----------------------------------------------------------------------------------------

    def _ask_owners(self) -> None:
        if self._platform.public_reads:
            return
        while (wanted := self._wanted()) and not self._is_late():
            for account, answers in _side_by_side(self._platform.key, self._ask_owner, wanted):
                for ids, pulled in answers:
                    self._take_over(account, ids, self._note(account, pulled))

    def _is_late(self) -> bool:
        return time.monotonic() >= self._until + OWNERS_MAY_WAIT

    def _wanted(self) -> list[tuple[SocialAccount, list[str]]]:
        """Whom to ask for which posts: of several owners of a post one at a time."""
        ids: dict[UUID, list[str]] = defaultdict(list)
        for post_id in self._found:
            owners = self._owners[post_id]
            owner = next((pk for pk in owners if pk not in self._failed and self._lacks(post_id, pk)), None)
            if owner is not None:
                ids[owner].append(post_id)
        return [(self._accounts[owner], wanted) for owner, wanted in ids.items()]

    def _lacks(self, post_id: str, owner: UUID) -> bool:
        """Whether an owner who was not asked may see more of a post than was found."""
        found, asked = self._found[post_id], (post_id, owner)
        if asked in self._whole or (asked in self._seen and not isinstance(found, Reading)):
            return False
        return self._platform.wants_owner(post_id, found)

    def _ask_owner(self, account: SocialAccount, ids: list[str]) -> list[Answer]:
        """In a thread of its own where there are several owners."""
        answers: list[Answer] = []
        for part in parts(ids, self._platform.batch_size):
            if answers and (answers[-1][1].is_own or self._is_late()):
                break
            pulled = self._pull_own(account, part)
            account = pulled.account
            answers.append((part, pulled))
        return answers

    def _pull_own(self, account: SocialAccount, ids: Sequence[str]) -> Pulled:
        def fetch(platform: Platform, ids: Sequence[str], known: Account) -> Call[dict[str, Item]]:
            return platform.fetch_own({post_id: self._found[post_id] for post_id in ids}, known)

        try:
            return self._pull(account, ids, fetch=fetch)
        except DatabaseError:
            raise
        except Exception:  # what others' tokens were shown is paid for, and kept
            logger.exception("posts of account %s cannot be read", account.pk)
            return Pulled(account, dict.fromkeys(ids, PlatformError("The call could not be made.")))

    def _take_over(self, account: SocialAccount, ids: Sequence[str], pulled: Pulled) -> None:
        for post_id in ids:
            if _is_unread(pulled, post_id):
                continue
            self._whole.add((post_id, account.pk))
            found = pulled.readings.get(post_id)
            if isinstance(found, Reading) or not isinstance(self._found[post_id], Reading):
                self._found[post_id] = found

    # --- whose is what -------------------------------------------------------------------------------------------

    def _result(self, target: Target) -> tuple[Found] | None:
        """What became of a target, if there was time for it."""
        post_id, owner = str(target.platform_post_id), target.account_id
        found, failure = self._found.get(post_id), self._failed.get(owner)
        settled = post_id in self._found and (isinstance(found, Reading) or not self._lacks(post_id, owner))
        if settled:
            return (found,)
        return (failure,) if failure is not None else None


def _is_unread(pulled: Pulled, post_id: str) -> bool:
    """Whether a post was not read because of the account, so that another's token may be shown it."""
    return pulled.is_own and pulled.readings.get(post_id) is pulled.failure


def _side_by_side(
    platform: str, ask: Ask, wanted: Sequence[tuple[SocialAccount, list[str]]]
) -> list[tuple[SocialAccount, list[Answer]]]:
    """Each owner's answers, in order. The first is asked by the caller, the others in the owners' pool."""
    pool: ThreadPoolExecutor = pools.owners_pool(platform)
    others = [pool.submit(_in_thread, ask, *each) for each in wanted[1:]]
    answered = [ask(*wanted[0]), *(future.result() for future in others)]
    return [(account, answers) for (account, _), answers in zip(wanted, answered, strict=True)]


def _in_thread(ask: Ask, account: SocialAccount, ids: list[str]) -> list[Answer]:
    try:
        return ask(account, ids)
    finally:
        connection.close()  # this thread's own

"""The one reader: an account and ids in, readings out. Whoever asks, a request or a task."""

import logging
from collections import deque
from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any, TypeVar

from django.db import connection

from accounts.models import SocialAccount, Status, Subject
from accounts.services import access, standing
from accounts.services.access import Notes
from accounts.services.health import note_failure
from accounts.services.retirements import Retirements
from accounts.services.tokens import TokenKeeper
from platforms.base import Account, Call, Found, Item, Listing, Platform, Reading
from platforms.client import Client
from platforms.errors import (
    DeadlineExceeded,
    Gone,
    MalformedPayload,
    NeedsFix,
    NeedsOwner,
    PlatformError,
    Rejected,
    TryLater,
)
from platforms.oauth import Credentials
from platforms.wanted import Wanted

logger = logging.getLogger(__name__)

EXTRA_CALLS = 40
HOPELESS_AFTER = 6

T = TypeVar("T")
Readings = dict[str, Found]
Fetch = Callable[[Platform, Sequence[str], Account], Call[dict[str, Item]]]


@dataclass
class Pulled:
    """By platform post id: a reading, a failure, or None where a successful answer left the post out.

    `account` is as it is stored now. `failure` is what ended the reading early, `is_own` whether it is the account's
    own, so that another's token may be better.
    """

    account: SocialAccount
    readings: Readings = field(default_factory=dict)
    calls: int = 0
    failure: PlatformError | None = None
    is_own: bool = False


def fetch_posts(platform: Platform, ids: Sequence[str], known: Account) -> Call[dict[str, Item]]:
    """All there is of an account's own posts."""
    return platform.fetch_posts(ids, known)


def pull_posts(
    account: SocialAccount,
    ids: Sequence[str],
    *,
    live: bool,
    wait_until: float = 0.0,
    fetch: Fetch = fetch_posts,
    notes: Notes | None = None,
) -> Pulled:
    """Read posts through one account. Never raises a PlatformError: a failure is every post's.

    `notes` where they were read already, with those of other accounts.
    """
    pulled = Pulled(account)
    conversation = _Conversation(account, live=live, wait_until=wait_until, notes=notes)
    try:
        pulled.readings = _read(conversation, list(ids), fetch)
    except PlatformError as error:
        pulled.readings = dict.fromkeys(ids, conversation.failed(error))
    pulled.calls, pulled.account = conversation.calls, conversation.account
    pulled.failure, pulled.is_own = conversation.failure, conversation.is_own
    return pulled


def pull_account(account: SocialAccount, *, live: bool, wait_until: float = 0.0) -> tuple[Reading | PlatformError, int]:
    """Read an account's own numbers: the reading or the failure, and how many calls it took."""
    conversation = _Conversation(account, live=live, wait_until=wait_until, about=Subject.ACCOUNT)
    try:
        found = conversation.hold(lambda platform, known: platform.fetch_account(known))
        return (found if isinstance(found, Reading) else Reading(found)), conversation.calls
    except PlatformError as error:
        return conversation.failed(error), conversation.calls


def pull_listing(account: SocialAccount, cursor: str, wanted: Wanted) -> Listing | PlatformError:
    """Read a page of the posts that an account published, and of no more than are wanted where that can be had."""
    conversation = _Conversation(account, live=False, wait_until=0.0)
    try:
        return conversation.hold(lambda platform, known: platform.list_wanted(known, wanted, cursor=cursor))
    except PlatformError as error:
        return conversation.failed(error)


def _read(conversation: "_Conversation", ids: list[str], fetch: Fetch) -> Readings:
    """Readings of a batch. One that is refused as a whole is halved, so that a poisoned item costs only itself."""
    try:
        return _ask(conversation, ids, fetch)
    except Rejected as error:
        if len(ids) == 1:
            raise
        return _halve(conversation, ids, error, fetch)


def _halve(conversation: "_Conversation", ids: list[str], refusal: Rejected, fetch: Fetch) -> Readings:
    """Halves of halves, until what is refused stands alone. If no quarter is accepted, it is not some items' fault."""
    readings: Readings = {}
    refused, asked = deque([(ids, refusal)]), 0
    while refused and asked < EXTRA_CALLS and (readings or asked < HOPELESS_AFTER):
        batch, _ = refused.popleft()
        for half in (batch[: len(batch) // 2], batch[len(batch) // 2 :]):
            asked += 1
            try:
                readings |= _ask(conversation, half, fetch)
            except Gone as error:
                readings[half[0]] = error
            except Rejected as error:
                if len(half) > 1:
                    refused.append((half, error))
                else:
                    conversation.log(error)
                    readings[half[0]] = error
            except PlatformError as error:
                return dict.fromkeys(ids, conversation.failed(error)) | readings
    return readings | {post_id: error for batch, error in refused for post_id in batch}


def _ask(conversation: "_Conversation", ids: list[str], fetch: Fetch) -> Readings:
    try:
        found: dict[str, Item] = conversation.hold(lambda platform, known: fetch(platform, ids, known))
    except Gone as error:
        if len(ids) == 1:
            raise
        raise Rejected(error.detail, evidence=error.evidence) from error  # it does not say which
    for error in {id(item): item for item in found.values() if isinstance(item, MalformedPayload)}.values():
        conversation.log(error)
    return {post_id: _as_reading(found.get(post_id)) for post_id in ids}


def _as_reading(item: Item | None) -> Found:
    return Reading(item) if isinstance(item, dict) else item


class _Conversation:
    """Conversations with one account's platform, under one client: fresh token before, standing after."""

    def __init__(
        self,
        account: SocialAccount,
        *,
        live: bool,
        wait_until: float,
        about: Subject = Subject.POST,
        notes: Notes | None = None,
    ) -> None:
        self._notes = notes
        self.platform: Platform = access.platform_of(account)
        self.keeper = TokenKeeper(account, wait_until=wait_until)
        self._about = about
        self._live = live
        self._client: Client | None = None
        self._retired: Retirements | None = None
        self.failure: PlatformError | None = None
        self.is_own = False
        self._is_doubted = False

    @property
    def calls(self) -> int:
        return self.keeper.calls + (self._client.usage.calls if self._client else 0)

    @property
    def account(self) -> SocialAccount:
        """The account as it is stored after what was said."""
        if self._client is not None:
            self.keeper.account.memory = dict(self._client.account.memory)
        return self.keeper.account

    def hold(self, call: Callable[[Platform, Account], Call[T]]) -> T:
        if self._client is None:
            self._client = self._connect()
        known = self._client.account
        before = deepcopy(known.memory)
        try:
            result = self._client.run(call(self.platform, known))
            works = not self.platform.public_reads and self._works(self._client, known)
        finally:
            self._remember(known, before)
        if works:
            standing.record_success(self.keeper.account)
        return result

    def _works(self, client: Client, known: Account) -> bool:
        """Whether a success shows the account to be well. A dead one's token may be another account's: it is probed.

        Posts that any token may read are well read with another account's.
        """
        if self.keeper.account.status != Status.TOKEN_EXPIRED or not self.platform.has_probe:
            return True
        if self._is_doubted:
            return False
        try:
            client.run(self.platform.probe(known))
        except PlatformError as error:
            anyones = self.platform.shares_calls and self._about is Subject.POST
            if standing.is_refusal(error) and not anyones:
                raise
            if anyones:
                note_failure(self.keeper.account, error)
            self._is_doubted = standing.is_refusal(error) or isinstance(error, TryLater)
        return not self._is_doubted

    def _remember(self, known: Account, before: dict[str, Any]) -> None:
        """Keep what the adapter learnt, also in a conversation that failed in the end; nothing of a newer grant."""
        if known.memory != before:
            account = self.keeper.account
            SocialAccount.objects.filter(pk=account.pk, grant=account.grant).update(memory=known.memory)
        if self._retired is not None and self._client is not None:
            self._retired.note(known.retired, self._client.usage.accepted)

    def _connect(self) -> Client:
        credentials = Credentials() if self.platform.public_reads else self.keeper.fresh()
        account = self.keeper.account
        notes = self._notes or Notes([account], self._about)
        self._retired = notes.retired_for(account)
        client = Client(
            self.platform,
            access.as_platform_account(account, retired=self._retired.known),
            settings=access.platform_settings(account.mode),
            credentials=credentials,
            app=notes.app_of(account),
            gates=notes.gates_of(account),
            renew=None if self.platform.public_reads else self.keeper.renew,
            live=self._live,
            watched=self._retired.trying,
        )
        if self._live and not connection.in_atomic_block:
            connection.close()  # back into the pool of the web process: a platform may take its time
        return client

    def failed(self, error: PlatformError) -> PlatformError:
        """Record a failure on the account; returns the error to answer with."""
        self.log(error)
        self.failure = error
        self.is_own = not self.platform.public_reads and (isinstance(error, NeedsOwner) or error.scope == "account")
        if self.platform.public_reads or isinstance(error, DeadlineExceeded):
            return error
        self.failure = note_failure(self.keeper.account, error)
        return self.failure

    def log(self, error: PlatformError) -> None:
        """What only a person can fix goes to the log, with its evidence."""
        if isinstance(error, NeedsFix):
            key, account = self.platform.key, self.keeper.account.pk
            logger.error("%s account %s: %s evidence: %.500s", key, account, error.detail, error.evidence)

"""What is due, and who takes it: claims, which lapse by themselves."""

import uuid
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Min, Q, QuerySet
from django.db.models.functions import Now

from accounts.models import SocialAccount, Status
from analytics.models import Target
from platforms import registry

CLAIM_LAPSES = timedelta(seconds=settings.COLLECT_CLAIM_SECONDS)
LANES_A_PASS = 5000
NEEDED = (
    "account_id",
    "platform",
    "platform_post_id",
    "published_at",
    "created_at",
    "failures",
    "missing_count",
)
"""What collecting reads of a target."""
PUBLIC = tuple(key for key, platform in registry.PLATFORMS.items() if platform.public_reads)
WITH_POSTS = tuple(key for key, platform in registry.PLATFORMS.items() if platform.has_posts)


@dataclass(frozen=True)
class Scope:
    """What a pass is restricted to."""

    platform: str | None = None
    account_id: uuid.UUID | None = None
    resting: frozenset[tuple[str, str]] = frozenset()
    """Platforms, with a mode, that are left out."""

    def targets(self) -> QuerySet[Target]:
        given: dict[str, object] = {}
        if self.platform is not None:
            given["platform"] = self.platform
        if self.account_id is not None:
            given["account_id"] = self.account_id
        return Target.objects.filter(~self._at_rest("account__"), **given)

    def accounts(self) -> QuerySet[SocialAccount]:
        given: dict[str, object] = {}
        if self.platform is not None:
            given["platform"] = self.platform
        if self.account_id is not None:
            given["pk"] = self.account_id
        return SocialAccount.objects.filter(~self._at_rest(""), **given)

    def _at_rest(self, prefix: str) -> Q:
        left_out = Q(pk__in=[])
        for platform, mode in self.resting:
            left_out |= Q(platform=platform, **{f"{prefix}mode": mode})
        return left_out


ALL = Scope()


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


# --- claims ------------------------------------------------------------


def claim_targets(lane: str, scope: Scope, size: int) -> tuple[uuid.UUID, list[Target]]:
    """Take the lane's longest due targets: nobody else can, until the claim lapses.

    Until then they are not due either, so that whoever claims next need not read past them.
    """
    claim = uuid.uuid4()
    with transaction.atomic():
        _commit_without_waiting()
        due = _due_targets(scope).filter(lane=lane).select_for_update(skip_locked=True, of=("self",))
        # In the index's own order: a further column would sort all that fell due at the same instant.
        targets = list(due.only(*NEEDED).order_by("next_collect_at")[:size])
        ids = [target.pk for target in targets]
        if ids:
            Target.objects.filter(pk__in=ids).update(claim=claim, **_until_lapse())
    return claim, targets


def release(claim: uuid.UUID, ids: list[uuid.UUID]) -> None:
    """Let go of claimed targets that there was no time for: they are due as before."""
    if ids:
        held = Target.objects.filter(pk__in=ids, claim=claim)
        held.update(claim=None, claimed_until=None, next_collect_at=Now())


def _commit_without_waiting() -> None:
    """Not to wait for the disk: should the database crash, a lost claim makes its rows due again, and no more."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL synchronous_commit TO off")


def _until_lapse() -> dict[str, Any]:
    return {"claimed_until": Now() + CLAIM_LAPSES, "next_collect_at": Now() + CLAIM_LAPSES}


def claim_accounts(platform: str, scope: Scope, size: int) -> tuple[uuid.UUID, list[SocialAccount]]:
    """The same for a platform's accounts."""
    claim = uuid.uuid4()
    with transaction.atomic():
        _commit_without_waiting()
        due = _due_accounts(scope).filter(platform=platform).select_for_update(skip_locked=True)
        accounts = list(due.order_by("next_collect_at", "id")[:size])
        if accounts:
            ids = [account.pk for account in accounts]
            SocialAccount.objects.filter(pk__in=ids).update(claim=claim, **_until_lapse())
    return claim, accounts

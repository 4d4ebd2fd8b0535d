"""Reading posts, targets and snapshots."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django.db.models import F, Max, OuterRef, Q, QuerySet, Subquery, Window
from django.db.models.functions import RowNumber, Trunc

from accounts.models import SocialAccount
from analytics.models import AccountMetrics, Heartbeat, Post, PostAnalytics, Target, TargetStatus

INTERVALS = ("hour", "day", "week", "month")


def posts(organization_id: UUID, mode: str) -> QuerySet[Post]:
    """An organization's posts in a mode, with their targets."""
    alive = Post.objects.filter(organization_id=organization_id, mode=mode, deleted_at=None)
    return alive.prefetch_related("targets")


def published_targets(post: Post) -> list[Target]:
    """Those that are live on their platform, with their accounts; also of deleted accounts."""
    live = Target.objects.filter(post=post, status=TargetStatus.PUBLISHED).exclude(platform_post_id=None)
    return list(live.select_related("account").order_by("created_at", "id"))


def newest_by_target(target_ids: Iterable[UUID]) -> dict[UUID, PostAnalytics]:
    """The newest snapshot of each target, without raw payloads: one index probe for each."""
    newest = PostAnalytics.objects.filter(target=OuterRef("pk")).order_by("-captured_at", "-id").values("pk")[:1]
    ids = Target.objects.filter(pk__in=list(target_ids)).values(newest=Subquery(newest))
    return {row.target_id: row for row in PostAnalytics.objects.filter(pk__in=ids).defer("raw")}


def newest_of_account(account: SocialAccount) -> AccountMetrics | None:
    """The newest snapshot of an account."""
    return AccountMetrics.objects.filter(account=account).order_by("-captured_at", "-id").first()


def account_series(
    account: SocialAccount, *, since: datetime | None, until: datetime | None, interval: str | None
) -> QuerySet[AccountMetrics]:
    """An account's snapshots in `[since, until)`; with an interval, the last of each UTC bucket."""
    rows = AccountMetrics.objects.filter(_window(since, until), account=account)
    return _last_of_buckets(rows, "account", interval)


def post_series(
    post: Post, *, target_id: UUID | None, since: datetime | None, until: datetime | None, interval: str | None
) -> QuerySet[PostAnalytics]:
    """The snapshots of a post's targets in `[since, until)`; with an interval, the last of each UTC bucket."""
    targets = Target.objects.filter(post=post)
    if target_id is not None:
        targets = targets.filter(pk=target_id)
    ids = list(targets.values_list("pk", flat=True))
    rows = PostAnalytics.objects.filter(_window(since, until), target__in=ids)
    return _last_of_buckets(rows, "target", interval)


def _window(since: datetime | None, until: datetime | None) -> Q:
    window = Q()
    if since is not None:
        window &= Q(captured_at__gte=since)
    if until is not None:
        window &= Q(captured_at__lt=until)
    return window


def _last_of_buckets(rows: QuerySet[Any], series: str, interval: str | None) -> QuerySet[Any]:
    """The last row of each UTC bucket of each series; weeks start on Monday."""
    if interval is None:
        return rows
    newest_first = [F("captured_at").desc(), F("id").desc()]
    rows = rows.annotate(bucket=Trunc("captured_at", interval, tzinfo=UTC))
    place = Window(RowNumber(), partition_by=[F(series), F("bucket")], order_by=newest_first)
    return rows.annotate(place=place).filter(place=1)


def last_pass_at() -> datetime | None:
    """When collecting last looked for due work."""
    return Heartbeat.objects.filter(name="collect").aggregate(at=Max("at"))["at"]

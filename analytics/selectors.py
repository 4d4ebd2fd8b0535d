"""Reading posts, targets and snapshots."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django.db import connection
from django.db.models import F, Max, Q, QuerySet, Window
from django.db.models.functions import RowNumber, Trunc

from accounts.models import SocialAccount
from analytics.models import AccountMetrics, Heartbeat, Post, PostAnalytics, Target, TargetStatus

INTERVALS = ("hour", "day", "week", "month")


def posts(organization_id: UUID, mode: str) -> QuerySet[Post]:
    """An organization's posts in a mode, with their targets."""
    alive = Post.objects.filter(organization_id=organization_id, mode=mode, deleted_at=None)
    return alive.prefetch_related("targets")


def published_targets(post_id: UUID, organization_id: UUID, mode: str, *, to_read: bool) -> list[Target]:
    """A post's targets that are live on their platform, also of deleted accounts; none if there is no such post.

    `to_read` with all that a live read needs.
    """
    owned = {"post__organization_id": organization_id, "post__mode": mode, "post__deleted_at": None}
    live = Target.objects.filter(
        post_id=post_id, status=TargetStatus.PUBLISHED, platform_post_id__isnull=False, **owned
    )
    live = live.order_by("created_at", "id")
    return list(live.select_related("account") if to_read else live.only("platform"))


def targets_to_read(ids: Iterable[UUID]) -> dict[UUID, Target]:
    """Targets with all that a live read needs."""
    return Target.objects.select_related("account").in_bulk(list(ids))


# One index probe for each target. As text, because building the query takes longer than answering it.
_NEWEST = """
    SELECT {columns} FROM post_analytics WHERE id IN (
        SELECT (SELECT id FROM post_analytics WHERE target_id = analytics_target.id
                ORDER BY captured_at DESC, id DESC LIMIT 1)
        FROM analytics_target WHERE id IN ({{ids}}))
""".format(columns=", ".join(each.column for each in PostAnalytics._meta.concrete_fields if each.name != "raw"))


def newest_by_target(target_ids: Iterable[UUID]) -> dict[UUID, PostAnalytics]:
    """The newest snapshot of each target, without raw payloads."""
    key = Target._meta.pk
    ids = [key.get_db_prep_value(target_id, connection) for target_id in target_ids]
    rows = PostAnalytics.objects.raw(_NEWEST.format(ids=", ".join(["%s"] * len(ids))), ids) if ids else ()
    return {row.target_id: row for row in rows}


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

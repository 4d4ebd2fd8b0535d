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


def published_targets(post_id: UUID, organization_id: UUID, mode: str) -> list[Target]:
    """A post's targets that are live on their platform, also of deleted accounts, with all that a live read needs.

    None if there is no such post.
    """
    owned = {"post__organization_id": organization_id, "post__mode": mode, "post__deleted_at": None}
    live = Target.objects.filter(
        post_id=post_id, status=TargetStatus.PUBLISHED, platform_post_id__isnull=False, **owned
    )
    return list(live.order_by("created_at", "id").select_related("account"))


def targets_to_read(ids: Iterable[UUID]) -> dict[UUID, Target]:
    """Targets with all that a live read needs."""
    return Target.objects.select_related("account").in_bulk(list(ids))


# One index probe for each target. As text, because building the queries takes longer than answering them.
_COLUMNS = [each.column for each in PostAnalytics._meta.concrete_fields if each.name != "raw"]
_NEWEST_ID = """
    (SELECT id FROM post_analytics WHERE target_id = analytics_target.id ORDER BY captured_at DESC, id DESC LIMIT 1)
"""
_NEWEST = f"""
    SELECT {", ".join(_COLUMNS)} FROM post_analytics WHERE id IN (
        SELECT {_NEWEST_ID} FROM analytics_target WHERE id IN ({{ids}}))
"""
_STORED = f"""
    SELECT {", ".join(f"post_analytics.{column}" for column in _COLUMNS)},
        analytics_target.id AS of_target, analytics_target.platform AS of_platform
    FROM analytics_target
    JOIN analytics_post ON analytics_post.id = analytics_target.post_id
    LEFT JOIN post_analytics ON post_analytics.id = {_NEWEST_ID}
    WHERE analytics_target.post_id = %s AND analytics_target.status = %s
        AND analytics_target.platform_post_id IS NOT NULL
        AND analytics_post.organization_id = %s AND analytics_post.mode = %s AND analytics_post.deleted_at IS NULL
    ORDER BY analytics_target.created_at, analytics_target.id
"""


def stored_targets(post_id: UUID, organization_id: UUID, mode: str) -> tuple[list[Target], dict[UUID, PostAnalytics]]:
    """The same targets, bare but for id and platform, with the newest snapshot of each, without raw payloads."""
    key = Target._meta.pk
    ids = [key.get_db_prep_value(value, connection) for value in (post_id, organization_id)]
    targets: list[Target] = []
    newest: dict[UUID, PostAnalytics] = {}
    for row in PostAnalytics.objects.raw(_STORED, [ids[0], TargetStatus.PUBLISHED.value, ids[1], mode]):
        target = Target.from_db(None, ("id", "platform"), (key.to_python(row.of_target), row.of_platform))
        targets.append(target)
        if row.pk is not None:
            newest[target.pk] = row
    return targets, newest


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

"""What staff look up: what an id means, how a series went, and who needs help."""

from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db.models import Count, F, OuterRef, Q, QuerySet, Subquery
from django.utils import timezone

from accounts.models import DisabledReason, Gate, Mode, Organization, SocialAccount, Status, WebhookEndpoint
from accounts.selectors import as_uuid
from analytics.models import AccountMetrics, Heartbeat, Post, PostAnalytics, Target

ENDS_SOON = timedelta(days=7)

# --- what an id means --------------------------------------------------------


def target_ids(text: str) -> list[UUID]:
    """Targets by an exact id: their own, their post's, their platform's; or by their post's external_ref.

    A platform's id is looked for account by account, a reference organization by organization: one probe each of the
    unique indexes. Those hold only what is not deleted; what is has small indexes of its own.
    """
    pk = as_uuid(text)
    if pk is not None:
        return list(Target.objects.filter(Q(pk=pk) | Q(post_id=pk)).values_list("pk", flat=True))
    live = Target.objects.filter(account=OuterRef("pk"), platform_post_id=text, deleted_at=None)
    deleted = Target.objects.filter(platform_post_id=text, deleted_at__isnull=False)
    of_posts = Target.objects.filter(post__in=_posts_by_reference(text))
    by_platform_id = _probe(SocialAccount.objects.all(), live)
    return [*by_platform_id, *(pk for rows in (deleted, of_posts) for pk in rows.values_list("pk", flat=True))]


def post_ids(text: str) -> list[UUID]:
    """Posts by an exact id: their own, a target's, a platform's; or by external_ref."""
    pk = as_uuid(text)
    if pk is not None and Post.objects.filter(pk=pk).exists():
        return [pk]
    of_targets = Target.objects.filter(pk__in=target_ids(text)).values_list("post_id", flat=True)
    return [*of_targets, *([] if pk is not None else _posts_by_reference(text))]


def _posts_by_reference(text: str) -> list[UUID]:
    deleted = Post.objects.filter(external_ref=text, deleted_at__isnull=False)
    found = list(deleted.values_list("pk", flat=True))
    for mode in Mode.values:
        live = Post.objects.filter(organization=OuterRef("pk"), mode=mode, external_ref=text, deleted_at=None)
        found += _probe(Organization.objects.all(), live)
    return found


def _probe(owners: QuerySet[Any], rows: QuerySet[Any]) -> list[UUID]:
    """The id of each owner's row, of those that have one."""
    probed = owners.order_by().annotate(found=Subquery(rows.values("pk")[:1]))
    return list(probed.filter(found__isnull=False).values_list("found", flat=True))


def account_ids(text: str) -> list[UUID]:
    """Accounts by an exact id, ours or the platform's."""
    pk = as_uuid(text)
    given = Q(network_unique_id=text) if pk is None else Q(pk=pk)
    return list(SocialAccount.objects.filter(given).values_list("pk", flat=True))


# --- series ------------------------------------------------------------------


def newest_of_series(rows: QuerySet[Any], limit: int = 200) -> list[Any]:
    """The newest snapshots of one target or account, oldest first, without raw payloads."""
    return list(rows.order_by("-captured_at", "-id").defer("raw", "unavailable")[:limit])[::-1]


def snapshot_before(row: PostAnalytics | AccountMetrics) -> Any:
    """The snapshot of the same target or account that a row followed; None if it is the first."""
    series = {"target": row.target_id} if isinstance(row, PostAnalytics) else {"account": row.account_id}
    rows = type(row)._default_manager.filter(**series, captured_at__lte=row.captured_at)
    earlier = rows.filter(Q(captured_at__lt=row.captured_at) | Q(pk__lt=row.pk))
    return earlier.order_by("-captured_at", "-id").defer("raw").first()


# --- who needs help ----------------------------------------------------------


def accounts_needing_help(limit: int) -> list[SocialAccount]:
    """Accounts whose token is dead or soon will be, or whose last call failed, latest trouble first; not disabled ones.

    A refresh token that comes so near its end is one that no renewal extends: only its owner can, by connecting again.
    """
    ending = Q(refresh_expires_at__lte=timezone.now() + ENDS_SOON)
    trouble = Q(status__in=(Status.TOKEN_EXPIRED, Status.REVOKED)) | ~Q(last_error_code="") | ending
    alive = SocialAccount.objects.filter(trouble, deleted_at=None).exclude(status=Status.DISABLED)
    newest_first = alive.order_by(F("last_error_at").desc(nulls_last=True), "-created_at")
    return list(newest_first.select_related("organization").defer("access_token", "refresh_token")[:limit])


def account_numbers() -> dict[str, int]:
    """How many accounts there are in each status."""
    alive = SocialAccount.objects.filter(deleted_at=None).order_by()
    return dict(alive.values_list("status").annotate(number=Count("pk")))


def closed_gates(limit: int) -> list[Gate]:
    """What is parked now, the longest first."""
    return list(Gate.objects.filter(not_before__gt=timezone.now()).order_by("-not_before")[:limit])


def heartbeats() -> list[Heartbeat]:
    """When each recurring piece of work last ran."""
    return list(Heartbeat.objects.order_by("name"))


def endpoints_disabled(number: int) -> list[WebhookEndpoint]:
    """Webhook endpoints that were disabled for what they answered, the latest first."""
    ours = WebhookEndpoint.objects.filter(is_enabled=False).exclude(disabled_reason=DisabledReason.OWNER)
    secrets = ("secret", "previous_secret", "older_secrets")
    return list(ours.select_related("organization").defer(*secrets).order_by("-disabled_at")[:number])

"""Registering posts and what becomes of them."""

from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction
from django.utils import timezone

from accounts.models import EventType, SocialAccount
from accounts.services import events
from analytics.models import Post, PostAnalytics, PostStatus, Target, TargetStatus
from analytics.serializers import PostSerializer
from analytics.services import content
from analytics.services.lanes import lane_of
from platforms import registry


class UnknownAccount(Exception):
    """A target names an account that the organization does not have."""

    def __init__(self, index: int, account_id: UUID) -> None:
        self.index, self.account_id = index, account_id
        super().__init__(f"There is no account {account_id}.")


class Conflict(Exception):
    """What is asked for contradicts what is stored."""


@dataclass(frozen=True)
class Identity:
    """What makes a repeated creation the same post."""

    organization_id: UUID
    mode: str
    external_ref: str | None = None
    idempotency_key: str | None = None


def find_repeated(identity: Identity) -> Post | None:
    """The post that a repeated `external_ref` or `Idempotency-Key` names, and that both name from then on.

    Conflict if they name different ones.
    """
    alive = Post.objects.filter(organization_id=identity.organization_id, mode=identity.mode, deleted_at=None)
    found = {
        post.pk: post
        for name in ("external_ref", "idempotency_key")
        if (value := getattr(identity, name)) is not None
        for post in alive.filter(**{name: value})
    }
    if len(found) > 1:
        raise Conflict("The external_ref and the Idempotency-Key name different posts.")
    return _named(next(iter(found.values())), identity) if found else None


def _named(post: Post, identity: Identity) -> Post:
    """The post, which from now on goes by the identity's other name as well, if it has none of that kind yet."""
    for name in ("external_ref", "idempotency_key"):
        given = getattr(identity, name)
        if given is not None and getattr(post, name) is None:
            with suppress(IntegrityError), transaction.atomic():  # another request has just given it to another post
                Post.objects.filter(pk=post.pk, **{name: None}).update(**{name: given}, updated_at=timezone.now())
    return post


def accounts_of(identity: Identity, targets: list[dict[str, Any]]) -> dict[UUID, SocialAccount]:
    """The accounts that targets name; UnknownAccount for the first that there is not."""
    ids = [target["account_id"] for target in targets]
    found = SocialAccount.objects.filter(
        organization_id=identity.organization_id, mode=identity.mode, deleted_at=None
    ).in_bulk(ids)
    for index, account_id in enumerate(ids):
        if account_id not in found:
            raise UnknownAccount(index, account_id)
    return found


def create(identity: Identity, given: dict[str, Any], accounts: dict[UUID, SocialAccount]) -> tuple[Post, bool]:
    """Register a post. Returns it, and whether it is new: a repeated creation finds the first one."""
    repeated = find_repeated(identity)
    if repeated is not None:
        return repeated, False
    try:
        with transaction.atomic():
            return _insert(identity, given, accounts), True
    except (IntegrityError, Conflict) as error:
        repeated = find_repeated(identity)  # created by another request in the meantime
        if repeated is not None:
            return repeated, False
        if isinstance(error, Conflict):
            raise
        raise _taken(given["targets"]) or Conflict("The post was created by another request.") from None


def _insert(identity: Identity, given: dict[str, Any], accounts: dict[UUID, SocialAccount]) -> Post:
    post = Post(
        organization_id=identity.organization_id,
        mode=identity.mode,
        external_ref=identity.external_ref,
        idempotency_key=identity.idempotency_key,
        **{name: given[name] for name in ("content", "scheduled_at", "is_draft", "published_at") if name in given},
    )
    targets = [_new_target(post, accounts[each["account_id"]], each) for each in given["targets"]]
    taken = _taken(given["targets"])
    if taken is not None:
        raise taken
    post.status = rolled_up([target.status for target in targets], post)
    post.save(force_insert=True)
    Target.objects.bulk_create(targets)
    _tell(post, was=None)
    return post


def _new_target(post: Post, account: SocialAccount, given: dict[str, Any]) -> Target:
    published = bool(given.get("platform_post_id"))
    return Target(
        post=post,
        account=account,
        platform=account.platform,
        lane=lane_of(account),
        platform_post_id=given.get("platform_post_id") or None,
        platform_post_url=given.get("platform_post_url") or "",
        published_at=given.get("published_at") or (post.published_at if published else None),
        status=TargetStatus.PUBLISHED if published else TargetStatus.PENDING,
        next_collect_at=timezone.now() if published and registry.get(account.platform).has_posts else None,
    )


def _taken(targets: list[dict[str, Any]], *, but: UUID | None = None) -> Conflict | None:
    """The conflict with a live target of the same account and platform post, if there is one."""
    wanted = {(each["account_id"], each["platform_post_id"]) for each in targets if each.get("platform_post_id")}
    accounts, ids = [account_id for account_id, _ in wanted], [post_id for _, post_id in wanted]
    alike = Target.objects.filter(account__in=accounts, platform_post_id__in=ids, deleted_at=None).exclude(pk=but)
    for target in alike:
        if (target.account_id, target.platform_post_id) in wanted:
            return Conflict(f"{target.platform_post_id} is already a target of post {target.post_id}.")
    return None


def update(post: Post, given: dict[str, Any]) -> Post:
    """Change a post's own fields."""
    try:
        with transaction.atomic():
            post = Post.objects.select_for_update().get(pk=post.pk, deleted_at=None)
            for name, value in given.items():
                setattr(post, name, value)
            post.status = rolled_up(list(post.targets.values_list("status", flat=True)), post)
            post.save(update_fields=[*given, "status", "updated_at"])
    except IntegrityError:
        raise Conflict(f"Another post has the external_ref {given.get('external_ref')}.") from None
    return post


def update_target(target: Target, given: dict[str, Any]) -> Target:
    """Set what a publisher learned later. A platform post id makes a target published, unless a status is given."""
    try:
        with transaction.atomic():
            post = Post.objects.select_for_update().get(pk=target.post_id, deleted_at=None)
            target = Target.objects.select_for_update().select_related("account").get(pk=target.pk)
            former = Target(platform_post_id=target.platform_post_id, platform_post_url=target.platform_post_url)
            _apply_target(target, given)
            if former.platform_post_id not in (None, target.platform_post_id):
                _set_aside(former, target)
            taken = _taken(
                [{"account_id": target.account_id, "platform_post_id": target.platform_post_id}], but=target.pk
            )
            if taken is not None:
                raise taken
            target.save()
            was = post.status
            post.status = rolled_up(list(post.targets.values_list("status", flat=True)), post)
            post.save(update_fields=["status", "updated_at"])
            _tell(post, was=was)
    except IntegrityError:
        raise Conflict(f"{given.get('platform_post_id')} is already a target of another post.") from None
    return target


def _apply_target(target: Target, given: dict[str, Any]) -> None:
    was_id, was_status = target.platform_post_id, target.status
    for name in ("platform_post_id", "platform_post_url", "published_at"):
        if name in given:
            setattr(target, name, given[name])
    target.platform_post_id = target.platform_post_id or None
    if was_id not in (None, target.platform_post_id) and "platform_post_url" not in given:
        target.platform_post_url = ""  # which was the other post's
    target.status = given.get("status") or (TargetStatus.PUBLISHED if given.get("platform_post_id") else target.status)
    if target.status == TargetStatus.PUBLISHED and target.platform_post_id is None:
        raise Conflict("A target is published only with its platform_post_id.")
    was_given_again = target.gone_at is not None and bool(given.get("platform_post_id"))
    if target.status != TargetStatus.PUBLISHED:
        target.next_collect_at = target.claim = target.claimed_until = None
    elif target.platform_post_id != was_id or was_status != TargetStatus.PUBLISHED or was_given_again:
        target.next_collect_at = timezone.now() if registry.get(target.platform).has_posts else None
        target.claim = target.claimed_until = target.gone_at = target.last_error_at = None
        target.failures = target.missing_count = 0
        target.last_error_code = target.last_error_detail = ""


def _set_aside(former: Target, target: Target) -> None:
    """What was measured of the post that a target named before is no history of the one that it names now.

    It stays stored, for staff, under a target of its own that no read of the API shows.
    """
    snapshots = PostAnalytics.objects.filter(target=target)
    if not snapshots.exists():
        return
    now, named = timezone.now(), target.post
    post = Post(organization_id=named.organization_id, mode=named.mode, status=PostStatus.PUBLISHED, deleted_at=now)
    post.save(force_insert=True)
    former.post, former.account, former.platform, former.lane = post, target.account, target.platform, target.lane
    former.status, former.deleted_at = TargetStatus.PUBLISHED, now
    former.content_to_remove = target.platform in content.DUTIES
    former.save(force_insert=True)
    snapshots.update(target=former)


def delete(post: Post) -> None:
    """Gone from every read; snapshots are kept, without content where a platform wants that."""
    now = timezone.now()
    with transaction.atomic():
        Post.objects.filter(pk=post.pk, deleted_at=None).update(deleted_at=now, updated_at=now)
        targets = Target.objects.select_for_update().filter(post=post).order_by("pk")  # in the order of all who write
        Target.objects.filter(pk__in=list(targets.values_list("pk", flat=True))).update(
            deleted_at=now, next_collect_at=None, claim=None, claimed_until=None, updated_at=now
        )
        owing = Target.objects.filter(post=post, platform__in=content.DUTIES)
        is_owed = bool(owing.update(content_to_remove=True))
    if is_owed:
        content.remove_marked(owing.values_list("pk", flat=True))


EVENTS = {
    PostStatus.PUBLISHED: EventType.POST_PUBLISHED,
    PostStatus.PARTIAL: EventType.POST_ERROR,
    PostStatus.FAILED: EventType.POST_ERROR,
}


def _tell(post: Post, *, was: str | None) -> None:
    """Tell of a post that became published, or of which not all is; in the transaction of the change."""
    if post.status == was or post.status not in EVENTS:
        return
    kind, data = EVENTS[PostStatus(post.status)], dict(PostSerializer(post).data)
    if kind == EventType.POST_ERROR:
        data["reason"] = _reason([target["status"] for target in data["targets"]])
    events.emit(post.organization_id, post.mode, kind, data)


def _reason(statuses: list[str]) -> str:
    """`1 of 3 targets is published, 2 failed`, canceled ones left out."""
    counts = Counter(status for status in statuses if status != TargetStatus.CANCELED)
    total, published = counts.total(), counts.pop(TargetStatus.PUBLISHED, 0)
    others = [f"{count} {status}" for status, count in sorted(counts.items())]
    are = "is" if published == 1 else "are"
    return ", ".join([f"{published} of {total} targets {are} published", *others])


def rolled_up(statuses: list[str], post: Post) -> str:
    """A post's status from its targets': canceled ones are ignored unless all are."""
    counted = [status for status in statuses if status != TargetStatus.CANCELED]
    if not counted:
        return PostStatus.CANCELED
    if all(status == TargetStatus.PUBLISHED for status in counted):
        return PostStatus.PUBLISHED
    if TargetStatus.PUBLISHED in counted:
        return PostStatus.PARTIAL
    for status in (TargetStatus.PUBLISHING, TargetStatus.QUEUED):
        if status in counted:
            return PostStatus(status)
    if all(status == TargetStatus.FAILED for status in counted):
        return PostStatus.FAILED
    if post.is_draft:
        return PostStatus.DRAFT
    return PostStatus.SCHEDULED if post.scheduled_at else PostStatus.QUEUED

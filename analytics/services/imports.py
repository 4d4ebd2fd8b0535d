"""Importing what an account published already: jobs that go through the platform's listing, page by page."""

import logging
import random
import time
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import F, Q, QuerySet
from django.db.models.functions import Now
from django.utils import timezone

from accounts.models import SocialAccount, Status
from accounts.services import access, events
from analytics import cadence, selectors
from analytics.models import (
    LONGEST_POST_ID,
    UNFINISHED,
    ImportJob,
    ImportSchedule,
    ImportStatus,
    Post,
    PostAnalytics,
    PostStatus,
    Target,
    TargetStatus,
)
from analytics.serializers import ImportJobSerializer
from analytics.services import snapshots
from analytics.services.lanes import lane_of
from analytics.services.pull import pull_listing
from analytics.services.snapshots import Captured
from platforms.base import Listed, Listing, Reading
from platforms.dimensions import Dimension
from platforms.errors import PlatformError
from platforms.wanted import Wanted

logger = logging.getLogger(__name__)

CLAIM_LAPSES = timedelta(seconds=settings.COLLECT_CLAIM_SECONDS)
GIVES_UP_AFTER = timedelta(hours=24)
LONGEST_PAUSE = timedelta(hours=1)
MOST_PAGES = 2000
INSERTS = 3
FINE: dict[str, Any] = {"failures": 0, "failing_since": None, "error_code": "", "error_message": ""}
DISCOVERED = 100


class Unsupported(Exception):
    """The account's posts cannot be listed. The message says why."""


# --- asking for one ------------------------------------------------------------


def start(
    account: SocialAccount, *, from_date: date | None = None, to_date: date | None = None, limit: int = 100
) -> ImportJob:
    """A job for the days from `from_date` to `to_date`, both included, in UTC. Unsupported if there is no listing."""
    _check_listed(account)
    return ImportJob.objects.create(account=account, from_date=from_date, to_date=to_date, limit=limit)


def _check_listed(account: SocialAccount) -> None:
    reason = access.platform_of(account).no_listing(access.as_platform_account(account))
    if reason:
        raise Unsupported(reason)


def schedule(account: SocialAccount, *, hourly: bool) -> ImportSchedule | None:
    """Look for new posts by itself from now on, or no longer. Unsupported if there is no listing."""
    if not hourly:
        ImportSchedule.objects.filter(account=account).delete()
        return None
    _check_listed(account)
    return ImportSchedule.objects.get_or_create(account=account)[0]


def start_scheduled() -> int:
    """Make jobs for accounts whose new posts are to be looked for. Returns how many."""
    made = 0
    due = ImportSchedule.objects.filter(
        next_at__lte=Now(), account__deleted_at=None, account__status=Status.ACTIVE
    ).select_related("account")
    for each in due.order_by("next_at")[:1000]:
        with transaction.atomic():
            ours = ImportSchedule.objects.filter(pk=each.pk, next_at__lte=Now())
            if not ours.update(next_at=Now() + settings.IMPORT_EVERY):
                continue  # another process took it
            if not ImportJob.objects.filter(account=each.account, status__in=UNFINISHED).exists():
                ImportJob.objects.create(account=each.account, limit=DISCOVERED, is_discovery=True)
                made += 1
    return made


# --- doing it ------------------------------------------------------------


def work_through(*, until: float) -> int:
    """Go on with due jobs until `until` (of `time.monotonic()`). Returns how many posts were imported."""
    imported = 0
    while time.monotonic() < until:
        job = _claim()
        if job is None:
            break
        imported += _work_on(job, until)
    return imported


def _claim() -> ImportJob | None:
    """Take the job that waits longest: nobody else can, until the claim lapses."""
    unclaimed = Q(claimed_until=None) | Q(claimed_until__lt=Now())
    with transaction.atomic():
        due = ImportJob.objects.filter(unclaimed, status__in=UNFINISHED, next_attempt_at__lte=Now())
        job = due.select_for_update(skip_locked=True, of=("self",)).order_by("next_attempt_at").first()
        if job is None:
            return None
        job.claim = uuid.uuid4()
        started_at = job.started_at or timezone.now()
        ImportJob.objects.filter(pk=job.pk).update(
            claim=job.claim, status=ImportStatus.RUNNING, started_at=started_at, **_until_lapse()
        )
    return ImportJob.objects.select_related("account").get(pk=job.pk)


def _until_lapse() -> dict[str, Any]:
    return {"claimed_until": Now() + CLAIM_LAPSES, "next_attempt_at": Now() + CLAIM_LAPSES}


def _work_on(job: ImportJob, until: float) -> int:
    """Page after page; what was stored when time is up, or the process dies, is not asked for again."""
    before = job.imported_count
    try:
        while job.status == ImportStatus.RUNNING and time.monotonic() < until:
            if not _next_page(job):
                return job.imported_count - before  # taken over by another, or put off
        if job.status == ImportStatus.RUNNING:
            _ours(job).update(next_attempt_at=Now(), claim=None, claimed_until=None)
    except Exception:
        logger.exception("import %s stopped", job.pk)
        _put_off(job, PlatformError("The import could not go on."))
    return job.imported_count - before


def _ours(job: ImportJob) -> Any:
    return ImportJob.objects.filter(pk=job.pk, claim=job.claim)


def _next_page(job: ImportJob) -> bool:
    """Whether the job may go on at once."""
    account = SocialAccount.objects.get(pk=job.account_id)
    if account.deleted_at is not None or account.status in (Status.DISABLED, Status.REVOKED):
        return _fail(job, "account_unavailable", "The account is no longer connected.")
    if job.pages >= MOST_PAGES:
        return _fail(job, "platform_error", "The platform's listing did not end.")
    listing = pull_listing(account, job.cursor, Wanted(job.from_date, job.to_date, job.limit))
    if isinstance(listing, PlatformError):
        return _put_off(job, listing) if listing.retryable else _fail(job, listing.code, listing.detail)
    return _store(job, account, replace(listing, posts=tuple(_canonical(account, listing.posts))))


def _canonical(account: SocialAccount, listed: Sequence[Listed]) -> Iterator[Listed]:
    """Posts under the ids that the API stores them by; what has none is left out."""
    platform, known = access.platform_of(account), access.as_platform_account(account)
    for post in listed:
        try:
            own = platform.normalize_post_id(post.id, known)
            if len(own) > LONGEST_POST_ID:
                raise ValueError("the id is too long to be stored")
            yield replace(post, id=own)
        except ValueError as error:
            logger.error("%s listed %.100s: %s", account.platform, post.id, error)


def _put_off(job: ImportJob, error: PlatformError) -> bool:
    """Later, or never, if it has done nothing but fail for a day."""
    now = timezone.now()
    since = job.failing_since or now
    if now - since > GIVES_UP_AFTER:
        return _fail(job, error.code, error.detail)
    pause = cadence.retry_delay(job.failures + 1, cap=LONGEST_PAUSE, spread=random.random())
    due = max(error.retry_at, now) if error.retry_at else now + pause
    told = {"error_code": error.code, "error_message": error.detail[:500], "failing_since": since}
    _ours(job).update(next_attempt_at=due, failures=F("failures") + 1, claim=None, claimed_until=None, **told)
    return False


def _fail(job: ImportJob, code: str, message: str) -> bool:
    """It is over; what was imported stays."""
    with transaction.atomic():
        _finish(job, ImportStatus.FAILED, error_code=code, error_message=message[:500])
    return False


def _finish(job: ImportJob, status: ImportStatus, **told: str) -> None:
    """End a job and tell of it, in the transaction of the caller. Of looking for new posts only what it found."""
    if not _ours(job).update(
        status=status, finished_at=Now(), next_attempt_at=None, claim=None, claimed_until=None, **told
    ):
        return
    job.refresh_from_db()
    logger.info("import %s %s: %d imported of %d", job.pk, status, job.imported_count, job.seen_count)
    if job.is_discovery and not job.imported_count and (status == ImportStatus.COMPLETED or _failed_before(job)):
        return
    data = {**ImportJobSerializer(job).data, "seen_count": job.seen_count}
    if job.error_message:
        data["reason"] = job.error_message
    events.emit(job.account.organization_id, job.account.mode, f"import.{status.value}", data)


def _failed_before(job: ImportJob) -> bool:
    """Whether the account's last import failed alike: it is told once, not every hour."""
    return _before(job).values_list("error_code", flat=True).first() == job.error_code


def _before(job: ImportJob) -> QuerySet[ImportJob]:
    """The account's other imports, the newest first."""
    return ImportJob.objects.filter(account=job.account_id).exclude(pk=job.pk).order_by("-created_at", "-id")


# --- a page ------------------------------------------------------------


def _store(job: ImportJob, account: SocialAccount, listing: Listing) -> bool:
    """A page's posts and its place in the listing, in one transaction, while the claim is ours."""
    for attempt in range(INSERTS):
        try:
            with transaction.atomic():
                return _store_page(job, account, listing)
        except IntegrityError:  # the same post was registered by a request in the meantime
            if attempt == INSERTS - 1:
                raise
    return False


def _store_page(job: ImportJob, account: SocialAccount, listing: Listing) -> bool:
    if not _ours(job).select_for_update().exists():
        return False
    wanted = [post for post in listing.posts if _is_wanted(job, post)][: job.limit - job.seen_count]
    new = _create(account, wanted, resurrect=not job.is_discovery)
    if not job.is_discovery:
        _find_again(account, wanted)
    _keep_numbers(account, wanted, new)
    job.pages += 1
    job.seen_count += len(wanted)
    job.imported_count += len(new)
    ended = _is_last(job, listing, found_new=bool(new))
    job.cursor = listing.cursor
    progress = {name: getattr(job, name) for name in ("cursor", "pages", "seen_count", "imported_count")}
    for name, value in FINE.items():
        setattr(job, name, value)
    _ours(job).update(**progress, **FINE, **_until_lapse())
    if ended:
        _finish(job, ImportStatus.COMPLETED)
    return True


def _is_wanted(job: ImportJob, post: Listed) -> bool:
    """Whether a post is of the wanted days; one without a time is, if all days are."""
    if post.published_at is None:
        return job.from_date is None and job.to_date is None
    day = post.published_at.astimezone(UTC).date()
    return (job.from_date is None or day >= job.from_date) and (job.to_date is None or day <= job.to_date)


def _is_last(job: ImportJob, listing: Listing, *, found_new: bool) -> bool:
    """The listing's end, the limit, or a page that is too old from end to end. If it rises newer ones may follow."""
    if not listing.cursor or listing.cursor == job.cursor or job.seen_count >= job.limit:
        return True
    if job.is_discovery and listing.posts and not found_new and not _left_off(job):
        return True
    times = [post.published_at for post in listing.posts if post.published_at is not None]
    if job.from_date is None or not times or len(times) < len(listing.posts) or times[0] < times[-1]:
        return False
    return all(at.astimezone(UTC).date() < job.from_date for at in times)


def _left_off(job: ImportJob) -> bool:
    """Whether the account's last import broke off: what it did not reach may lie behind what is known."""
    return _before(job).values_list("status", flat=True).first() == ImportStatus.FAILED


def _create(account: SocialAccount, listed: Sequence[Listed], *, resurrect: bool) -> dict[str, Target]:
    """Posts with one target each for what is not there yet, by platform post id.

    What an organization deleted comes back by an import that it asked for, not by itself.
    """
    known = Target.objects.filter(account=account, platform_post_id__in=[post.id for post in listed])
    if resurrect:
        known = known.filter(deleted_at=None)
    there = set(known.values_list("platform_post_id", flat=True))
    new = list({post.id: post for post in listed if post.id not in there}.values())
    lane, now = lane_of(account), timezone.now()
    posts = [_post(account, each.published_at) for each in new]
    targets = [
        Target(
            post=post,
            account=account,
            platform=account.platform,
            lane=lane,
            platform_post_id=each.id,
            platform_post_url=each.url[:2000],
            published_at=each.published_at,
            status=TargetStatus.PUBLISHED,
            next_collect_at=now,
        )
        for post, each in zip(posts, new, strict=True)
    ]
    Post.objects.bulk_create(posts)
    Target.objects.bulk_create(targets)
    return {str(target.platform_post_id): target for target in targets}


def _find_again(account: SocialAccount, listed: Sequence[Listed]) -> None:
    """Posts that were taken for gone and are in the listing of an import that was asked for are collected again."""
    gone = Target.objects.filter(account=account, deleted_at=None, gone_at__isnull=False, status=TargetStatus.PUBLISHED)
    gone.filter(platform_post_id__in=[post.id for post in listed]).update(next_collect_at=Now(), **snapshots.GOOD)


def _post(account: SocialAccount, published_at: datetime | None) -> Post:
    return Post(
        organization_id=account.organization_id,
        mode=account.mode,
        published_at=published_at,
        status=PostStatus.PUBLISHED,
    )


def _keep_numbers(account: SocialAccount, listed: Sequence[Listed], new: dict[str, Target]) -> None:
    """Metrics that came with the listing are snapshots: of new posts, and of those that would be asked for now."""
    told = {post.id: Reading(post.raw, post.unavailable) for post in listed if post.raw is not None}
    due = Target.objects.filter(
        Q(claimed_until=None) | Q(claimed_until__lt=Now()),
        account=account,
        platform_post_id__in=told.keys() - new.keys(),
        deleted_at=None,
        next_collect_at__lte=Now(),
    )
    newest = selectors.newest_by_target([target.pk for target in due])
    whole = [each for each in due if not _lacks(told[str(each.platform_post_id)], newest.get(each.pk))]
    targets = [*whole, *(target for post_id, target in new.items() if post_id in told)]
    captured = [Captured(target, told[str(target.platform_post_id)]) for target in targets]
    if captured:
        snapshots.store_posts(captured, captured_at=timezone.now())


def _lacks(reading: Reading, newest: PostAnalytics | None) -> bool:
    """Whether a listing tells less of a post than is known of it: then the post is better asked for by itself."""
    if newest is None:
        return False
    columns = snapshots.post_columns(newest.platform, reading.raw)
    return any(columns[name] is None and getattr(newest, name) is not None for name in map(str, Dimension))

"""Content of posts that were removed: it goes out of the raw answers stored of them, the numbers stay.

Whoever finds a target gone marks it in the same transaction; the mark falls when all its snapshots are clean.
"""

import logging
from collections.abc import Iterable
from uuid import UUID

from django.db import DatabaseError, transaction

from analytics.models import PostAnalytics, Target
from analytics.services import walks
from platforms import registry

logger = logging.getLogger(__name__)

PAGE = 500
AT_ONCE = 1000
DUTIES = frozenset(key for key, platform in registry.PLATFORMS.items() if platform.kept_of_removed is not None)
"""Platforms that want content removed here that was removed there."""


def remove_marked(target_ids: Iterable[UUID] | None = None) -> int:
    """Clean the snapshots of marked targets, of some or of all. Returns how many rows held something that had to go.

    What cannot be done now stays marked, for the daily task.
    """
    marked = Target.objects.filter(content_to_remove=True).order_by("pk")
    if target_ids is not None:
        marked = marked.filter(pk__in=list(target_ids))
    cleaned = 0
    for pk, platform in marked.values_list("pk", "platform")[:AT_ONCE]:
        try:
            cleaned += _clean(pk, platform)
        except DatabaseError:
            logger.exception("the content of removed target %s is still stored", pk)
    return cleaned


def _clean(target_id: UUID, platform: str) -> int:
    cleaned = 0
    rows = PostAnalytics.objects.filter(target=target_id)
    for page in walks.pages(rows.values("captured_at", "id"), size=PAGE):
        cleaned += _clean_page([row["id"] for row in page], platform)
    Target.objects.filter(pk=target_id).update(content_to_remove=False)
    return cleaned


def _clean_page(ids: list[int], platform: str) -> int:
    """Locked, so that what retention empties meanwhile is not brought back."""
    adapter = registry.get(platform)
    with transaction.atomic():
        rows = PostAnalytics.objects.select_for_update().filter(pk__in=ids, raw__isnull=False).only("raw")
        changed = [row for row in rows.order_by("pk") if adapter.without_content(row.raw) != row.raw]
        for row in changed:
            row.raw = adapter.without_content(row.raw)
        PostAnalytics.objects.bulk_update(changed, ["raw"], batch_size=100)
    return len(changed)

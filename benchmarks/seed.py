"""Accounts of the sandbox with many posts, and stored history."""

import time
import uuid
from datetime import datetime, timedelta
from typing import Any

from django.db import connection
from django.utils import timezone

from accounts.models import Mode, Organization, SocialAccount
from accounts.services import access, connections
from analytics.models import AccountMetrics, Post, PostAnalytics, Target, TargetStatus
from analytics.services.lanes import lane_of
from platforms import registry
from platforms.sandbox.registry import PLATFORMS as SANDBOX

FIRST_IDS = {
    "x": "30000000000000{:02d}",
    "linkedin": "urn:li:organization:24141{:02d}",
    "linkedin member": "urn:li:person:Bench{:05d}",
    "instagram": "178414000000010{:02d}",
    "tiktok": "723f24d7-e717-40f8-a2b6-cb8464cd{:04d}",
    "facebook": "1020304050607{:02d}",
    "threads": "260000000000001{:02d}",
    "bluesky": "did:plc:bench{:019d}",
    "youtube": "UCbenchBenchBenchBench{:02d}",
    "pinterest": "27831361211463118{:02d}",
    "reddit": "a2ggh{:03d}",
}
EXTRA = {"instagram": {"login": "instagram"}}
HISTORY = """
    INSERT INTO post_analytics (target_id, account_id, platform, captured_at, impressions, reach, likes, comments,
        shares, saves, clicks, video_views, engagement_rate, unavailable, raw, mapping_version)
    SELECT id, account_id, platform, %s, 1000, NULL, 10, 2, 3, 1, NULL, 0, 0.016, '{}', '{"bench": true}', 1
    FROM analytics_target WHERE account_id = %s
"""


def account(organization: Organization, platform: str, number: int) -> SocialAccount:
    """A connected account, not due itself. `platform` as in `FIRST_IDS`."""
    identity = FIRST_IDS[platform].format(number).replace("0", "a" if platform == "bluesky" else "0")
    platform = platform.partition(" ")[0]
    extra = EXTRA.get(platform, {})
    minted = SANDBOX[platform].tokens(identity, time.time(), None, **extra)
    expires_at = minted["expires_at"]
    given = {
        "platform": platform,
        "network_unique_id": identity,
        "username": f"bench{number}",
        "access_token": minted["access_token"],
        "refresh_token": minted["refresh_token"] or "",
        "token_expires_at": datetime.fromtimestamp(expires_at, timezone.get_current_timezone()) if expires_at else None,
        "extra": extra,
        "scopes": list(registry.get(platform).scopes),
    }
    made, _ = connections.connect(organization.pk, Mode.TEST, given)
    SocialAccount.objects.filter(pk=made.pk).update(next_collect_at=None)
    return made


def posts(account: SocialAccount, ids: list[str], *, due: bool = True) -> list[Target]:
    """A post with one target for each platform id."""
    known = access.as_platform_account(account)
    now, lane, platform = timezone.now(), lane_of(account), registry.get(account.platform)
    made = [
        Post(organization_id=account.organization_id, mode=account.mode, status="published", published_at=now)
        for _ in ids
    ]
    Post.objects.bulk_create(made, batch_size=1000)
    targets = [
        Target(
            post=post,
            account=account,
            platform=account.platform,
            lane=lane,
            platform_post_id=platform.normalize_post_id(post_id, known),
            status=TargetStatus.PUBLISHED,
            published_at=now,
            next_collect_at=now - timedelta(minutes=1) if due else None,
        )
        for post, post_id in zip(made, ids, strict=True)
    ]
    return Target.objects.bulk_create(targets, batch_size=1000)


def settle() -> None:
    """Bring the planner's statistics up to date at once, as autovacuum does within a minute."""
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE" if connection.vendor == "postgresql" else "ANALYZE")


def old_ids(platform: str, identity: str, count: int) -> list[str]:
    """Ids of posts that are too old for their private numbers to be asked for."""
    newest = time.time() - 40 * 86400
    return [SANDBOX[platform].post_id(identity, newest - second) for second in range(count)]


def history(accounts: list[SocialAccount], snapshots: int) -> int:
    """Store snapshots of all targets, one instant at a time, until there are about as many; how many there are then."""
    per_round, stored = Target.objects.filter(account__in=accounts).count(), PostAnalytics.objects.count()
    rounds = max(not stored, (snapshots - stored) // per_round)
    now = timezone.now()
    with connection.cursor() as cursor:
        for number in range(rounds, 0, -1):
            for each in accounts:
                cursor.execute(HISTORY, [now - timedelta(hours=number), _id(each.pk)])
    settle()
    return stored + rounds * per_round


def _id(value: uuid.UUID) -> Any:
    return value.hex if connection.vendor == "sqlite" else value


def account_history(account: SocialAccount, rows: int) -> datetime:
    """An hourly series of an account; its first instant."""
    now = timezone.now()
    AccountMetrics.objects.bulk_create(
        [
            AccountMetrics(
                account=account,
                platform=account.platform,
                captured_at=now - timedelta(hours=rows - number),
                followers=1000 + number,
                following=100,
                posts_count=number,
                raw={"bench": "x" * 300},
            )
            for number in range(rows)
        ],
        batch_size=1000,
    )
    return now - timedelta(hours=rows + 1)

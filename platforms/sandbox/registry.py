"""The sandbox's platforms, and ids and tokens for whoever fills a database with its accounts."""

from typing import Any

from platforms.sandbox.bluesky import Bluesky
from platforms.sandbox.facebook import Facebook
from platforms.sandbox.google_business import GoogleBusiness
from platforms.sandbox.instagram import Instagram
from platforms.sandbox.linkedin import LinkedIn
from platforms.sandbox.pinterest import Pinterest
from platforms.sandbox.reddit import Reddit
from platforms.sandbox.threads import Threads
from platforms.sandbox.tiktok import TikTok
from platforms.sandbox.wire import SandboxRequest, Wire
from platforms.sandbox.world import LISTED_DAYS, post_times
from platforms.sandbox.x import X
from platforms.sandbox.youtube import YouTube

# Where platforms share a host, the first whose `serves` says yes answers.
PLATFORMS: dict[str, Wire] = {
    wire.key: wire
    for wire in (
        X(),
        LinkedIn(),
        Facebook(),  # before Instagram: it claims its own tokens' calls of a host that both have
        Instagram(),
        Threads(),
        TikTok(),
        Bluesky(),
        Pinterest(),
        YouTube(),
        GoogleBusiness(),
        Reddit(),
    )
}


def wire_for(request: SandboxRequest) -> Wire | None:
    """The platform that a request is for."""
    return next((wire for wire in PLATFORMS.values() if wire.serves(request)), None)


def post_ids(platform: str, account_id: str, count: int, *, now: float, span_days: float = LISTED_DAYS) -> list[str]:
    """The ids of an account's `count` newest posts when it posts evenly over `span_days`, newest first.

    60 over 90 days are the posts that every account lists without being told otherwise.
    """
    return list(published(platform, account_id, count, now=now, span_days=span_days))


def published(
    platform: str, account_id: str, count: int, *, now: float, span_days: float = LISTED_DAYS
) -> dict[str, float]:
    """The same ids, each with the instant at which it was posted, in unix seconds."""
    times = post_times(account_id, posts=count, span_days=span_days, now=now)
    return {PLATFORMS[platform].post_id(account_id, at): at for at in times}


def tokens(platform: str, account_id: str, now: float, lifetime: float | None = None, **extra: Any) -> dict[str, Any]:
    """A new grant: `access_token`, `refresh_token` and `expires_at` in unix seconds, each None where there is none.

    `lifetime` in seconds, the platform's own if None, may be negative. `extra`: `login` (`instagram` or `facebook`) for
    Instagram, `app_only` for X.
    """
    return PLATFORMS[platform].tokens(account_id, now, lifetime, **extra)

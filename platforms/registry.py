"""Which platforms there are."""

from platforms.base import Platform
from platforms.bluesky import Bluesky
from platforms.facebook import Facebook
from platforms.google_business import GoogleBusiness
from platforms.instagram import Instagram
from platforms.linkedin import LinkedIn
from platforms.pinterest import Pinterest
from platforms.reddit import Reddit
from platforms.threads import Threads
from platforms.tiktok import TikTok
from platforms.x import X
from platforms.youtube import YouTube

PLATFORMS: dict[str, Platform] = {
    platform.key: platform
    for platform in (
        X(),
        LinkedIn(),
        Instagram(),
        TikTok(),
        Facebook(),
        Threads(),
        Bluesky(),
        Pinterest(),
        Reddit(),
        YouTube(),
        GoogleBusiness(),
    )
}


def get(key: str) -> Platform:
    """The adapter of a platform; KeyError if there is none."""
    return PLATFORMS[key]


def choices() -> list[tuple[str, str]]:
    """Key and label of each platform, as Django's `choices` wants them."""
    return [(platform.key, platform.label) for platform in PLATFORMS.values()]

"""Which platforms there are."""

from platforms.base import Platform
from platforms.bluesky import Bluesky
from platforms.instagram import Instagram
from platforms.x import X

PLATFORMS: dict[str, Platform] = {platform.key: platform for platform in (X(), Instagram(), Bluesky())}


def get(key: str) -> Platform:
    """The adapter of a platform; KeyError if there is none."""
    return PLATFORMS[key]


def choices() -> list[tuple[str, str]]:
    """Key and label of each platform, as Django's `choices` wants them."""
    return [(platform.key, platform.label) for platform in PLATFORMS.values()]

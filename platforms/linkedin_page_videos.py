"""LinkedIn organization pages: the views of their videos, a call for each."""

from collections.abc import Sequence
from typing import Any

from platforms.base import Account, Request
from platforms.errors import PlatformError
from platforms.linkedin_urns import UGC, encoded, finder, recall, remember
from platforms.payloads import lookup


def may_be_video(urn: str, account: Account, *, few: bool) -> bool:
    """One call each: of many posts only those that are known to be videos are worth it."""
    return urn in recall(account, "videos") or (few and urn.startswith(UGC))


def request(urn: str) -> Request:
    """The question how often a video was seen."""
    return finder("videoAnalytics", q="entity", entity=encoded(urn), type="VIDEO_VIEW", aggregation="ALL")


def views_of(urns: Sequence[str], answers: Sequence[Any], account: Account) -> dict[str, Any]:
    """Views by URN, or what refused them. No element is no number: they vanish after half a year."""
    views: dict[str, Any] = {}
    for urn, answer in zip(urns, answers, strict=True):
        elements = lookup(answer, "elements")
        is_told = isinstance(elements, list) and elements and isinstance(elements[0], dict)
        views[urn] = elements[0].get("value") if is_told else answer if isinstance(answer, PlatformError) else None
    remember(account, "videos", [u for u, told in views.items() if type(told) is int])
    return views

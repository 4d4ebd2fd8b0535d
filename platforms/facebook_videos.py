"""Facebook videos and reels: a bare number is a node without a post's metrics, and mostly names the post that has."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from platforms.base import Account, Call, Item, Raw, Request
from platforms.errors import Gone, MalformedPayload, PlatformError, Rejected, ScopeMissing
from platforms.facebook_metrics import insights_of, post_raw
from platforms.graph import GraphPlatform
from platforms.graph_batch import ask
from platforms.graph_insights import text_id


@dataclass
class Resolved:
    """What bare numbers stand for: posts by number, and what there is of the others."""

    posts: dict[str, str] = field(default_factory=dict)
    items: dict[str, Item] = field(default_factory=dict)
    videos: dict[str, Raw] = field(default_factory=dict)
    """The nodes of those that are in a post."""
    unsure: dict[str, Rejected] = field(default_factory=dict)
    """The refusals of numbers that are no video, but may be a post's."""


def resolve(numbers: Sequence[str], platform: GraphPlatform, account: Account) -> Call[Resolved]:
    """The posts of videos; the few numbers that there are of a video that is in no post."""
    reads = [Request(number, params={"fields": "id,post_id,views"}, group="node") for number in numbers]
    answers = yield from ask(reads, platform, account)
    resolved, videos = Resolved(), {}
    for number, node in zip(numbers, answers, strict=True):
        post_id = text_id(node, "post_id") if isinstance(node, dict) else ""
        if isinstance(node, Rejected):
            resolved.unsure[number] = node
            resolved.posts[number] = f"{account.network_unique_id}_{number}"
        elif isinstance(node, PlatformError):
            resolved.items[number] = node
        elif post_id:
            resolved.posts[number] = post_id if "_" in post_id else f"{account.network_unique_id}_{post_id}"
            resolved.videos |= {number: node} if text_id(node) == number else {}
        elif isinstance(node, dict) and text_id(node) == number:
            videos[number] = node
        else:
            resolved.items[number] = MalformedPayload("The answer is about another video than the one asked for.")
    resolved.items |= yield from read_videos(videos, platform, account)
    return resolved


def read_videos(videos: dict[str, Raw], platform: GraphPlatform, account: Account) -> Call[dict[str, Item]]:
    """What video nodes themselves tell."""
    # Named metrics may have been withdrawn; without a name the edge answers with those that it has.
    reads = [Request(f"{i}/video_insights", params={"period": "lifetime"}, group="insights") for i in videos]
    answers = yield from ask(reads, platform, account)
    return {i: _video(node, told) for (i, node), told in zip(videos.items(), answers, strict=True)}


def _video(node: Raw, insights: object) -> Item:
    if isinstance(insights, PlatformError) and not isinstance(insights, Rejected | ScopeMissing | Gone):
        return insights
    told = insights_of(insights)
    return post_raw(node) | ({"insights": told} if told is not None else {})

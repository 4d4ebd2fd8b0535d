"""Bluesky's posts: the lookup and the feed of an author, both on the public view of the network."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from platforms.base import Call, Item, Listed, Listing, Raw, Request, by_ids, objects, pick
from platforms.bluesky_identity import APPVIEW
from platforms.errors import TokenExpired, Unavailable
from platforms.payloads import instant, lookup, page_after

COUNTS = ("likeCount", "repostCount", "replyCount", "quoteCount", "bookmarkCount")
# https://atproto.com/specs/record-key
RKEY = r"(?!\.{1,2}/?(?:[?#]|$))[A-Za-z0-9._:~-]{1,512}"
POST = re.compile(
    rf"at://([^/\s?#]+)/app\.bsky\.feed\.post/({RKEY})"
    rf"|https?://(?:www\.)?bsky\.app/profile/([^/\s?#]+)/post/({RKEY})/?(?:[?#].*)?"
)


def read_public(method: str, params: Mapping[str, str | Sequence[str]]) -> Call[Any]:
    """What the public view answers. It is sent no token, so that its refusals say nothing of one."""
    try:
        return (yield Request(APPVIEW + method, params=params, auth="none", group=method.rpartition(".")[2]))
    except TokenExpired as error:
        raise Unavailable(f"The public view refuses to be read: {error.detail}") from error


# https://docs.bsky.app/docs/api/app-bsky-feed-get-posts
def read_posts(uris: Sequence[str]) -> Call[dict[str, Item]]:
    """Posts by the URIs asked for, whoever made them."""
    answer = yield from read_public("app.bsky.feed.getPosts", {"uris": list(uris)})
    return by_ids(answer["posts"], uris, lambda post: (_uri(post), _raw(post)))


# https://docs.bsky.app/docs/api/app-bsky-feed-get-author-feed
def list_feed(did: str, cursor: str) -> Call[Listing]:
    """A page of the posts that an account made, with their counts."""
    params = {"actor": did, "filter": "posts_no_replies", "limit": "100"} | ({"cursor": cursor} if cursor else {})
    answer = yield from read_public("app.bsky.feed.getAuthorFeed", params)
    feed = sorted(objects(answer["feed"]), key=lambda item: _reason(item) == "reasonPin")  # it may come twice
    posts = {
        item["post"]["uri"]: _listed(item["post"], did)
        for item in feed
        if _reason(item) != "reasonRepost" and item["post"]["author"]["did"] == did
    }
    # A page may be short, or empty, and still have a cursor.
    return Listing(tuple(posts.values()), page_after(answer.get("cursor"), cursor))


def _uri(post: Raw) -> str:
    uri = post["uri"]
    if not isinstance(uri, str) or not uri.startswith("at://"):
        raise TypeError("expected the URI of a post")
    return uri


def _raw(post: Raw) -> Raw:
    """A post without its text and its author's names."""
    raw = pick(post, ("uri", "cid", "indexedAt", *COUNTS))
    raw["author"] = pick(post.get("author"), ("did",))
    raw["record"] = pick(post.get("record"), ("$type", "createdAt"))
    return raw


def _listed(post: Raw, did: str) -> Listed:
    found = POST.fullmatch(post["uri"])
    if not found or found[1] != did:
        raise ValueError("expected the account's own post")
    raw = _raw(post)
    # As the feed is sorted: an author may name any instant.
    told = [made for made in (instant(raw["record"].get("createdAt")), instant(raw.get("indexedAt"))) if made]
    return Listed(post["uri"], f"https://bsky.app/profile/{did}/post/{found[2]}", min(told, default=None), raw)


def _reason(item: Raw) -> str:
    """Why a post is in the feed, if not because its author made it."""
    return str(lookup(item, ("reason", "$type")) or "").rpartition("#")[2]

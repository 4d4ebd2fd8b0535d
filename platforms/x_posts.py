"""X posts: the lookup and the timeline, in either vocabulary, and what their answers hold."""

import re
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from platforms.base import (
    Account,
    Call,
    Found,
    Item,
    Listed,
    Listing,
    Raw,
    Reading,
    Request,
    by_key,
    instant,
    listed,
    pick,
)
from platforms.dimensions import Dimension, Reason
from platforms.errors import AccountNotFound, Gone, MalformedPayload, PlatformError, ScopeMissing
from platforms.payloads import count, lookup, to_count
from platforms.x_errors import VOCABULARIES, VocabularyRefused, XErrors

FIELDS: Mapping[Dimension, str | tuple[str, ...]] = {
    Dimension.IMPRESSIONS: ("post", "public_metrics", "impression_count"),
    Dimension.LIKES: ("post", "public_metrics", "like_count"),
    Dimension.COMMENTS: ("post", "public_metrics", "reply_count"),
    Dimension.SHARES: ("post", "public_metrics", "repost_count"),
    Dimension.SAVES: ("post", "public_metrics", "bookmark_count"),
    Dimension.CLICKS: ("private", "non_public_metrics", "url_link_clicks"),
    Dimension.VIDEO_VIEWS: "media",
}
PAGE = 100
REPOST = "RT @"
"""How the text of a repost begins, should one come although it was excluded: its numbers are another post's."""
PRIVATE_DAYS = timedelta(days=30)
SNOWFLAKE_EPOCH_MS = 1288834974657
T = TypeVar("T")


def read_posts(
    ids: Sequence[str], platform: XErrors, account: Account, *, private: bool = True
) -> Call[dict[str, Item]]:
    """Raw answers by post id; `private` numbers only where they are the account's own posts."""
    return (yield from _in_either(account, lambda name: _lookup(ids, name, platform, private=private)))


def read_own(shared: Mapping[str, Found], platform: XErrors, account: Account) -> Call[dict[str, Item]]:
    """The same of posts that another's token was asked for: where it was shown one, the private numbers are lacking."""
    known = {post_id: found for post_id, found in shared.items() if isinstance(found, Reading)}
    others = [post_id for post_id in shared if post_id not in known]
    found: dict[str, Item] = {}
    if known:
        found |= yield from _add_private(known)
    if others:
        found |= yield from read_posts(others, platform, account)
    return found


def lacks_private(post_id: str, reading: Reading) -> bool:
    """Whether its owner could be shown private numbers of a post that has none."""
    told = instant(lookup(reading.raw, ("post", "created_at")))
    return "private" not in reading.raw and (_is_young(created_at(post_id)) or _is_young(told))


def list_timeline(platform: XErrors, account: Account, cursor: str) -> Call[Listing]:
    """A page of the account's posts, with their public numbers."""
    return (yield from _in_either(account, lambda name: _timeline(name, platform, account, cursor)))


def _in_either(account: Account, ask: Callable[[str], Call[T | None]]) -> Call[T]:
    """What is answered to the parameter that names fields; to its other name where one is refused or ignored."""
    preferred = account.memory.get("vocabulary") or account.settings.get("vocabulary", "tweet")
    refusal: PlatformError = MalformedPayload("Posts came back without public_metrics under either field name.")
    for vocabulary in sorted(VOCABULARIES, key=lambda name: name != preferred):
        try:
            found = yield from ask(VOCABULARIES[vocabulary])
        except VocabularyRefused as error:
            refusal = error
            continue
        if found is not None:
            if vocabulary != preferred:
                account.memory["vocabulary"] = vocabulary
            return found
    raise refusal


def _lookup(ids: Sequence[str], name: str, platform: XErrors, *, private: bool) -> Call[dict[str, Item] | None]:
    """None if this vocabulary was ignored. Public numbers of all posts, private ones of those under 30 days."""
    young = [post_id for post_id in ids if private and _is_young(created_at(post_id))]
    answer, *more = yield (_public(ids, name), *([_private(young, name)] if young else []))
    if isinstance(answer, PlatformError):
        raise answer
    failed = _failed(answer)
    posts = [post for post in listed(answer, "data") if str(post.get("id")) not in failed]
    if _is_ignored(posts):
        return None
    told = [post.get("id") for post in posts if _is_young(instant(post.get("created_at")))]
    younger = [post_id for post_id in ids if post_id in told and post_id not in young]
    if private and younger:  # an id that does not tell its post's age
        more += yield (_private(younger, name),)
    found: dict[str, Item] = {post_id: platform.item_error(failed[post_id]) for post_id in ids if post_id in failed}
    return found | _readings(ids, answer, more, failed)


def _add_private(known: Mapping[str, Reading]) -> Call[dict[str, Item]]:
    """Readings with their private numbers, asked for by the field name that their public ones came by."""
    words = [lookup(reading.raw, ("post", "public_metrics", "repost_count")) for reading in known.values()]
    vocabulary = "tweet" if all(word is None for word in words) else "post"
    try:
        answer = yield _private(list(known), VOCABULARIES[vocabulary])
    except ScopeMissing:
        return {i: replace(each, unavailable={Dimension.CLICKS: Reason.SCOPE_MISSING}) for i, each in known.items()}
    own = _own([answer])
    return {i: replace(each, raw=each.raw | ({"private": own[i]} if i in own else {})) for i, each in known.items()}


# https://docs.x.com/x-api/users/get-posts
def _timeline(name: str, platform: XErrors, account: Account, cursor: str) -> Call[Listing | None]:
    """None if this vocabulary was ignored. An empty page has no `data`."""
    more = {"max_results": str(PAGE), "exclude": "replies,retweets"} | ({"pagination_token": cursor} if cursor else {})
    path = f"users/{account.network_unique_id}/tweets"
    answer = yield Request(path, params={**more, **_public_fields(name)}, group="users/tweets")
    failed, posts = _failed(answer), listed(answer, "data")
    if failed and "meta" not in answer:
        error = platform.item_error(answer["errors"][0])
        raise AccountNotFound(error.detail) if isinstance(error, Gone) else error
    if answer["meta"]["result_count"] and not (posts or failed):
        raise TypeError("expected posts")
    if _is_ignored([post for post in posts if str(post.get("id")) not in failed]):
        return None
    own = [post["id"] for post in posts if "id" in post and not str(post.get("text")).startswith(REPOST)]
    found = _readings(own, answer, (), failed)
    after = answer["meta"].get("next_token") or ""
    if not isinstance(after, str):
        raise TypeError("expected a page's token to be text")
    return Listing(tuple(_listed(i, reading.raw) for i, reading in found.items()), "" if after == cursor else after)


def _listed(post_id: str, raw: Raw) -> Listed:
    if not re.fullmatch("[0-9]{1,19}", post_id):
        raise TypeError("expected post ids of digits")
    return Listed(post_id, f"https://x.com/i/status/{post_id}", instant(raw["post"].get("created_at")), raw)


def _failed(answer: Any) -> dict[str, Raw]:
    """The errors of an answer by what they are about."""
    return {str(each.get("resource_id") or each.get("value")): each for each in listed(answer, "errors")}


def _is_ignored(posts: Sequence[Raw]) -> bool:
    """Whether no post has what was asked for: X ignores a name of the other vocabulary."""
    return bool(posts) and not any(isinstance(post.get("public_metrics"), dict) for post in posts)


def _public_fields(name: str) -> dict[str, str]:
    return {
        name: "created_at,public_metrics,attachments",
        "expansions": "attachments.media_keys",
        "media.fields": "type,public_metrics",
    }


def _public(ids: Sequence[str], name: str) -> Request:
    return Request("tweets", params={"ids": ",".join(ids), **_public_fields(name)}, group="tweets")


def _private(ids: Sequence[str], name: str) -> Request:
    params = {"ids": ",".join(ids), name: "non_public_metrics,organic_metrics"}
    return Request("tweets", params=params, group="tweets")


def _readings(ids: Sequence[str], answer: Any, private: Sequence[Any], failed: Container[str]) -> dict[str, Reading]:
    found: dict[str, Reading] = {}
    media = by_key(lookup(answer, ("includes", "media")), "media_key")
    own = _own(private)
    refused = any(isinstance(reply, ScopeMissing) for reply in private)
    for post in listed(answer, "data"):
        post_id = post.get("id")  # an object with default values, but no id, stands beside a field error
        if not isinstance(post_id, str | None):
            raise TypeError("expected ids to be text")
        if post_id is None or post_id not in ids or (post_id in failed and "public_metrics" not in post):
            continue
        raw: Raw = {"post": pick(post, ("id", "created_at", "public_metrics", "attachments"))}
        if isinstance(post.get("attachments"), dict):
            raw["post"]["attachments"] = pick(post["attachments"], ("media_keys",))
        keys = _media_keys(raw)
        if keys:
            raw["media"] = [pick(media[k], ("media_key", "type", "public_metrics")) for k in keys if k in media]
        if post_id in own:
            raw["private"] = own[post_id]
        found[post_id] = Reading(raw, {Dimension.CLICKS: Reason.SCOPE_MISSING} if refused else {})
    return found


def _own(private: Sequence[Any]) -> dict[str, Raw]:
    """Private numbers by post id."""
    posts = {post_id: post for reply in private for post_id, post in by_key(lookup(reply, "data"), "id").items()}
    return {post_id: pick(post, ("non_public_metrics", "organic_metrics")) for post_id, post in posts.items()}


def post_metrics(raw: Raw) -> dict[Dimension, int | None]:
    """Our columns from one post's raw answer."""
    values: dict[Dimension, int | None] = {
        dim: count(raw, path) for dim, path in FIELDS.items() if dim is not Dimension.VIDEO_VIEWS
    }
    if values[Dimension.SHARES] is None:
        values[Dimension.SHARES] = count(raw, ("post", "public_metrics", "retweet_count"))
    values[Dimension.VIDEO_VIEWS] = _video_views(raw)
    return values


def _video_views(raw: Raw) -> int | None:
    """Of the first video: a count belongs to the media. 0 where the answer shows that there is none."""
    keys = _media_keys(raw)
    media = by_key(raw.get("media"), "media_key")
    for item in media.values():
        if item.get("type") == "video":
            return to_count(lookup(item, ("public_metrics", "view_count")), "view_count")
    told = keys is not None and all(isinstance(item.get("type"), str) for item in media.values())
    return 0 if told and keys is not None and len(media) == len(keys) else None


def _media_keys(raw: Raw) -> list[str] | None:
    """The keys of a post's media; None where the answer is too odd to tell."""
    post = raw.get("post")
    if not isinstance(post, dict) or "id" not in post:
        return None
    attachments = post.get("attachments")
    keys = attachments.get("media_keys") if isinstance(attachments, dict) else attachments
    if keys is None:
        return []
    return keys if isinstance(keys, list) and all(isinstance(key, str) for key in keys) else None


def created_at(post_id: str) -> datetime:
    """When a post was made: ids are snowflakes. Ids from before them count as old."""
    return datetime.fromtimestamp(((int(post_id) >> 22) + SNOWFLAKE_EPOCH_MS) / 1000, UTC)


def _is_young(made_at: datetime | None) -> bool:
    return made_at is not None and datetime.now(UTC) - made_at < PRIVATE_DAYS

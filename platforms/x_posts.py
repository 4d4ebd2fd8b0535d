"""X posts: the lookup and the timeline, in either vocabulary."""

import re
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import replace
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
    listed,
    pick,
    unread,
)
from platforms.dimensions import Dimension, Reason
from platforms.errors import AccountNotFound, Gone, MalformedPayload, PlatformError, ScopeMissing
from platforms.payloads import instant, lookup, page_after
from platforms.wanted import Wanted
from platforms.x_errors import VOCABULARIES, VocabularyRefused, XErrors, failed_items, hides_posts
from platforms.x_metrics import created_at, is_young, media_keys
from platforms.x_span import span

REPOST = "RT @"
"""How the text of a repost begins, should one come although it was excluded: its numbers are another post's."""
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
    return "private" not in reading.raw and (is_young(created_at(post_id)) or is_young(told))


def list_timeline(platform: XErrors, account: Account, wanted: Wanted, cursor: str) -> Call[Listing]:
    """A page of the account's posts, with their public numbers."""
    return (yield from _in_either(account, lambda name: _timeline(name, platform, account, wanted, cursor)))


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
    young = [post_id for post_id in ids if private and is_young(created_at(post_id))]
    answer, *more = yield (_public(ids, name), *([_private(young, name)] if young else []))
    if isinstance(answer, PlatformError):
        raise answer
    failed = failed_items(answer)
    posts = [post for post in listed(answer, "data") if str(post.get("id")) not in failed]
    if _is_ignored(posts):
        return None
    told = [post.get("id") for post in posts if is_young(instant(post.get("created_at")))]
    younger = [post_id for post_id in ids if post_id in told and post_id not in young]
    if private and younger:  # an id that does not tell its post's age
        more += yield (_private(younger, name),)
    found: dict[str, Item] = {post_id: platform.item_error(failed[post_id]) for post_id in ids if post_id in failed}
    found |= _readings(ids, answer, more, failed)
    if not hides_posts(answer):
        return found
    if not found:
        raise TypeError("expected posts or errors")
    return dict.fromkeys(ids, unread(answer)) | found


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
def _timeline(name: str, platform: XErrors, account: Account, wanted: Wanted, cursor: str) -> Call[Listing | None]:
    """None if this vocabulary was ignored. An empty page has no `data`."""
    more = {**span(wanted), "exclude": "replies,retweets"} | ({"pagination_token": cursor} if cursor else {})
    path = f"users/{account.network_unique_id}/tweets"
    answer = yield Request(path, params={**more, **_public_fields(name)}, group="users/tweets")
    failed, posts = failed_items(answer), listed(answer, "data")
    if failed and "meta" not in answer:
        error = platform.item_error(answer["errors"][0])
        raise AccountNotFound(error.detail) if isinstance(error, Gone) else error
    if answer["meta"]["result_count"] and not (posts or failed):
        raise TypeError("expected posts")
    if _is_ignored([post for post in posts if str(post.get("id")) not in failed]):
        return None
    own = [
        post["id"] for post in posts if isinstance(post.get("id"), str) and not str(post.get("text")).startswith(REPOST)
    ]
    found = _readings(own, answer, (), failed)
    posts_told = tuple(_listed(post_id, reading.raw) for post_id, reading in found.items())
    return Listing(posts_told, page_after(answer["meta"].get("next_token"), cursor))


def _listed(post_id: str, raw: Raw) -> Listed:
    if not re.fullmatch("[0-9]{1,19}", post_id):
        raise TypeError("expected post ids of digits")
    return Listed(post_id, f"https://x.com/i/status/{post_id}", instant(raw["post"].get("created_at")), raw)


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
        if not isinstance(post_id, str) or post_id not in ids or (post_id in failed and "public_metrics" not in post):
            continue
        raw: Raw = {"post": pick(post, ("id", "created_at", "public_metrics", "attachments"))}
        if isinstance(post.get("attachments"), dict):
            raw["post"]["attachments"] = pick(post["attachments"], ("media_keys",))
        keys = media_keys(raw)
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

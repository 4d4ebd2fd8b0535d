"""LinkedIn members: their posts, a call for each number of each, and their own numbers."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from platforms.base import Account, Call, Item, Raw, Reading, Request
from platforms.dimensions import Dimension, Reason
from platforms.errors import (
    BudgetExhausted,
    DeadlineExceeded,
    Gone,
    MalformedPayload,
    Misconfigured,
    NeedsOwner,
    PlatformError,
    RateLimited,
    Rejected,
    Revoked,
    ScopeMissing,
    TokenExpired,
    TryLater,
)
from platforms.linkedin_consent import identify
from platforms.linkedin_urns import (
    FEW,
    UGC,
    asked_as,
    encoded,
    finder,
    first,
    recall,
    remember,
    remember_facts,
    sibling,
)

# https://learn.microsoft.com/en-us/linkedin/marketing/community-management/members/post-statistics
METRICS = {
    "IMPRESSION": Dimension.IMPRESSIONS,
    "MEMBERS_REACHED": Dimension.REACH,
    "REACTION": Dimension.LIKES,
    "COMMENT": Dimension.COMMENTS,
    "RESHARE": Dimension.SHARES,
    "LINK_CLICKS": Dimension.CLICKS,
    "POST_SAVE": Dimension.SAVES,
    "VIDEO_PLAY": Dimension.VIDEO_VIEWS,
}
VIDEO = "VIDEO_PLAY"
FIELDS = {dimension: ("counts", name) for name, dimension in METRICS.items()}
STOPS = (RateLimited, BudgetExhausted, DeadlineExceeded, TokenExpired, Revoked)
"""What fails the whole post: the rest of it can be had later, and half of a post would hide what is known of it."""
Replies = dict[str, Any]


def read_posts(ids: Sequence[str], account: Account) -> Call[dict[str, Item]]:
    """Raw answers by post id. There is no batch: posts go in turns, and none follows a turn of which nothing came."""
    found: dict[str, Item] = {}
    rest = list(ids)
    while rest:
        size = FEW if found or len(ids) <= FEW else 1
        turn, rest = rest[:size], rest[size:]
        read = yield from _read_turn(turn, account, few=len(ids) <= FEW)
        found |= read
        if all(isinstance(item, Gone) for item in found.values()):
            yield from identify(account)  # to another member none of them is there
        failed = [item for item in read.values() if isinstance(item, TryLater | NeedsOwner | Misconfigured)]
        if len(failed) < len(turn):
            continue
        if all(item in failed for item in found.values()):
            raise failed[0]
        return found | dict.fromkeys(rest, failed[0])
    return found


def _read_turn(ids: Sequence[str], account: Account, *, few: bool) -> Call[dict[str, Item]]:
    """A few posts, all their numbers side by side; then those that are not there, under the other kind of URN."""
    urns = {post_id: asked_as(post_id, account) for post_id in ids}
    replies = yield from _ask({i: (urn, _names(urn, account, few=few)) for i, urn in urns.items()})
    tried = recall(account, "tried")
    lost = [i for i in ids if _is_gone(replies[i]) or (_is_lost(replies[i]) and urns[i] == i and i not in tried)]
    if lost:
        yield from _ask_siblings({i: sibling(urns[i]) for i in lost}, urns, replies, account, few=few)
    return {i: _item(urns[i], replies[i], account) for i in ids}


def _ask_siblings(
    others: Mapping[str, str], urns: dict[str, str], replies: dict[str, Replies], account: Account, *, few: bool
) -> Call[None]:
    """One number under the other kind; the remaining ones of those posts that it shows to be there."""
    probes = yield from _ask({i: (urn, ["IMPRESSION"]) for i, urn in others.items()})
    there = {i: urn for i, urn in others.items() if not _is_lost(probes[i]) and not failures(probes[i])}
    rest = {i: [name for name in _names(urn, account, few=few) if name != "IMPRESSION"] for i, urn in there.items()}
    more = yield from _ask({i: (urn, rest[i]) for i, urn in there.items()})
    for post_id, urn in there.items():
        urns[post_id], replies[post_id] = urn, probes[post_id] | more[post_id]
    for post_id in others.keys() - there.keys():
        if not _is_lost(probes[post_id]) and _is_gone(replies[post_id]):
            replies[post_id] = probes[post_id]  # gone is only what both kinds say
    remember(account, "tried", [i for i in others if _is_lost(probes[i])])
    remember_facts(account, "kinds", there)


def _ask(wanted: Mapping[str, tuple[str, Sequence[str]]]) -> Call[dict[str, Replies]]:
    asked = [(post_id, urn, name) for post_id, (urn, names) in wanted.items() for name in names]
    answers = (yield tuple(_request(urn, name) for _, urn, name in asked)) if asked else ()
    replies: dict[str, Replies] = {post_id: {} for post_id in wanted}
    for (post_id, _, name), answer in zip(asked, answers, strict=True):
        replies[post_id][name] = answer
    return replies


def _request(urn: str, name: str) -> Request:
    path = "memberCreatorVideoAnalytics" if name == VIDEO else "memberCreatorPostAnalytics"
    entity = f"({'ugc' if urn.startswith(UGC) else 'share'}:{encoded(urn)})"
    return finder(path, q="entity", entity=entity, queryType=name, aggregation="TOTAL")


def _names(urn: str, account: Account, *, few: bool) -> list[str]:
    """What to ask of a post: at most seven numbers where there are many posts.

    Only asking tells whether a post is a video; where it may be one, its plays take the place of its saves.
    """
    video = urn.startswith(UGC) and urn not in recall(account, "no_video")
    left_out = {VIDEO} if not video else set() if few else {"POST_SAVE"}
    names = [name for name in METRICS if name not in left_out]
    return list(account.unretired(names))


def _is_lost(replies: Replies) -> bool:
    """Whether nothing is known of a post under the URN asked: gone, or no element in any answer."""
    return all(isinstance(reply, Gone) or _is_empty(reply) for reply in replies.values())


def _is_gone(replies: Replies) -> bool:
    return all(isinstance(reply, Gone) for reply in replies.values())


def _is_empty(reply: Any) -> bool:
    return isinstance(reply, dict) and reply.get("elements") == []


def failures(replies: Replies) -> dict[str, PlatformError]:
    return {name: reply for name, reply in replies.items() if isinstance(reply, PlatformError)}


def _item(urn: str, replies: Replies, account: Account) -> Item:
    """One post's raw answer. What was refused of it costs only that number."""
    errors = failures(replies)
    stops = [error for name, error in errors.items() if isinstance(error, STOPS) and name != VIDEO]
    if stops:
        return stops[0]
    if len(errors) == len(replies):
        return min(errors.values(), key=_weight)
    retire(errors, account)
    if _is_empty(replies.get(VIDEO)):
        remember(account, "no_video", [urn])
    try:
        counts = {name: count_of(reply) for name, reply in replies.items() if name not in errors}
    except (LookupError, TypeError, AttributeError):
        return MalformedPayload("The answer is no list of numbers.")
    raw: Raw = {"kind": "member", "entity": urn, "counts": {k: v for k, v in counts.items() if v is not None}}
    return Reading(raw, reasons(METRICS.items(), errors, account))


def _weight(error: PlatformError) -> int:
    """Which of several failures is the post's: one that passes or that the owner can cure; gone, if all say so."""
    return 0 if isinstance(error, TryLater | NeedsOwner) else 2 if isinstance(error, Gone) else 1


def retire(errors: Mapping[str, PlatformError], account: Account) -> None:
    account.retired.update(name for name, e in errors.items() if isinstance(e, Rejected) and _is_named(name, e))


def _is_named(name: str, error: PlatformError) -> bool:
    """Whether a refusal is about the metric: it names it, or the parameter that does."""
    return bool(re.search(rf"\b{name}\b|/queryType", error.detail))


def reasons(
    names: Iterable[tuple[str, str]], errors: Mapping[str, PlatformError], account: Account
) -> dict[str, Reason]:
    reasons = {dimension: Reason.RETIRED for name, dimension in names if name in account.retired}
    denied = {dict(names)[name]: Reason.SCOPE_MISSING for name, e in errors.items() if isinstance(e, ScopeMissing)}
    return reasons | denied


def count_of(reply: Any) -> Any:
    """The count of an answer. None where it has no element, or the count -1, which is none."""
    element = first(reply)
    count = element.get("count", element.get("value"))
    return None if count in (-1, "-1") else count

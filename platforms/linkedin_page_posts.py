"""LinkedIn organization pages: their posts, many a call, and the views of videos beside them."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import unquote

from platforms import linkedin_page_videos as videos
from platforms.base import Account, Call, Item, Raw, Reading, Request, objects, pick
from platforms.dimensions import Dimension, Reason
from platforms.errors import Gone, Misconfigured, PlatformError, ScopeMissing, Unavailable
from platforms.linkedin_errors import ParametersRefused, QueryTooLong
from platforms.linkedin_urns import (
    COUNTS,
    FEW,
    REMEMBERED,
    SHARE,
    STATISTICS,
    UGC,
    asked_as,
    at,
    encoded,
    finder,
    recall,
    recall_facts,
    remember_facts,
    sibling,
    urn_list,
)

FIELDS = {
    Dimension.IMPRESSIONS: ("totalShareStatistics", "impressionCount"),
    Dimension.REACH: ("totalShareStatistics", "uniqueImpressionsCount"),
    Dimension.LIKES: ("totalShareStatistics", "likeCount"),
    Dimension.COMMENTS: ("totalShareStatistics", "commentCount"),
    Dimension.SHARES: ("totalShareStatistics", "shareCount"),
    Dimension.CLICKS: ("totalShareStatistics", "clickCount"),
    Dimension.VIDEO_VIEWS: ("VIDEO_VIEW",),
}
# https://learn.microsoft.com/en-us/linkedin/marketing/community-management/organizations/share-statistics
WINDOW = timedelta(days=364)
"""Statistics reach back twelve months."""
PARTED = (ParametersRefused, Gone, QueryTooLong)
"""What one post, or the length of the list, may cost the whole call."""
HOPELESS = 4
"""If this many parts of a batch are refused and none is not, it is not some posts' fault."""
Found = dict[str, Raw | PlatformError]
NO_SAVES: dict[str, Reason] = {Dimension.SAVES: Reason.UNSUPPORTED}


def read_posts(ids: Sequence[str], account: Account) -> Call[dict[str, Item]]:
    """Raw answers by post id: statistics of all in one call, beside them the views of what is a video."""
    urns = {post_id: asked_as(post_id, account) for post_id in ids}
    ugc = [urn for urn in urns.values() if videos.may_be_video(urn, account, few=len(ids) <= FEW)]
    found, plays = yield from _statistics(
        list(dict.fromkeys(urns.values())), account, [videos.request(urn) for urn in ugc]
    )
    lost = [i for i in ids if urns[i] not in found and not _is_silent(i, account)]
    gone = [i for i in ids if isinstance(found.get(urns[i]), Gone)]
    others = {i: sibling(urns[i]) for i in (gone + lost if len(ids) <= FEW else gone)}
    if others:
        yield from _ask_siblings(others, urns, found, account)
    elif lost:  # the next reading asks for them under the other kind, at no further call
        remember_facts(account, "kinds", {i: sibling(urns[i]) for i in lost})
    views = videos.views_of(ugc, plays, account)
    return {i: _item(i, found.get(urns[i]), views.get(urns[i]), account) for i in ids}


def _ask_siblings(others: dict[str, str], urns: dict[str, str], found: Found, account: Account) -> Call[None]:
    try:
        more, _ = yield from _statistics(list(others.values()), account)
    except PlatformError as error:  # gone is only what both kinds say
        found.update({urns[i]: error for i in others if urns[i] in found})
        return
    there = {i: urn for i, urn in others.items() if isinstance(more.get(urn), dict)}
    urns.update(there)
    found.update({urn: more[urn] for urn in there.values()})
    remember_facts(account, "kinds", there)


def _statistics(urns: Sequence[str], account: Account, beside: Sequence[Request] = ()) -> Call[tuple[Found, list[Any]]]:
    """Statistics by URN, and the answers to what was asked beside them.

    A batch that is refused is asked in parts. Of posts that are known to be refused a few are tried, each alone, and
    the others once one of those is answered.
    """
    known = [urn for urn in recall(account, "refused") if urn in urns]
    tried, held = known[:HOPELESS], known[HOPELESS:]
    todo = [part for part in ([u for u in urns if u not in known], *([urn] for urn in tried)) if part]
    found: Found = {}
    others: list[Any] = []
    answered: set[str] = set()
    while todo:
        told = yield (*(_request(part, account) for part in todo), *beside)
        others, beside = others + list(told[len(todo) :]), ()
        answers = list(zip(todo, told, strict=False))
        refused = [part for part, answer in answers if isinstance(answer, PARTED) and len(part) > 1]
        answered |= {urn for part, answer in answers if not isinstance(answer, PlatformError) for urn in part}
        if len(refused) >= HOPELESS and not answered:
            raise Misconfigured(f"LinkedIn refuses all parts of a batch: {told[0].detail}"[:300])
        refused = [part for part in refused if not _is_hopeless(part, refused, answered)]
        for part, answer in answers:
            if part not in refused:
                found |= dict.fromkeys(part, answer) if isinstance(answer, PlatformError) else _elements(answer, part)
        todo = [smaller for part in refused for smaller in _parts(part)]
        if held and answered & set(tried):
            todo.append(held)
        elif held:
            found |= dict.fromkeys(held, found[tried[0]])
        held = []
    _raise_if_nothing(found, accepted=bool(answered))
    _remember_refused(found, answered, tried, account)
    return found, others


def _is_hopeless(part: Sequence[str], refused: Sequence[Sequence[str]], answered: set[str]) -> bool:
    """Whether all posts of a part's kind seem to be refused, as one of the two kinds may be."""
    kind = UGC if part[0].startswith(UGC) else SHARE
    alike = [each for each in refused if all(urn.startswith(kind) for urn in each)]
    return part in alike and len(alike) >= HOPELESS and not any(urn.startswith(kind) for urn in answered)


def _remember_refused(found: Found, answered: set[str], tried: list[str], account: Account) -> None:
    """Those that were tried come last, so that the next reading tries others."""
    known = recall(account, "refused")
    kept = [urn for urn in known if urn not in answered and urn not in found]
    kept += sorted((urn for urn, item in found.items() if isinstance(item, ParametersRefused)), key=tried.__contains__)
    if kept != known:
        account.memory["refused"] = kept[-REMEMBERED:]


def _raise_if_nothing(found: Found, *, accepted: bool) -> None:
    """A failure that no single post is to blame for is that of the whole call."""
    failed = [item for item in found.values() if isinstance(item, PlatformError)]
    blameless = [error for error in failed if not isinstance(error, ParametersRefused | Gone)]
    if not accepted and blameless and len(blameless) == len(failed):
        raise blameless[0]


def _parts(urns: Sequence[str]) -> list[list[str]]:
    """Smaller batches: by kind, since one of the two may be refused as such, else halves."""
    kinds = [[urn for urn in urns if urn.startswith(kind)] for kind in (SHARE, UGC)]
    half = len(urns) // 2
    return kinds if all(kinds) else [list(urns[:half]), list(urns[half:])]


def _request(urns: Sequence[str], account: Account) -> Request:
    kinds = {"shares": [u for u in urns if u.startswith(SHARE)], "ugcPosts": [u for u in urns if u.startswith(UGC)]}
    lists = {name: urn_list(each) for name, each in kinds.items() if each}
    page = encoded(account.network_unique_id)
    return finder(STATISTICS, q="organizationalEntity", organizationalEntity=page, **lists)


def _elements(answer: Any, urns: Sequence[str]) -> Found:
    found: Found = {}
    for element in objects(answer["elements"]):
        urn = unquote(str(element.get("share") or element.get("ugcPost")))
        if urn in urns:
            counts = pick(element.get("totalShareStatistics"), COUNTS)
            found[urn] = {"kind": "organization", "entity": urn, "totalShareStatistics": counts}
    return found


def _item(post_id: str, raw: Raw | PlatformError | None, views: Any, account: Account) -> Item:
    if raw is None and _is_silent(post_id, account):
        return Reading({"kind": "organization", "entity": post_id, "noActivity": True}, NO_SAVES)
    if raw is None:
        return Unavailable("LinkedIn reports nothing of this post: twelve months without activity, or not the page's.")
    if isinstance(raw, ParametersRefused):
        return Unavailable("LinkedIn refuses the statistics of this post.")
    if isinstance(raw, PlatformError):
        return raw
    denied: dict[str, Reason] = {Dimension.VIDEO_VIEWS: Reason.SCOPE_MISSING} if isinstance(views, ScopeMissing) else {}
    told = {} if views is None or isinstance(views, PlatformError) else {"VIDEO_VIEW": views}
    return Reading(raw | told, NO_SAVES | denied)


def _is_silent(post_id: str, account: Account) -> bool:
    """Whether a post that was left out had no activity: LinkedIn named it itself, and it is in the window."""
    made = recall_facts(account, "listed").get(post_id)
    return isinstance(made, int) and datetime.now(UTC) - at(made) < WINDOW

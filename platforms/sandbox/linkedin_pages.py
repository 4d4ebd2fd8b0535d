"""LinkedIn: an organization's page, the statistics of its posts, and their listing."""

import re
from typing import Any
from urllib.parse import unquote

from platforms.sandbox.linkedin_posts import (
    DAY,
    YEAR,
    Endpoint,
    elements,
    error,
    forbidden,
    is_post_of,
    made_at,
    unpermitted,
)
from platforms.sandbox.tokens import Claims
from platforms.sandbox.wire import Answer, Call, Wire, listed
from platforms.sandbox.world import activity, followers, mix, numbers

VIDEO_DAYS = 182
LISTS = {"shares": "share", "ugcPosts": "ugcPost"}
_LIST = re.compile(r"List\((.*)\)")


def _page(call: Call, claims: Claims, parameter: str) -> Answer | None:
    """None if the token's member administers the page that is asked for."""
    asked = call.request.first(parameter)
    if asked != claims.account_id or not asked.startswith("urn:li:organization:") or not call.state.switches["role"]:
        return forbidden(f"{call.group}.FINDER-{call.request.first('q')}.20260901")
    return None


def _statistics(wire: Wire, call: Call, claims: Claims) -> Answer:
    """Of the page, or of named posts: those without activity, older ones and other pages' are left out."""
    refused = _page(call, claims, "organizationalEntity")
    if refused:
        return refused
    if not set(LISTS) & set(call.request.query):
        return elements(_element(claims.account_id, {}, _totals(call, claims.account_id)))
    found: list[dict[str, Any]] = []
    for name, kind in LISTS.items():
        if name not in call.request.query:
            continue
        written = _LIST.fullmatch(call.request.first(name))
        if not written or call.state.switches["refused_list"] == name:
            return unpermitted(f"/{name}")
        for index, urn in enumerate(filter(None, written[1].split(","))):
            own = is_post_of(urn, claims.account_id, call)
            if not own and call.state.switches["foreign"] == "refused":
                return unpermitted(f"/{name}[{index}]")
            counts = _counts(call, urn) if own else None
            if counts and urn.startswith(f"urn:li:{kind}:"):
                found.append(_element(claims.account_id, {kind: urn}, counts))
    return elements(*found)


def _element(page: str, post: dict[str, str], counts: dict[str, int]) -> dict[str, Any]:
    acted = counts["clickCount"] + counts["likeCount"] + counts["commentCount"] + counts["shareCount"]
    engagement = acted / counts["impressionCount"] if counts["impressionCount"] else 0.0
    return {"organizationalEntity": page, **post, "totalShareStatistics": {**counts, "engagement": engagement}}


def _counts(call: Call, urn: str) -> dict[str, int] | None:
    age = call.now - made_at(urn)
    told = numbers(urn, age)
    if age >= YEAR or not told.impressions or urn in call.state.switches["silent"]:
        return None
    return {
        "impressionCount": told.impressions,
        "uniqueImpressionsCount": told.reach,
        "clickCount": told.clicks,
        "likeCount": told.likes,
        "commentCount": told.comments,
        "shareCount": told.shares,
    }


def _totals(call: Call, page: str) -> dict[str, int]:
    seen = activity(page, "impressions", since=call.now - YEAR, until=call.now)
    parts = {"clickCount": 40, "likeCount": 25, "commentCount": 150, "shareCount": 200}
    unique = {"impressionCount": seen, "uniqueImpressionsCount": seen * 3 // 5}
    return unique | {name: seen // part for name, part in parts.items()}


def _video(wire: Wire, call: Call, claims: Claims) -> Answer:
    """Views, for as long as half a year."""
    urn = call.request.first("entity")
    if not is_post_of(urn, claims.account_id, call):
        return error(404, "Could not find entity", code="NOT_FOUND")
    if call.request.first("type") != "VIDEO_VIEW" or not urn.startswith("urn:li:ugcPost:"):
        return elements()
    age = call.now - made_at(urn)
    return elements({"entity": urn, "value": numbers(urn, age).video_views}) if age < VIDEO_DAYS * DAY else elements()


def _size(wire: Wire, call: Call, claims: Claims) -> Answer:
    if call.request.first("edgeType") != "COMPANY_FOLLOWED_BY_MEMBER":
        return error(400, "Invalid param. Please verify all params are of the right format.", code="ILLEGAL_ARGUMENT")
    return Answer({"firstDegreeSize": followers(unquote(call.request.path.rsplit("/", 1)[1]), call.now)})


def _page_statistics(wire: Wire, call: Call, claims: Claims) -> Answer:
    refused = _page(call, claims, "organization")
    if refused:
        return refused
    seen = activity(claims.account_id, "page", since=call.now - 3 * YEAR, until=call.now) // 40
    views = {"allPageViews": {"pageViews": seen}, "overviewPageViews": {"pageViews": seen // 2}}
    return elements({"organization": claims.account_id, "totalPageStatistics": {"views": views}})


def _roles(wire: Wire, call: Call, claims: Claims) -> Answer:
    if not claims.account_id.startswith("urn:li:organization:") or not call.state.switches["role"]:
        return elements()
    member = f"urn:li:person:admin{claims.account_id.rsplit(':', 1)[1]}"
    role = {"role": "ADMINISTRATOR", "state": "APPROVED", "roleAssignee": member}
    return elements({**role, "organization": claims.account_id})


def _listing(wire: Wire, call: Call, claims: Claims) -> Answer:
    """One page of posts, newest first; `links` names the next."""
    if call.request.first("author").startswith("urn:li:person:"):
        return error(400, "Member permissions must be used when using member as author", code="ILLEGAL_ARGUMENT")
    refused = _page(call, claims, "author")
    if refused:
        return refused
    start, count = (_number(call, name, default) for name, default in (("start", 0), ("count", 10)))
    if not 1 <= count <= 100:
        return error(400, "Invalid param. Please verify all params are of the right format.", code="ILLEGAL_ARGUMENT")
    urns = listed(wire, call.state, claims.account_id, call.now)
    links = [{"type": "application/json", "rel": rel, "href": "/rest/posts"} for rel in _rels(start, count, len(urns))]
    page = [_written(urn, claims.account_id) for urn in urns[start : start + count]]
    return Answer({"paging": {"start": start, "count": count, "links": links}, "elements": page})


def _number(call: Call, name: str, default: int) -> int:
    text = call.request.first(name)
    return int(text) if text.isdecimal() else default


def _rels(start: int, count: int, total: int) -> list[str]:
    return ["prev"] * (start > 0) + ["next"] * (start + count < total)


def _written(urn: str, page: str) -> dict[str, Any]:
    made, video = int(made_at(urn) * 1000), urn.startswith("urn:li:ugcPost:")
    media = f"urn:li:video:V{mix(urn)}" if video else f"urn:li:image:I{mix(urn)}"
    return {
        "id": urn,
        "author": page,
        "commentary": f"Sandbox post {urn[-6:]}",
        "content": {"media": {"id": media}},
        "lifecycleState": "PUBLISHED",
        "visibility": "PUBLIC",
        "createdAt": made,
        "publishedAt": made,
        "lastModifiedAt": made,
    }


ENDPOINTS: dict[str, Endpoint] = {
    "organizationalEntityShareStatistics": _statistics,
    "videoAnalytics": _video,
    "networkSizes": _size,
    "organizationPageStatistics": _page_statistics,
    "organizationAcls": _roles,
    "posts": _listing,
}

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


def _pages(call: Call, claims: Claims) -> list[str]:
    """The pages that the token's member administers."""
    pages = [urn for urn in claims.reached() if urn.startswith("urn:li:organization:")]
    return pages if call.state.switches["role"] else []


def _page(call: Call, claims: Claims, parameter: str) -> Answer | None:
    """None if the token's member administers the page that is asked for."""
    if call.request.first(parameter) not in _pages(call, claims):
        return forbidden(f"{call.group}.FINDER-{call.request.first('q')}.20260901")
    return None


def _statistics(wire: Wire, call: Call, claims: Claims) -> Answer:
    """Of the page, or of named posts: those without activity, older ones and other pages' are left out."""
    refused = _page(call, claims, "organizationalEntity")
    if refused:
        return refused
    page = call.request.first("organizationalEntity")
    if not set(LISTS) & set(call.request.query):
        return elements(_element(page, {}, _totals(call, page)))
    found: list[dict[str, Any]] = []
    for name, kind in LISTS.items():
        if name not in call.request.query:
            continue
        written = _LIST.fullmatch(call.request.first(name))
        if not written or call.state.switches["refused_list"] == name:
            return unpermitted(f"/{name}")
        for index, urn in enumerate(filter(None, written[1].split(","))):
            own = is_post_of(urn, page, call)
            if not own and call.state.switches["foreign"] == "refused":
                return unpermitted(f"/{name}[{index}]")
            counts = _counts(call, urn) if own else None
            if counts and urn.startswith(f"urn:li:{kind}:"):
                found.append(_element(page, {kind: urn}, counts))
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
    if not any(is_post_of(urn, page, call) for page in claims.reached()):
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
    page = call.request.first("organization")
    seen = activity(page, "page", since=call.now - 3 * YEAR, until=call.now) // 40
    views = {"allPageViews": {"pageViews": seen}, "overviewPageViews": {"pageViews": seen // 2}}
    return elements({"organization": page, "totalPageStatistics": {"views": views}})


def _roles(wire: Wire, call: Call, claims: Claims) -> Answer:
    """One page of the pages that the member administers."""
    if call.request.first("q") != "roleAssignee":
        return error(400, "Invalid param. Please verify all params are of the right format.", code="ILLEGAL_ARGUMENT")
    member = claims.account_id
    if member.startswith("urn:li:organization:"):
        member = f"urn:li:person:admin{member.rsplit(':', 1)[1]}"
    role = {"role": "ADMINISTRATOR", "state": "APPROVED"}
    asked = all(call.request.first(name, value) == value for name, value in role.items())
    pages = _pages(call, claims) if asked else []
    start, count = (_number(call, name, default) for name, default in (("start", 0), ("count", 10)))
    found = [{**role, "roleAssignee": member, "organization": urn} for urn in pages[start : start + count]]
    return Answer({"paging": _paging(start, count, len(pages), "/rest/organizationAcls"), "elements": found})


def _organizations(wire: Wire, call: Call, claims: Claims) -> Answer:
    """A page's own facts, one by its number in the path, or several in a list."""
    written, number = _LIST.fullmatch(call.request.first("ids")), call.request.path.rpartition("/")[2]
    if written is None:
        urn = f"urn:li:organization:{number}"
        if urn in _pages(call, claims):
            return Answer(_organization(urn))
        return forbidden("organizations.GET.20260901")
    if call.state.switches["tier"] == "development":
        return forbidden("organizations.BATCH_GET.20260901")
    asked = [one for one in written[1].split(",") if one]
    own = [one for one in asked if f"urn:li:organization:{one}" in _pages(call, claims)]
    results = {one: _organization(f"urn:li:organization:{one}") for one in own}
    errors = {one: {"status": 403, "message": "Not enough permissions"} for one in asked if one not in own}
    return Answer({"results": results, "statuses": dict.fromkeys(own, 200), "errors": errors})


def _organization(urn: str) -> dict[str, Any]:
    number = urn.rsplit(":", 1)[1]
    name = f"Sandbox Page {number}"
    localized = {"localized": {"en_US": name}, "preferredLocale": {"country": "US", "language": "en"}}
    return {"id": int(number), "localizedName": name, "name": localized, "vanityName": f"sandbox-{number}"}


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
    author = call.request.first("author")
    urns = listed(wire, call.state, author, call.now)
    page = [_written(urn, author) for urn in urns[start : start + count]]
    return Answer({"paging": _paging(start, count, len(urns), "/rest/posts"), "elements": page})


def _paging(start: int, count: int, total: int, address: str) -> dict[str, Any]:
    links = [{"type": "application/json", "rel": rel, "href": address} for rel in _rels(start, count, total)]
    return {"start": start, "count": count, "links": links}


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
    "organizations": _organizations,
    "posts": _listing,
}

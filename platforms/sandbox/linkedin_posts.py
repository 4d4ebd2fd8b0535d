"""LinkedIn: how posts are named, and the analytics of a member's posts."""

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from platforms.sandbox.tokens import Claims
from platforms.sandbox.wire import Answer, Call
from platforms.sandbox.world import activity, followers, mix, numbers, owner_bits

if TYPE_CHECKING:
    from platforms.sandbox.wire import Wire

Endpoint = Callable[["Wire", Call, Claims], Answer]
DAY = 86400.0
YEAR = 365 * DAY
OWNER_BITS = 21
POST_METRICS = {
    "IMPRESSION": "impressions",
    "MEMBERS_REACHED": "reach",
    "REACTION": "likes",
    "COMMENT": "comments",
    "RESHARE": "shares",
    "POST_SAVE": "saves",
    "LINK_CLICKS": "clicks",
}
SINCE = {"POST_SAVE": "202604", "LINK_CLICKS": "202604"}
_URN = re.compile(r"urn:li:(share|ugcPost):([0-9]{1,20})")
_ENTITY = re.compile(r"\((share|ugc):(urn:li:(share|ugcPost):[0-9]{1,20})\)")


def error(status: int, message: str, *, service: int = 0, code: str = "") -> Answer:
    """LinkedIn's envelope; the code may be absent."""
    body: dict[str, Any] = {"status": status, "message": message}
    if service:
        body["serviceErrorCode"] = service
    if code:
        body["code"] = code
    return Answer(body, status)


def forbidden(permission: str) -> Answer:
    """The grant, the product or the role does not cover a call."""
    return error(403, f"Not enough permissions to access: {permission}", service=100, code="ACCESS_DENIED")


def unpermitted(where: str) -> Answer:
    """A parameter is not understood, or not allowed; it looks like a missing permission."""
    words = f"Unpermitted fields present in PARAMETER: Data Processing Exception while processing fields [{where}]"
    return error(403, words, service=100, code="ACCESS_DENIED")


def elements(*found: dict[str, Any], count: int = 10) -> Answer:
    """The answer of a finder."""
    return Answer({"paging": {"start": 0, "count": count, "links": [], "total": len(found)}, "elements": list(found)})


# --- names -----------------------------------------------------------------------------------------------------------


def kind_at(account_id: str, at: float) -> bool:
    """Whether the account's post of that instant is a video."""
    return mix(f"video:{account_id}:{int(at * 1000)}") & 3 == 0


def encode(account_id: str, at: float, *, video: bool) -> str:
    """A post's URN: when, whose, and of which kind."""
    number = int(at * 1000) << 22 | owner_bits(account_id, OWNER_BITS) << 1 | video
    return f"urn:li:{'ugcPost' if video else 'share'}:{number}"


def made_at(urn: str) -> float:
    """When a post was made."""
    return (int(urn.rsplit(":", 1)[1]) >> 22) / 1000


def is_post_of(urn: str, account_id: str, call: Call) -> bool:
    """Whether the account has this post, under this kind of URN."""
    found = _URN.fullmatch(urn)
    if not found or urn in call.state.deleted:
        return False
    number = int(found[2])
    return (
        number & 1 == (found[1] == "ugcPost")
        and number >> 1 & (1 << OWNER_BITS) - 1 == owner_bits(account_id, OWNER_BITS)
        and 0 <= call.now - made_at(urn) < 20 * YEAR
    )


# --- a member's analytics --------------------------------------------------------------------------------------------


def _metric(call: Call) -> str | Answer:
    """The metric that is asked for, or the refusal of it."""
    name, version = call.request.first("queryType"), call.request.headers["linkedin-version"]
    known = {**POST_METRICS, "VIDEO_PLAY": "", "VIDEO_VIEWER": "", "VIDEO_WATCH_TIME": ""}
    if name not in known or version < SINCE.get(name, "") or name in call.withdrawn():
        return unpermitted("/queryType")
    return name


def _element(call: Call, name: str, count: int, entity: dict[str, str]) -> dict[str, Any]:
    kind: Any = name
    if call.request.headers["linkedin-version"] < "202605":
        kind = {"com.linkedin.adsexternalapi.memberanalytics.v1.CreatorPostAnalyticsMetricTypeV1": name}
    return {"count": count, "dateRange": {}, "metricType": kind, **({"targetEntity": entity} if entity else {})}


def _analytics(wire: "Wire", call: Call, claims: Claims) -> Answer:
    name = _metric(call)
    if isinstance(name, Answer):
        return name
    if not claims.account_id.startswith("urn:li:person:"):
        return forbidden(f"{call.group}.FINDER-{call.request.first('q')}.20260901")
    if call.request.first("q") == "me":
        total = activity(claims.account_id, name, since=call.now - YEAR, until=call.now)
        return elements(_element(call, name, total if name == "IMPRESSION" else total // 2, {}))
    entity = _ENTITY.fullmatch(call.request.first("entity"))
    if not entity or (entity[1] == "ugc") != (entity[3] == "ugcPost"):
        return error(400, "Invalid param. Please verify all params are of the right format.", code="ILLEGAL_ARGUMENT")
    urn = entity[2]
    if not is_post_of(urn, claims.account_id, call):
        return error(404, "Could not find entity", code="NOT_FOUND")
    counts = numbers(urn, call.now - made_at(urn))
    if call.group == "memberCreatorVideoAnalytics":
        old = call.now - made_at(urn) >= YEAR
        is_video = urn.startswith("urn:li:ugcPost:") and not old
        return elements(_element(call, name, counts.video_views, {entity[1]: urn})) if is_video else elements()
    return elements(_element(call, name, getattr(counts, POST_METRICS[name]), {entity[1]: urn}))


def _followers(wire: "Wire", call: Call, claims: Claims) -> Answer:
    return elements({"memberFollowersCount": followers(claims.account_id, call.now)})


def _me(wire: "Wire", call: Call, claims: Claims) -> Answer:
    kind, _, number = claims.account_id.removeprefix("urn:li:").partition(":")
    member = number if kind == "person" else f"admin{number}"
    name = {"localizedFirstName": "Sandbox", "localizedLastName": _last_name(member)}
    return Answer({"id": member, **name, "vanityName": f"sandbox-{member.lower()}"})


def _last_name(member: str) -> str:
    return member.removeprefix("sbx").capitalize()


def _userinfo(wire: "Wire", call: Call, claims: Claims) -> Answer:
    """The member, as OpenID Connect tells of them."""
    member = claims.account_id.rpartition(":")[2]
    last = _last_name(member)
    name = {"name": f"Sandbox {last}", "given_name": "Sandbox", "family_name": last}
    picture = "https://media.licdn.com/dms/image/sandbox.jpg"
    return Answer({"sub": member, **name, "picture": picture, "locale": {"country": "US", "language": "en"}})


ENDPOINTS: dict[str, Endpoint] = {
    "memberCreatorPostAnalytics": _analytics,
    "memberCreatorVideoAnalytics": _analytics,
    "memberFollowersCount": _followers,
    "me": _me,
    "userinfo": _userinfo,
}

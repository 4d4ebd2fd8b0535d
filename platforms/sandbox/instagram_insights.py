"""Instagram: insights of media and of the account. One name that does not fit refuses the whole call."""

from typing import Any

from platforms.sandbox import graph
from platforms.sandbox.instagram_media import Media
from platforms.sandbox.wire import Answer, Call
from platforms.sandbox.world import DAY, activity, numbers

_ALL = frozenset({"views", "reach", "shares", "total_interactions", "reposts", "facebook_views"})
_FEED = _ALL | {"likes", "comments", "saved", "follows", "profile_visits", "profile_activity"}
_REELS = _ALL | {
    "likes",
    "comments",
    "saved",
    "ig_reels_avg_watch_time",
    "ig_reels_video_view_total_time",
    "reels_skip_rate",
    "crossposted_views",
}
_STORY = _ALL | {"replies", "follows", "profile_visits", "profile_activity", "link_clicks", "navigation"}
_TOTALS = frozenset({"total_likes", "total_comments", "total_views"})
_BY_TYPE = {"FEED": _FEED, "REELS": _REELS, "STORY": _STORY}
_KNOWN = _FEED | _REELS | _STORY
_SHARED_ONLY = frozenset({"facebook_views", "crossposted_views"})
_RETIRED = frozenset({"impressions", "plays", "video_views", "engagement", "taps_forward", "taps_back", "exits"})
_TITLES = {"views": "Views", "reach": "Accounts reached", "saved": "Saved", "total_interactions": "Interactions"}

_ACCOUNT = frozenset(
    {
        *("accounts_engaged", "comments", "likes", "profile_links_taps", "reach", "replies", "reposts", "saves"),
        *("shares", "total_interactions", "views", "website_clicks", "follows_and_unfollows", "profile_views"),
    }
)
_SERIES = frozenset({"reach", "follower_count"})


def of_media(call: Call, media: Media, metrics: list[str] | None = None, *, facebook: bool) -> Answer:
    """The insights of one media."""
    _check_scope(call, facebook=facebook)
    metrics = call.request.listed("metric") if metrics is None else metrics
    if media.id in call.state.switches["poison"]:
        message = "(#100) Media Posted Before Business Account Conversion"
        raise graph.refuse(message, 100, subcode=2108006, error_user_title="Media posted before conversion")
    _check_names(call, media, metrics, facebook=facebook)
    age = call.now - media.made_at
    if media.kind == "STORY" and age > DAY:
        raise graph.missing(media.id)
    counts = _counts(media, age)
    if media.kind == "STORY" and counts["reach"] < 5:
        raise graph.refuse("(#10) Not enough viewers for the media to show insights", 10)
    return Answer({"data": [_lifetime(media.id, name, counts[name]) for name in dict.fromkeys(metrics)]})


def _check_scope(call: Call, *, facebook: bool) -> None:
    graph.need(call, "instagram_manage_insights" if facebook else "instagram_business_manage_insights")


def _check_names(call: Call, media: Media, metrics: list[str], *, facebook: bool) -> None:
    totals = _TOTALS if facebook and media.kind != "STORY" else frozenset({"total_views"} if facebook else ())
    allowed = _BY_TYPE[media.product_type] | totals
    known = _KNOWN | (_TOTALS if facebook else frozenset())
    withdrawn = call.withdrawn() | _RETIRED
    if not metrics:
        raise graph.refuse("(#100) The parameter metric is required", 100)
    for index, name in enumerate(metrics):
        if name in withdrawn:
            message = f"(#100) Starting from version v22.0 and above, the {name} metric is no longer supported for the"
            raise graph.refuse(f"{message} queried media.", 100)
        if name not in known:
            message = (
                f"(#100) metric[{index}] must be one of the following values: {', '.join(sorted(known - withdrawn))}"
            )
            raise graph.refuse(message, 100)
        if name not in allowed:
            message = f"(#100) The Media Insights API does not support the {name} metric for this media product type."
            raise graph.refuse(message, 100)
        if name in _SHARED_ONLY:
            raise graph.refuse(f"(#100) The {name} metric is only available for media shared to Facebook.", 100)


def _counts(media: Media, age: float) -> dict[str, int]:
    one = numbers(media.id, age)
    watched = one.impressions * 4200
    return {
        "views": one.impressions,
        "reach": one.reach,
        "likes": one.likes,
        "comments": one.comments,
        "replies": one.comments,
        "shares": one.shares,
        "saved": one.saves,
        "reposts": one.quotes,
        "total_interactions": one.likes + one.comments + one.shares + one.saves,
        "follows": one.follows,
        "profile_visits": one.profile_clicks,
        "profile_activity": one.profile_clicks // 3,
        "link_clicks": one.clicks,
        "navigation": one.impressions // 2,
        "ig_reels_avg_watch_time": 4200 if one.impressions else 0,
        "ig_reels_video_view_total_time": watched,
        "reels_skip_rate": 31 if one.impressions else 0,
        "total_views": one.impressions,
        "total_likes": one.likes,
        "total_comments": one.comments,
    }


def _lifetime(object_id: str, name: str, value: int) -> dict[str, Any]:
    title = _TITLES.get(name, name.replace("_", " ").capitalize())
    return {
        "name": name,
        "period": "lifetime",
        "values": [{"value": value}],
        "title": title,
        "description": f"{title} of this media.",
        "id": f"{object_id}/insights/{name}/lifetime",
    }


def of_account(call: Call, account_id: str, *, facebook: bool) -> Answer:
    """The insights of the account over a window of at most 30 days."""
    _check_scope(call, facebook=facebook)
    request = call.request
    metrics = request.listed("metric")
    series = request.first("metric_type") == "time_series"
    _check_account_names(call, metrics, series=series, facebook=facebook)
    if request.first("period") != "day":
        raise graph.refuse("(#100) period must be one of the following values: day", 100)
    since, until = _window(call)
    data = [_account_metric(account_id, name, since, until, series=series) for name in dict.fromkeys(metrics)]
    base = f"https://{request.host}{request.path}?access_token={graph.token_text(request)}"
    span = int(until - since)
    previous = f"{base}&since={int(since) - span}&until={int(since)}"
    following = f"{base}&since={int(until)}&until={int(until) + span}"
    return Answer({"data": data, "paging": {"previous": previous, "next": following}})


def _check_account_names(call: Call, metrics: list[str], *, series: bool, facebook: bool) -> None:
    host = call.state.switches["profile_views"]
    hidden = frozenset() if host == "both" or (facebook and host == "facebook") else frozenset({"profile_views"})
    allowed = (_SERIES if series else _ACCOUNT) - hidden - call.withdrawn()
    if not metrics:
        raise graph.refuse("(#100) The parameter metric is required", 100)
    for index, name in enumerate(metrics):
        if name not in allowed:
            message = f"(#100) metric[{index}] must be one of the following values: {', '.join(sorted(allowed))}"
            if not series and name == "follower_count":
                message = (
                    f"(#100) The following metrics ({name}) should be specified with parameter metric_type=time_series"
                )
            raise graph.refuse(message, 100)
    if not series and call.request.first("metric_type") != "total_value" and set(metrics) - _SERIES:
        names = ", ".join(sorted(set(metrics) - _SERIES))
        message = f"(#100) The following metrics ({names}) should be specified with parameter metric_type=total_value"
        raise graph.refuse(message, 100)


def _window(call: Call) -> tuple[float, float]:
    """`since` and `until`; the last 24 hours if neither is given."""
    until = graph.instant(call.request, "until", call.now)
    since = graph.instant(call.request, "since", until - DAY)
    if until < since:
        raise graph.refuse("(#100) since must be before until", 100)
    if until - since > 30 * DAY + 1:
        message = "(#100) There cannot be more than 30 days (2592000 s) between since and until"
        raise graph.refuse(message, 100)
    return since, until


def _account_metric(account_id: str, name: str, since: float, until: float, *, series: bool) -> dict[str, Any]:
    metric: dict[str, Any] = {"name": name, "period": "day", "title": _TITLES.get(name, name), "description": name}
    if series:
        days = range(int(since // DAY), int(-(-until // DAY)))
        metric["values"] = [
            {
                "value": activity(account_id, name, since=day * DAY, until=(day + 1) * DAY),
                "end_time": graph.iso((day + 1) * DAY),
            }
            for day in days
        ]
    else:
        metric["total_value"] = {"value": _total(account_id, name, since, until)}
    return {**metric, "id": f"{account_id}/insights/{name}/day"}


def _total(account_id: str, name: str, since: float, until: float) -> int:
    views = activity(account_id, "views", since=since, until=until)
    if name == "reach":
        return int(views * 0.7)
    shares = {"views": 1.0, "profile_views": 0.05, "accounts_engaged": 0.06, "total_interactions": 0.09, "likes": 0.06}
    return int(views * shares.get(name, 0.01))

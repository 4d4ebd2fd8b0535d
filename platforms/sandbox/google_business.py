"""Google Business Profile: the Performance API, and what of the others proves a location."""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

from platforms.sandbox import google, google_consent
from platforms.sandbox.state import Fault
from platforms.sandbox.tokens import Claims
from platforms.sandbox.wire import Answer, Call, Refused, SandboxRequest, Wire
from platforms.sandbox.world import digest, mix

PERFORMANCE = "businessprofileperformance.googleapis.com"
INFORMATION = "mybusinessbusinessinformation.googleapis.com"
ACCOUNTS = "mybusinessaccountmanagement.googleapis.com"
SCOPE = google_consent.BUSINESS
LOCATIONS = {
    "9100000000000000001": ("9100000000000000001", "9100000000000000002", "9100000000000000003"),
    "9100000000000000004": ("9100000000000000004",),
    "9100000000000000005": (),
}
"""The locations of each owner, who is known by one of them, or by what could have been one."""
PER_MINUTE = 300
# What a busy location counts on a day.
METRICS = {
    "BUSINESS_IMPRESSIONS_DESKTOP_MAPS": 40,
    "BUSINESS_IMPRESSIONS_DESKTOP_SEARCH": 90,
    "BUSINESS_IMPRESSIONS_MOBILE_MAPS": 210,
    "BUSINESS_IMPRESSIONS_MOBILE_SEARCH": 160,
    "BUSINESS_DIRECTION_REQUESTS": 9,
    "CALL_CLICKS": 6,
    "WEBSITE_CLICKS": 14,
    "MESSAGING_CLICKS": 2,
    "BUSINESS_BOOKINGS": 2,
    "BUSINESS_FOOD_MENU_CLICKS": 3,
    "BUSINESS_FOOD_ORDERS": 1,
}
_SERIES = re.compile(r"/v1/locations/([0-9]+):(fetchMultiDailyMetricsTimeSeries|getDailyMetricsTimeSeries)")
_LOCATION = re.compile(r"/v1/locations/([0-9]+)")
_OF_ACCOUNT = re.compile(r"/v1/accounts/([0-9]+|-)/locations")
_DIGITS = "0123456789"


class GoogleBusiness(Wire):
    """One account of the sandbox is one location."""

    key = "google_business"
    hosts = (
        *(PERFORMANCE, INFORMATION, ACCOUNTS, "mybusiness.googleapis.com"),
        *(google.TOKEN_HOST, google_consent.HOST),
    )
    switches = {
        "per_minute": PER_MINUTE,
        "rate_limits": True,
        "approved": True,  # False: the project's quota is 0
        "late_days": 3,  # for how many days there are no values yet
        "verified": True,
        **google.SWITCHES,
    }
    token_groups = frozenset({"token", "authorize"})
    own_faults = frozenset({"service_disabled", "no_rights"})

    def group(self, request: SandboxRequest) -> str:
        if request.host in (google.TOKEN_HOST, google_consent.HOST):
            return google_consent.group(request)
        if request.method != "GET":
            return "other"
        if request.host == PERFORMANCE and _SERIES.fullmatch(request.path):
            return "performance"
        if request.host == INFORMATION and _LOCATION.fullmatch(request.path):
            return "information"
        if request.host == INFORMATION and _OF_ACCOUNT.fullmatch(request.path):
            return "locations"
        return "accounts" if (request.host, request.path) == (ACCOUNTS, "/v1/accounts") else "other"

    def serves(self, request: SandboxRequest) -> bool:
        if request.host == google.TOKEN_HOST:
            return google.family_of(request, self.key) or google_consent.is_business(request)
        if request.host == google_consent.HOST:
            return google_consent.is_business(request)
        return request.host in self.hosts

    def answer(self, call: Call) -> Answer:
        if call.group in self.token_groups:
            return google_consent.answer(call, TERMS, SCOPE)
        claims = google.authenticate(call, self.key, _unauthorized(), _unscoped(), scopes=(SCOPE,))
        self._spend(call)
        if call.group == "performance":
            return _series(call, claims)
        if call.group == "information":
            return _location(call, claims)
        if call.group == "accounts":
            return _accounts(call, claims)
        if call.group == "locations":
            return _locations(call, claims)
        return google.error(404, "Requested entity was not found.")

    def _spend(self, call: Call) -> None:
        """So many calls a minute of the whole project, for each API."""
        switches = call.state.switches
        if not switches["approved"]:
            raise Refused(_exhausted("0"))
        if not switches["rate_limits"]:
            return
        limit = switches["per_minute"]
        if call.state.spend(call.request.host, limit=limit, seconds=60, now=call.now)[0] < 0:
            raise Refused(_exhausted(str(limit)))

    def refusal(self, call: Call, fault: Fault) -> Answer:
        if fault.kind == "rate_limited":
            answer = _exhausted(str(PER_MINUTE))
            if fault.retry_after is not None:
                answer.headers["Retry-After"] = str(int(fault.retry_after))
            return answer
        return _REFUSALS[fault.kind]()

    def post_id(self, account_id: str, at: float) -> str:
        return f"accounts/{_owner(account_id)}/locations/{account_id}/localPosts/{int(at)}{mix(account_id) % 10**9:09d}"

    def tokens(self, account_id: str, now: float, lifetime: float | None, **extra: Any) -> dict[str, Any]:
        return google.grant(self.key, account_id, now, lifetime)


def _owner(location: str) -> str:
    return "1" + digest(f"owner:{location}", 20, _DIGITS)


TERMS = google_consent.terms(
    "google_business",
    "Google Business Profile",
    tuple(LOCATIONS),
    name=lambda location: f"Owner of {len(_reach(location))} location{'' if len(_reach(location)) == 1 else 's'}",
    reach=lambda location: _reach(location),
)


def _reach(location: str) -> tuple[str, ...]:
    return LOCATIONS.get(location, (location,))


def _unauthorized() -> Answer:
    message = "Request had invalid authentication credentials. Expected OAuth 2 access token."
    return google.error(401, message)


def _unscoped() -> Answer:
    message = "Request had insufficient authentication scopes."
    return google.error(403, message, "ACCESS_TOKEN_SCOPE_INSUFFICIENT", domain="")


def _exhausted(limit: str) -> Answer:
    message = "Quota exceeded for quota metric 'Requests' and limit 'Requests per minute' of the service."
    return google.error(429, message, "RATE_LIMIT_EXCEEDED", domain="", quota_limit_value=limit)


_REFUSALS: Mapping[str, Callable[[], Answer]] = {
    "server_error": lambda: google.error(503, "The service is currently unavailable."),
    "token_expired": _unauthorized,
    "scope_missing": _unscoped,
    "refuse_refresh": google.invalid_grant,
    "service_disabled": lambda: google.error(
        403, "Business Profile Performance API has not been used in project 1.", "SERVICE_DISABLED", domain=""
    ),
    "no_rights": lambda: google.error(403, "The caller does not have permission"),
}


def _own(call: Call, claims: Claims, location: str) -> None:
    """What is not the caller's does not exist for them."""
    if location not in claims.reached() or not call.state.account(location).active:
        raise Refused(google.error(404, "Requested entity was not found."))


def _location(call: Call, claims: Claims) -> Answer:
    found = _LOCATION.fullmatch(call.request.path)
    mask = call.request.listed("readMask")
    if not mask:
        raise Refused(google.error(400, "Request contains an invalid argument: read_mask is required."))
    location = found[1] if found else ""
    _own(call, claims, location)
    return Answer(_written(call, location, mask))


def _written(call: Call, location: str, mask: list[str]) -> dict[str, Any]:
    every = {
        "name": f"locations/{location}",
        "title": f"Sandbox location {location[-4:]}",
        "storefrontAddress": {"regionCode": "US", "locality": "Springfield", "addressLines": ["1 Sandbox Street"]},
        "metadata": {"hasVoiceOfMerchant": call.state.switches["verified"], "placeId": "ChIJsandbox"},
    }
    return {field: value for field, value in every.items() if field in mask}


def _owned(claims: Claims) -> dict[str, list[str]]:
    """The caller's accounts with their locations: the first is the person's own; the rest are in a group."""
    there = claims.reached()
    owned = {_owner(claims.account_id): there[:1]}
    return owned | ({_owner(f"group:{claims.account_id}"): there[1:]} if there[1:] else {})


def _accounts(call: Call, claims: Claims) -> Answer:
    """The person's own account comes first, then the groups they manage."""
    written = [
        {"name": f"accounts/{one}", "accountName": "Sandbox group", "type": "LOCATION_GROUP", "role": "OWNER"}
        for one in _owned(claims)
    ]
    written[0] |= {"accountName": "Sandbox owner", "type": "PERSONAL", "role": "PRIMARY_OWNER"}
    return _page(call, "accounts", written, most=20, default=20)


def _locations(call: Call, claims: Claims) -> Answer:
    """The locations of one account, or of all; `-` stands for those."""
    found, mask = _OF_ACCOUNT.fullmatch(call.request.path), call.request.listed("readMask")
    owned, account = _owned(claims), found[1] if found else ""
    if not mask:
        raise Refused(google.error(400, "Request contains an invalid argument: read_mask is required."))
    if account != "-" and account not in owned:
        raise Refused(google.error(404, "Requested entity was not found."))
    there = claims.reached() if account == "-" else owned[account]
    return _page(call, "locations", [_written(call, one, mask) for one in there], most=100, default=10)


def _page(call: Call, name: str, rows: list[dict[str, Any]], *, most: int, default: int) -> Answer:
    """One page of rows; nothing at all is an empty object."""
    size, token = call.request.first("pageSize", str(default)), call.request.first("pageToken", "p0")
    if not size.isdecimal() or not re.fullmatch("p[0-9]{1,6}", token) or int(size) > most:
        raise Refused(google.error(400, "Request contains an invalid argument: page_size or page_token."))
    start = int(token[1:])
    page = rows[start : start + (int(size) or default)]
    more = {"nextPageToken": f"p{start + len(page)}"} if start + len(page) < len(rows) else {}
    return Answer({**({name: page} if page else {}), **more})


def _series(call: Call, claims: Claims) -> Answer:
    found = _SERIES.fullmatch(call.request.path)
    location, several = (found[1], found[2].startswith("fetch")) if found else ("", True)
    _own(call, claims, location)
    metrics = call.request.query.get("dailyMetrics" if several else "dailyMetric", [])
    for metric in metrics:
        if metric not in METRICS or metric in call.withdrawn():
            where = "Invalid value at 'daily_metrics' (type.googleapis.com/google.mybusiness.businessprofile"
            raise Refused(google.error(400, f'{where}.performance.v1.DailyMetric), "{metric}"'))
    if not metrics or (not several and len(metrics) > 1):
        raise Refused(google.error(400, "Request contains an invalid argument: daily_metrics."))
    first, last = _day(call, "start"), _day(call, "end")
    if first > last:
        raise Refused(google.error(400, "The start date is after the end date."))
    told = [{"dailyMetric": one, "timeSeries": _values(call, location, one, first, last)} for one in metrics]
    if not several:
        return Answer({"timeSeries": told[0]["timeSeries"]})
    return Answer({"multiDailyMetricTimeSeries": [{"dailyMetricTimeSeries": told}]})


def _day(call: Call, end: str) -> date:
    """One end of the range, in either spelling."""
    request = call.request
    names = (f"dailyRange.{end}Date", f"dailyRange.{end}_date", f"daily_range.{end}_date")
    for name in names:
        parts = [request.first(f"{name}.{part}") for part in ("year", "month", "day")]
        if all(part.isdecimal() for part in parts):
            try:
                return date(*map(int, parts))
            except ValueError:
                break
    raise Refused(google.error(400, f"Request contains an invalid argument: daily_range.{end}_date."))


def _values(call: Call, location: str, metric: str, first: date, last: date) -> dict[str, Any]:
    """Each day's count as text; none where it is zero, and no entry for days that have not come yet."""
    today = datetime.fromtimestamp(call.now, UTC).date()
    last = min(last, today - timedelta(days=int(call.state.switches["late_days"])))
    values: list[dict[str, Any]] = []
    for ago in range((last - first).days + 1):
        day = first + timedelta(days=ago)
        value = _count(location, metric, day)
        entry: dict[str, Any] = {"date": {"year": day.year, "month": day.month, "day": day.day}}
        values.append(entry | ({"value": str(value)} if value else {}))
    return {"datedValues": values} if values else {}


def _count(location: str, metric: str, day: date) -> int:
    """One day in sixteen, of each metric, is a zero."""
    scale = METRICS[metric] * (mix(f"size:{location}") % 8 + 1) / 4
    return int(scale * 2 * (mix(f"{metric}:{location}:{day}") >> 8 & 15) / 15)

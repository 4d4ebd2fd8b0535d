"""Google Business Profile, Performance API v1. One account is one location; posts have no metrics."""

import re
from collections.abc import Container, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

from platforms.base import Account, Call, Raw, Reading, Request, listed, same_account
from platforms.dimensions import AccountDimension, Reason
from platforms.errors import AccountNotFound, Misconfigured, PlatformError, Rejected
from platforms.google import ERRORS, details
from platforms.google_business_locations import INFORMATION, GoogleBusinessLocations
from platforms.numerals import numeral
from platforms.payloads import lookup, to_count
from platforms.rates import Limit

IMPRESSIONS = (
    "BUSINESS_IMPRESSIONS_DESKTOP_MAPS",
    "BUSINESS_IMPRESSIONS_DESKTOP_SEARCH",
    "BUSINESS_IMPRESSIONS_MOBILE_MAPS",
    "BUSINESS_IMPRESSIONS_MOBILE_SEARCH",
)
# https://developers.google.com/my-business/content/performance/change-log
METRICS = (
    *IMPRESSIONS,
    "BUSINESS_DIRECTION_REQUESTS",
    "CALL_CLICKS",
    "WEBSITE_CLICKS",
    "MESSAGING_CLICKS",
    "BUSINESS_BOOKINGS",
    "BUSINESS_FOOD_MENU_CLICKS",
)
SPELLINGS = {"camel": ("startDate", "endDate"), "snake": ("start_date", "end_date")}
"""Parameters as documented, and as some callers found them to be taken."""
WINDOW_DAYS = 28
LATE_DAYS = 10
"""Days come late: so many more are asked for, to find a window of which all have come."""
LOCATION = re.compile(r"(?:(?:accounts/[0-9]{1,30}/)?locations/)?([0-9]{1,30})")
POST = re.compile(
    r"(?:(?:accounts/(?P<account>[0-9]{1,30})/)?locations/(?P<location>[0-9]{1,30})/)?"
    r"(?:localPosts/)?(?P<post>[A-Za-z0-9][A-Za-z0-9_-]{0,127})"
)


class GoogleBusiness(GoogleBusinessLocations):
    key = "google_business"
    label = "Google Business Profile"
    base_url = "https://businessprofileperformance.googleapis.com/v1/"
    scopes = ("https://www.googleapis.com/auth/business.manage",)
    extra = {"account": None}
    has_posts = False

    # https://developers.google.com/my-business/content/limits
    limits = (
        Limit(300, 60, scope="app", group="performance"),
        Limit(300, 60, scope="app", group="information"),
    )
    account_fields = {AccountDimension.IMPRESSIONS: "daily"}
    error_codes = {**ERRORS, "NOT_FOUND": AccountNotFound}

    def normalize_post_id(self, value: str, account: Account) -> str:
        found = POST.fullmatch(value)
        owner = (found["account"] or account.extra.get("account")) if found else None
        if not found or not owner:
            raise ValueError("expected accounts/<account>/locations/<location>/localPosts/<post>")
        location = found["location"] or account.network_unique_id
        return f"accounts/{numeral(owner)}/locations/{numeral(location)}/localPosts/{found['post']}"

    def normalize_account_id(self, value: str) -> str:
        found = LOCATION.fullmatch(value)
        if not found:
            raise ValueError("expected the location's number, or locations/<number>")
        return numeral(found[1])

    def check_extra(self, key: str, value: Any, *, mapped: Container[str] = ()) -> str:
        found = re.fullmatch(r"(?:accounts/)?([0-9]{1,30})", super().check_extra(key, value))
        if not found:
            raise ValueError("must be the number of the Google account that the location belongs to")
        return found[1]

    def fetch_account(self, account: Account) -> Call[Raw | Reading]:
        days = int(account.settings.get("window_days", WINDOW_DAYS))
        last = datetime.now(UTC).date() - timedelta(days=1)
        first = last - timedelta(days=days + LATE_DAYS - 1)
        asked, answer = yield from _ask(account, first, last)
        daily = _daily(answer)
        raw: Raw = {"asked": asked, "daily": daily}
        summed = [metric for metric in IMPRESSIONS if metric in asked]
        window = _window([daily.get(metric, {}) for metric in summed], last=last, days=days)
        if window:
            raw["window"] = {"first": str(window[0]), "last": str(window[-1])}
        return Reading(raw, {} if summed else {AccountDimension.IMPRESSIONS: Reason.RETIRED})

    def account_metrics(self, raw: Raw) -> dict[AccountDimension, int | None]:
        return {AccountDimension.IMPRESSIONS: _impressions(raw)}

    # https://developers.google.com/my-business/reference/businessinformation/rest/v1/locations/get
    def probe(self, account: Account) -> Call[None]:
        url = f"{INFORMATION}/locations/{account.network_unique_id}"
        answer = yield Request(url, params={"readMask": "name"}, group="information")
        same_account(account.network_unique_id, answer["name"].removeprefix("locations/"))

    def classify(self, status: int, headers: Mapping[str, str], payload: Any) -> PlatformError | None:
        """Without Google's approval the project's quota is 0: no waiting cures that."""
        if status != 429:
            return None
        limits = [lookup(detail, ("metadata", "quota_limit_value")) for detail in details(payload["error"])]
        return Misconfigured("Google has not approved the project for this API.") if "0" in map(str, limits) else None


def _ask(account: Account, first: date, last: date) -> Call[tuple[list[str], Any]]:
    """What was asked for in the end, and the answer. Where it is refused, dates are spelt the other way."""
    usual, other = sorted(SPELLINGS, key=lambda name: name != account.memory.get("dates", "camel"))
    try:
        return (yield from _ask_spelt(account, SPELLINGS[usual], (first, last)))
    except Rejected as refusal:
        try:
            taken = yield from _ask_spelt(account, SPELLINGS[other], (first, last))
        except Rejected:
            raise refusal from None
        account.memory["dates"] = other
        return taken


def _ask_spelt(account: Account, names: Sequence[str], window: Sequence[date]) -> Call[tuple[list[str], Any]]:
    """The same in one spelling. One metric that Google no longer knows fails the whole call."""
    asked = list(account.unretired(METRICS))
    while True:
        try:
            return asked, (yield _series(account, asked, names, window))
        except Rejected as error:
            left = _not_named(asked, error)
            if not left or left == asked:
                raise
            account.retired.update(set(asked) - set(left))
            asked = left


# https://developers.google.com/my-business/reference/performance/rest/v1/locations/fetchMultiDailyMetricsTimeSeries
def _series(account: Account, metrics: Sequence[str], names: Sequence[str], window: Sequence[date]) -> Request:
    params: dict[str, str | Sequence[str]] = {"dailyMetrics": list(metrics)}
    for name, day in zip(names, window, strict=True):
        for part in ("year", "month", "day"):
            params[f"dailyRange.{name}.{part}"] = str(getattr(day, part))
    path = f"locations/{account.network_unique_id}:fetchMultiDailyMetricsTimeSeries"
    return Request(path, params=params, group="performance")


def _not_named(asked: Sequence[str], error: PlatformError) -> list[str]:
    """What can still be asked: all that the refusal does not name."""
    words = f"{error.detail} {error.evidence}"
    return [metric for metric in asked if not re.search(rf"\b{metric}\b", words)]


def _daily(answer: Any) -> dict[str, dict[str, Any]]:
    """Each metric's values by day. A value is left out where it is zero; a day, where it has not come yet."""
    daily: dict[str, dict[str, Any]] = {}
    for entry in listed(answer, "multiDailyMetricTimeSeries"):
        for series in listed(entry, "dailyMetricTimeSeries"):
            days = daily.setdefault(str(series["dailyMetric"]), {})
            for dated in listed(series.get("timeSeries") or {}, "datedValues"):
                days[str(_day(dated["date"]))] = dated.get("value", "0")
    return daily


def _day(told: Raw) -> date:
    """A date in parts; each may come as text."""
    year, month, day = (to_count(told[part], part) or 0 for part in ("year", "month", "day"))
    return date(year, month, day)


def _window(series: Sequence[Mapping[str, Any]], *, last: date, days: int) -> list[date]:
    """The newest days in a row that each of the series has; empty where there are not so many."""
    for late in range(LATE_DAYS + 1):
        window = [last - timedelta(days=late + ago) for ago in reversed(range(days))]
        if series and all(str(day) in values for values in series for day in window):
            return window
    return []


def _impressions(raw: Raw) -> int | None:
    """The sum over the window; None where a day of it cannot be read."""
    first, last = (str(lookup(raw, ("window", end)) or "") for end in ("first", "last"))
    asked, daily = raw.get("asked"), raw.get("daily")
    summed = [metric for metric in IMPRESSIONS if isinstance(asked, list) and metric in asked]
    if not (first and last and summed and isinstance(daily, dict)):
        return None
    total = 0
    for metric in summed:
        series = daily.get(metric)
        told = [value for day, value in series.items() if first <= day <= last] if isinstance(series, dict) else []
        counts = [to_count(value, metric) for value in told]
        if not counts or None in counts:
            return None
        total += sum(each for each in counts if each is not None)
    return to_count(total, "impressions")

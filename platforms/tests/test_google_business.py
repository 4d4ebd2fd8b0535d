"""Google Business Profile: daily values that come late, zeros that are left out, and metrics that are withdrawn."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from platforms import registry
from platforms.base import Account, Reading
from platforms.dimensions import AccountDimension, Reason
from platforms.errors import (
    AccountNotFound,
    DeadlineExceeded,
    Misconfigured,
    RateLimited,
    Rejected,
    ScopeMissing,
    TokenExpired,
    Unavailable,
)
from platforms.google_business import IMPRESSIONS, METRICS
from platforms.oauth import Credentials
from platforms.tests.replay import APP, TOKENS, Answers, account_of, client_for, query_of
from platforms.transport import Exchange

pytestmark = pytest.mark.usefixtures("then")

GBP = registry.get("google_business")
YESTERDAY = date(2026, 11, 22)
DEFAULT: dict[str, Any] = {"settings": {}}


def entry(day: date, value: str | None = "1") -> dict[str, Any]:
    told = {"date": {"year": day.year, "month": day.month, "day": day.day}}
    return told if value is None else {**told, "value": value}


def series(metric: str, *, last: date = YESTERDAY, days: int = 38, value: str | None = "1") -> dict[str, Any]:
    entries = [entry(last - timedelta(days=ago), value) for ago in range(days)]
    return {"dailyMetric": metric, "timeSeries": {"datedValues": entries}}


def several(*told: Any) -> tuple[int, Any]:
    return 200, {"multiDailyMetricTimeSeries": [{"dailyMetricTimeSeries": list(told)}]}


def refusal(status: int, told: str, message: str = "no", **info: Any) -> tuple[int, Any]:
    details = [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", **info}] if info else []
    return status, {"error": {"code": status, "message": message, "status": told, "details": details}}


def unknown(metric: str) -> tuple[int, Any]:
    return refusal(400, "INVALID_ARGUMENT", f"Invalid value at 'daily_metrics' (type.DailyMetric), \"{metric}\"")


def fetch(transport: Answers, account: Account | None = None, **more: Any) -> Reading:
    account = account or account_of("google_business", DEFAULT)
    found = client_for("google_business", transport, account, **more).run(GBP.fetch_account(account))
    assert isinstance(found, Reading)
    return found


def impressions(reading: Reading) -> int | None:
    return GBP.account_metrics(reading.raw)[AccountDimension.IMPRESSIONS]


def test_there_is_no_post_reader() -> None:
    assert not GBP.has_posts
    assert GBP.dimensions() == frozenset()
    assert GBP.account_dimensions() == {AccountDimension.IMPRESSIONS}


def test_one_call_asks_for_the_ten_live_metrics_and_room_for_late_days() -> None:
    transport = Answers(lambda exchange: several(*map(series, IMPRESSIONS)))
    reading = fetch(transport)
    (exchange,) = transport.asked
    query = query_of(exchange)
    assert query["dailyMetrics"] == list(METRICS) and len(METRICS) == 10
    assert not {"BUSINESS_CONVERSATIONS", "BUSINESS_FOOD_ORDERS"} & set(METRICS)
    range_ = [query[f"dailyRange.{end}Date.{part}"] for end in ("start", "end") for part in ("year", "month", "day")]
    assert range_ == [["2026"], ["10"], ["16"], ["2026"], ["11"], ["22"]]
    assert reading.raw["window"] == {"first": "2026-10-26", "last": "2026-11-22"}
    assert impressions(reading) == 4 * 28


def test_the_window_ends_where_all_four_metrics_have_come() -> None:
    late = [series(metric, last=YESTERDAY - timedelta(days=3)) for metric in IMPRESSIONS[1:]]
    reading = fetch(Answers(lambda exchange: several(series(IMPRESSIONS[0], value="5"), *late)))
    assert reading.raw["window"] == {"first": "2026-10-23", "last": "2026-11-19"}
    assert impressions(reading) == (5 + 3) * 28


def test_a_value_left_out_is_a_zero_and_a_day_left_out_is_not() -> None:
    zeros = [series(metric, value=None) for metric in IMPRESSIONS]
    assert impressions(fetch(Answers(lambda exchange: several(*zeros)))) == 0
    gap = series(IMPRESSIONS[0])
    del gap["timeSeries"]["datedValues"][15]
    reading = fetch(Answers(lambda exchange: several(gap, *zeros[1:])))
    assert impressions(reading) is None and "window" not in reading.raw


def test_a_gap_among_the_last_days_moves_the_window_before_it() -> None:
    told = [series(metric) for metric in IMPRESSIONS]
    del told[2]["timeSeries"]["datedValues"][4]
    reading = fetch(Answers(lambda exchange: several(*told)))
    assert reading.raw["window"]["last"] == str(YESTERDAY - timedelta(days=5))


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"multiDailyMetricTimeSeries": []},
        {"multiDailyMetricTimeSeries": [{}]},
        {"multiDailyMetricTimeSeries": [{"dailyMetricTimeSeries": [{"dailyMetric": IMPRESSIONS[0]}]}]},
        {"multiDailyMetricTimeSeries": [{"dailyMetricTimeSeries": [{"dailyMetric": METRICS[5], "timeSeries": {}}]}]},
    ],
)
def test_values_that_have_not_come_are_null(answer: Any) -> None:
    reading = fetch(Answers(lambda exchange: (200, answer)))
    assert impressions(reading) is None
    assert reading.unavailable == {}


def test_all_entries_count_and_unknown_metrics_stay_in_raw() -> None:
    told = [{"dailyMetricTimeSeries": [series(metric)]} for metric in (*IMPRESSIONS, "BUSINESS_SOMETHING_NEW")]
    reading = fetch(Answers(lambda exchange: (200, {"multiDailyMetricTimeSeries": told})))
    assert impressions(reading) == 4 * 28
    assert reading.raw["daily"]["BUSINESS_SOMETHING_NEW"]["2026-11-22"] == "1"


def test_a_date_in_text_is_one() -> None:
    told = [series(metric) for metric in IMPRESSIONS]
    for dated in told[0]["timeSeries"]["datedValues"]:
        dated["date"] = {part: str(number) for part, number in dated["date"].items()}
    assert impressions(fetch(Answers(lambda exchange: several(*told)))) == 4 * 28


def test_a_value_that_cannot_be_read_makes_no_sum() -> None:
    told = [series(metric) for metric in IMPRESSIONS]
    told[0]["timeSeries"]["datedValues"][9]["value"] = "many"
    assert impressions(fetch(Answers(lambda exchange: several(*told)))) is None


# --- metrics that Google withdrew --------------------------------------------------------------------------------


def knowing(*metrics: str) -> Answers:
    """A server that knows some metrics and refuses the first other one by name."""

    def answer(exchange: Exchange) -> Any:
        asked = query_of(exchange)["dailyMetrics"]
        wrong = next((metric for metric in asked if metric not in metrics), None)
        return unknown(wrong) if wrong else several(*map(series, asked))

    return Answers(answer)


def test_a_withdrawn_metric_costs_one_call_once_and_not_the_others() -> None:
    transport, account = knowing(*METRICS[:7], *METRICS[8:]), account_of("google_business", DEFAULT)
    assert impressions(fetch(transport, account)) == 4 * 28
    assert account.retired == {"MESSAGING_CLICKS"}
    fetch(transport, account)
    assert len(transport.asked) == 3


def test_a_withdrawn_surface_is_left_out_of_the_sum() -> None:
    account = account_of("google_business", DEFAULT)
    reading = fetch(knowing(*IMPRESSIONS[1:]), account)
    assert impressions(reading) == 3 * 28
    assert reading.unavailable == {}
    assert IMPRESSIONS[0] in account.retired


def test_impressions_are_retired_when_no_surface_is_left() -> None:
    reading = fetch(knowing(*METRICS[4:]))
    assert impressions(reading) is None
    assert reading.unavailable == {AccountDimension.IMPRESSIONS: Reason.RETIRED}


@pytest.mark.parametrize("message", ["Request contains an invalid argument.", f"one of {', '.join(METRICS)}"])
def test_a_refusal_that_names_no_metric_or_all_of_them_is_an_error(message: str) -> None:
    transport = Answers(lambda exchange: refusal(400, "INVALID_ARGUMENT", message))
    account = account_of("google_business", DEFAULT)
    with pytest.raises(Rejected):
        fetch(transport, account)
    assert len(transport.asked) == 2 and account.retired == set()  # the second spells dates otherwise
    assert account.memory == {}


@pytest.mark.parametrize(("usual", "other"), [("startDate", "start_date"), ("start_date", "startDate")])
def test_dates_are_spelt_as_they_are_taken_and_that_is_remembered(usual: str, other: str) -> None:
    def answer(exchange: Exchange) -> Any:
        if f"dailyRange.{now}.year" not in query_of(exchange):
            return refusal(400, "INVALID_ARGUMENT", "Request contains an invalid argument.")
        return several(*map(series, IMPRESSIONS))

    transport, account = Answers(answer), account_of("google_business", DEFAULT)
    now = usual
    for taken, calls in ((usual, 1 if usual == "startDate" else 2), (usual, 1), (other, 2), (other, 1)):
        now = taken
        transport.asked.clear()
        assert impressions(fetch(transport, account)) == 112
        assert len(transport.asked) == calls


# --- errors ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (refusal(401, "UNAUTHENTICATED"), TokenExpired),
        (refusal(403, "PERMISSION_DENIED", reason="ACCESS_TOKEN_SCOPE_INSUFFICIENT"), ScopeMissing),
        (refusal(403, "PERMISSION_DENIED", reason="SERVICE_DISABLED"), Misconfigured),
        (refusal(403, "PERMISSION_DENIED"), ScopeMissing),
        (refusal(404, "NOT_FOUND"), AccountNotFound),
        (refusal(429, "RESOURCE_EXHAUSTED"), RateLimited),
        (refusal(429, "RESOURCE_EXHAUSTED", metadata={"quota_limit_value": "300"}), RateLimited),
        (refusal(429, "RESOURCE_EXHAUSTED", metadata={"quota_limit_value": "0"}), Misconfigured),
        ((429, b"<html>"), RateLimited),
        (refusal(500, "INTERNAL"), Unavailable),
        ((502, b"<html>"), Unavailable),
        (DeadlineExceeded(), DeadlineExceeded),
    ],
)
def test_failures_are_told_apart(answer: Any, error: type[Exception]) -> None:
    account = account_of("google_business", {})
    for conversation in (GBP.probe(account), GBP.fetch_account(account)):
        with pytest.raises(error) as caught:
            client_for("google_business", Answers(lambda exchange: answer), account).run(conversation)
        assert type(caught.value) is error


@pytest.mark.parametrize(("headers", "seconds"), [({}, 60), ({"retry-after": "9"}, 9)])
def test_a_rate_limit_is_the_projects(headers: dict[str, str], seconds: int) -> None:
    with pytest.raises(RateLimited) as caught:
        fetch(Answers(lambda exchange: (*refusal(429, "RESOURCE_EXHAUSTED"), headers)))
    assert (caught.value.scope, caught.value.group) == ("app", "performance")
    assert caught.value.retry_at == datetime.now(UTC) + timedelta(seconds=seconds)


def test_an_expired_token_is_renewed_once() -> None:
    def answer(exchange: Exchange) -> Any:
        new = exchange.headers["Authorization"].endswith("new")
        return several(*map(series, IMPRESSIONS)) if new else refusal(401, "UNAUTHENTICATED")

    transport = Answers(answer)
    assert impressions(fetch(transport, renew=lambda old: Credentials("new"))) == 4 * 28
    assert len(transport.asked) == 2


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ((400, {"error": "invalid_grant"}), TokenExpired),
        ((503, {}), Unavailable),
        (DeadlineExceeded(), DeadlineExceeded),
    ],
)
def test_a_refresh_is_refused_or_fails(answer: Any, error: type[Exception]) -> None:
    account = account_of("google_business", {})
    with pytest.raises(error) as caught:
        client_for("google_business", Answers(lambda exchange: answer), account).run(GBP.renew(account, TOKENS, APP))
    assert type(caught.value) is error


# --- ids ---------------------------------------------------------------------------------------------------------

FULL = "accounts/111/locations/1234567890/localPosts/987"


@pytest.mark.parametrize(
    "given",
    [
        FULL,
        "accounts/0111/locations/01234567890/localPosts/987",
        "locations/1234567890/localPosts/987",
        "localPosts/987",
        "987",
    ],
)
def test_a_post_is_named_in_full(given: str) -> None:
    assert GBP.normalize_post_id(given, account_of("google_business", {})) == FULL


def test_without_the_google_account_only_a_full_name_will_do() -> None:
    account = account_of("google_business", {"extra": {}})
    assert GBP.normalize_post_id(FULL, account) == FULL
    with pytest.raises(ValueError, match="expected accounts/<account>/locations"):
        GBP.normalize_post_id("987", account)


@pytest.mark.parametrize("given", ["98765432109876543210", "locations/98765432109876543210"])
def test_a_location_is_a_number_beyond_any_float(given: str) -> None:
    assert GBP.normalize_account_id(given) == "98765432109876543210"
    assert GBP.normalize_account_id(f"accounts/1/locations/{given[-20:]}") == "98765432109876543210"


def test_the_google_account_may_be_given_when_connecting() -> None:
    assert GBP.check_extra("account", "accounts/111") == GBP.check_extra("account", "111") == "111"
    with pytest.raises(ValueError, match="number of the Google account"):
        GBP.check_extra("account", "Jane")

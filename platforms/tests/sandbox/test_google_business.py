"""The sandbox's Google Business Profile, and the adapter on it."""

from typing import Any

import pytest

from platforms import registry
from platforms.base import Account, Reading
from platforms.client import Client as PlatformClient
from platforms.client import Settings
from platforms.dimensions import AccountDimension
from platforms.errors import AccountNotFound, Misconfigured, RateLimited, ScopeMissing, TokenExpired
from platforms.hosts import HostMap
from platforms.oauth import App, Credentials
from platforms.sandbox.registry import post_ids
from platforms.tests.sandbox.conftest import Client

ME = "1234567890123456789"
API = "businessprofileperformance.googleapis.com/v1"
SERIES = f"{API}/locations/{ME}:fetchMultiDailyMetricsTimeSeries"
NOVEMBER = {
    **{f"dailyRange.startDate.{part}": value for part, value in (("year", 2025), ("month", 11), ("day", 1))},
    **{f"dailyRange.endDate.{part}": value for part, value in (("year", 2025), ("month", 11), ("day", 30))},
}
GBP = registry.get("google_business")


@pytest.fixture
def me(client: Client) -> dict[str, Any]:
    return client.account("google_business", ME)


def adapter(client: Client, tokens_: dict[str, Any], location: str = ME) -> PlatformClient:
    hosts = HostMap({}, sandbox=client.running.url)
    credentials = Credentials(tokens_["access_token"], tokens_["refresh_token"])
    return PlatformClient(GBP, Account("1", location), settings=Settings(hosts=hosts), credentials=credentials)


def read(client: Client, me: dict[str, Any]) -> tuple[Reading, Account]:
    speaker = adapter(client, me)
    found = speaker.run(GBP.fetch_account(speaker.account))
    assert isinstance(found, Reading)
    return found, speaker.account


def test_zeros_are_left_out_and_both_ends_are_in(client: Client, me: dict[str, Any]) -> None:
    answer = client.get(SERIES, me["access_token"], dailyMetrics=["WEBSITE_CLICKS", "CALL_CLICKS"], **NOVEMBER).json()
    (entry,) = answer["multiDailyMetricTimeSeries"]
    assert [one["dailyMetric"] for one in entry["dailyMetricTimeSeries"]] == ["WEBSITE_CLICKS", "CALL_CLICKS"]
    values = entry["dailyMetricTimeSeries"][0]["timeSeries"]["datedValues"]
    assert [value["date"]["day"] for value in values] == list(range(1, 31))
    assert {value.get("value", "0").isdecimal() for value in values} == {True}
    assert any("value" not in value for value in values) and not any(value.get("value") == "0" for value in values)


def test_either_spelling_of_the_range_is_understood(client: Client, me: dict[str, Any]) -> None:
    snake = {name.replace("startDate", "start_date").replace("endDate", "end_date"): v for name, v in NOVEMBER.items()}
    one, two = (
        client.get(SERIES, me["access_token"], dailyMetrics="CALL_CLICKS", **each) for each in (snake, NOVEMBER)
    )
    assert one.status_code == 200 and one.json() == two.json()


@pytest.mark.parametrize(
    "query",
    [
        {**NOVEMBER, "dailyMetrics": "BUSINESS_CONVERSATIONS"},
        {**NOVEMBER, "dailyMetrics": ["CALL_CLICKS", "NO_SUCH_THING"]},
        NOVEMBER,
        {"dailyMetrics": "CALL_CLICKS"},
        {**NOVEMBER, "dailyMetrics": "CALL_CLICKS", "dailyRange.endDate.month": 13},
        {**NOVEMBER, "dailyMetrics": "CALL_CLICKS", "dailyRange.endDate.year": 2024},
    ],
)
def test_bad_dates_and_unknown_metrics_fail_the_call(client: Client, me: dict[str, Any], query: dict[str, Any]) -> None:
    answer = client.get(SERIES, me["access_token"], **query)
    assert (answer.status_code, answer.json()["error"]["status"]) == (400, "INVALID_ARGUMENT")


def test_only_the_own_location_is_known_and_only_by_its_short_name(client: Client, me: dict[str, Any]) -> None:
    query = {"dailyMetrics": "CALL_CLICKS", **NOVEMBER}
    for path in (
        SERIES.replace(ME, "99"),
        f"{API}/accounts/1/locations/{ME}:fetchMultiDailyMetricsTimeSeries",
    ):
        assert client.get(path, me["access_token"], **query).status_code == 404
    place = f"mybusinessbusinessinformation.googleapis.com/v1/locations/{ME}"
    assert client.get(place, me["access_token"]).status_code == 400
    assert client.get(place, me["access_token"], readMask="name").json() == {"name": f"locations/{ME}"}


def test_the_adapter_sums_the_last_complete_days_in_one_call(client: Client, me: dict[str, Any]) -> None:
    reading, account = read(client, me)
    assert (GBP.account_metrics(reading.raw)[AccountDimension.IMPRESSIONS] or 0) > 0
    assert client.calls("google_business") == {"total": 1, "performance": 1}
    assert account.retired == set()
    client.switch("google_business", late_days=30)
    assert GBP.account_metrics(read(client, me)[0].raw)[AccountDimension.IMPRESSIONS] is None


def test_the_adapter_leaves_out_what_was_withdrawn_in_mid_run(client: Client, me: dict[str, Any]) -> None:
    read(client, me)
    client.switch("google_business", faults=[{"kind": "withdrawn", "metric": "MESSAGING_CLICKS"}])
    reading, account = read(client, me)
    assert account.retired == {"MESSAGING_CLICKS"}
    assert GBP.account_metrics(reading.raw)[AccountDimension.IMPRESSIONS]
    assert client.calls("google_business")["performance"] == 3


def test_the_adapter_proves_the_location_and_renews_the_token(client: Client, me: dict[str, Any]) -> None:
    speaker = adapter(client, me)
    speaker.run(GBP.probe(speaker.account))
    credentials = Credentials(me["access_token"], me["refresh_token"])
    app = App("app-1", "client", "a-secret-of-it")
    assert speaker.run(GBP.renew(speaker.account, credentials, app)).access_token.startswith("ya29.")
    client.account("google_business", ME, revoked=True)
    with pytest.raises(TokenExpired):
        speaker.run(GBP.renew(speaker.account, credentials, app))


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"approved": False}, Misconfigured),
        ({"faults": [{"kind": "rate_limited"}]}, RateLimited),
        ({"scoped": False}, ScopeMissing),
        ({"faults": [{"kind": "service_disabled"}]}, Misconfigured),
        ({"faults": [{"kind": "no_rights"}]}, ScopeMissing),
        ({"faults": [{"kind": "rate_limited", "retry_after": 5}]}, RateLimited),
        ({"faults": [{"kind": "token_expired"}]}, TokenExpired),
    ],
)
def test_the_adapter_understands_refusals(
    client: Client, me: dict[str, Any], change: dict[str, Any], error: type[Exception]
) -> None:
    client.switch("google_business", **change)
    speaker = adapter(client, me)
    for conversation in (GBP.probe(speaker.account), GBP.fetch_account(speaker.account)):
        with pytest.raises(error):
            speaker.run(conversation)


def test_each_api_has_its_own_minute(client: Client, me: dict[str, Any]) -> None:
    client.switch("google_business", per_minute=1)
    speaker = adapter(client, me)
    speaker.run(GBP.probe(speaker.account))
    speaker.run(GBP.fetch_account(speaker.account))
    with pytest.raises(RateLimited):
        speaker.run(GBP.probe(speaker.account))


def test_the_adapter_finds_no_foreign_location(client: Client, me: dict[str, Any]) -> None:
    speaker = adapter(client, me, "99")
    with pytest.raises(AccountNotFound):
        speaker.run(GBP.probe(speaker.account))


def test_posts_have_full_names(now: float) -> None:
    (post_id,) = post_ids("google_business", ME, 1, now=now)
    assert GBP.normalize_post_id(post_id, Account("1", ME)) == post_id

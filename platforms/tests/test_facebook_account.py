"""Facebook: the account, its limits, tokens that never end, and what looks alike."""

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any

import pytest

from platforms.base import Account
from platforms.dimensions import AccountDimension, Reason
from platforms.errors import (
    AccountNotFound,
    PlatformError,
    RateLimited,
    Rejected,
    ScopeMissing,
    TokenExpired,
    Unavailable,
)
from platforms.tests.facebook_network import FACEBOOK, PAGE, UNKNOWN, failure
from platforms.tests.replay import APP, NOW, TOKENS, Answers, account_of, client_for, query_of
from platforms.tests.sample import Gates
from platforms.transport import Exchange

pytestmark = pytest.mark.usefixtures("then")


def days(name: str, *values: Any) -> dict[str, Any]:
    return {"name": name, "values": [{"value": value, "end_time": "2026-11-22T08:00:00+0000"} for value in values]}


def test_days_are_summed_and_unique_viewers_are_not() -> None:
    data = [days("page_media_view", 510, {"ads": 400, "organic": 88}), days("page_total_media_view_unique", 300, 350)]
    found = FACEBOOK.account_metrics({"insights": {"data": [*data, days("page_follows", 10, 12)]}})
    assert found[AccountDimension.IMPRESSIONS] == 998
    assert found[AccountDimension.REACH] == 350
    assert found[AccountDimension.FOLLOWERS] == 12
    assert found[AccountDimension.PROFILE_VIEWS] is None


def fetch_account(answer: Callable[[str], Any], account: Account) -> Any:
    def play(exchange: Exchange) -> Any:
        query = query_of(exchange)
        return answer(query["metric"][0]) if "metric" in query else (200, {"id": PAGE, "followers_count": 5})

    return client_for("facebook", Answers(play), account).run(FACEBOOK.fetch_account(account))


def test_a_withdrawn_account_metric_does_not_cost_the_others() -> None:
    account = account_of("facebook", {})
    found = fetch_account(
        lambda metric: failure(100, UNKNOWN) if "page_views" in metric else (200, {"data": [days(metric, 7)]}), account
    )
    assert account.retired == {"page_views_total"}
    assert found.unavailable == {AccountDimension.PROFILE_VIEWS: Reason.RETIRED}
    assert FACEBOOK.account_metrics(found.raw)[AccountDimension.REACH] == 7


def test_refused_page_insights_are_a_missing_scope_and_followers_still_come() -> None:
    found = fetch_account(lambda metric: failure(200, "(#200) no", status=403), account_of("facebook", {}))
    assert FACEBOOK.account_metrics(found.raw)[AccountDimension.FOLLOWERS] == 5
    assert set(found.unavailable) == {
        AccountDimension.IMPRESSIONS,
        AccountDimension.REACH,
        AccountDimension.PROFILE_VIEWS,
    }


@pytest.mark.parametrize(
    ("headers", "closed"),
    [
        ({"x-app-usage": '{"call_count":28,"total_time":25,"total_cputime":25}'}, {}),
        ({"x-app-usage": '{"call_count":100,"total_time":25}'}, {"facebook:app:app-1:": timedelta(hours=1)}),
        (
            {"x-business-use-case-usage": '{"1":[{"type":"pages","estimated_time_to_regain_access":9}]}'},
            {"facebook:account:account-1:": timedelta(minutes=9)},
        ),
    ],
)
def test_usage_headers_close_gates(headers: dict[str, str], closed: dict[str, timedelta]) -> None:
    gates, account = Gates(), account_of("facebook", {})
    transport = Answers(lambda exchange: (200, {"id": PAGE}, headers))
    client_for("facebook", transport, account, gates=gates).run(FACEBOOK.probe(account))
    assert {key: until - NOW for key, until in gates.closed.items()} == closed


@pytest.mark.parametrize(("code", "key"), [(4, "app:app-1"), (32, "account:account-1"), (80001, "account:account-1")])
def test_a_limit_parks_the_app_or_the_page(code: int, key: str) -> None:
    gates, account = Gates(), account_of("facebook", {})
    with pytest.raises(RateLimited) as caught:
        client_for("facebook", Answers(lambda exchange: failure(code, "limit", status=403)), account, gates=gates).run(
            FACEBOOK.probe(account)
        )
    assert list(gates.closed) == [f"facebook:{key}:"]
    assert caught.value.retry_at == NOW + timedelta(hours=1)  # no time named


def test_a_limit_with_minutes_ends_then() -> None:
    account = account_of("facebook", {})
    headers = {"x-business-use-case-usage": '{"1":[{"estimated_time_to_regain_access":14}]}'}
    transport = Answers(lambda exchange: (*failure(80001, "limit"), headers))
    with pytest.raises(RateLimited) as caught:
        client_for("facebook", transport, account).run(FACEBOOK.probe(account))
    assert caught.value.retry_at == NOW + timedelta(minutes=14)


@pytest.mark.parametrize(
    ("one", "other", "kinds"),
    [
        # what looks alike and means opposite things
        (failure(190, "token", 463), failure(17, "limit"), (TokenExpired, RateLimited)),
        (
            failure(1, "unknown", status=500),
            failure(100, "The ids query parameter", status=500),
            (Unavailable, Rejected),
        ),
        (failure(210, "A page access token is required"), failure(200, "permission"), (TokenExpired, ScopeMissing)),
        (
            failure(100, "does not exist", 33),
            failure(100, "Tried accessing nonexisting field"),
            (AccountNotFound, Rejected),
        ),
    ],
)
def test_what_looks_alike_is_told_apart(one: Any, other: Any, kinds: tuple[type[PlatformError], ...]) -> None:
    account = account_of("facebook", {})
    for answer, kind in zip((one, other), kinds, strict=True):
        transport = Answers(partial(lambda given, exchange: given, answer))
        with pytest.raises(PlatformError) as caught:
            client_for("facebook", transport, account).run(FACEBOOK.probe(account))
        assert isinstance(caught.value, kind)


def test_a_pages_token_is_never_renewed() -> None:
    account, transport = account_of("facebook", {}), Answers(lambda exchange: (200, {}))
    assert FACEBOOK.refresh_for(account) is None
    with pytest.raises(TokenExpired):
        client_for("facebook", transport, account).run(FACEBOOK.renew(account, TOKENS, APP))
    assert not transport.asked

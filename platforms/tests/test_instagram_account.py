"""Instagram: the account, its tokens and its limits."""

from datetime import timedelta
from typing import Any

import pytest

from platforms.dimensions import AccountDimension, Reason
from platforms.errors import (
    PlatformError,
    RateLimited,
    Rejected,
    TokenExpired,
)
from platforms.oauth import Credentials
from platforms.tests.instagram_network import INSTAGRAM, ME, failure
from platforms.tests.replay import APP, NOW, TOKENS, Answers, account_of, client_for, query_of, raw_of
from platforms.tests.sample import Gates
from platforms.transport import Exchange

pytestmark = pytest.mark.usefixtures("then")

COUNTED = (AccountDimension.IMPRESSIONS, AccountDimension.REACH, AccountDimension.PROFILE_VIEWS)


NO_SUCH = "(#100) metric[1] must be one of the following values: reach, follower_count"
UNSAID = "(#100) Invalid metric"


@pytest.mark.parametrize(("words", "retired"), [(NO_SUCH, True), (UNSAID, False)])
@pytest.mark.parametrize("lost", ["views", "reach", "profile_views"])
def test_a_refused_account_metric_costs_only_itself(lost: str, words: str, retired: bool) -> None:
    words = words.replace("reach, ", "" if lost == "reach" else "reach, ")

    def answer(exchange: Exchange) -> Any:
        asked = query_of(exchange).get("metric", [""])[0].split(",")
        if asked == [""]:
            return 200, {"id": ME, "followers_count": 5}
        if lost in asked:
            return failure(100, words)
        return 200, {"data": [{"name": name, "total_value": {"value": 9}} for name in asked]}

    account, transport = account_of("instagram", {}), Answers(answer)
    for calls in (3 + 2 * (lost != "profile_views"), 3 - (lost == "profile_views") if retired else None):
        before = len(transport.asked)
        result = client_for("instagram", transport, account).run(INSTAGRAM.fetch_account(account))
        found = INSTAGRAM.account_metrics(raw_of(result))
        (lacking,) = [each for each, name in INSTAGRAM.account_fields.items() if name == lost]
        assert {each for each, value in found.items() if value == 9} == {*COUNTED} - {lacking}
        assert found[AccountDimension.FOLLOWERS] == 5 and found[lacking] is None
        assert result.unavailable == ({lacking: Reason.RETIRED} if retired else {})
        assert account.retired == ({lost} if retired else set())
        assert calls is None or len(transport.asked) - before == calls


def test_insights_without_permission_are_a_missing_scope_and_followers_still_come() -> None:
    def answer(exchange: Exchange) -> Any:
        denied = "metric" in query_of(exchange)
        return failure(10, "no permission", status=403) if denied else (200, {"id": ME, "followers_count": 5})

    account = account_of("instagram", {})
    result = client_for("instagram", Answers(answer), account).run(INSTAGRAM.fetch_account(account))
    assert result.unavailable == dict.fromkeys(COUNTED, Reason.SCOPE_MISSING)
    assert INSTAGRAM.account_metrics(raw_of(result))[AccountDimension.FOLLOWERS] == 5


@pytest.mark.parametrize(
    ("headers", "closed"),
    [
        ({"x-app-usage": '{"call_count":28,"total_time":25,"total_cputime":25}'}, {}),
        ({"x-app-usage": '{"call_count":100,"total_time":25}'}, {"instagram:app:app-1:": timedelta(hours=1)}),
        (
            {"x-business-use-case-usage": '{"1":[{"call_count":101,"estimated_time_to_regain_access":9}]}'},
            {"instagram:account:account-1:": timedelta(minutes=9)},
        ),
        (
            {"x-business-use-case-usage": '{"1":[{"call_count":100,"estimated_time_to_regain_access":0}]}'},
            {"instagram:account:account-1:": timedelta(hours=1)},
        ),
        ({"x-app-usage": "[" * 60000}, {}),
        ({"x-app-usage": '{"call_count":NaN}', "x-business-use-case-usage": "null"}, {}),
    ],
)
def test_usage_headers_close_gates_for_every_endpoint(headers: dict[str, str], closed: dict[str, timedelta]) -> None:
    gates, account = Gates(), account_of("instagram", {})
    transport = Answers(lambda exchange: (200, {"id": ME}, headers))
    client_for("instagram", transport, account, gates=gates).run(INSTAGRAM.probe(account))
    assert {key: until - NOW for key, until in gates.closed.items()} == closed


@pytest.mark.parametrize(("code", "key"), [(4, "app:app-1"), (17, "account:account-1"), (80002, "account:account-1")])
def test_a_limit_parks_the_app_or_the_account(code: int, key: str) -> None:
    gates, account = Gates(), account_of("instagram", {})
    transport = Answers(lambda exchange: failure(code, "limit", status=403))
    with pytest.raises(RateLimited):
        client_for("instagram", transport, account, gates=gates).run(INSTAGRAM.probe(account))
    assert list(gates.closed) == [f"instagram:{key}:"]


def renew(login: str, answer: Any) -> tuple[Any, Answers]:
    account, transport = account_of("instagram", {"extra": {"login": login}}), Answers(lambda exchange: answer)
    return client_for("instagram", transport, account).run(INSTAGRAM.renew(account, TOKENS, APP)), transport


def test_an_instagram_token_is_extended_without_the_apps_secret() -> None:
    tokens, transport = renew("instagram", (200, {"access_token": "a2", "expires_in": 5183944}))
    (exchange,) = transport.asked
    assert exchange.url == "https://graph.instagram.com/refresh_access_token"
    assert query_of(exchange) == {"grant_type": ["ig_refresh_token"], "access_token": [TOKENS.access_token]}
    assert (tokens.access_token, tokens.refresh_token) == ("a2", "")
    assert tokens.expires_at == NOW + timedelta(seconds=5183944)


@pytest.mark.parametrize("words", ["The access token must be at least 24 hours old to be refreshed.", "Bad grant"])
def test_a_refusal_to_extend_that_is_no_expiry_is_not_taken_for_one(words: str) -> None:
    with pytest.raises(PlatformError) as caught:
        renew("instagram", failure(100, words))
    assert type(caught.value) is Rejected


def test_a_token_is_extended_early_but_not_in_its_first_day() -> None:
    for login in ("instagram", "facebook"):
        facts = INSTAGRAM.refresh_for(account_of("instagram", {"extra": {"login": login}}))
        assert facts is not None
        assert (facts.early, facts.min_age, facts.revives) == (timedelta(days=7), timedelta(hours=24), False)
    account = account_of("instagram", {})
    with pytest.raises(TokenExpired):
        client_for("instagram", Answers(lambda exchange: (200, {})), account).run(
            INSTAGRAM.renew(account, Credentials(refresh_token="x"), APP)
        )


def test_a_message_that_repeats_the_token_is_shown_without_it() -> None:
    account = account_of("instagram", {})
    words = f"Malformed access token {TOKENS.access_token}"
    with pytest.raises(TokenExpired) as caught:
        client_for("instagram", Answers(lambda exchange: failure(190, words)), account).run(INSTAGRAM.probe(account))
    assert caught.value.detail == "Malformed access token [removed]"
    assert TOKENS.access_token not in f"{caught.value} {caught.value.evidence}"


@pytest.mark.parametrize("given", ["CxYz123", "https://www.instagram.com/p/CxYz123/", "1790_17841", "12"])
def test_a_shortcode_is_no_id(given: str) -> None:
    with pytest.raises(ValueError, match="expected"):
        INSTAGRAM.normalize_post_id(given, account_of("instagram", {}))

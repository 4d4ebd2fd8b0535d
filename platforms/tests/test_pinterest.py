"""Pinterest: calls, lifetime counts and windows, codes that look alike."""

from datetime import timedelta
from typing import Any

import pytest

from platforms.base import Reading
from platforms.dimensions import AccountDimension, Dimension, Reason
from platforms.errors import (
    AccountNotFound,
    Gone,
    MalformedPayload,
    Misconfigured,
    PlatformError,
    RateLimited,
    Rejected,
    TokenExpired,
    Unavailable,
)
from platforms.oauth import App, Credentials
from platforms.tests.pinboard import (
    FORBIDDEN,
    LIMITED,
    MISSING,
    NO_SCOPE,
    NOT_YOURS,
    OLD,
    PINTEREST,
    YOUNG,
    Pinboard,
    numbered,
    pin,
    saves,
    totals,
)
from platforms.tests.replay import APP, NOW, TOKENS, Answers, account_of, client_for, query_of, raw_of
from platforms.tests.sample import Gates
from platforms.transport import Exchange

pytestmark = pytest.mark.usefixtures("then")


# --- calls -------------------------------------------------------------------------------------------------------


def test_a_thousand_pins_take_four_calls_and_ten_for_their_saves() -> None:
    board = Pinboard(numbered(1000))
    found = board.fetch(*board.pins)
    assert len(found) == 1000 and {saves(item) for item in found.values()} == {20}
    assert board.kinds() == {"pins": 4, "pins/analytics": 10}
    asked = [query_of(exchange) for exchange in board.transport.asked if exchange.url.endswith("/pins")]
    assert {query["page_size"][0] for query in asked} == {"250"}


def test_old_pins_take_no_call_for_saves_that_could_not_be_lifetime_ones() -> None:
    board = Pinboard(numbered(1000, OLD))
    found = board.fetch(*board.pins)
    assert board.kinds() == {"pins": 4}
    assert {saves(item) for item in found.values()} == {None}


def test_one_pin_takes_two_calls_side_by_side() -> None:
    board = Pinboard(numbered(1))
    (item,) = board.fetch(*board.pins).values()
    assert board.kinds() == {"pins/#": 1, "pins/#/analytics": 1}
    assert PINTEREST.metrics(raw_of(item)) == {
        Dimension.IMPRESSIONS: 240,
        Dimension.LIKES: 10,
        Dimension.COMMENTS: 2,
        Dimension.SAVES: 20,
        Dimension.CLICKS: 37,
        Dimension.VIDEO_VIEWS: None,
    }
    assert set(raw_of(item)["pin"]) == {"id", "created_at", "is_owner", "pin_metrics"}


def test_a_few_pins_of_many_are_not_looked_for_through_the_whole_listing() -> None:
    board = Pinboard(numbered(5000))
    last = list(board.pins)[-3:]
    assert len(board.fetch(*last)) == 3
    assert board.kinds() == {"pins": 3, "pins/#": 3, "pins/analytics": 1}


def test_what_the_listing_does_not_show_is_remembered() -> None:
    board, account = Pinboard(numbered(6)), account_of("pinterest", {})
    hidden = list(board.pins)[:3]
    board.hook = lambda path, _: (200, {"items": [], "bookmark": None}) if path == "pins" else None
    board.fetch(*hidden, account=account)
    assert account.memory["unlisted"] == hidden
    board.fetch(*hidden, account=account)
    assert board.kinds()["pins"] == 1


# --- lifetime and window -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("created_at", "status", "save", "expected"),
    [
        ("2026-08-26T00:00:00", "READY", 20, 20),
        ("2026-08-25T23:59:59", "READY", 20, None),
        (None, "READY", 20, None),
        ("soon", "READY", 20, None),
        (YOUNG, "BEFORE_BUSINESS_CREATED", 20, None),
        (YOUNG, "BEFORE_DATA_RETENTION_PERIOD", 20, None),
        (YOUNG, "SOMETHING_NEW", 20, None),
        (YOUNG, "PROCESSING", 20, 20),
        (YOUNG, "PROCESSING", 0, None),
        (YOUNG, "READY", 0, 0),
        (YOUNG, "READY", 20.0, 20),
    ],
)
def test_a_windows_total_is_a_column_only_where_it_holds_the_whole_life(
    created_at: Any, status: str, save: float, expected: int | None
) -> None:
    def hook(path: str, exchange: Exchange) -> Any:
        return (200, totals(status=status, SAVE=save)) if path.endswith("analytics") else None

    (item,) = Pinboard([pin("1", created_at)], hook).fetch("1").values()
    raw = raw_of(item)
    assert PINTEREST.metrics(raw)[Dimension.SAVES] == expected
    assert raw["analytics"]["summary_metrics"]["SAVE"] == save
    assert (raw["analytics"]["start_date"], raw["analytics"]["end_date"]) == ("2026-08-26", "2026-11-23")


def test_without_lifetime_counts_an_old_pin_has_none_although_its_window_does() -> None:
    (item,) = Pinboard([pin("1", OLD, pin_metrics=None)]).fetch("1").values()
    assert set(PINTEREST.metrics(raw_of(item)).values()) == {None}


def test_comments_and_reactions_of_analytics_are_lifetime_counts_whatever_the_window() -> None:
    raw = {"pin": pin("1", OLD, pin_metrics=None), "analytics": {"lifetime_metrics": {"TOTAL_COMMENTS": 3}}}
    assert PINTEREST.metrics(raw)[Dimension.COMMENTS] == 3


# --- failures ----------------------------------------------------------------------------------------------------


def test_a_401_with_code_7_is_about_a_pin_and_renews_nothing() -> None:
    def renew(token: str) -> Credentials:
        raise AssertionError("renewed")

    board = Pinboard(numbered(2))
    bad = next(iter(board.pins))
    board.hook = lambda path, _: NOT_YOURS if bad in path else None
    found = board.fetch(*board.pins, renew=renew)
    assert isinstance(found[bad], Rejected)
    assert [saves(item) for item in found.values() if not isinstance(item, PlatformError)] == [20]


def test_a_401_with_another_code_is_about_the_token_and_renews_it_once() -> None:
    def hook(path: str, exchange: Exchange) -> Any:
        renewed = "renewed" in exchange.headers["Authorization"]
        return None if renewed else (401, {"code": 2, "message": "Authentication failed."})

    board = Pinboard(numbered(2), hook)
    found = board.fetch(*board.pins, renew=lambda _: Credentials(access_token="access-token-renewed"))
    assert {saves(item) for item in found.values()} == {20}


def test_a_listing_that_breaks_off_keeps_what_it_showed() -> None:
    board = Pinboard(numbered(600))

    def hook(path: str, exchange: Exchange) -> Any:
        return (503, b"") if query_of(exchange).get("bookmark") == ["250"] else None

    board.hook = hook
    found = board.fetch(*board.pins)
    assert sum(isinstance(item, Unavailable) for item in found.values()) == 350
    assert sum(not isinstance(item, PlatformError) for item in found.values()) == 250


def test_a_bookmark_that_is_too_old_leaves_the_rest_to_single_calls() -> None:
    def hook(path: str, exchange: Exchange) -> Any:
        return (400, {"code": 400, "message": "Invalid bookmark"}) if "bookmark" in query_of(exchange) else None

    board = Pinboard(numbered(260), hook)
    assert len(board.fetch(*board.pins)) == 260
    assert board.kinds()["pins/#"] == 10


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (LIMITED, RateLimited),
        ((500, {"code": 11}), Unavailable),
        ((200, b""), MalformedPayload),
        (NO_SCOPE, PlatformError),
    ],
)
def test_what_concerns_all_pins_fails_the_conversation(answer: Any, error: type[PlatformError]) -> None:
    for count in (1, 5):
        board = Pinboard(numbered(count), lambda path, _: answer)
        with pytest.raises(error):
            board.fetch(*board.pins)
        assert len(board.transport.asked) <= 2


def test_half_of_a_listing_missing_is_looked_up_and_only_the_deleted_are_gone() -> None:
    board = Pinboard(numbered(10))
    shown = list(board.pins.values())[::2]
    deleted = list(board.pins)[1]
    board.hook = lambda path, _: (200, {"items": shown, "bookmark": None}) if path == "pins" else None
    asked = list(board.pins)
    del board.pins[deleted]
    found = board.fetch(*asked)
    assert isinstance(found[deleted], Gone) and len(found) == 10
    assert [saves(found[i]) for i in asked if i != deleted] == [20] * 9


def test_a_listing_that_is_not_found_makes_no_pin_gone() -> None:
    board = Pinboard(numbered(10), lambda path, _: MISSING if path == "pins" else None)
    with pytest.raises(Rejected):
        board.fetch(*board.pins)
    account = account_of("pinterest", {})
    with pytest.raises(Rejected):
        client_for("pinterest", board.transport, account).run(PINTEREST.list_posts(account))


def test_a_404_of_a_gateway_says_nothing_of_a_pin() -> None:
    board = Pinboard(numbered(1), lambda path, _: (404, b"<html>"))
    assert not isinstance(board.fetch(*board.pins)[next(iter(board.pins))], Gone)


@pytest.mark.parametrize("odd", [None, [], "x", {}, {"id": 5}, pin("7")])
def test_a_pin_that_cannot_be_read_costs_no_other(odd: Any) -> None:
    board = Pinboard(numbered(2))
    one, two = board.pins
    board.hook = lambda path, _: (200, odd) if path == f"pins/{one}" else None
    found = board.fetch(one, two)
    assert isinstance(found[one], MalformedPayload) and saves(found[two]) == 20


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, 60),
        ({"retry-after": "90"}, 90),
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": "12"}, 12),
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": str(int(NOW.timestamp()) + 240)}, 240),
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": "soon"}, 60),
    ],
)
def test_a_rate_limit_parks_the_category_for_the_account(headers: dict[str, str], seconds: int) -> None:
    account = account_of("pinterest", {})
    with pytest.raises(RateLimited) as caught:
        transport = Answers(lambda exchange: (*LIMITED, headers))
        client_for("pinterest", transport, account).run(PINTEREST.probe(account))
    assert caught.value.retry_at == NOW + timedelta(seconds=seconds)
    assert (caught.value.scope, caught.value.group) == ("account", "org_read")


def test_nothing_is_asked_beside_what_a_closed_gate_keeps_back() -> None:
    gates = Gates(**{"pinterest:account:account-1:org_read": NOW + timedelta(minutes=1)})
    board, account = Pinboard(numbered(2)), account_of("pinterest", {})
    with pytest.raises(RateLimited):
        board.fetch(*board.pins, gates=gates)
    with pytest.raises(RateLimited):
        client_for("pinterest", board.transport, account, gates=gates).run(PINTEREST.fetch_account(account))
    assert board.transport.asked == []


def test_limits_are_each_users() -> None:
    assert {(limit.group, limit.calls, limit.seconds, limit.scope) for limit in PINTEREST.limits} == {
        ("org_read", 1000, 60, "account"),
        ("org_analytics", 300, 60, "account"),
        ("", 100, 1, "account"),
    }


# --- account and listing -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "impressions", "reasons"),
    [
        ((200, totals()), 240, {}),
        ((200, totals(IMPRESSION=0)), 0, {}),
        ((200, totals(IMPRESSION=0, status="PROCESSING")), None, {}),
        ((200, {}), None, {}),
        (FORBIDDEN, None, {}),
        (NO_SCOPE, None, {AccountDimension.IMPRESSIONS: Reason.SCOPE_MISSING}),
        (LIMITED, None, {}),
        ((503, b""), None, {}),
    ],
)
def test_account_analytics_cost_only_the_impressions(answer: Any, impressions: int | None, reasons: Any) -> None:
    account = account_of("pinterest", {})
    user = {"id": account.network_unique_id, "username": "shop", "follower_count": 10}
    transport = Answers(lambda exchange: answer if exchange.url.endswith("analytics") else (200, user))
    reading = client_for("pinterest", transport, account).run(PINTEREST.fetch_account(account))
    assert isinstance(reading, Reading)
    numbers = PINTEREST.account_metrics(reading.raw)
    assert (numbers[AccountDimension.FOLLOWERS], numbers[AccountDimension.IMPRESSIONS]) == (10, impressions)
    assert reading.unavailable == reasons
    assert len(transport.asked) == 2 and "username" not in reading.raw["user"]


def test_an_account_that_is_gone_is_no_gone_post() -> None:
    account = account_of("pinterest", {})
    with pytest.raises(AccountNotFound):
        client_for("pinterest", Answers(lambda exchange: MISSING), account).run(PINTEREST.probe(account))


def test_saves_of_other_pins_are_not_the_accounts_own_posts() -> None:
    pins = [pin("1"), pin("2", parent_pin_id="9"), pin("3", is_owner=False)]
    account, board = account_of("pinterest", {}), Pinboard(pins)
    page = client_for("pinterest", board.transport, account).run(PINTEREST.list_posts(account))
    assert [each.id for each in page.posts] == ["1"]
    assert query_of(board.transport.asked[0])["pin_filter"] == ["exclude_repins"]


# --- tokens and ids ----------------------------------------------------------------------------------------------


def renew(answer: Any, app: App = APP) -> tuple[Answers, Any]:
    account, transport = account_of("pinterest", {}), Answers(lambda exchange: answer)
    client = client_for("pinterest", transport, account, app=app)
    return transport, client.run(PINTEREST.renew(account, TOKENS, app))


def test_a_refresh_is_authorised_by_basic_and_asks_for_the_continuous_token() -> None:
    pair = {"access_token": "pina_2", "refresh_token": "pinr_2", "expires_in": 2592000}
    transport, tokens = renew((200, pair | {"refresh_token_expires_in": 5184000, "scope": "pins:read,boards:read"}))
    (exchange,) = transport.asked
    assert exchange.url == "https://api.pinterest.com/v5/oauth/token"
    assert exchange.headers["Authorization"].startswith("Basic ")
    assert exchange.form == {
        "grant_type": "refresh_token",
        "refresh_token": "refresh-token-on-file",
        "continuous_refresh": "true",
    }
    assert (tokens.refresh_token, tokens.expires_at) == ("pinr_2", NOW + timedelta(days=30))
    assert tokens.refresh_expires_at == NOW + timedelta(days=60)


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ((400, {"code": 1, "message": "Invalid request"}), TokenExpired),
        ((401, {"code": 2, "message": "Authentication failed."}), TokenExpired),
        ((400, {"error": "invalid_grant"}), TokenExpired),
        (LIMITED, RateLimited),
        (Unavailable("timed out"), Unavailable),
        ((502, b"<html>"), Unavailable),
        ((404, {"code": 404, "message": "Not found"}), Misconfigured),
        ((403, {"code": 3, "message": "Consumer not allowed"}), Misconfigured),
    ],
)
def test_only_a_clear_refusal_of_a_refresh_is_one(answer: Any, error: type[PlatformError]) -> None:
    with pytest.raises(error) as caught:
        renew(answer)
    assert type(caught.value) is error


@pytest.mark.parametrize(
    "given",
    [
        "813744226420795884",
        "https://www.pinterest.com/pin/813744226420795884/",
        "https://pinterest.com/pin/813744226420795884",
        "https://de.pinterest.com/pin/a-red-chair--813744226420795884/?utm=1",
        "https://www.pinterest.co.uk/pin/813744226420795884/",
    ],
)
def test_permalinks_become_ids(given: str) -> None:
    assert PINTEREST.normalize_post_id(given, account_of("pinterest", {})) == "813744226420795884"


@pytest.mark.parametrize("given", ["https://pin.it/abc", "12345678901234567890", "https://www.pinterest.com/shop/"])
def test_other_texts_are_no_ids(given: str) -> None:
    with pytest.raises(ValueError, match="expected"):
        PINTEREST.normalize_post_id(given, account_of("pinterest", {}))

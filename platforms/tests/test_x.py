"""X: two vocabularies, public and private numbers, money and limits."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from platforms.base import Reading
from platforms.dimensions import AccountDimension, Dimension, Reason
from platforms.errors import (
    BudgetExhausted,
    Gone,
    MalformedPayload,
    Misconfigured,
    RateLimited,
    Rejected,
    ScopeMissing,
    TokenExpired,
    Unavailable,
)
from platforms.oauth import App, Credentials
from platforms.tests.replay import APP, NOW, TOKENS, Answers, account_of, client_for, query_of, raw_of
from platforms.tests.sample import Gates
from platforms.tests.x_posts import OLD, YOUNG, X, fetch, is_private, made, post
from platforms.transport import Exchange
from platforms.x_metrics import created_at

pytestmark = pytest.mark.usefixtures("then")

FORBIDDEN = {"title": "Forbidden", "type": "about:blank", "status": 403, "detail": "Forbidden"}


def test_an_id_tells_when_its_post_was_made() -> None:
    assert created_at("1460323737035677698").date().isoformat() == "2021-11-15"
    assert created_at("20").year == 2010


def test_private_numbers_are_asked_only_of_posts_under_30_days_and_side_by_side() -> None:
    def answer(exchange: Exchange) -> Any:
        if is_private(exchange):
            private = {"id": YOUNG, "non_public_metrics": {"url_link_clicks": 17}}
            return 200, {"data": [private]}
        return 200, {"data": [post(YOUNG), post(OLD)]}

    transport = Answers(answer)
    found = fetch(transport, YOUNG, OLD)
    public, private = sorted(transport.asked, key=is_private)
    assert query_of(public)["ids"] == [f"{YOUNG},{OLD}"]
    assert query_of(private) == {"ids": [YOUNG], "tweet.fields": ["non_public_metrics,organic_metrics"]}
    assert [X.metrics(raw_of(found[i]))[Dimension.CLICKS] for i in (YOUNG, OLD)] == [17, None]
    assert "text" not in raw_of(found[YOUNG])["post"]


@pytest.mark.parametrize(("age", "calls"), [(timedelta(days=1), 20), (timedelta(days=31), 10)])
def test_a_thousand_posts_take_ten_calls_and_ten_for_the_private_numbers_of_young_ones(
    age: timedelta, calls: int
) -> None:
    ids = [made(age + timedelta(minutes=n)) for n in range(1000)]
    transport = Answers(lambda exchange: (200, {"data": [post(i) for i in query_of(exchange)["ids"][0].split(",")]}))
    found = [each for start in range(0, 1000, X.batch_size) for each in fetch(transport, *ids[start : start + 100])]
    assert found == ids
    assert len(transport.asked) == calls


def test_old_posts_are_read_in_one_call() -> None:
    transport = Answers(lambda exchange: (200, {"data": [post(OLD)]}))
    fetch(transport, OLD)
    assert len(transport.asked) == 1


def test_an_id_that_hides_a_young_post_costs_a_second_call_and_no_clicks() -> None:
    young = "1890000000000000001"

    def answer(exchange: Exchange) -> Any:
        if is_private(exchange):
            return 200, {"data": [{"id": young, "non_public_metrics": {"url_link_clicks": 3}}]}
        return 200, {"data": [post(young, created_at="2026-11-20T09:00:00.000Z")]}

    transport = Answers(answer)
    found = fetch(transport, young)
    assert len(transport.asked) == 2
    assert X.metrics(raw_of(found[young]))[Dimension.CLICKS] == 3


@pytest.mark.parametrize(
    ("status", "body", "reasons"),
    [
        (403, FORBIDDEN, {Dimension.CLICKS: Reason.SCOPE_MISSING}),
        (403, {"title": "x", "type": "https://api.x.com/2/problems/client-forbidden", "status": 403}, {}),
        (503, {}, {}),
        (200, {"data": "?"}, {}),
        (200, [], {}),
    ],
)
def test_refused_private_numbers_cost_only_the_clicks(status: int, body: Any, reasons: dict[str, Reason]) -> None:
    transport = Answers(lambda exchange: (status, body) if is_private(exchange) else (200, {"data": [post(YOUNG)]}))
    reading = fetch(transport, YOUNG)[YOUNG]
    assert isinstance(reading, Reading)
    numbers = X.metrics(reading.raw)
    assert numbers.pop(Dimension.CLICKS) is None
    assert None not in numbers.values()
    assert reading.unavailable == reasons


def in_vocabulary(name: str, *, refuse: bool) -> Answers:
    """A server that knows one parameter name, and refuses or ignores the other."""

    def answer(exchange: Exchange) -> Any:
        if name in query_of(exchange):
            return 200, {"data": [post(OLD)]}
        if not refuse:
            return 200, {"data": [{"id": OLD, "text": "Launch day"}]}
        other = "tweet.fields" if name == "post.fields" else "post.fields"
        return 400, {"detail": f"The query parameter [{other}] is not one of [ids,{name}]", "type": "…/invalid-request"}

    return Answers(answer)


@pytest.mark.parametrize("refuse", [True, False])
@pytest.mark.parametrize(("preferred", "known"), [("tweet", "post"), ("post", "tweet")])
def test_the_other_vocabulary_is_tried_once_and_remembered(preferred: str, known: str, refuse: bool) -> None:
    transport = in_vocabulary(f"{known}.fields", refuse=refuse)
    account = account_of("x", {"settings": {"vocabulary": preferred}})
    assert X.metrics(raw_of(fetch(transport, OLD, account=account)[OLD]))[Dimension.SHARES] == 4
    assert len(transport.asked) == 2
    assert account.memory == {"vocabulary": known}
    fetch(transport, OLD, account=account)
    assert len(transport.asked) == 3
    for exchange in transport.asked:
        assert len({"tweet.fields", "post.fields"} & query_of(exchange).keys()) == 1


def test_neither_vocabulary_understood_is_an_error_to_look_at() -> None:
    transport = Answers(lambda exchange: (200, {"data": [{"id": OLD}]}))
    with pytest.raises(MalformedPayload):
        fetch(transport, OLD)
    assert len(transport.asked) == 2


def test_a_refusal_for_another_parameter_is_not_tried_again() -> None:
    problem = {"detail": "The `ids` query parameter value [abc] is not valid", "type": "…/invalid-request"}
    transport = Answers(lambda exchange: (400, problem))
    with pytest.raises(Rejected):
        fetch(transport, OLD)
    assert len(transport.asked) == 1


@pytest.mark.parametrize("name", ["retweet_count", "repost_count"])
def test_reposts_are_read_under_either_name_and_quotes_are_not_added(name: str) -> None:
    numbers = {name: 4, "quote_count": 9}
    assert X.metrics({"post": {"id": "1", "public_metrics": numbers}})[Dimension.SHARES] == 4


@pytest.mark.parametrize(("name", "count"), [("tweet_count", 940), ("post_count", 941)])
def test_posts_are_counted_under_either_name(name: str, count: int) -> None:
    assert X.account_metrics({"public_metrics": {name: count}})[AccountDimension.POSTS_COUNT] == count


@pytest.mark.parametrize(
    ("keys", "media", "views"),
    [
        (None, None, 0),
        (["3_1"], [{"media_key": "3_1", "type": "photo"}], 0),
        (["13_1"], [{"media_key": "13_1", "type": "video", "public_metrics": {"view_count": 830}}], 830),
        (["13_1"], [{"media_key": "13_1", "type": "video"}], None),
        (["13_1"], [], None),
        (["13_1"], [{"media_key": "13_1"}], None),
        (
            ["3_1", "13_1", "13_2"],
            [
                {"media_key": "3_1", "type": "photo"},
                {"media_key": "13_1", "type": "video", "public_metrics": {"view_count": 5}},
                {"media_key": "13_2", "type": "video", "public_metrics": {"view_count": 7}},
            ],
            5,
        ),
    ],
)
def test_video_views_are_those_of_the_first_video(keys: Any, media: Any, views: int | None) -> None:
    answer: dict[str, Any] = {"data": [post(OLD)]}
    if keys is not None:
        answer["data"][0]["attachments"] = {"media_keys": keys}
        answer["includes"] = {"media": media}
    found = fetch(Answers(lambda exchange: (200, answer)), OLD)
    assert X.metrics(raw_of(found[OLD]))[Dimension.VIDEO_VIEWS] == views


def test_errors_beside_data_concern_their_item_only() -> None:
    error = {"resource_id": "5", "value": "5", "type": "https://api.x.com/2/problems/resource-not-found"}
    found = fetch(
        Answers(lambda exchange: (200, {"data": [post("4"), {"text": ""}], "errors": [error]})), "4", "5", "6"
    )
    assert isinstance(found["5"], Gone)
    assert set(found) == {"4", "5"}


@pytest.mark.parametrize("about", [{}, {"errors": [{"resource_id": OLD, "type": "…/resource-not-found"}]}])
def test_an_address_that_is_not_found_makes_no_post_gone(about: Any) -> None:
    problem = {"title": "Not Found Error", "type": "https://api.x.com/2/problems/resource-not-found", **about}
    with pytest.raises(Rejected):
        fetch(Answers(lambda exchange: (404, problem)), OLD)


def test_an_error_item_does_not_hide_numbers_that_came() -> None:
    error = {"resource_id": "4", "type": "https://api.x.com/2/problems/field-hydration-failure"}
    found = fetch(Answers(lambda exchange: (200, {"data": [post("4")], "errors": [error]})), "4")
    assert X.metrics(raw_of(found["4"]))[Dimension.LIKES] == 31


@pytest.mark.parametrize(
    ("status", "kind", "headers", "error", "until"),
    [
        (402, "credits", {}, BudgetExhausted, NOW + timedelta(minutes=15)),
        (403, "credits-depleted", {}, BudgetExhausted, NOW + timedelta(minutes=15)),
        (429, "usage-capped", {"x-rate-limit-remaining": "9"}, BudgetExhausted, datetime(2026, 11, 24, tzinfo=UTC)),
    ],
)
def test_spent_money_stops_everything_of_the_app(
    status: int, kind: str, headers: dict[str, str], error: type[Exception], until: datetime
) -> None:
    gates = Gates()
    problem = {"type": f"https://api.x.com/2/problems/{kind}", "title": kind}
    with pytest.raises(error):
        fetch(Answers(lambda exchange: (status, problem, headers)), OLD, gates=gates)
    assert gates.closed == {"x:app:app-1:": until}


RESET = str(int((NOW + timedelta(minutes=4)).timestamp()))


@pytest.mark.parametrize(
    ("headers", "key", "minutes"),
    [
        (
            {"x-rate-limit-limit": "5000", "x-rate-limit-remaining": "0", "x-rate-limit-reset": RESET},
            "x:account:account-1:tweets",
            4,
        ),
        (
            {"x-rate-limit-limit": "3500", "x-rate-limit-remaining": "0", "x-rate-limit-reset": RESET},
            "x:app:app-1:tweets",
            4,
        ),
        ({"x-app-limit-24hour-remaining": "0", "x-app-limit-24hour-reset": RESET}, "x:app:app-1:tweets", 4),
        ({"x-user-limit-24hour-remaining": "0", "x-user-limit-24hour-reset": RESET}, "x:account:account-1:tweets", 4),
        ({"x-rate-limit-reset": RESET}, "x:account:account-1:tweets", 4),
        ({"x-rate-limit-remaining": "9", "x-rate-limit-reset": RESET}, "x:account:account-1:tweets", 4),
        ({"x-rate-limit-remaining": "0", "x-rate-limit-reset": "1700000000"}, "x:account:account-1:tweets", 15),
        ({"x-rate-limit-remaining": "0", "x-rate-limit-reset": "²"}, "x:account:account-1:tweets", 15),
        ({}, "x:account:account-1:tweets", 15),
    ],
)
def test_a_spent_window_parks_its_endpoint_until_its_reset(headers: dict[str, str], key: str, minutes: int) -> None:
    gates = Gates()
    with pytest.raises(RateLimited) as caught:
        fetch(Answers(lambda exchange: (429, {"type": "about:blank"}, headers)), OLD, gates=gates)
    assert gates.closed == {key: NOW + timedelta(minutes=minutes)}
    assert caught.value.retry_at == NOW + timedelta(minutes=minutes)


def test_headers_of_the_last_allowed_call_close_the_gate_early() -> None:
    gates = Gates()
    headers = {"x-rate-limit-limit": "5000", "x-rate-limit-remaining": "0", "x-rate-limit-reset": RESET}
    fetch(Answers(lambda exchange: (200, {"data": [post(OLD)]}, headers)), OLD, gates=gates)
    assert list(gates.closed) == ["x:account:account-1:tweets"]


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (FORBIDDEN, ScopeMissing),
        ({"title": "Forbidden", "type": "…/problems/new", "detail": "Missing scope tweet.read"}, ScopeMissing),
        ({"title": "Forbidden", "type": "…/problems/new", "detail": "No."}, Rejected),
        ({"title": "Forbidden", "type": "about:blank", "reason": "client-not-enrolled"}, Misconfigured),
        ([], Rejected),
        (b"<html>", Rejected),
    ],
)
def test_403_is_a_missing_scope_only_where_the_answer_leaves_nothing_else(body: Any, error: type[Exception]) -> None:
    account = account_of("x", {})
    with pytest.raises(error) as caught:
        client_for("x", Answers(lambda exchange: (403, body)), account).run(X.probe(account))
    assert type(caught.value) is error


def test_a_refresh_names_the_app_by_basic_authorization_and_keeps_the_rotated_pair() -> None:
    transport = Answers(lambda exchange: (200, {"access_token": "a2", "refresh_token": "r2", "expires_in": 7200}))
    account = account_of("x", {})
    tokens = client_for("x", transport, account).run(X.renew(account, TOKENS, APP))
    (exchange,) = transport.asked
    assert exchange.headers["Authorization"].startswith("Basic ")
    assert exchange.form == {"grant_type": "refresh_token", "refresh_token": "refresh-token-on-file"}
    assert (tokens.refresh_token, tokens.expires_at) == ("r2", NOW + timedelta(hours=2))


def test_a_public_client_is_named_in_the_form() -> None:
    transport = Answers(lambda exchange: (200, {"access_token": "a2", "refresh_token": "r2"}))
    account, app = account_of("x", {}), App(client_id="public-client")
    client_for("x", transport, account, app=app).run(X.renew(account, TOKENS, app))
    (exchange,) = transport.asked
    assert "Authorization" not in exchange.headers
    assert exchange.form is not None and exchange.form["client_id"] == "public-client"


def test_without_a_refresh_token_nothing_is_sent() -> None:
    transport = Answers(lambda exchange: (200, {}))
    account = account_of("x", {})
    with pytest.raises(TokenExpired):
        client_for("x", transport, account).run(X.renew(account, Credentials(), APP))
    assert transport.asked == []


@pytest.mark.parametrize(
    "given",
    [
        "1890000000000000001",
        "https://x.com/acme/status/1890000000000000001",
        "https://twitter.com/acme/status/1890000000000000001?s=20",
        "https://mobile.twitter.com/acme/status/1890000000000000001/photo/1",
        "https://x.com/i/web/status/1890000000000000001",
    ],
)
def test_permalinks_become_ids(given: str) -> None:
    assert X.normalize_post_id(given, account_of("x", {})) == "1890000000000000001"


@pytest.mark.parametrize("given", ["1890000000000000001?s=20", "12345678901234567890", "https://x.com/acme", "1e5"])
def test_other_texts_are_no_ids(given: str) -> None:
    with pytest.raises(ValueError, match="expected"):
        X.normalize_post_id(given, account_of("x", {}))


def test_a_failed_public_call_fails_the_batch_although_the_private_one_answered() -> None:
    transport = Answers(lambda exchange: (200, {"data": []}) if is_private(exchange) else (503, {}))
    with pytest.raises(Unavailable):
        fetch(transport, YOUNG)

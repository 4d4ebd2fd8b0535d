"""Threads: one call a post, refused metrics, failures that look passing, tokens that are extended."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest

from platforms import registry
from platforms.base import Account, Reading
from platforms.dimensions import AccountDimension, Dimension, Reason
from platforms.errors import (
    AccountNotFound,
    Gone,
    MalformedPayload,
    PlatformError,
    RateLimited,
    Rejected,
    ScopeMissing,
    TokenExpired,
    Unavailable,
)
from platforms.oauth import Credentials
from platforms.tests.replay import APP, NOW, TOKENS, Answers, account_of, client_for, query_of, raw_of
from platforms.tests.sample import Gates
from platforms.transport import Exchange

pytestmark = pytest.mark.usefixtures("then")

THREADS = registry.get("threads")
ME = "26000000000000001"
VALUES = {"views": 940, "likes": 37, "replies": 5, "reposts": 3, "quotes": 1, "shares": 2}
WHOLE = {Dimension.IMPRESSIONS: 940, Dimension.LIKES: 37, Dimension.COMMENTS: 5, Dimension.SHARES: 4}


def failure(code: int, message: str = "", subcode: int = 0, status: int = 400) -> tuple[int, Any]:
    return status, {"error": {"code": code, "message": message, "error_subcode": subcode, "type": "THApiException"}}


GONE = failure(100, "Unsupported get request. Object with ID '1' does not exist", 33)
UNEXPLAINED = failure(1, "An unknown error has occurred.", status=500)


class Network:
    """A small Threads: insights of each post, and whatever each test wants refused."""

    def __init__(self, size: int) -> None:
        self.ids = [f"180000000000{n:05d}" for n in range(size)]
        self.refuse: Callable[[str, list[str]], Any] = lambda post_id, metrics: None
        self.me: Any = (200, {"id": ME})
        self.transport = Answers(self.answer)

    def fetch(self, *ids: str, account: Account | None = None) -> dict[str, Any]:
        account = account or account_of("threads", {})
        client = client_for("threads", self.transport, account)
        found: dict[str, Any] = client.run(THREADS.fetch_posts(ids or tuple(self.ids), account))
        return found

    @property
    def calls(self) -> int:
        return len(self.transport.asked)

    def answer(self, exchange: Exchange) -> Any:
        post_id = urlsplit(exchange.url).path.removeprefix("/v1.0/").partition("/")[0]
        if post_id == "me":
            return self.me
        metrics = query_of(exchange)["metric"][0].split(",")
        data = [{"name": name, "values": [{"value": VALUES[name]}], "title": name} for name in metrics]
        return self.refuse(post_id, metrics) or (200, {"data": data})


def numbers(item: Any) -> dict[Dimension, int | None]:
    return THREADS.metrics(raw_of(item))


# --- posts -------------------------------------------------------------------------------------------------------


def test_a_thousand_posts_take_a_thousand_calls() -> None:
    network = Network(1000)
    found = network.fetch()
    assert network.calls == 1000
    assert all(numbers(item) == WHOLE for item in found.values())


def test_shares_are_reposts_and_quotes_and_null_if_either_lacks() -> None:
    data: list[dict[str, Any]] = [{"name": name, "values": [{"value": 3}]} for name in ("reposts", "shares")]
    assert THREADS.metrics({"insights": {"data": data}})[Dimension.SHARES] is None
    data += [{"name": "quotes", "total_value": {"value": 0}}]
    assert THREADS.metrics({"insights": {"data": data}})[Dimension.SHARES] == 3


@pytest.mark.parametrize(
    "words", ["(#100) invalid metric", "(#100) metric[5] must be one of the following values: views, likes, replies"]
)
def test_a_withdrawn_metric_costs_only_itself_and_is_not_asked_for_again(words: str) -> None:
    lost = {"shares"} if "invalid" in words else {"shares", "reposts", "quotes"}
    network, account = Network(40), account_of("threads", {})
    network.refuse = lambda post_id, metrics: failure(100, words) if lost & set(metrics) else None
    found = network.fetch(account=account)
    assert account.retired == lost
    assert all(numbers(item)[Dimension.IMPRESSIONS] == 940 for item in found.values())
    first = found[network.ids[0]]
    if "quotes" in lost:
        assert isinstance(first, Reading) and first.unavailable == {Dimension.SHARES: Reason.RETIRED}
    else:
        assert not isinstance(first, Reading) and numbers(first) == WHOLE
    before = network.calls
    network.fetch(account=account)
    assert network.calls - before == 40


def test_a_failure_without_a_reason_is_asked_for_less_after_three_tries() -> None:
    network, account = Network(2), account_of("threads", {})
    odd = network.ids[0]
    network.refuse = lambda post_id, metrics: UNEXPLAINED if post_id == odd and len(metrics) > 1 else None
    for _ in range(2):
        found = network.fetch(account=account)
        assert isinstance(found[odd], Unavailable) and numbers(found[network.ids[1]]) == WHOLE
    assert network.calls == 4
    found = network.fetch(account=account)
    assert numbers(found[odd])[Dimension.IMPRESSIONS] == 940 and numbers(found[odd])[Dimension.LIKES] is None
    assert network.calls == 4 + 3
    network.refuse = lambda post_id, metrics: None
    network.fetch(account=account)
    assert account.memory["failures"] == {}


@pytest.mark.parametrize(
    ("scopes", "kind"), [([], Unavailable), (["threads_basic"], ScopeMissing), (THREADS.scopes, Unavailable)]
)
def test_a_failure_that_stays_is_a_missing_scope_only_where_it_was_not_granted(scopes: Any, kind: type) -> None:
    network = Network(1)
    network.refuse = lambda post_id, metrics: (500, b"")
    account = account_of("threads", {"scopes": scopes, "memory": {"failures": {network.ids[0]: 2}}})
    with pytest.raises(PlatformError) as caught:
        network.fetch(account=account)
    assert isinstance(caught.value, kind)


def test_a_passing_failure_is_not_counted() -> None:
    network, account = Network(2), account_of("threads", {})
    network.refuse = lambda post_id, metrics: failure(2, "later", status=500) if post_id == network.ids[0] else None
    for _ in range(4):
        network.fetch(account=account)
    assert network.calls == 8 and not account.memory


def test_half_of_a_batch_may_be_gone_and_one_poisoned() -> None:
    network = Network(10)
    network.refuse = lambda post_id, metrics: (
        GONE if int(post_id) % 2 else (200, {"data": "x"}) if post_id.endswith("4") else None
    )
    found = network.fetch()
    assert [isinstance(found[i], Gone) for i in network.ids] == [False, True] * 5
    assert isinstance(found[network.ids[4]], MalformedPayload)
    assert numbers(found[network.ids[2]]) == WHOLE
    assert network.calls == 10


def test_all_posts_gone_is_checked_against_the_account() -> None:
    network = Network(2)
    network.refuse = lambda post_id, metrics: GONE
    assert all(isinstance(item, Gone) for item in network.fetch().values())
    network.me = failure(100, "The requested resource does not exist")
    with pytest.raises(TokenExpired):
        network.fetch()
    network.refuse = lambda post_id, metrics: failure(100, "The requested resource does not exist")
    with pytest.raises(TokenExpired):
        network.fetch(network.ids[0])
    network.me = (200, {"id": ME})
    assert type(network.fetch(network.ids[0])[network.ids[0]]) is Rejected


def test_a_limit_stops_after_the_calls_that_are_under_way() -> None:
    network = Network(200)
    network.refuse = lambda post_id, metrics: failure(17, "limit", status=403)
    with pytest.raises(RateLimited) as caught:
        network.fetch()
    assert network.calls <= 40
    assert caught.value.retry_at == NOW + timedelta(hours=1)


def test_a_repost_of_anothers_post_has_no_numbers() -> None:
    network = Network(1)
    network.refuse = lambda post_id, metrics: (200, {"data": []})
    assert set(numbers(network.fetch()[network.ids[0]]).values()) == {None}


@pytest.mark.parametrize("given", ["ABC", "https://www.threads.com/@acme/post/ABC", "12", "1800_1"])
def test_a_shortcode_is_no_id(given: str) -> None:
    with pytest.raises(ValueError, match="expected the numeric media id"):
        THREADS.normalize_post_id(given, account_of("threads", {}))


# --- the account -------------------------------------------------------------------------------------------------


def test_days_are_summed_and_a_day_that_is_no_number_leaves_no_sum() -> None:
    def views(*values: Any) -> dict[str, Any]:
        return {"insights": {"data": [{"name": "views", "values": [{"value": value} for value in values]}]}}

    read = THREADS.account_metrics
    assert read(views(12, 9))[AccountDimension.IMPRESSIONS] == 21
    assert read(views(12, "x"))[AccountDimension.IMPRESSIONS] is None
    assert read(views())[AccountDimension.IMPRESSIONS] is None
    assert read(views(0))[AccountDimension.IMPRESSIONS] == 0
    assert read(views(5) | {"views_are": "profile_views"}) == {
        AccountDimension.FOLLOWERS: None,
        AccountDimension.IMPRESSIONS: None,
        AccountDimension.PROFILE_VIEWS: 5,
    }


def test_clicked_links_are_not_kept() -> None:
    def answer(exchange: Exchange) -> Any:
        links = [{"value": 11, "link_url": "https://example.com/"}]
        return 200, {"data": [{"name": "clicks", "period": "day", "link_total_values": links}]}

    account = account_of("threads", {})
    raw = raw_of(client_for("threads", Answers(answer), account).run(THREADS.fetch_account(account)))
    assert raw["insights"] == {"data": [{"name": "clicks", "period": "day", "values": [{"value": 11}]}]}


def test_a_withdrawn_account_metric_costs_only_itself_and_is_not_asked_for_again() -> None:
    def answer(exchange: Exchange) -> Any:
        asked = query_of(exchange)["metric"][0].split(",")
        if "views" in asked:
            return failure(100, "(#100) The value must be a valid insights metric")
        return 200, {"data": [{"name": name, "total_value": {"value": 4}} for name in asked]}

    account, transport = account_of("threads", {}), Answers(answer)
    for calls in (1 + 7 + 1, 1):
        before = len(transport.asked)
        found = client_for("threads", transport, account).run(THREADS.fetch_account(account))
        assert isinstance(found, Reading)
        assert found.unavailable == {AccountDimension.IMPRESSIONS: Reason.RETIRED}
        assert THREADS.account_metrics(found.raw)[AccountDimension.FOLLOWERS] == 4
        assert len(transport.asked) - before == calls
    assert account.retired == {"views"}


# --- what looks alike, limits, tokens ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "on_post", "on_probe"),
    [
        (GONE, Gone, TokenExpired),
        (failure(100, "The requested resource does not exist"), Rejected, TokenExpired),
        (failure(10, "no permission", status=500), ScopeMissing, ScopeMissing),
        (failure(1, "unknown", status=500), Unavailable, Unavailable),
        (failure(24, "The requested resource does not exist", 4279009), Gone, TokenExpired),
        (failure(190, "expired", 463), TokenExpired, TokenExpired),
        (failure(17, "limit"), RateLimited, RateLimited),
    ],
)
def test_the_same_answer_means_another_thing_elsewhere(answer: Any, on_post: type, on_probe: type) -> None:
    network, account = Network(2), account_of("threads", {})
    network.refuse = lambda post_id, metrics: answer if post_id == network.ids[0] else None
    assert isinstance(network.fetch()[network.ids[0]], on_post)
    with pytest.raises(PlatformError) as caught:
        client_for("threads", Answers(lambda exchange: answer), account).run(THREADS.probe(account))
    assert isinstance(caught.value, on_probe)


@pytest.mark.parametrize("answer", [GONE, failure(100, "The requested resource does not exist")])
@pytest.mark.parametrize(
    "call",
    [THREADS.fetch_account, THREADS.list_posts, lambda account: THREADS.fetch_posts(["18000000000000001"], account)],
)
def test_with_a_dead_token_there_is_no_such_resource_anywhere(answer: Any, call: Callable[[Account], Any]) -> None:
    account, asked = account_of("threads", {}), Answers(lambda exchange: answer)
    with pytest.raises(TokenExpired):
        client_for("threads", asked, account).run(call(account))
    alive = Answers(lambda exchange: (200, {"id": ME}) if exchange.url.endswith("/me") else answer)
    with pytest.raises((AccountNotFound, Rejected, Gone)):
        found = client_for("threads", alive, account).run(call(account))
        raise found["18000000000000001"]


def test_a_usage_header_closes_the_account_until_it_says() -> None:
    gates, account = Gates(), account_of("threads", {})
    headers = {"x-business-use-case-usage": '{"1":[{"type":"threads","estimated_time_to_regain_access":9}]}'}
    transport = Answers(lambda exchange: (200, {"id": ME}, headers))
    client_for("threads", transport, account, gates=gates).run(THREADS.probe(account))
    assert {key: until - NOW for key, until in gates.closed.items()} == {
        "threads:account:account-1:": timedelta(minutes=9)
    }


def test_the_documented_floor_is_each_accounts_own() -> None:
    (limit,) = THREADS.limits
    assert (limit.calls, limit.seconds, limit.scope, limit.group) == (48000, 86400, "account", "")


def renew(answer: Any, credentials: Credentials = TOKENS) -> tuple[Any, Answers]:
    account, transport = account_of("threads", {}), Answers(lambda exchange: answer)
    return client_for("threads", transport, account).run(THREADS.renew(account, credentials, APP)), transport


def test_a_token_is_extended_without_the_apps_secret() -> None:
    tokens, transport = renew((200, {"access_token": "a2", "token_type": "bearer", "expires_in": 5183944}))
    (exchange,) = transport.asked
    assert (exchange.method, exchange.url) == ("GET", "https://graph.threads.net/refresh_access_token")
    assert query_of(exchange) == {"grant_type": ["th_refresh_token"], "access_token": [TOKENS.access_token]}
    assert (tokens.access_token, tokens.refresh_token) == ("a2", "")
    assert tokens.expires_at == NOW + timedelta(seconds=5183944)
    facts = THREADS.refresh
    assert facts is not None
    assert (facts.early, facts.min_age, facts.revives) == (timedelta(days=7), timedelta(hours=24), False)


@pytest.mark.parametrize("answer", [Unavailable("timed out"), (503, {}), (502, b"<html>"), failure(4, "limit")])
def test_a_refresh_that_was_not_answered_is_no_refusal(answer: Any) -> None:
    with pytest.raises((Unavailable, RateLimited)):
        renew(answer)


@pytest.mark.parametrize(
    "answer",
    [failure(190, "x"), failure(100, "The requested resource does not exist"), failure(10, "x"), GONE, (400, {})],
)
def test_a_refresh_that_was_refused_needs_a_new_login(answer: Any) -> None:
    with pytest.raises(TokenExpired):
        renew(answer)


def test_a_token_that_is_too_young_is_not_a_dead_one() -> None:
    with pytest.raises(Rejected):
        renew(failure(100, "The access token must be at least 24 hours old to be refreshed."))

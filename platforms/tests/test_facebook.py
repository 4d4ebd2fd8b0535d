"""Facebook: the listing, batches, what is refused and what that costs, videos, tokens that never end."""

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from urllib.parse import parse_qs, urlsplit

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
from platforms.facebook_metrics import METRICS, REACH, STORY_METRICS
from platforms.tests.replay import APP, NOW, TOKENS, Answers, account_of, client_for, query_of, raw_of
from platforms.transport import Exchange

pytestmark = pytest.mark.usefixtures("then")

FACEBOOK = registry.get("facebook")
PAGE = "102030405060708"
UNKNOWN = "(#100) The value must be a valid insights metric"
COMMENTS_GATE = "(#10) This endpoint requires the 'pages_read_user_content' permission"


def failure(code: int, message: str = "", subcode: int = 0, status: int = 400) -> tuple[int, Any]:
    return status, {"error": {"code": code, "message": message, "error_subcode": subcode, "type": "OAuthException"}}


GONE = failure(100, "Unsupported get request. Object with ID '1' does not exist", 33)


class Closed:
    """Gates that only remember what was closed."""

    def __init__(self) -> None:
        self.closed: dict[str, datetime] = {}

    def closed_until(self, keys: Any) -> None:
        return None

    def close(self, key: str, until: datetime, reason: str) -> None:
        self.closed[key] = until


class Network:
    """A small Facebook: a listing, newest first, batches, and whatever each test wants refused."""

    def __init__(self, size: int) -> None:
        self.ids = [f"{PAGE}_{500_000 - n}" for n in range(size)]
        self.listed = list(self.ids)
        self.nodes: dict[str, dict[str, Any]] = {
            i: {
                "id": i,
                "created_time": "2026-11-20T09:00:00+0000",
                "status_type": "added_photos",
                "attachments": {"data": [{"media_type": "photo", "type": "photo", "title": "free text"}]},
                "shares": {"count": 2},
                "message": "free text",
            }
            for i in self.ids
        }
        self.values: dict[str, Any] = {name: n for n, name in enumerate((*METRICS, *STORY_METRICS), 10)}
        self.values |= {"post_reactions_by_type_total": {"like": 40, "love": 9}}
        self.values |= {"post_activity_by_action_type": {"like": 44, "comment": 8, "share": 5}}
        self.refuse: Callable[[str, list[str]], Any] = lambda post_id, metrics: None
        self.refuse_counts: Callable[[str], Any] = lambda post_id: None
        self.refuse_page: Callable[[list[str], Mapping[str, str]], Any] = lambda ids, query: None
        self.gone: set[str] = set()
        self.page_gone = False
        self.late: set[str] = set()
        self.transport = Answers(self.answer)

    def fetch(self, *ids: str, account: Account | None = None, **more: Any) -> dict[str, Any]:
        account = account or account_of("facebook", {})
        client = client_for("facebook", self.transport, account, **more)
        found: dict[str, Any] = client.run(FACEBOOK.fetch_posts(ids, account))
        return found

    @property
    def calls(self) -> int:
        return len(self.transport.asked)

    def answer(self, exchange: Exchange) -> Any:
        query = {name: values[0] for name, values in query_of(exchange).items()}
        path = urlsplit(exchange.url).path.removeprefix("/v26.0/")
        if exchange.method == "POST":
            parts = json.loads(query["batch"])
            assert len(parts) <= 50
            return 200, [self.part(part["relative_url"]) for part in parts]
        return self.read(path, query)

    def part(self, relative_url: str) -> Any:
        url = urlsplit(relative_url)
        if any(i in self.late for i in url.path.split("/")):
            self.late -= set(url.path.split("/"))
            return None
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        status, body = self.read(url.path.removeprefix("v26.0/"), query)
        return {"code": status, "body": json.dumps(body)}

    def read(self, path: str, query: Mapping[str, str]) -> Any:
        if path == f"{PAGE}/published_posts":
            return self.page(query)
        if path in (PAGE, "me"):
            return GONE if self.page_gone else (200, {"id": PAGE})
        post_id, _, edge = path.partition("/")
        if post_id in self.gone or post_id not in self.nodes or self.page_gone:
            return GONE
        if edge:
            metrics = query["metric"].split(",")
            return self.refuse(post_id, metrics) or (200, self.insights(metrics))
        return self.node(post_id, query["fields"])

    def node(self, post_id: str, fields: str) -> Any:
        if "comments" not in fields:
            return 200, self.nodes[post_id]
        counts = {name: {"data": [], "summary": {"total_count": n}} for name, n in (("comments", 6), ("reactions", 44))}
        return self.refuse_counts(post_id) or (200, {"id": post_id, **counts})

    def insights(self, metrics: list[str]) -> dict[str, Any]:
        data = [{"name": name, "values": [{"value": self.values[name]}], "title": name} for name in metrics]
        return {"data": data, "paging": {"next": "https://graph.facebook.com/x?access_token=paging"}}

    def page(self, query: Mapping[str, str]) -> Any:
        start, size = int(query.get("after", "0")), int(query["limit"])
        assert size <= 100
        ids = [] if self.page_gone else self.listed[start : start + size]
        refused = self.refuse_page(ids, query)
        if refused is not None:
            return refused
        _, _, rest = query["fields"].partition("insights.metric(")
        rows = []
        for i in ids:
            status, row = self.node(i, query["fields"])
            metrics = rest.partition(")")[0].split(",")
            refusal = (status, row) if status != 200 else self.refuse(i, metrics) if rest else None
            if refusal is not None:
                return refusal
            rows.append(row | ({"insights": self.insights(metrics)} if rest else {}))
        paging: dict[str, Any] = {"cursors": {"before": str(start), "after": str(start + size)}}
        if start + size < len(self.listed):
            paging["next"] = "https://graph.facebook.com/next?access_token=paging"
        return 200, {"data": rows, "paging": paging}


def numbers(item: Any) -> dict[Dimension, int | None]:
    return FACEBOOK.metrics(raw_of(item))


def values_of(item: Any) -> list[int | None]:
    found = numbers(item)
    return [found[dimension] for dimension in sorted(found)]


# clicks, comments, impressions, likes, reach, shares, video_views
WHOLE = [12, 6, 10, 44, 11, 2, 15]


# --- the listing -------------------------------------------------------------------------------------------------


def test_a_thousand_posts_take_at_most_40_calls() -> None:
    network = Network(1000)
    found = network.fetch(*network.ids)
    assert set(found) == set(network.ids)
    assert network.calls == 30
    assert all(values_of(item) == WHOLE for item in found.values())
    assert "free text" not in json.dumps([raw_of(item) for item in found.values()])


def test_the_two_walks_go_side_by_side() -> None:
    network = Network(1000)
    network.fetch(*network.ids)
    sizes = [query_of(exchange)["limit"][0] for exchange in network.transport.asked]
    assert sorted(sizes[:20]) == ["100"] * 10 + ["50"] * 10


def test_a_thousand_posts_that_the_listing_lacks_are_read_in_batches() -> None:
    network = Network(1000)
    network.listed = []
    found = network.fetch(*network.ids)
    assert all(values_of(item) == WHOLE for item in found.values())
    assert network.calls <= 2 + 13 * 5
    asked = network.transport.asked[2]
    assert asked.url == "https://graph.facebook.com/v26.0/"
    assert query_of(asked)["include_headers"] == ["false"]


def test_a_thousand_posts_with_a_metric_that_was_withdrawn_take_at_most_40_calls() -> None:
    network = Network(1000)
    network.refuse = lambda post_id, metrics: failure(100, UNKNOWN) if "post_clicks" in metrics else None
    account = account_of("facebook", {})
    found = network.fetch(*network.ids, account=account)
    assert network.calls == 30 + 1 + len(METRICS)
    assert account.retired == {"post_clicks"}
    reading = found[network.ids[7]]
    assert isinstance(reading, Reading)
    assert reading.unavailable == {Dimension.CLICKS: Reason.RETIRED}
    assert numbers(reading)[Dimension.REACH] == 11
    again = network.calls
    network.fetch(*network.ids, account=account)
    assert network.calls - again == 30


def test_few_posts_are_read_one_by_one_side_by_side() -> None:
    network = Network(300)
    found = network.fetch(network.ids[250], network.ids[299])
    assert [values_of(item) for item in found.values()] == [WHOLE, WHOLE]
    assert network.calls == 6
    assert all(exchange.method == "GET" for exchange in network.transport.asked)


def test_a_page_that_is_too_much_is_asked_for_in_smaller_ones() -> None:
    network = Network(100)
    words = "Please reduce the amount of data you're asking for, then retry your request"
    network.refuse_page = lambda ids, query: (
        failure(1, words, status=500) if "insights" in query["fields"] and int(query["limit"]) > 25 else None
    )
    assert all(values_of(item) == WHOLE for item in network.fetch(*network.ids).values())
    assert network.calls == 1 + 4 + 1


def test_what_was_found_before_a_failure_is_kept() -> None:
    network = Network(100)
    network.refuse_page = lambda ids, query: failure(4, "limit", status=403) if query.get("after") == "50" else None
    found = network.fetch(*network.ids)
    assert values_of(found[network.ids[49]]) == WHOLE
    assert all(isinstance(found[i], RateLimited) for i in network.ids[50:])


def test_a_post_that_spoils_its_page_for_ever_costs_only_itself_in_the_end() -> None:
    network, account = Network(100), account_of("facebook", {})
    odd = network.ids[60]
    network.refuse = lambda post_id, metrics: (
        failure(1, "An unknown error occurred", status=500) if post_id == odd else None
    )
    for _ in range(2):
        found = network.fetch(*network.ids, account=account)
        assert isinstance(found[network.ids[99]], Unavailable)
        assert values_of(found[network.ids[0]]) == WHOLE
    found = network.fetch(*network.ids, account=account)
    assert [i for i in network.ids if isinstance(found[i], PlatformError)] == [odd]
    network.refuse = lambda post_id, metrics: None
    network.fetch(*network.ids, account=account)
    assert "failed_pages" not in account.memory


def test_a_listing_that_fails_at_once_fails_the_batch() -> None:
    network = Network(100)
    network.refuse_page = lambda ids, query: failure(2, "later", status=500)
    with pytest.raises(Unavailable):
        network.fetch(*network.ids)
    assert network.calls == 2


@pytest.mark.parametrize("data", [None, {}, "x"])
def test_a_listing_that_is_no_list_never_passes_for_an_empty_one(data: Any) -> None:
    network = Network(10)
    network.refuse_page = lambda ids, query: (200, {"data": data})
    with pytest.raises(MalformedPayload):
        network.fetch(*network.ids)


def test_a_listing_of_strangers_is_left_after_a_while() -> None:
    network = Network(5000)
    network.nodes |= {f"{PAGE}_{n}": network.nodes[network.ids[0]] | {"id": f"{PAGE}_{n}"} for n in range(100, 130)}
    found = network.fetch(*(f"{PAGE}_{n}" for n in range(100, 130)))
    assert all(values_of(item) == WHOLE for item in found.values())
    assert network.calls <= 2 * 20 + 2


# --- what is refused ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 200])
def test_a_page_without_reach_loses_only_that_and_is_remembered(count: int) -> None:
    network, account = Network(count), account_of("facebook", {})
    network.refuse = lambda post_id, metrics: failure(200, "(#200) Provide valid app ID") if REACH in metrics else None
    item = network.fetch(*network.ids, account=account)[network.ids[0]]
    assert numbers(item)[Dimension.REACH] is None and numbers(item)[Dimension.IMPRESSIONS] == 10
    assert not isinstance(item, Reading)  # not a lost permission
    before = network.calls
    network.fetch(*network.ids, account=account)
    assert network.calls - before == (3 if count == 1 else 6)
    account.memory["no_reach_since"] = (datetime.now(UTC) - timedelta(days=8)).isoformat()
    network.refuse = lambda post_id, metrics: None
    assert values_of(network.fetch(*network.ids, account=account)[network.ids[0]]) == WHOLE


@pytest.mark.parametrize("count", [1, 200])
def test_a_missing_insights_permission_costs_only_the_insights_and_few_calls(count: int) -> None:
    network = Network(count)
    network.refuse = lambda post_id, metrics: failure(200, "(#200) Requires read_insights permission", status=403)
    found = network.fetch(*network.ids)
    for item in found.values():
        assert isinstance(item, Reading)
        assert numbers(item) | {Dimension.LIKES: 44, Dimension.COMMENTS: 6, Dimension.SHARES: 2} == numbers(item)
        assert set(item.unavailable.values()) == {Reason.SCOPE_MISSING}
        assert set(item.unavailable) == {Dimension.IMPRESSIONS, Dimension.REACH, Dimension.CLICKS}
    assert network.calls <= 8


@pytest.mark.parametrize("count", [1, 200])
def test_gated_counts_cost_only_themselves_and_insights_stand_in(count: int) -> None:
    network = Network(count)
    network.refuse_counts = lambda post_id: failure(10, COMMENTS_GATE, status=403)
    found = network.fetch(*network.ids)
    assert all(values_of(item) == [12, 8, 10, 49, 11, 2, 15] for item in found.values())
    assert network.calls == (3 if count == 1 else 5)


def test_gated_counts_that_nothing_stands_in_for_are_a_missing_scope() -> None:
    network = Network(1)
    network.refuse_counts = lambda post_id: failure(10, COMMENTS_GATE, status=403)
    network.insights = lambda metrics: {"data": [{"name": "post_clicks", "values": [{"value": 4}]}]}  # type: ignore[method-assign]
    item = network.fetch(network.ids[0])[network.ids[0]]
    assert item.unavailable == {Dimension.LIKES: Reason.SCOPE_MISSING, Dimension.COMMENTS: Reason.SCOPE_MISSING}


@pytest.mark.parametrize(("scopes", "reason"), [(["pages_read_engagement"], Reason.SCOPE_MISSING), (None, None)])
def test_no_data_on_every_post_is_a_missing_scope_where_it_was_not_granted(
    scopes: list[str] | None, reason: Reason | None
) -> None:
    network = Network(3)
    network.insights = lambda metrics: {"data": []}  # type: ignore[method-assign]
    account = account_of("facebook", {} if scopes is None else {"scopes": scopes})
    for item in network.fetch(*network.ids, account=account).values():
        assert numbers(item)[Dimension.IMPRESSIONS] is None and numbers(item)[Dimension.LIKES] == 44
        assert (item.unavailable if isinstance(item, Reading) else {}).get(Dimension.IMPRESSIONS) is reason


def test_one_post_without_a_metric_does_not_cost_its_page() -> None:
    network, account = Network(60), account_of("facebook", {})
    odd = network.ids[3]
    network.refuse = lambda post_id, metrics: (
        failure(100, UNKNOWN) if post_id == odd and not set(metrics) <= set(STORY_METRICS) else None
    )
    found = network.fetch(*network.ids, account=account)
    assert [i for i in network.ids if values_of(found[i]) != WHOLE] == [odd]
    assert not account.retired
    assert numbers(found[odd])[Dimension.IMPRESSIONS] == network.values["story_media_view"]
    assert numbers(found[odd])[Dimension.LIKES] == 44


def test_a_story_that_is_not_computed_yet_has_no_number() -> None:
    pending = {"value": 0, "end_time": "1970-01-02T08:00:00+0000"}
    network = Network(1)
    network.refuse = lambda post_id, metrics: failure(100, UNKNOWN) if "post_clicks" in metrics else None
    network.insights = lambda metrics: {"data": [{"name": name, "values": [pending]} for name in metrics]}  # type: ignore[method-assign]
    assert numbers(network.fetch(network.ids[0])[network.ids[0]])[Dimension.IMPRESSIONS] is None


# --- batches -----------------------------------------------------------------------------------------------------


def test_what_timed_out_in_a_batch_is_asked_for_once_more() -> None:
    network = Network(10)
    network.listed = []
    network.late = {network.ids[4]}
    assert values_of(network.fetch(*network.ids)[network.ids[4]]) == WHOLE
    assert network.calls == 2 + 1 + 1


def test_half_of_a_batch_may_be_gone() -> None:
    network = Network(10)
    network.listed = []
    network.gone = set(network.ids[::2])
    found = network.fetch(*network.ids)
    assert all(isinstance(found[i], Gone) for i in network.ids[::2])
    assert all(values_of(found[i]) == WHOLE for i in network.ids[1::2])


def test_a_limit_inside_a_batch_names_a_time() -> None:
    network = Network(10)
    network.listed = []
    network.refuse = lambda post_id, metrics: failure(80001, "too many calls")
    with pytest.raises(RateLimited) as caught:
        network.fetch(*network.ids)
    assert caught.value.retry_at == NOW + timedelta(hours=1)
    assert caught.value.scope == "account"


@pytest.mark.parametrize("body", [{}, [], [None], "x", [{"code": "x"}] * 30, [{"code": 200, "body": "<html>"}] * 30])
def test_a_batch_whose_answer_is_odd_is_malformed(body: Any) -> None:
    network = Network(10)
    network.listed = []
    network.transport = Answers(lambda exchange: (200, body) if exchange.method == "POST" else network.answer(exchange))
    found = network.fetch(*network.ids)
    assert {type(item) for item in found.values()} == {MalformedPayload}


# --- gone, videos, ids -------------------------------------------------------------------------------------------


def test_a_deleted_post_is_gone_only_while_its_page_answers() -> None:
    network = Network(2)
    network.gone = {network.ids[0]}
    assert isinstance(network.fetch(network.ids[0])[network.ids[0]], Gone)
    network.page_gone = True
    with pytest.raises(AccountNotFound):
        network.fetch(*network.ids)


def test_a_dead_token_fails_the_batch_and_not_each_post() -> None:
    network = Network(1)
    network.transport = Answers(lambda exchange: failure(190, "Session has expired", 463))
    for ids in (network.ids, ["777888"], [f"{PAGE}_{n}" for n in range(900, 910)]):
        with pytest.raises(TokenExpired):
            network.fetch(*ids)


def test_a_video_answers_as_its_post() -> None:
    network = Network(1)
    network.nodes["777888"] = {"id": "777888", "views": 500, "post_id": network.ids[0].partition("_")[2]}
    item = network.fetch("777888", network.ids[0])["777888"]
    assert isinstance(item, Reading)
    assert (item.id, values_of(item)) == (network.ids[0], WHOLE)


def test_a_number_that_is_no_video_is_tried_as_a_post_and_refused_if_it_is_none() -> None:
    network = Network(1)
    number = network.ids[0].partition("_")[2]
    words = "(#100) Tried accessing nonexisting field (post_id) on node type (Photo)"
    read = network.read
    network.read = lambda path, query: failure(100, words) if "_" not in path else read(path, query)  # type: ignore[method-assign]
    found = network.fetch(number, "999999")
    assert values_of(found[number]) == WHOLE
    assert type(found["999999"]) is Rejected


@pytest.mark.parametrize(
    ("kinds", "status", "views"),
    [
        (["photo"], "added_photos", 0),
        (["video"], "added_video", None),
        (["album"], "added_photos", None),
        (["link"], "shared_story", 0),
        ([], "mobile_status_update", None),
        (None, "mobile_status_update", 0),
        (None, "added_video", None),
        (None, None, None),
        ([None], "added_photos", None),
    ],
)
def test_video_views_are_zero_only_where_the_answer_shows_no_video(
    kinds: list[Any] | None, status: str | None, views: int | None
) -> None:
    raw: dict[str, Any] = {"id": "1_2", "created_time": "x", "status_type": status}
    if kinds is not None:
        raw["attachments"] = {"data": [{"media_type": kind} for kind in kinds]}
    assert FACEBOOK.metrics(raw)[Dimension.VIDEO_VIEWS] is views


def test_no_shares_is_zero_only_where_the_node_answered() -> None:
    assert FACEBOOK.metrics({"id": "1_2", "created_time": "x"})[Dimension.SHARES] == 0
    assert FACEBOOK.metrics({"id": "1_2", "shares": {"count": 3}, "created_time": "x"})[Dimension.SHARES] == 3
    assert FACEBOOK.metrics({"id": "1_2", "shares": None, "created_time": "x"})[Dimension.SHARES] is None
    assert FACEBOOK.metrics({"id": "1_2"})[Dimension.SHARES] is None


@pytest.mark.parametrize(
    ("given", "canonical"),
    [
        ("102030_405060", "102030_405060"),
        ("777888", "777888"),
        ("https://www.facebook.com/acme/posts/405060", f"{PAGE}_405060"),
        ("https://www.facebook.com/acme/posts/a-title/405060/?ref=x", f"{PAGE}_405060"),
        ("https://m.facebook.com/story.php?story_fbid=405060&id=102030", f"{PAGE}_405060"),
        ("https://facebook.com/permalink.php?id=102030&story_fbid=405060", f"{PAGE}_405060"),
        ("https://www.facebook.com/reel/777888/", "777888"),
        ("https://www.facebook.com/acme/videos/777888", "777888"),
        ("https://www.facebook.com/watch/?v=777888", "777888"),
    ],
)
def test_a_post_is_known_by_its_number_or_a_link_that_holds_it(given: str, canonical: str) -> None:
    assert FACEBOOK.normalize_post_id(given, account_of("facebook", {})) == canonical


@pytest.mark.parametrize("given", ["https://www.facebook.com/acme/posts/pfbid02abc", "102030_405060_1", "acme_405060"])
def test_what_holds_no_number_is_no_id(given: str) -> None:
    with pytest.raises(ValueError, match="expected <page id>_<post id>"):
        FACEBOOK.normalize_post_id(given, account_of("facebook", {}))


# --- account, limits, tokens -------------------------------------------------------------------------------------


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
    gates, account = Closed(), account_of("facebook", {})
    transport = Answers(lambda exchange: (200, {"id": PAGE}, headers))
    client_for("facebook", transport, account, gates=gates).run(FACEBOOK.probe(account))
    assert {key: until - NOW for key, until in gates.closed.items()} == closed


@pytest.mark.parametrize(("code", "key"), [(4, "app:app-1"), (32, "account:account-1"), (80001, "account:account-1")])
def test_a_limit_parks_the_app_or_the_page(code: int, key: str) -> None:
    gates, account = Closed(), account_of("facebook", {})
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

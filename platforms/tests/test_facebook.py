"""Facebook posts: the listing, batches for what it lacks, videos, and posts that are gone."""

import json
from datetime import timedelta
from typing import Any

import pytest

from platforms.base import Reading
from platforms.dimensions import Dimension, Reason
from platforms.errors import (
    AccountNotFound,
    Gone,
    MalformedPayload,
    PlatformError,
    RateLimited,
    Rejected,
    TokenExpired,
    Unavailable,
)
from platforms.facebook_metrics import METRICS
from platforms.tests.facebook_network import (
    FACEBOOK,
    GONE,
    PAGE,
    UNKNOWN,
    WHOLE,
    Network,
    failure,
    numbers,
    values_of,
)
from platforms.tests.replay import NOW, Answers, account_of, query_of, raw_of

pytestmark = pytest.mark.usefixtures("then")


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
    for _ in range(2):
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


@pytest.mark.parametrize("count", [1, 12])
def test_a_post_that_answers_is_not_gone_because_its_insights_are(count: int) -> None:
    network = Network(count)
    network.listed = []
    network.refuse = lambda post_id, metrics: GONE
    found = network.fetch(*network.ids)
    values = numbers(found[network.ids[0]])
    assert (values[Dimension.LIKES], values[Dimension.SHARES], values[Dimension.IMPRESSIONS]) == (44, 2, None)


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


def test_a_video_whose_post_is_not_to_be_seen_answers_for_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    network = Network(1)
    network.nodes["777888"] = {"id": "777888", "views": 500, "post_id": f"{PAGE}_1"}
    read = network.read
    told = {"data": [{"name": "total_video_views", "values": [{"value": 480}]}]}
    monkeypatch.setattr(
        network, "read", lambda path, query: (200, told) if "video_insights" in path else read(path, query)
    )
    assert numbers(network.fetch("777888")["777888"])[Dimension.VIDEO_VIEWS] == 480
    network.gone = {"777888"}
    assert isinstance(network.fetch("777888")["777888"], Gone)


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
        ("102030_1", "102030_1"),
        ("777888", "777888"),
        ("0102030_0405060", "102030_405060"),
        ("https://www.facebook.com/reel/0777888/", "777888"),
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

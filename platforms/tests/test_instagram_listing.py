"""Instagram's listing of an account's own posts, with insights and without."""

from datetime import UTC, datetime
from typing import Any

import pytest

from platforms.base import Listed, Listing
from platforms.dimensions import Dimension, Reason
from platforms.errors import AccountNotFound, MalformedPayload, TokenExpired
from platforms.instagram_metrics import METRICS
from platforms.tests.instagram_network import POISON, Network, failure, numbers
from platforms.tests.replay import account_of, query_of, raw_of

pytestmark = pytest.mark.usefixtures("then")


def impressions(posts: list[Listed]) -> list[int | None]:
    return [numbers(each.raw)[Dimension.IMPRESSIONS] for each in posts if each.raw is not None]


def test_pages_follow_each_other_and_tell_what_a_read_tells() -> None:
    network = Network(120)
    posts = list(network.walk(account_of("instagram", {})))
    assert [each.id for each in posts] == network.ids
    assert network.calls == 3
    assert posts[0].url == "https://www.instagram.com/p/S0/"
    assert posts[1].published_at == datetime(2026, 11, 23, 9, 30, tzinfo=UTC)
    assert impressions(posts) == [10] * 120
    read = network.fetch(*network.ids)
    assert [each.raw for each in posts] == [raw_of(read[i]) for i in network.ids]


def test_an_empty_page_with_a_link_is_not_the_last() -> None:
    network = Network(1)
    paging = {"cursors": {"after": "50"}, "next": "https://graph.facebook.com/next"}
    network.refuse_page = lambda ids, query: (200, {"data": [], "paging": paging})
    assert network.list_page() == Listing((), "50")
    assert network.list_page("50") == Listing(())


def test_a_withdrawn_metric_is_left_out_and_remembered() -> None:
    network, account = Network(60), account_of("instagram", {})
    words = "(#100) Starting from version v22.0, the shares metric is no longer supported"
    network.refuse = lambda media_id, metrics: failure(100, words) if "shares" in metrics else None
    posts = list(network.walk(account))
    assert impressions(posts) == [10] * 60
    assert (network.calls, account.retired) == (3, {"shares"})
    assert all(each.unavailable[Dimension.SHARES] == Reason.RETIRED for each in posts)


def test_a_page_that_is_too_much_is_asked_for_in_a_smaller_one() -> None:
    network = Network(100)
    words = "Please reduce the amount of data you're asking for, then retry your request"
    network.refuse_page = lambda ids, query: failure(1, words, status=500) if int(query["limit"]) > 25 else None
    assert len(network.list_page().posts) == 25
    assert [each.id for each in network.walk(account_of("instagram", {}))] == network.ids


def test_a_medium_that_spoils_its_page_costs_the_insights_of_that_page_only() -> None:
    network, account = Network(200), account_of("instagram", {})
    old = network.ids[120:]
    network.refuse = lambda media_id, metrics: POISON if media_id in old else None
    posts = list(network.walk(account))
    assert [each.id for each in posts] == network.ids
    assert network.calls == 4 + 2
    assert all(each.url and each.published_at for each in posts)
    assert impressions(posts[:100]) == [10] * 100
    assert not any(each.raw for each in posts[100:])  # to be read for their insights
    network.fetch(*network.ids, account=account)
    last = list(network.walk(account))[-1].raw
    assert last is not None and numbers(last)[Dimension.LIKES] == 7 and numbers(last)[Dimension.IMPRESSIONS] is None


def test_one_medium_of_another_kind_costs_the_insights_of_its_page_only() -> None:
    network = Network(100)
    words = "The Media Insights API does not support the views metric for this media product type."
    network.refuse = lambda media_id, metrics: failure(100, words) if media_id == network.ids[3] else None
    posts = list(network.walk(account_of("instagram", {})))
    assert [each.raw is None for each in posts] == [True] * 50 + [False] * 50
    assert network.calls == 3


def test_without_the_permission_for_insights_posts_are_listed_without_numbers() -> None:
    network = Network(10)
    network.refuse = lambda media_id, metrics: failure(10, "(#10) Application does not have permission", status=403)
    found = network.list_page()
    assert [each.id for each in found.posts] == network.ids
    assert {each.raw is None for each in found.posts} == {True}


def test_only_metrics_of_feed_and_reels_are_asked_for() -> None:
    network = Network(1)
    network.list_page()
    (exchange,) = network.transport.asked
    assert query_of(exchange)["limit"] == ["50"]
    assert query_of(exchange)["fields"][0].endswith(f"permalink,insights.metric({','.join(METRICS)})")


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (failure(100, "does not exist", 33), AccountNotFound),
        (failure(190, "expired", 463), TokenExpired),
        ((200, {"data": None}), MalformedPayload),
        ((200, {}), MalformedPayload),
        ((200, {"data": [{"id": "x"}]}), MalformedPayload),
    ],
)
def test_a_listing_that_fails_never_passes_for_an_empty_one(answer: Any, error: type[Exception]) -> None:
    network = Network(1)
    network.refuse_page = lambda ids, query: answer
    with pytest.raises(error):
        network.list_page()

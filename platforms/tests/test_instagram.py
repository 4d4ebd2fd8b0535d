"""Instagram media: the listing, kinds of media, refused metrics, media that spoil a page."""

from typing import Any
from urllib.parse import urlsplit

import pytest

from platforms.base import Reading
from platforms.dimensions import Dimension, Reason
from platforms.errors import (
    AccountNotFound,
    Gone,
    MalformedPayload,
    RateLimited,
    TokenExpired,
    Unavailable,
)
from platforms.instagram_metrics import METRICS, STORY_METRICS
from platforms.tests.instagram_network import INSTAGRAM, Network, failure, numbers
from platforms.tests.replay import Answers, account_of, client_for, query_of, raw_of
from platforms.transport import Exchange

pytestmark = pytest.mark.usefixtures("then")


# --- the listing -------------------------------------------------------------------------------------------------


def test_a_thousand_posts_take_at_most_40_calls() -> None:
    network = Network(1000)
    found = network.fetch(*network.ids)
    assert set(found) == set(network.ids)
    assert network.calls <= 40
    assert all(numbers(item)[Dimension.IMPRESSIONS] == 10 for item in found.values())


def test_a_thousand_posts_with_a_metric_that_was_withdrawn_take_at_most_40_calls() -> None:
    network = Network(1000)
    words = "(#100) metric[4] must be one of the following values: " + ", ".join(
        ["impressions", "replies", "video_views", "follows", "profile_visits", "navigation"] * 5
        + [name for name in METRICS if name != "shares"]
    )
    network.refuse = lambda media_id, metrics: failure(100, words) if "shares" in metrics else None
    account = account_of("instagram", {})
    found = network.fetch(*network.ids, account=account)
    assert network.calls <= 40
    assert account.retired == {"shares"}
    reading = found[network.ids[0]]
    assert isinstance(reading, Reading)
    assert reading.unavailable == {Dimension.SHARES: Reason.RETIRED}
    assert numbers(reading)[Dimension.SAVES] == 15


def test_a_retired_metric_is_not_asked_for() -> None:
    network = Network(60)
    network.refuse = lambda media_id, metrics: failure(100, "?") if "shares" in metrics else None
    for ids in (network.ids, network.ids[:1]):
        before, account = network.calls, account_of("instagram", {"retired": {"shares"}})
        reading = network.fetch(*ids, account=account)[network.ids[0]]
        assert isinstance(reading, Reading)
        assert reading.unavailable == {Dimension.SHARES: Reason.RETIRED}
        assert network.calls - before == 2


def test_few_posts_are_read_one_by_one_side_by_side() -> None:
    network = Network(300)
    found = network.fetch(network.ids[250], network.ids[299])
    assert len(found) == 2
    assert network.calls == 4
    assert "caption" not in raw_of(found[network.ids[250]])


def test_media_that_the_listing_lacks_do_not_make_it_be_walked_through_again_and_again() -> None:
    network = Network(10_000)
    stories = [f"18000000000{n:06d}" for n in range(30)]
    network.media |= {i: network.media[network.ids[0]] | {"id": i, "media_product_type": "STORY"} for i in stories}
    network.refuse = lambda media_id, metrics: (
        failure(100, "The metric likes is not supported for this media type")
        if media_id in stories and "likes" in metrics
        else None
    )
    account = account_of("instagram", {})
    found = network.fetch(*stories, account=account)
    assert set(found) == set(stories)
    assert network.calls <= 20 + 3 * 30
    before = network.calls
    found = network.fetch(*stories, account=account)
    assert network.calls - before <= 3 * 30
    assert numbers(found[stories[0]])[Dimension.CLICKS] == network.values["link_clicks"]
    assert numbers(found[stories[0]])[Dimension.COMMENTS] == network.values["replies"]


def test_a_listing_that_never_ends_is_left() -> None:
    network = Network(10)
    paging = {"cursors": {"after": "same"}, "next": "https://graph.facebook.com/next"}
    network.refuse_page = lambda ids, query: (200, {"data": [network.media[network.ids[0]]], "paging": paging})
    assert set(network.fetch(*network.ids[:5])) == set(network.ids[:5])
    assert network.calls < 20


def test_a_page_that_is_too_much_is_asked_for_in_smaller_ones() -> None:
    network = Network(100)
    words = "Please reduce the amount of data you're asking for, then retry your request"
    network.refuse_page = lambda ids, query: failure(1, words, status=500) if int(query["limit"]) > 25 else None
    assert len(network.fetch(*network.ids)) == 100
    assert network.calls == 1 + 4


def test_what_was_found_before_a_failure_is_kept() -> None:
    network = Network(100)
    network.refuse_page = lambda ids, query: failure(4, "limit", status=403) if query.get("after") == "50" else None
    found = network.fetch(*network.ids)
    assert network.calls == 2
    assert numbers(found[network.ids[49]])[Dimension.REACH] == 11
    assert all(isinstance(found[i], RateLimited) for i in network.ids[50:])


def test_a_listing_that_fails_at_once_fails_the_batch() -> None:
    network = Network(100)
    network.refuse_page = lambda ids, query: failure(2, "later", status=500)
    with pytest.raises(Unavailable):
        network.fetch(*network.ids)
    assert network.calls == 1


@pytest.mark.parametrize("data", [None, {}, "x"])
def test_a_listing_that_is_no_list_never_passes_for_an_empty_one(data: Any) -> None:
    network = Network(10)
    network.refuse_page = lambda ids, query: (200, {"data": data})
    with pytest.raises(MalformedPayload):
        network.fetch(*network.ids)


# --- kinds and refused metrics -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("media_type", "product", "views"),
    [("IMAGE", "FEED", 0), ("VIDEO", "REELS", 10), ("VIDEO", "FEED", 10), ("CAROUSEL_ALBUM", "FEED", None)],
)
def test_video_views_are_those_of_videos(media_type: str, product: str, views: int | None) -> None:
    network = Network(1)
    network.media[network.ids[0]] |= {"media_type": media_type, "media_product_type": product}
    found = numbers(network.fetch(network.ids[0])[network.ids[0]])
    assert (found[Dimension.IMPRESSIONS], found[Dimension.VIDEO_VIEWS], found[Dimension.CLICKS]) == (10, views, None)


REFUSALS = [
    ("The Media Insights API does not support the views metric for this media product type.", {"views"}),
    ("(#100) The metric shares is not supported for this media type", {"shares"}),
    (
        "(#100) Starting from version v22.0, the total_interactions metric is no longer supported",
        {"total_interactions"},
    ),
    ("(#100) metric[0] must be one of the following values: " + ", ".join(METRICS[2:]), {"views", "reach"}),
]


@pytest.mark.parametrize(("words", "lost"), REFUSALS)
def test_a_refused_metric_costs_only_itself(words: str, lost: set[str]) -> None:
    network = Network(1)
    network.refuse = lambda media_id, metrics: failure(100, words) if lost & set(metrics) else None
    raw = raw_of(network.fetch(network.ids[0])[network.ids[0]])
    assert {entry["name"] for entry in raw["insights"]["data"]} == set(METRICS) - lost
    assert network.calls == 3


def test_a_refusal_that_names_no_metric_is_answered_by_asking_for_fewer() -> None:
    network = Network(1)
    network.refuse = lambda media_id, metrics: failure(100, "(#100) Bad metric") if len(metrics) > 1 else None
    found = numbers(network.fetch(network.ids[0])[network.ids[0]])
    assert (found[Dimension.REACH], found[Dimension.IMPRESSIONS], found[Dimension.LIKES]) == (11, None, 7)
    network.refuse = lambda media_id, metrics: failure(100, "(#100) Bad metric")
    assert numbers(network.fetch(network.ids[0])[network.ids[0]])[Dimension.LIKES] == 7


@pytest.mark.parametrize("had", [("reach",), ("views",), ("views", "reach")])
def test_a_medium_that_has_next_to_nothing_still_tells_that(had: tuple[str, ...]) -> None:
    def refuse(media_id: str, metrics: list[str]) -> Any:
        bad = next((name for name in metrics if name not in had), None)
        words = f"The Media Insights API does not support the {bad} metric for this media product type."
        return failure(100, words) if bad else None

    network = Network(1)
    network.media[network.ids[0]]["media_product_type"] = "AD"
    network.refuse = refuse
    found = numbers(network.fetch(network.ids[0])[network.ids[0]])
    told = {Dimension.REACH: "reach", Dimension.IMPRESSIONS: "views"}
    assert {each: found[each] for each in told} == {
        each: network.values[name] if name in had else None for each, name in told.items()
    }


def test_one_medium_of_another_kind_does_not_cost_its_page_the_metric() -> None:
    network = Network(20)
    odd = network.ids[3]
    words = "The Media Insights API does not support the views metric for this media product type."
    network.refuse = lambda media_id, metrics: failure(100, words) if media_id == odd and "views" in metrics else None
    found = network.fetch(*network.ids)
    assert [i for i in network.ids if numbers(found[i])[Dimension.IMPRESSIONS] is None] == [odd]
    assert numbers(found[odd])[Dimension.REACH] == 11


def test_a_story_has_metrics_of_its_own() -> None:
    network = Network(1)
    network.media[network.ids[0]] |= {"media_product_type": "STORY", "media_type": "VIDEO"}
    network.refuse = lambda media_id, metrics: (
        failure(100, "(#100) metric unknown") if tuple(metrics) != STORY_METRICS else None
    )
    found = numbers(network.fetch(network.ids[0])[network.ids[0]])
    assert found[Dimension.COMMENTS] == network.values["replies"]
    assert found[Dimension.CLICKS] == network.values["link_clicks"]
    assert found[Dimension.SAVES] is None


def test_a_story_that_is_known_is_read_at_once() -> None:
    network, account = Network(1), account_of("instagram", {})
    network.media[network.ids[0]] |= {"media_product_type": "STORY", "media_type": "VIDEO"}
    network.refuse = lambda media_id, metrics: failure(100, "no such metric") if "likes" in metrics else None
    for calls in (3, 2):
        before = network.calls
        found = network.fetch(network.ids[0], account=account)
        assert numbers(found[network.ids[0]])[Dimension.CLICKS] == network.values["link_clicks"]
        assert network.calls - before == calls


def test_a_medium_of_unknown_kind_retires_no_metric() -> None:
    network, account = Network(1), account_of("instagram", {"extra": {"login": "instagram"}})
    del network.media[network.ids[0]]["media_product_type"]
    words = "(#100) metric[2] must be one of the following values: views, reach, shares, replies"
    network.refuse = lambda media_id, metrics: failure(100, words) if {"likes", "saved"} & set(metrics) else None
    found = numbers(network.fetch(network.ids[0], account=account)[network.ids[0]])
    assert (found[Dimension.IMPRESSIONS], found[Dimension.SHARES]) == (10, network.values["shares"])
    assert account.retired == set()


@pytest.mark.parametrize("count", [1, 60])
def test_ids_may_be_numbers_and_what_has_none_is_passed_over(count: int) -> None:
    network = Network(count)
    network.media = {i: medium | {"id": int(i)} for i, medium in network.media.items()}
    page = network.page
    network.page = lambda query: (200, page(query)[1] | {"data": [{"media_type": "IMAGE"}, *page(query)[1]["data"]]})  # type: ignore[method-assign]
    found = network.fetch(*network.ids)
    assert {raw_of(found[i])["id"] for i in network.ids} == set(network.ids)
    assert numbers(found[network.ids[0]])[Dimension.IMPRESSIONS] == 10


def test_too_few_viewers_is_not_a_missing_permission() -> None:
    network = Network(1)
    network.refuse = lambda media_id, metrics: failure(10, "(#10) Not enough viewers for the media to show insights")
    item = network.fetch(network.ids[0])[network.ids[0]]
    assert not isinstance(item, Reading)
    assert numbers(item)[Dimension.IMPRESSIONS] is None


def test_hidden_likes_come_from_the_metric_and_else_are_null() -> None:
    network = Network(1)
    del network.media[network.ids[0]]["like_count"]
    assert numbers(network.fetch(network.ids[0])[network.ids[0]])[Dimension.LIKES] == network.values["likes"]
    network.refuse = lambda media_id, metrics: failure(100, "(#100) likes metric") if "likes" in metrics else None
    assert numbers(network.fetch(network.ids[0])[network.ids[0]])[Dimension.LIKES] is None


def test_a_total_stands_in_for_a_value() -> None:
    data = [
        {"name": "views", "total_value": {"value": 4}},
        {"name": "reach", "values": [{}], "total_value": {"value": 5}},
    ]
    found = INSTAGRAM.metrics({"insights": {"data": data}})
    assert (found[Dimension.IMPRESSIONS], found[Dimension.REACH]) == (4, 5)


@pytest.mark.parametrize("count", [2, 200])
def test_a_missing_insights_permission_costs_only_the_insights_and_few_calls(count: int) -> None:
    network = Network(count)
    network.refuse = lambda media_id, metrics: failure(10, "(#10) Application does not have permission", status=403)
    found = network.fetch(*network.ids)
    for item in found.values():
        assert isinstance(item, Reading)
        assert numbers(item)[Dimension.LIKES] == 7
        assert item.unavailable[Dimension.REACH] is Reason.SCOPE_MISSING
        assert Dimension.LIKES not in item.unavailable and Dimension.CLICKS not in item.unavailable
    assert network.calls <= 6


# --- the kind of media -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 5])
def test_a_host_without_the_kind_of_media_costs_one_refusal(count: int) -> None:
    network, account = Network(count), account_of("instagram", {"extra": {"login": "instagram"}})
    for media_id in network.ids:
        network.media[media_id]["media_type"] = "VIDEO"
        del network.media[media_id]["media_product_type"]
    words = "(#100) Tried accessing nonexisting field (media_product_type) on node type (IGMedia)"

    def answer(exchange: Exchange) -> Any:
        return failure(100, words) if "media_product_type" in str(query_of(exchange)) else network.answer(exchange)

    transport = Answers(answer)
    for _ in range(2):
        found = client_for("instagram", transport, account).run(INSTAGRAM.fetch_posts(network.ids, account))
        assert [numbers(found[each])[Dimension.VIDEO_VIEWS] for each in network.ids] == [10] * count
        assert [numbers(found[each])[Dimension.LIKES] for each in network.ids] == [12] * count
    assert sum("media_product_type" in str(query_of(each)) for each in transport.asked) == 1
    listing = client_for("instagram", transport, account).run(INSTAGRAM.list_posts(account))
    assert len(listing.posts) == count


# --- gone --------------------------------------------------------------------------------------------------------


def test_a_deleted_medium_is_gone_only_while_its_account_answers() -> None:
    network = Network(2)
    network.gone = {network.ids[0]}
    found = network.fetch(*network.ids)
    assert isinstance(found[network.ids[0]], Gone)
    assert isinstance(found[network.ids[1]], dict)
    network.account_gone = True
    with pytest.raises(AccountNotFound):
        network.fetch(*network.ids)


def test_media_are_not_gone_because_the_token_is_another_accounts() -> None:
    def answer(exchange: Exchange) -> tuple[int, Any]:
        foreign = exchange.url.endswith("/me")
        return (200, {"user_id": "17841400000000009"}) if foreign else failure(100, "does not exist", 33)

    account = account_of("instagram", {"extra": {"login": "instagram"}})
    with pytest.raises(TokenExpired):
        client_for("instagram", Answers(answer), account).run(INSTAGRAM.fetch_posts(["17900000000000001"], account))


def test_a_listing_that_is_gone_is_the_account() -> None:
    network = Network(10)
    network.refuse_page = lambda ids, query: failure(100, "does not exist", 33)
    with pytest.raises(AccountNotFound):
        network.fetch(*network.ids)


def test_a_dead_token_fails_the_batch_and_not_each_medium() -> None:
    transport = Answers(lambda exchange: failure(190, "Session has expired", 463))
    account = account_of("instagram", {})
    with pytest.raises(TokenExpired):
        client_for("instagram", transport, account).run(INSTAGRAM.fetch_posts(["17900000000000001"], account))


def test_a_token_of_the_other_host_looks_expired() -> None:
    account = account_of("instagram", {"extra": {"login": "instagram"}})
    words = "Unsupported request - method type: get"
    transport = Answers(lambda exchange: failure(100, words))
    with pytest.raises(TokenExpired):
        client_for("instagram", transport, account).run(INSTAGRAM.probe(account))
    assert urlsplit(transport.asked[0].url).netloc == "graph.instagram.com"

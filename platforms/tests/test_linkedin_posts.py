"""LinkedIn: a member's posts, number by number."""

import json
from typing import Any

import pytest

from platforms.base import Reading
from platforms.dimensions import Dimension, Reason
from platforms.errors import (
    Gone,
    RateLimited,
    Rejected,
    ScopeMissing,
    TokenExpired,
    Unavailable,
)
from platforms.tests.linkedin_network import (
    DENIED,
    LINKEDIN,
    LOST,
    SPENT,
    fetch,
    numbers,
)
from platforms.tests.replay import Answers, account_of, query_of
from platforms.transport import Exchange

pytestmark = pytest.mark.usefixtures("then")


def metric(exchange: Exchange) -> str:
    return query_of(exchange)["queryType"][0]


def post(exchange: Exchange) -> str:
    return query_of(exchange)["entity"][0].strip("()").split(":", 1)[1]


def counted(exchange: Exchange) -> Any:
    return 200, {"elements": [{"count": 5, "metricType": metric(exchange)}]}


def test_urns_are_encoded_and_what_holds_them_together_is_not() -> None:
    transport = Answers(counted)
    fetch(transport, "urn:li:share:73", "urn:li:ugcPost:74")
    urls = sorted(exchange.url.split("?")[1] for exchange in transport.asked if metric(exchange) == "IMPRESSION")
    assert urls == [
        "q=entity&entity=(share:urn%3Ali%3Ashare%3A73)&queryType=IMPRESSION&aggregation=TOTAL",
        "q=entity&entity=(ugc:urn%3Ali%3AugcPost%3A74)&queryType=IMPRESSION&aggregation=TOTAL",
    ]


@pytest.mark.parametrize("kind", ["share", "ugcPost"])
def test_a_thousand_posts_of_a_member_take_at_most_seven_thousand_calls(kind: str) -> None:
    transport, account = Answers(counted), account_of("linkedin", {})
    ids = [f"urn:li:{kind}:{n}" for n in range(1000)]
    for start in range(0, 1000, LINKEDIN.batch_size):
        found = fetch(transport, *ids[start : start + LINKEDIN.batch_size], account=account)
        assert len(found) == LINKEDIN.batch_size
    assert len(transport.asked) == 7000


def test_plays_are_asked_only_of_what_may_be_a_video_and_what_is_none_is_remembered() -> None:
    def answer(exchange: Exchange) -> Any:
        return (200, {"elements": []}) if metric(exchange) == "VIDEO_PLAY" else counted(exchange)

    transport, account = Answers(answer), account_of("linkedin", {})
    found = fetch(transport, "urn:li:share:1", "urn:li:ugcPost:2", account=account)
    assert [metric(each) for each in transport.asked].count("VIDEO_PLAY") == 1
    assert numbers(found["urn:li:ugcPost:2"])[Dimension.VIDEO_VIEWS] is None
    assert numbers(found["urn:li:ugcPost:2"])[Dimension.SAVES] == 5
    fetch(again := Answers(answer), "urn:li:ugcPost:2", account=account)
    assert len(again.asked) == 7


@pytest.mark.parametrize("told", [-1, "-1", -1.0])
def test_minus_one_is_no_count(told: Any) -> None:
    found = fetch(Answers(lambda exchange: (200, {"elements": [{"count": told}]})), "urn:li:share:1")
    assert set(numbers(found["urn:li:share:1"]).values()) == {None}


def test_a_refused_metric_is_remembered_as_withdrawn_and_costs_only_itself() -> None:
    def answer(exchange: Exchange) -> Any:
        if metric(exchange) == "POST_SAVE":
            return 400, {"status": 400, "message": "Invalid value POST_SAVE for queryType"}
        return counted(exchange)

    account = account_of("linkedin", {})
    reading = fetch(Answers(answer), "urn:li:share:1", account=account)["urn:li:share:1"]
    assert reading.unavailable == {Dimension.SAVES: Reason.RETIRED}
    assert account.retired == {"POST_SAVE"}
    fetch(again := Answers(answer), "urn:li:share:1", account=account)
    assert "POST_SAVE" not in [metric(each) for each in again.asked]


def test_what_refuses_every_metric_is_about_none_of_them() -> None:
    def answer(exchange: Exchange) -> Any:
        return 400, {"status": 400, "message": f"Cannot process {exchange.url}"}

    account = account_of("linkedin", {})
    assert isinstance(fetch(Answers(answer), "urn:li:share:1", account=account)["urn:li:share:1"], Rejected)
    assert account.retired == set()


def test_a_missing_scope_costs_few_calls() -> None:
    transport = Answers(lambda exchange: DENIED)
    with pytest.raises(ScopeMissing):
        fetch(transport, *(f"urn:li:share:{n}" for n in range(50)))
    assert len(transport.asked) == 7


def test_a_number_that_is_not_permitted_costs_only_itself() -> None:
    def answer(exchange: Exchange) -> Any:
        return DENIED if metric(exchange) == "MEMBERS_REACHED" else counted(exchange)

    reading = fetch(Answers(answer), "urn:li:share:1")["urn:li:share:1"]
    assert reading.unavailable == {Dimension.REACH: Reason.SCOPE_MISSING}
    assert [name for name, value in numbers(reading).items() if value is None] == ["reach", "video_views"]


def test_an_endpoint_for_videos_that_the_product_lacks_costs_only_plays() -> None:
    def answer(exchange: Exchange) -> Any:
        if metric(exchange) == "VIDEO_PLAY":
            return 404, {"status": 404, "message": "No virtual resource found", "code": "RESOURCE_NOT_FOUND"}
        return counted(exchange)

    reading = fetch(Answers(answer), "urn:li:ugcPost:1")["urn:li:ugcPost:1"]
    assert [name for name, value in numbers(reading).items() if value is None] == ["video_views"]


def test_a_quota_that_is_spent_half_way_keeps_what_was_read_and_stops() -> None:
    def answer(exchange: Exchange) -> Any:
        return counted(exchange) if int(post(exchange).rsplit(":", 1)[1]) < 6 else SPENT

    transport = Answers(answer)
    ids = [f"urn:li:share:{n}" for n in range(50)]
    found = fetch(transport, *ids)
    assert list(found) == ids
    assert [isinstance(found[i], Reading) for i in ids] == [True] * 6 + [False] * 44
    assert all(isinstance(found[i], RateLimited) for i in ids[6:])
    assert len(transport.asked) == 7 * 11


def test_a_post_of_which_one_number_is_rate_limited_waits_as_a_whole() -> None:
    transport = Answers(lambda exchange: SPENT if metric(exchange) == "RESHARE" else counted(exchange))
    with pytest.raises(RateLimited):
        fetch(transport, "urn:li:share:1")


def test_a_number_that_fails_costs_only_itself() -> None:
    transport = Answers(lambda exchange: (503, b"<html>") if metric(exchange) == "RESHARE" else counted(exchange))
    assert numbers(fetch(transport, "urn:li:share:1")["urn:li:share:1"])[Dimension.SHARES] is None


def test_one_poisoned_post_costs_only_itself() -> None:
    def answer(exchange: Exchange) -> Any:
        return (500, b"<html>") if post(exchange) == "urn:li:share:3" else counted(exchange)

    found = fetch(Answers(answer), *(f"urn:li:share:{n}" for n in range(50)))
    assert [i for i, item in found.items() if not isinstance(item, Reading)] == ["urn:li:share:3"]
    assert isinstance(found["urn:li:share:3"], Unavailable)


def test_a_post_that_is_not_there_is_looked_for_under_the_other_kind_which_is_remembered() -> None:
    def answer(exchange: Exchange) -> Any:
        return counted(exchange) if post(exchange) == "urn:li:ugcPost:1" else LOST

    transport, account = Answers(answer), account_of("linkedin", {})
    found = fetch(transport, "urn:li:share:1", account=account)
    assert numbers(found["urn:li:share:1"])[Dimension.VIDEO_VIEWS] == 5
    fetch(again := Answers(answer), "urn:li:share:1", account=account)
    assert {post(each) for each in again.asked} == {"urn:li:ugcPost:1"}
    json.dumps(account.memory)


def test_gone_is_what_both_kinds_say() -> None:
    assert isinstance(fetch(Answers(lambda exchange: LOST), "urn:li:share:1")["urn:li:share:1"], Gone)

    def half(exchange: Exchange) -> Any:
        return LOST if post(exchange) == "urn:li:share:1" else (503, b"<html>")

    with pytest.raises(Unavailable):
        fetch(Answers(half), "urn:li:share:1")


def test_a_post_without_any_element_is_looked_for_under_the_other_kind_once() -> None:
    transport, account = Answers(lambda exchange: (200, {"elements": []})), account_of("linkedin", {})
    found = fetch(transport, "urn:li:share:1", account=account)
    assert set(numbers(found["urn:li:share:1"]).values()) == {None}
    assert len(transport.asked) == 8
    fetch(transport, "urn:li:share:1", account=account)
    assert len(transport.asked) == 15


def test_a_dead_token_fails_the_batch_and_not_each_post() -> None:
    transport = Answers(lambda exchange: (401, {"status": 401, "serviceErrorCode": 65602}))
    with pytest.raises(TokenExpired):
        fetch(transport, *(f"urn:li:share:{n}" for n in range(50)))
    assert len(transport.asked) == 7

"""LinkedIn posts: a member's, number by number, and a page's, many a call."""

import json
from typing import Any

import pytest

from platforms import registry
from platforms.base import Account, Reading
from platforms.dimensions import Dimension, Reason
from platforms.errors import (
    Gone,
    MalformedPayload,
    Misconfigured,
    RateLimited,
    Rejected,
    ScopeMissing,
    TokenExpired,
    Unavailable,
)
from platforms.tests.replay import NOW, Answers, account_of, client_for, query_of, raw_of
from platforms.transport import Exchange

pytestmark = pytest.mark.usefixtures("then")

LINKEDIN = registry.get("linkedin")
PAGE = {"network_unique_id": "urn:li:organization:123"}
STATS = {"impressionCount": 920, "uniqueImpressionsCount": 610, "clickCount": 40, "likeCount": 21, "commentCount": 3}
LOST = (404, {"status": 404, "message": "Could not find entity", "code": "NOT_FOUND"})
WRONG = "Unpermitted fields present in PARAMETER: Data Processing Exception while processing fields [/shares[0]]"
UNPERMITTED = (403, {"status": 403, "serviceErrorCode": 100, "code": "ACCESS_DENIED", "message": WRONG})
DENIED = (403, {"status": 403, "code": "ACCESS_DENIED", "message": "Not enough permissions to access: x"})
SPENT = (429, {"status": 429, "message": "Resource level throttle MEMBER DAY limit for calls … is reached."})
DAY_MS = 86_400_000


def fetch(transport: Answers, *ids: str, account: Account | None = None, **more: Any) -> dict[str, Any]:
    account = account or account_of("linkedin", {})
    found: dict[str, Any] = client_for("linkedin", transport, account, **more).run(LINKEDIN.fetch_posts(ids, account))
    return found


def numbers(item: Any) -> dict[Dimension, int | None]:
    return LINKEDIN.metrics(raw_of(item))


def metric(exchange: Exchange) -> str:
    return query_of(exchange)["queryType"][0]


def post(exchange: Exchange) -> str:
    return query_of(exchange)["entity"][0].strip("()").split(":", 1)[1]


def counted(exchange: Exchange) -> Any:
    return 200, {"elements": [{"count": 5, "metricType": metric(exchange)}]}


# --- members ---------------------------------------------------------------------------------------------------------


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


def test_minus_one_is_no_count() -> None:
    found = fetch(Answers(lambda exchange: (200, {"elements": [{"count": -1}]})), "urn:li:share:1")
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


# --- pages -----------------------------------------------------------------------------------------------------------


def asked(exchange: Exchange) -> list[str]:
    """The posts that a call for statistics names."""
    query = query_of(exchange)
    lists = [value for name in ("shares", "ugcPosts") for value in query.get(name, ())]
    return [urn for text in lists for urn in text.removeprefix("List(").removesuffix(")").split(",")]


def element(urn: str, **more: int) -> dict[str, Any]:
    name = "share" if "share" in urn else "ugcPost"
    return {"organizationalEntity": PAGE["network_unique_id"], name: urn, "totalShareStatistics": {**STATS, **more}}


def statistics(exchange: Exchange) -> Any:
    if "videoAnalytics" in exchange.url:
        return 200, {"elements": [{"value": 31}]}
    return 200, {"elements": [element(urn) for urn in asked(exchange)]}


def page(**memory: Any) -> Account:
    return account_of("linkedin", {**PAGE, "memory": memory})


@pytest.mark.parametrize("kinds", [("share",), ("ugcPost",), ("share", "ugcPost")])
def test_a_thousand_posts_of_a_page_take_twenty_calls(kinds: tuple[str, ...]) -> None:
    transport, account = Answers(statistics), page()
    ids = [f"urn:li:{kinds[n % len(kinds)]}:{7300000000000000000 + n}" for n in range(1000)]
    for start in range(0, 1000, LINKEDIN.batch_size):
        batch = ids[start : start + LINKEDIN.batch_size]
        assert all(isinstance(item, Reading) for item in fetch(transport, *batch, account=account).values())
    assert len(transport.asked) == 20
    assert max(len(exchange.url.split("?")[1]) for exchange in transport.asked) < 4096


def test_a_query_of_lists_leaves_their_signs_bare() -> None:
    transport = Answers(statistics)
    fetch(transport, "urn:li:share:1", "urn:li:share:2", "urn:li:ugcPost:3", account=page())
    (url,) = [exchange.url for exchange in transport.asked if "ShareStatistics" in exchange.url]
    assert url.endswith(
        "organizationalEntity=urn%3Ali%3Aorganization%3A123"
        "&shares=List(urn%3Ali%3Ashare%3A1,urn%3Ali%3Ashare%3A2)&ugcPosts=List(urn%3Ali%3AugcPost%3A3)"
    )


def test_views_are_asked_side_by_side_of_what_may_be_a_video_and_of_many_posts_only_of_known_ones() -> None:
    transport, account = Answers(statistics), page()
    found = fetch(transport, "urn:li:ugcPost:1", account=account)
    assert numbers(found["urn:li:ugcPost:1"])[Dimension.VIDEO_VIEWS] == 31
    assert account.memory["videos"] == ["urn:li:ugcPost:1"]
    many = [f"urn:li:ugcPost:{n}" for n in range(50)]
    found = fetch(bulk := Answers(statistics), *many, account=account)
    assert len(bulk.asked) == 2
    assert [i for i in many if numbers(found[i])[Dimension.VIDEO_VIEWS] == 31] == ["urn:li:ugcPost:1"]


@pytest.mark.parametrize("answer", [(200, {"elements": []}), DENIED, (503, b"<html>"), (200, []), (200, {})])
def test_views_that_do_not_come_cost_only_themselves(answer: Any) -> None:
    transport = Answers(lambda exchange: answer if "videoAnalytics" in exchange.url else statistics(exchange))
    reading = fetch(transport, "urn:li:ugcPost:1", account=page())["urn:li:ugcPost:1"]
    assert numbers(reading)[Dimension.VIDEO_VIEWS] is None
    assert numbers(reading)[Dimension.LIKES] == 21
    assert reading.unavailable[Dimension.SAVES] is Reason.UNSUPPORTED
    assert (Dimension.VIDEO_VIEWS in reading.unavailable) == (answer is DENIED)


def listed(days: float) -> dict[str, int]:
    return {"urn:li:share:2": int(NOW.timestamp() * 1000 - days * DAY_MS)}


def without(*left_out: str) -> Answers:
    def answer(exchange: Exchange) -> Any:
        return 200, {"elements": [element(urn) for urn in asked(exchange) if urn not in left_out]}

    return Answers(answer)


def test_a_post_left_out_had_no_activity_if_linkedin_named_it_within_the_window() -> None:
    transport = without("urn:li:share:2")
    found = fetch(transport, "urn:li:share:1", "urn:li:share:2", account=page(listed=listed(30)))
    values = numbers(found["urn:li:share:2"])
    assert values.pop(Dimension.VIDEO_VIEWS, None) is None
    assert set(values.values()) == {0}
    assert found["urn:li:share:2"].unavailable == {Dimension.SAVES: Reason.UNSUPPORTED}
    assert len(transport.asked) == 1


@pytest.mark.parametrize("memory", [{}, {"listed": listed(366)}, {"listed": {"urn:li:share:2": "?"}}])
def test_any_other_post_left_out_keeps_what_is_known_of_it(memory: dict[str, Any]) -> None:
    transport = without("urn:li:share:2", "urn:li:ugcPost:2")
    found = fetch(transport, "urn:li:share:1", "urn:li:share:2", account=page(**memory))
    assert isinstance(found["urn:li:share:2"], Unavailable)
    assert len(transport.asked) == 2


def test_of_many_posts_the_other_kind_is_asked_at_the_next_reading_and_costs_no_call() -> None:
    ids, account = [f"urn:li:share:{n}" for n in range(50)], page()
    found = fetch(transport := without("urn:li:share:2"), *ids, account=account)
    assert isinstance(found["urn:li:share:2"], Unavailable)
    assert len(transport.asked) == 1
    found = fetch(transport, *ids, account=account)
    assert numbers(found["urn:li:share:2"])[Dimension.LIKES] == 21
    assert "urn:li:ugcPost:2" in asked(transport.asked[1])
    assert len(transport.asked) == 2


def poisoned(*bad: str, refusal: Any = UNPERMITTED) -> Answers:
    return Answers(lambda exchange: refusal if set(bad) & set(asked(exchange)) else statistics(exchange))


def test_one_poisoned_post_costs_few_calls_once_and_one_call_from_then_on() -> None:
    ids, account = [f"urn:li:share:{n}" for n in range(50)], page()
    found = fetch(transport := poisoned("urn:li:share:7"), *ids, account=account)
    assert [i for i in ids if not isinstance(found[i], Reading)] == ["urn:li:share:7"]
    assert isinstance(found["urn:li:share:7"], Unavailable)
    assert len(transport.asked) <= 13
    fetch(again := poisoned("urn:li:share:7"), *ids, account=account)
    assert len(again.asked) == 2
    fetch(healed := Answers(statistics), *ids, account=account)
    assert account.memory["refused"] == []
    assert len(healed.asked) == 2


def test_a_list_that_is_refused_as_such_does_not_cost_the_other() -> None:
    def answer(exchange: Exchange) -> Any:
        return UNPERMITTED if "shares" in query_of(exchange) else statistics(exchange)

    found = fetch(
        Answers(answer), *(f"urn:li:{kind}:{n}" for n in range(3) for kind in ("share", "ugcPost")), account=page()
    )
    assert {i for i, item in found.items() if isinstance(item, Reading)} == {f"urn:li:ugcPost:{n}" for n in range(3)}


def test_a_batch_that_is_refused_in_all_its_parts_is_no_posts_fault() -> None:
    transport = Answers(lambda exchange: UNPERMITTED)
    with pytest.raises(Misconfigured):
        fetch(transport, *(f"urn:li:share:{n}" for n in range(50)), account=page())
    assert len(transport.asked) == 7


def test_a_query_that_is_too_long_is_asked_in_parts() -> None:
    def answer(exchange: Exchange) -> Any:
        return (414, b"") if len(asked(exchange)) > 20 else statistics(exchange)

    found = fetch(transport := Answers(answer), *(f"urn:li:share:{n}" for n in range(50)), account=page())
    assert all(isinstance(item, Reading) for item in found.values())
    assert len(transport.asked) == 7


def test_a_missing_role_is_no_refused_post() -> None:
    transport = Answers(lambda exchange: DENIED)
    with pytest.raises(ScopeMissing):
        fetch(transport, *(f"urn:li:share:{n}" for n in range(50)), account=page())
    assert len(transport.asked) == 1


def test_what_was_read_before_a_failure_is_kept() -> None:
    def answer(exchange: Exchange) -> Any:
        if len(asked(exchange)) > 30:
            return UNPERMITTED
        return SPENT if "urn:li:share:0" in asked(exchange) else statistics(exchange)

    found = fetch(Answers(answer), *(f"urn:li:share:{n}" for n in range(50)), account=page())
    assert isinstance(found["urn:li:share:0"], RateLimited)
    assert isinstance(found["urn:li:share:49"], Reading)


def test_a_post_that_is_gone_under_both_kinds_is_gone_and_no_other() -> None:
    transport = poisoned("urn:li:share:7", "urn:li:ugcPost:7", refusal=LOST)
    found = fetch(transport, *(f"urn:li:share:{n}" for n in range(50)), account=page())
    assert [i for i, item in found.items() if isinstance(item, Gone)] == ["urn:li:share:7"]


@pytest.mark.parametrize("answer", [{}, {"elements": None}, {"elements": {}}, [], None])
def test_an_odd_answer_never_passes_for_one_without_posts(answer: Any) -> None:
    with pytest.raises(MalformedPayload):
        fetch(Answers(lambda exchange: (200, answer)), "urn:li:share:1", account=page())


def test_a_like_that_was_taken_back_is_no_negative_number() -> None:
    transport = Answers(lambda exchange: (200, {"elements": [element("urn:li:share:1", likeCount=-2)]}))
    item = fetch(transport, "urn:li:share:1", account=page())["urn:li:share:1"]
    assert numbers(item)[Dimension.LIKES] == 0
    assert raw_of(item)["totalShareStatistics"]["likeCount"] == -2

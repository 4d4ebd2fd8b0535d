"""LinkedIn: a page's posts, many a call."""

from typing import Any

import pytest

from platforms.base import Account, Reading
from platforms.dimensions import Dimension, Reason
from platforms.errors import (
    Gone,
    MalformedPayload,
    Misconfigured,
    RateLimited,
    ScopeMissing,
    Unavailable,
)
from platforms.tests.linkedin_network import (
    DAY_MS,
    DENIED,
    LINKEDIN,
    LOST,
    PAGE,
    SPENT,
    STATS,
    UNPERMITTED,
    fetch,
    numbers,
)
from platforms.tests.replay import NOW, Answers, account_of, query_of, raw_of
from platforms.transport import Exchange

pytestmark = pytest.mark.usefixtures("then")


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


@pytest.mark.parametrize(("kind", "name"), [("share", "shares"), ("ugcPost", "ugcPosts")])
def test_a_kind_that_is_refused_as_such_costs_few_calls_and_is_tried_again(kind: str, name: str) -> None:
    def answer(exchange: Exchange) -> Any:
        return UNPERMITTED if is_refused and name in query_of(exchange) else statistics(exchange)

    transport, account, is_refused = Answers(answer), page(), True
    ids = [f"urn:li:{each}:{n}" for n in range(25) for each in ("share", "ugcPost")]
    tried: set[str] = set()
    for calls in (9, 5, 5):
        transport.asked.clear()
        found = fetch(transport, *ids, account=account)
        assert {i for i, item in found.items() if isinstance(item, Reading)} == {i for i in ids if kind not in i}
        assert len(transport.asked) == calls
        tried |= {urn for exchange in transport.asked for urn in asked(exchange) if kind in urn and calls == 5}
    assert len(tried) == 8  # others each time
    is_refused = False
    for calls in (6, 1):
        transport.asked.clear()
        assert all(isinstance(item, Reading) for item in fetch(transport, *ids, account=account).values())
        assert len(transport.asked) == calls


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

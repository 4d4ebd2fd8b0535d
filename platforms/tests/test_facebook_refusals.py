"""Facebook posts of which some is refused: what that costs, and what is remembered."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from platforms.base import Reading
from platforms.dimensions import Dimension, Reason
from platforms.errors import (
    Gone,
)
from platforms.facebook_metrics import METRICS, REACH, STORY_METRICS
from platforms.tests.facebook_network import COMMENTS_GATE, PAGE, UNKNOWN, WHOLE, Network, failure, numbers, values_of
from platforms.tests.replay import account_of

pytestmark = pytest.mark.usefixtures("then")


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


@pytest.mark.parametrize("refusal", [failure(100, UNKNOWN), failure(100, "(#100) Something else")])
@pytest.mark.parametrize("place", [0, 30, 555, 999])
def test_one_post_of_a_thousand_costs_no_other_its_numbers(place: int, refusal: Any) -> None:
    network, account = Network(1000), account_of("facebook", {})
    odd = network.ids[place]
    network.refuse = lambda post_id, metrics: refusal if post_id == odd else None
    found = network.fetch(*network.ids, account=account)
    assert [i for i in network.ids if values_of(found[i]) != WHOLE] == [odd]
    assert numbers(found[odd])[Dimension.LIKES] == 44
    assert not account.retired
    assert network.calls <= 40 + len(METRICS)  # to learn whether a metric was withdrawn


def test_a_withdrawn_metric_is_found_out_though_a_wanted_post_is_gone() -> None:
    network, account = Network(200), account_of("facebook", {})
    network.refuse = lambda post_id, metrics: failure(100, UNKNOWN) if "post_clicks" in metrics else None
    gone = f"{PAGE}_100000"
    found = network.fetch(*network.ids, gone, account=account)
    assert account.retired == {"post_clicks"}
    assert isinstance(found[gone], Gone)
    assert network.calls <= 6 + 1 + len(METRICS) + 3


@pytest.mark.parametrize("count", [1, 60])
def test_ids_may_be_numbers_and_what_has_none_is_passed_over(count: int) -> None:
    network = Network(count)
    page = network.page
    network.page = lambda query: (200, page(query)[1] | {"data": [{"shares": {}}, *page(query)[1]["data"]]})  # type: ignore[method-assign]
    network.nodes["777888"] = {"id": 777888, "views": 500, "post_id": int(network.ids[0].partition("_")[2])}
    found = network.fetch(*network.ids, "777888")
    assert all(values_of(item) == WHOLE for item in found.values())


def test_a_story_that_is_not_computed_yet_has_no_number() -> None:
    pending = {"value": 0, "end_time": "1970-01-02T08:00:00+0000"}
    network = Network(1)
    network.refuse = lambda post_id, metrics: failure(100, UNKNOWN) if "post_clicks" in metrics else None
    network.insights = lambda metrics: {"data": [{"name": name, "values": [pending]} for name in metrics]}  # type: ignore[method-assign]
    assert numbers(network.fetch(network.ids[0])[network.ids[0]])[Dimension.IMPRESSIONS] is None

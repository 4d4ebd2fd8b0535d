"""Pinterest analytics: videos, the beta call and its fallbacks, withdrawn metrics."""

from typing import Any

import pytest

from platforms.base import Reading
from platforms.dimensions import Dimension, Reason
from platforms.tests.pinboard import (
    FORBIDDEN,
    LIMITED,
    MISSING,
    NO_SCOPE,
    NOT_YOURS,
    PINTEREST,
    Pinboard,
    ids_of,
    numbered,
    pin,
    saves,
    totals,
)
from platforms.tests.replay import account_of, query_of, raw_of
from platforms.transport import Exchange

pytestmark = pytest.mark.usefixtures("then")


# --- videos ------------------------------------------------------------------------------------------------------


def only_videos_have_views(path: str, exchange: Exchange) -> Any:
    if not path.endswith("analytics") or "VIDEO_MRC_VIEW" not in query_of(exchange)["metric_types"][0]:
        return None
    if path == "pins/analytics":
        return 200, {i: totals(VIDEO_MRC_VIEW=95) for i in ids_of(exchange)}
    return 200, totals(VIDEO_MRC_VIEW=95)


def test_the_views_of_a_video_take_a_further_call_once() -> None:
    board = Pinboard([pin("1", creative_type="VIDEO")], only_videos_have_views)
    account = account_of("pinterest", {})
    for calls in (3, 5):
        (item,) = board.fetch("1", account=account).values()
        assert PINTEREST.metrics(raw_of(item))[Dimension.VIDEO_VIEWS] == 95
        assert len(board.transport.asked) == calls


def test_videos_have_a_batch_of_their_own() -> None:
    pins = [*numbered(5), *(pin(str(2 * 10**17 + n), media={"media_type": "video"}) for n in range(5))]
    board = Pinboard(pins, only_videos_have_views)
    found = board.fetch(*board.pins)
    assert [PINTEREST.metrics(raw_of(found[i]))[Dimension.VIDEO_VIEWS] for i in board.pins] == [None] * 5 + [95] * 5
    assert board.kinds() == {"pins": 1, "pins/analytics": 2}


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("count", [1, 5])
def test_views_that_a_pin_does_not_have_cost_no_other_column(known: bool, count: int) -> None:
    def hook(path: str, exchange: Exchange) -> Any:
        asked = query_of(exchange).get("metric_types", [""])[0]
        return (400, {"code": 1, "message": "Invalid request"}) if "VIDEO" in asked else None

    board = Pinboard(numbered(count, creative_type="VIDEO"), hook)
    account = account_of("pinterest", {"memory": {"videos": list(board.pins)} if known else {}})
    found = board.fetch(*board.pins, account=account)
    assert {saves(item) for item in found.values()} == {20}


# --- the beta call -----------------------------------------------------------------------------------------------


def test_an_app_without_the_beta_call_is_not_asked_again_for_a_week() -> None:
    board = Pinboard(numbered(5), lambda path, _: FORBIDDEN if path == "pins/analytics" else None)
    account = account_of("pinterest", {})
    for batches, singles in ((1, 5), (1, 10)):
        assert {saves(item) for item in board.fetch(*board.pins, account=account).values()} == {20}
        assert (board.kinds()["pins/analytics"], board.kinds()["pins/#/analytics"]) == (batches, singles)
    account.memory["batch_refused_on"] = "2026-11-15"
    board.fetch(*board.pins, account=account)
    assert board.kinds()["pins/analytics"] == 2


@pytest.mark.parametrize("refusal", [MISSING, NOT_YOURS, (400, {"code": 1, "message": "Invalid request"})])
def test_one_poisoned_pin_costs_only_a_few_calls_and_its_own_saves(refusal: Any) -> None:
    board = Pinboard(numbered(100))
    bad = list(board.pins)[42]

    def hook(path: str, exchange: Exchange) -> Any:
        asked = ids_of(exchange) if path == "pins/analytics" else [path.split("/")[1]] if "/" in path else []
        return refusal if "analytics" in path and bad in asked else None

    board.hook = hook
    found = board.fetch(*board.pins)
    assert {pin_id: saves(item) for pin_id, item in found.items()} == {**dict.fromkeys(board.pins, 20), bad: None}
    assert len(board.transport.asked) <= 20


def test_an_absent_pin_of_a_batch_is_asked_for_by_itself() -> None:
    board = Pinboard(numbered(6))
    half = list(board.pins)[::2]
    board.hook = lambda path, _: (200, {i: totals() for i in half}) if path == "pins/analytics" else None
    assert {saves(item) for item in board.fetch(*board.pins).values()} == {20}
    assert board.kinds() == {"pins": 1, "pins/analytics": 1, "pins/#/analytics": 3}


def test_ids_are_spelled_as_the_server_wants_them() -> None:
    def hook(path: str, exchange: Exchange) -> Any:
        comma = path == "pins/analytics" and len(query_of(exchange)["pin_ids"]) == 1
        return (400, {"code": 1, "message": "Invalid parameters"}) if comma else None

    board, account = Pinboard(numbered(5), hook), account_of("pinterest", {})
    for calls in (2, 3):
        assert {saves(item) for item in board.fetch(*board.pins, account=account).values()} == {20}
        assert board.kinds()["pins/analytics"] == calls
    assert account.memory["pin_ids"] == "repeated"


@pytest.mark.parametrize("answer", [(200, b"<html>"), (200, []), (200, None), (503, b"")])
def test_an_unreadable_batch_costs_only_the_saves_at_most(answer: Any) -> None:
    board = Pinboard(numbered(5), lambda path, _: answer if path == "pins/analytics" else None)
    for item in board.fetch(*board.pins).values():
        assert PINTEREST.metrics(raw_of(item))[Dimension.IMPRESSIONS] == 240


def test_spent_analytics_cost_only_saves_and_who_went_without_goes_first_next() -> None:
    account = account_of("pinterest", {"memory": {"batch_refused_on": "2026-11-23"}})
    asked: list[str] = []

    def hook(path: str, exchange: Exchange) -> Any:
        if path.endswith("analytics"):
            asked.append(path.split("/")[1])
            return LIMITED if len(asked) > 20 else None
        return None

    board = Pinboard(numbered(50), hook)
    first = board.fetch(*board.pins, account=account)
    without = [pin_id for pin_id, item in first.items() if saves(item) is None]
    assert len(first) == 50 and len(without) == 30 and len(asked) <= 30
    asked.clear()
    second = board.fetch(*board.pins, account=account)
    assert [pin_id for pin_id in without if saves(second[pin_id]) is not None] == without[:20]


def test_a_missing_scope_is_not_asked_about_a_thousand_times() -> None:
    board = Pinboard(numbered(60), lambda path, _: NO_SCOPE if path.endswith("analytics") else None)
    found = board.fetch(*board.pins)
    assert len(board.transport.asked) == 1 + 1 + 10
    for item in found.values():
        assert isinstance(item, Reading) and item.unavailable == {Dimension.SAVES: Reason.SCOPE_MISSING}


@pytest.mark.parametrize(
    ("more", "lacking"),
    [
        ({}, {Dimension.SAVES}),
        ({"creative_type": "VIDEO"}, {Dimension.SAVES, Dimension.VIDEO_VIEWS}),
        ({"pin_metrics": None}, {Dimension.SAVES, Dimension.IMPRESSIONS, Dimension.CLICKS}),
    ],
)
def test_a_missing_scope_is_the_reason_for_all_that_only_analytics_tell(more: Any, lacking: set[Dimension]) -> None:
    board = Pinboard([pin("1", **more)], lambda path, _: NO_SCOPE if path.endswith("analytics") else None)
    (item,) = board.fetch("1").values()
    assert isinstance(item, Reading) and item.unavailable == dict.fromkeys(lacking, Reason.SCOPE_MISSING)


@pytest.mark.parametrize("count", [1, 5, 150])
def test_a_withdrawn_metric_costs_its_own_column_and_is_not_asked_for_again(count: int) -> None:
    def hook(path: str, exchange: Exchange) -> Any:
        asked = query_of(exchange).get("metric_types", [""])[0].split(",")
        message = "metric_types: 'OUTBOUND_CLICK' is not one of ['IMPRESSION', 'PIN_CLICK', 'SAVE']"
        return (400, {"code": 1, "message": message}) if "OUTBOUND_CLICK" in asked else None

    board, account = Pinboard(numbered(count), hook), account_of("pinterest", {})
    for _ in range(2):
        assert {saves(item) for item in board.fetch(*board.pins, account=account).values()} == {20}
    assert account.retired == {"OUTBOUND_CLICK"}
    again = [query_of(exchange).get("metric_types", [""])[0] for exchange in board.transport.asked]
    assert sum("OUTBOUND_CLICK" in asked for asked in again) == -(-count // 100)

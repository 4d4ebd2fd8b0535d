"""Instagram media that spoil the page of the listing they are on: what that costs, and what is remembered."""

import pytest

from platforms.dimensions import Dimension
from platforms.errors import PlatformError, Unavailable
from platforms.instagram_memory import CERTAIN
from platforms.tests.instagram_network import POISON, Network, failure, numbers
from platforms.tests.replay import account_of

pytestmark = pytest.mark.usefixtures("then")

LOGINS = [{"login": "facebook"}, {"login": "instagram"}]
UNSUPPORTED = failure(100, "The Media Insights API does not support the views metric for this media product type.")
UNEXPLAINED = failure(1, "An unknown error occurred", status=500)


def without_impressions(found: dict[str, object]) -> list[str]:
    return [i for i, item in found.items() if numbers(item)[Dimension.IMPRESSIONS] is None]


@pytest.mark.parametrize("extra", LOGINS)
@pytest.mark.parametrize("refusal", [POISON, UNSUPPORTED])
@pytest.mark.parametrize("place", [0, 30, 49, 555, 999])
def test_one_medium_of_a_thousand_costs_no_other_its_numbers(
    place: int, refusal: tuple[int, object], extra: dict[str, str]
) -> None:
    network, account = Network(1000), account_of("instagram", {"extra": extra})
    odd = network.ids[place]
    network.refuse = lambda media_id, metrics: refusal if media_id == odd and "views" in metrics else None
    for _ in range(2):
        before = network.calls
        found = network.fetch(*network.ids, account=account)
        assert set(found) == set(network.ids)
        assert without_impressions(found) == [odd]
        assert numbers(found[odd])[Dimension.LIKES] is not None
        assert network.calls - before <= 40
    assert "no_insights_until" not in account.memory


@pytest.mark.parametrize("extra", LOGINS)
def test_media_from_before_the_conversion_are_asked_for_once(extra: dict[str, str]) -> None:
    network, account = Network(400), account_of("instagram", {"extra": extra})
    old = network.ids[210:]
    network.refuse = lambda media_id, metrics: POISON if media_id in old else None
    found = network.fetch(*network.ids, account=account)
    assert set(found) == set(network.ids)
    assert sorted(without_impressions(found)) == old
    assert numbers(found[network.ids[399]])[Dimension.COMMENTS] == 3
    assert account.memory["no_insights_until"] == network.media[old[0]]["timestamp"]
    assert network.calls <= 9 + 50
    before = network.calls
    again = network.fetch(*network.ids, account=account)
    assert {i: numbers(item) for i, item in again.items()} == {i: numbers(item) for i, item in found.items()}
    assert network.calls - before <= 9 + 10


def test_a_few_media_without_insights_say_nothing_of_older_ones() -> None:
    network, account = Network(100), account_of("instagram", {})
    few = network.ids[20 : 20 + CERTAIN - 1]
    network.refuse = lambda media_id, metrics: POISON if media_id in few else None
    for _ in range(2):
        assert sorted(without_impressions(network.fetch(*network.ids, account=account))) == few
    assert "no_insights_until" not in account.memory


def test_a_medium_from_before_is_read_without_insights_and_these_are_not_asked_for_again() -> None:
    network, account = Network(2), account_of("instagram", {})
    network.refuse = lambda media_id, metrics: POISON
    for calls in (2, 1):
        before = network.calls
        found = network.fetch(network.ids[1], account=account)
        assert numbers(found[network.ids[1]])[Dimension.LIKES] == 7
        assert network.calls - before == calls


def test_a_page_that_keeps_failing_without_a_reason_is_read_without_insights_from_the_third_time_on() -> None:
    network, account = Network(200), account_of("instagram", {})
    odd = network.ids[60]
    network.refuse = lambda media_id, metrics: UNEXPLAINED if media_id == odd else None
    for _ in range(2):
        found = network.fetch(*network.ids, account=account)
        assert isinstance(found[network.ids[199]], Unavailable)
        assert numbers(found[network.ids[0]])[Dimension.IMPRESSIONS] == 10
    for _ in range(2):
        found = network.fetch(*network.ids, account=account)
        assert [i for i in network.ids if isinstance(found[i], PlatformError)] == [odd]
    network.refuse = lambda media_id, metrics: None
    network.fetch(*network.ids, account=account)
    assert "failed_pages" not in account.memory

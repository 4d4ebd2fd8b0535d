import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.formulas import engagement_rate, totals
from platforms.dimensions import Dimension

COUNTS = st.none() | st.integers(0, 2**63 - 1)
ROWS = st.fixed_dictionaries({dimension.value: COUNTS for dimension in Dimension})


@pytest.mark.parametrize(
    ("values", "rate"),
    [
        ({"likes": 421, "comments": 38, "shares": 57, "saves": 12, "impressions": 12480}, 0.0423),
        ({"likes": 1, "impressions": 8}, 0.125),
        ({"likes": 1, "impressions": 20_000}, 0.0001),  # 0.00005 goes up
        ({"likes": 3, "impressions": 20_000}, 0.0002),  # 0.00015 too, not to the even neighbour
        ({"likes": 5, "impressions": 16_000}, 0.0003),
        ({"likes": 1, "impressions": 20_001}, 0.0),
        ({"likes": 3, "reach": 4}, 0.75),
        ({"likes": 3, "reach": 4, "impressions": 6}, 0.5),
        ({"likes": 0, "impressions": 6}, 0.0),
        ({"saves": 9, "impressions": 3}, 3.0),
        ({"likes": 3, "impressions": 0, "reach": 4}, None),
        ({"likes": 3, "reach": 0}, None),
        ({"likes": 3}, None),
        ({"impressions": 5, "clicks": 3}, None),
        ({}, None),
    ],
)
def test_engagement_rate_divides_what_was_reported_by_what_was_seen(values, rate):
    assert engagement_rate(values) == rate


@given(ROWS)
def test_engagement_rate_is_a_number_exactly_when_there_are_engagements_and_something_to_divide_by(row):
    seen = row["reach"] if row["impressions"] is None else row["impressions"]
    reported = [row[name] for name in ("likes", "comments", "shares", "saves") if row[name] is not None]
    rate = engagement_rate(row)
    assert (rate is None) == (not reported or not seen)
    if rate is not None:
        assert rate == pytest.approx(sum(reported) / seen, rel=1e-9, abs=0.00005001)


@given(st.lists(ROWS, max_size=5))
def test_totals_add_every_dimension_with_null_as_zero(rows):
    assert totals(rows) == {f"total_{name}": sum(row[name] or 0 for row in rows) for name in map(str, Dimension)}

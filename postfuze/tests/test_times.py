from datetime import UTC, datetime, timedelta, timezone

import pytest

from postfuze.api.times import parse, render

SIX = datetime(2026, 6, 10, 18, tzinfo=UTC)


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        (SIX, "2026-06-10T18:00:00.000Z"),
        (SIX.replace(microsecond=1999), "2026-06-10T18:00:00.001Z"),
        (datetime(2026, 6, 10, 20, tzinfo=timezone(timedelta(hours=2))), "2026-06-10T18:00:00.000Z"),
    ],
)
def test_an_instant_is_written_in_utc_with_three_decimals(moment: datetime, text: str) -> None:
    assert render(moment) == text


@pytest.mark.parametrize(
    "text",
    [
        "2026-06-10T18:00:00Z",
        "2026-06-10t18:00:00z",
        "2026-06-10T18:00:00.000Z",
        "2026-06-10T18:00",
        "2026-06-10T18",
        "2026-06-10 18:00:00",
        "2026-06-10T20:00:00+02:00",
        "2026-06-10T20:00:00+0200",
        "2026-06-10T20:00:00+02",
        "2026-06-10T20:00:00 02:00",
        "2026-06-10 20:00:00 02:00",
        "2026-06-10T13:00:00-05:00",
        "20260610T180000Z",
        " 2026-06-10T18:00:00Z ",
        "1781114400",
        "1781114400.0",
        1781114400,
        1781114400.0,
    ],
)
def test_a_caller_may_write_an_instant_in_many_ways(text: str | float) -> None:
    assert parse(text) == SIX


def test_a_date_alone_is_its_first_instant_in_utc() -> None:
    assert parse("2026-06-10") == datetime(2026, 6, 10, tzinfo=UTC)


def test_fractions_keep_their_microseconds() -> None:
    assert parse("2026-06-10T18:00:00.123456Z") == SIX.replace(microsecond=123456)
    assert parse("1781114400.123456") == SIX.replace(microsecond=123456)


def test_the_first_and_the_last_instant_in_range_are_accepted() -> None:
    assert parse("1970-01-01T00:00:00Z") == parse(0) == parse("0")
    assert parse("2100-12-31T23:59:59.999999Z").year == 2100


@pytest.mark.parametrize(
    "text",
    [
        *(
            "1969-12-31",
            "2101-01-01",
            "1970-01-01T00:00:00+05:00",
            "2100-12-31T23:00:00-05:00",
            "0001-01-01T00:00+12:00",
        ),
        *(-1, "-1", "-0.5", "1781114400000", "9" * 400, 10**400, float("inf"), float("nan"), 4133980800),
    ],
)
def test_what_is_outside_of_1970_to_2100_is_out_of_range(text: str | float) -> None:
    with pytest.raises(ValueError, match="1970 to 2100"):
        parse(text)


@pytest.mark.parametrize(
    "text",
    [
        *("", "yesterday", "2026-13-01", "2026-02-30", "2026-06", "2026-W24-3", "2026-06-10T25:00", "10.06.2026"),
        *("2026-06-10T18:00:00+99:99", "2026-06-10T", "2026-06-10x18:00", "2026-06-10T18:00:00Zx", "٢٠٢٦-06-10"),
        *(True, None, [], {}, "2026-06-10T18:00:00+24:00", "1e9", "2026-06-10\n", "2026-06-10T18:00\x00"),
    ],
)
def test_anything_else_is_refused_with_what_was_expected(text: object) -> None:
    if text == "2026-06-10\n":
        assert parse(text)  # surrounding white space is forgiven
        return
    with pytest.raises(ValueError, match="ISO 8601"):
        parse(text)  # type: ignore[arg-type]

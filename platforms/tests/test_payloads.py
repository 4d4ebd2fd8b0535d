"""Decoding, counting, cleaning."""

import json
from typing import Any

import pytest

from platforms.errors import MalformedPayload
from platforms.payloads import BIGINT_MAX, DEPTH, clean, count, decode, excerpt, to_count


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0, 0),
        (12, 12),
        (-3, 0),
        ("12", 12),
        ("-12", 0),
        (12.0, 12),
        (-1.0, 0),
        (BIGINT_MAX, BIGINT_MAX),
        (BIGINT_MAX + 1, None),
        (10**30, None),
        (1e300, None),
        (-(10**30), 0),
        (None, None),
        (True, None),
        (False, None),
        (3.7, None),
        (float("nan"), None),
        (float("inf"), None),
        ("", None),
        ("12.0", None),
        ("1e3", None),
        (" 1", None),
        ("1\n", None),
        ("१२", None),
        ("9" * 5000, None),
        ([], None),
        ({}, None),
        ([1], None),
    ],
)
def test_a_count_is_a_whole_number_that_fits_a_column(value: Any, expected: int | None) -> None:
    assert to_count(value) == expected
    assert count({"a": {"b": value}}, ("a", "b")) == expected


@pytest.mark.parametrize("raw", [{}, {"a": None}, {"a": []}, {"a": "text"}, {"a": {"c": 1}}, [], None, 5])
def test_what_is_absent_is_no_count(raw: Any) -> None:
    assert count(raw, ("a", "b")) is None


@pytest.mark.parametrize("body", [b"", b"{", b"<html>", b"\xff\xfe", b"[" * 100_000, b"nul", b'{"a": 1} x', b"\x00"])
def test_what_is_no_json_is_malformed_with_its_beginning(body: bytes) -> None:
    with pytest.raises(MalformedPayload) as caught:
        decode(body)
    assert len(caught.value.evidence) <= 2000


@pytest.mark.parametrize("text", ["NaN", "Infinity", "-Infinity", "1e999", "9" * 31, "9" * 5000, "-" + "9" * 5000])
def test_numbers_that_no_column_holds_stay_as_text(text: str) -> None:
    value = decode(f'{{"a": {text}}}'.encode())["a"]
    assert isinstance(value, str) and text.startswith(value[:30])
    assert to_count(value) in (None, 0)
    json.dumps(clean(value), allow_nan=False)


def test_a_stored_payload_holds_nothing_that_a_database_refuses() -> None:
    raw = clean({"a\x00": ["\x00", "\ud800x", float("nan"), {"\udfff": float("inf")}], "ok": "é😀"})
    text = json.dumps(raw, allow_nan=False, ensure_ascii=False)
    assert "\\u0000" not in text
    text.encode()
    assert raw["ok"] == "é😀"


@pytest.mark.parametrize(
    "key",
    [
        "access_token",
        "accessToken",
        "refresh_token",
        "accessJwt",
        "refreshJwt",
        "client_secret",
        "clientSecret",
        "token",
        "password",
        "app_password",
        "Authorization",
        "page_token",
        "oauth_token_secret",
    ],
)
def test_secrets_are_taken_out_of_what_is_stored(key: str) -> None:
    assert clean({"x": [{key: "very-secret"}]}) == {"x": [{key: "[removed]"}]}
    assert clean({key: None}) == {key: None}


@pytest.mark.parametrize(
    "url",
    [
        "https://graph.facebook.com/v26.0/1/insights?access_token=very-secret&since=1",
        "https://x.com/?a=b&accesstoken=very-secret",
        "https://cdn.example.com/i.jpg?sig=very-secret",
        "https://x.com/#access_token=very-secret",
    ],
)
def test_urls_that_bear_a_token_are_taken_out(url: str) -> None:
    assert "very-secret" not in json.dumps(clean({"paging": {"next": url}, "text": f"see {url} now"}))
    assert clean(f"see {url} now") == "see [removed] now"


@pytest.mark.parametrize("value", ["https://x.com/i/status/1", "tokenized", {"tokens_used": 5}, {"type": "x"}, 5, None])
def test_what_is_no_secret_stays(value: Any) -> None:
    assert clean(value) == value
    assert clean(clean(value)) == clean(value)


def test_deep_nesting_is_cut_off() -> None:
    deep: Any = 1
    for _ in range(5000):
        deep = [deep]
    text = json.dumps(clean(deep))
    assert text.count("[") == DEPTH + 1 and "removed" in text


@pytest.mark.parametrize(
    "body",
    [
        b'{"access_token": "very-secret", "x": 1}',
        b'{"refreshJwt":"very-secret',
        b'{"a":{"client_secret" : "very-\\"secret"}}',
        b"access_token=very-secret&expires=5",
        b"<a href='https://x.com/?access_token=very-secret'>",
    ],
)
def test_an_excerpt_holds_no_token(body: bytes) -> None:
    assert "secret" not in excerpt(body).replace("client_secret", "")


def test_an_excerpt_is_capped_and_readable() -> None:
    assert len(excerpt(b"x" * 10_000)) == 2000
    assert excerpt(b"\xff\x00") == "\ufffd\ufffd"
    assert excerpt(b'{"likes": 5}') == '{"likes": 5}'

from typing import Any

import pytest

URL = "/api/v1/things"


def send(api: Any, body: bytes | str) -> Any:
    return api.generic("POST", URL, body, content_type="application/json")


@pytest.mark.parametrize(
    "body",
    [
        *(b"{", b"nonsense", b'{"name": }', b'{"name": "a",}', b"\xff\xfe", b'"\xed\xa0\x80"', b"\xef\xbb\xbf{}"),
        *(b'{"name": NaN}', b'{"name": Infinity}', b'{"name": -Infinity}', b'{"name": ' + b"9" * 5000 + b"}"),
        *(b"[]", b"1", b'"text"', b"null", b"true", b" ", b"[" * 100_000, b'{"a":' * 100_000, b"[]]"),
    ],
)
def test_what_is_not_a_json_object_in_utf8_is_a_400(api: Any, problem: Any, body: bytes) -> None:
    problem(send(api, body), 400, "validation_failed")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (rb'{"name": "\ud800"}', "name"),
        (rb'{"name": "a\u0000b"}', "name"),
        (rb'{"targets": [{"account_id": "\udfff"}]}', "targets.0.account_id"),
        (b'{"name": 1e999}', "name"),
        (b'{"name": 9223372036854775808}', "name"),
        (b'{"name": ' + b"[" * 50 + b"]" * 50 + b"}", "name" + ".0" * 19),
        (rb'{"a\u0000": 1}', "a\x00"),
        (rb'{"\ud800": 1}', "?"),
    ],
)
def test_what_no_database_can_hold_is_a_400_that_names_the_field(
    api: Any, problem: Any, body: bytes, field: str
) -> None:
    assert problem(send(api, body), 400, "validation_failed")["errors"][0]["field"] == field


def test_duplicate_keys_and_pairs_of_surrogates_are_fine(api: Any) -> None:
    response = send(api, rb'{"name": "a", "name": "\ud83d\ude00"}')
    assert (response.status_code, response.json()) == (201, {"name": "😀"})


def test_no_body_is_an_empty_object(api: Any, problem: Any) -> None:
    assert problem(send(api, b""), 400, "validation_failed")["errors"] == [
        {"field": "name", "message": "This field is required."}
    ]

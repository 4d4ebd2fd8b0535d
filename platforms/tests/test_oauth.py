"""Token requests and token answers."""

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from platforms.errors import MalformedPayload, Misconfigured, Revoked, TokenExpired
from platforms.oauth import App, Credentials, Refresh, TokenSet, jwt_expiry, parse_tokens, refresh_form
from platforms.tests.replay import NOW

pytestmark = pytest.mark.usefixtures("then")

TOKENS = Credentials("the-access-token", "the+refresh/token=")
APP = App("1", "client id&", "s3cret+/=")
URL = "https://example.com/token"


def test_a_refresh_token_goes_out_unchanged_beside_the_apps_name() -> None:
    assert refresh_form(Refresh(URL), TOKENS, APP) == {
        "grant_type": "refresh_token",
        "refresh_token": "the+refresh/token=",
        "client_id": "client id&",
        "client_secret": "s3cret+/=",
    }


def test_with_basic_authorization_the_app_is_not_in_the_form() -> None:
    form = refresh_form(Refresh(URL, client="basic"), TOKENS, APP)
    assert form == {"grant_type": "refresh_token", "refresh_token": "the+refresh/token="}


def test_a_public_app_names_itself_in_the_form() -> None:
    form = refresh_form(Refresh(URL, client="basic"), TOKENS, App(client_id="public"))
    assert form["client_id"] == "public" and "client_secret" not in form


def test_a_token_that_is_extended_goes_out_under_its_own_name() -> None:
    facts = Refresh(URL, sends="access_token", grant_type="extend", param="exchange_token", client="none")
    assert refresh_form(facts, TOKENS, APP) == {"grant_type": "extend", "exchange_token": "the-access-token"}


def test_as_bearer_a_token_is_in_no_form() -> None:
    assert refresh_form(Refresh(URL, bearer=True), TOKENS, APP) == {}


@pytest.mark.parametrize(
    ("expires_in", "expected"),
    [
        (7200, NOW + timedelta(hours=2)),
        ("7200", NOW + timedelta(hours=2)),
        (7200.5, NOW + timedelta(hours=2, seconds=0.5)),
        (0, None),
        (-5, None),
        (None, None),
        (True, None),
        ("soon", None),
        ("²", None),
        ("9" * 5000, None),
        (10**30, None),
        ([], None),
    ],
)
def test_an_odd_lifetime_loses_no_token(expires_in: Any, expected: datetime | None) -> None:
    tokens = parse_tokens(Refresh(URL), {"access_token": "a", "refresh_token": "r", "expires_in": expires_in})
    assert (tokens.access_token, tokens.refresh_token, tokens.expires_at) == ("a", "r", expected)


@pytest.mark.parametrize(
    ("scope", "expected"),
    [("a b", ("a", "b")), ("a,b", ("a", "b")), (["a", "b"], ("a", "b")), (None, ()), (5, ()), ({}, ()), ("", ())],
)
def test_scopes_come_in_several_forms(scope: Any, expected: tuple[str, ...]) -> None:
    assert parse_tokens(Refresh(URL), {"access_token": "a", "scope": scope}).scopes == expected


@pytest.mark.parametrize("renewed", [None, 5, [], ""])
def test_without_a_new_refresh_token_the_old_one_stays(renewed: Any) -> None:
    assert parse_tokens(Refresh(URL), {"access_token": "a", "refresh_token": renewed}).refresh_token == ""


@pytest.mark.parametrize("none", ["", None, {}, False])
def test_an_empty_error_beside_the_tokens_is_none(none: Any) -> None:
    tokens = parse_tokens(Refresh(URL), {"error": none, "access_token": "a", "refresh_token": "rotated"})
    assert tokens.refresh_token == "rotated"
    with pytest.raises(MalformedPayload):
        parse_tokens(Refresh(URL), {"error": "odd", "access_token": "a", "refresh_token": "rotated"})


@pytest.mark.parametrize(
    "payload",
    [{}, {"access_token": None}, {"access_token": ""}, {"access_token": 5}, {"access_token": ["a"]}, [], None, "a"],
)
def test_an_answer_without_an_access_token_is_malformed(payload: Any) -> None:
    with pytest.raises(MalformedPayload):
        parse_tokens(Refresh(URL), payload)


def test_tokens_may_have_other_names() -> None:
    facts = Refresh(URL, access_field="accessJwt", refresh_field="refreshJwt")
    tokens = parse_tokens(facts, {"accessJwt": jwt(exp=1795430000), "refreshJwt": "r", "did": "did:plc:x"})
    assert tokens.refresh_token == "r"
    assert tokens.expires_at == datetime.fromtimestamp(1795430000, UTC)
    assert tokens.answer["did"] == "did:plc:x"


def jwt(**claims: Any) -> str:
    part = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return f"header.{part}.signature"


@pytest.mark.parametrize(
    "token",
    [
        *("", "opaque", "a.b", "a.!!!.c", "é.é.é", "." * 50, "a." + base64.urlsafe_b64encode(b"[1]").decode() + ".c"),
        *(jwt(), jwt(exp="soon"), jwt(exp=10**30), jwt(exp=-(10**30)), jwt(exp=[])),
    ],
)
def test_a_token_that_tells_no_expiry_has_none(token: str) -> None:
    assert jwt_expiry(token) is None


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        ({"error": "invalid_grant", "error_description": "x"}, TokenExpired),
        ({"error": "gone", "error_description": "withdrawn by owner"}, Revoked),
        ({"error": "gone", "error_description": "?"}, type(None)),
        ({"error": "gone", "message": "withdrawn by owner"}, Revoked),
        ({"error": "invalid_client"}, Misconfigured),
        ({"error": "unauthorized_client"}, Misconfigured),
        ({"error": "temporarily_unavailable"}, type(None)),
        ({"error": {"code": 190}}, type(None)),
        ({"error": None}, type(None)),
        ({}, type(None)),
        ([], type(None)),
        (None, type(None)),
    ],
)
def test_only_what_the_table_names_is_a_refusal(payload: Any, expected: type) -> None:
    facts = Refresh(URL, revoked={"gone": "withdrawn"})
    assert type(facts.classify(payload)) is expected


def test_secrets_are_not_in_a_representation() -> None:
    shown = f"{TOKENS!r} {APP!r} {TokenSet('the-access-token', 'r3fresh', answer={'a': 'answ3r'})!r}"
    assert not any(secret in shown for secret in ("the-access-token", "refresh/", "s3cret", "r3fresh", "answ3r"))

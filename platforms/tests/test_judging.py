"""How the client tells what an answer means."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

from platforms.base import Call, Request
from platforms.errors import (
    Gone,
    MalformedPayload,
    Misconfigured,
    PlatformError,
    RateLimited,
    Rejected,
    ScopeMissing,
    TokenExpired,
    Unavailable,
)
from platforms.oauth import App
from platforms.rates import Parked
from platforms.tests.replay import APP, TOKENS
from platforms.tests.sample import ACCOUNT, Gates, Sample, asked, client, failing, one

pytestmark = pytest.mark.usefixtures("then")


# --- judging -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (failing("gone", 500), Gone),
        (failing("scope", 401), ScopeMissing),
        (failing("slow", 400), RateLimited),
        (failing("?", 401), TokenExpired),
        (failing("?", 403), Rejected),
        (failing("?", 404), Rejected),
        (failing("?", 429), RateLimited),
        (failing("?", 500), Unavailable),
        (failing("?", 503), Unavailable),
        (failing("?", 408), Unavailable),
        (failing("?", 302), Unavailable),
        ((400, []), Rejected),
        ((400, "text"), Rejected),
        ((400, None), Rejected),
        ((400, {"error": None}), Rejected),
        ((500, b"<html>"), Unavailable),
        ((401, b""), TokenExpired),
        ((200, b"<html>"), MalformedPayload),
        ((200, b""), MalformedPayload),
        ((200, b"[" * 100_000), MalformedPayload),
    ],
)
def test_the_platforms_own_code_wins_over_the_status(answer: Any, error: type[PlatformError]) -> None:
    made = client(answer)
    with pytest.raises(PlatformError) as caught:
        made.run(one())
    assert type(caught.value) is error
    assert made.usage.calls == 1


def test_what_an_adapter_says_wins_over_its_own_table() -> None:
    class Telling(Sample):
        def classify(self, status: int, headers: Mapping[str, str], payload: Any) -> PlatformError | None:
            return ScopeMissing("told") if payload["error"]["message"] == "no" else None

    with pytest.raises(ScopeMissing):
        client(failing("gone"), Telling()).run(one())
    with pytest.raises(Gone):
        client(failing("gone", message="?"), Telling()).run(one())
    with pytest.raises(Rejected):
        client((400, 5), Telling()).run(one())


@pytest.mark.parametrize(
    ("read", "payload"),
    [
        (lambda p: p["data"][0]["id"], {}),
        (lambda p: p["data"][0]["id"], {"data": []}),
        (lambda p: p["data"]["id"], {"data": None}),
        (lambda p: p.get("x"), []),
        (lambda p: int(p), "x"),
        (lambda p: 1 / p, 0),
        (lambda p: datetime.fromtimestamp(p, UTC), 10**20),
    ],
)
def test_an_answer_that_cannot_be_read_is_malformed_with_the_evidence(read: Any, payload: Any) -> None:
    def reading() -> Call[Any]:
        return read((yield Request("things")))

    with pytest.raises(MalformedPayload) as caught:
        client((200, payload)).run(reading())
    assert caught.value.evidence is not None


def test_a_mistake_of_our_own_is_not_called_the_platforms() -> None:
    class Broken(Gates):
        def parked(self, keys: Iterable[str]) -> Parked | None:
            raise KeyError("ours")

    with pytest.raises(KeyError):
        client((200, {}), gates=Broken()).run(one())


def test_evidence_is_capped_and_holds_no_token() -> None:
    body = {
        "error": {
            "code": "?",
            "message": f"bad token {TOKENS.access_token} at https://x.com/?access_token=other-token",
        },
        "access_token": "a-new-token",
        "padding": "x" * 10_000,
    }
    with pytest.raises(Rejected) as caught:
        client((400, body)).run(one())
    shown = f"{caught.value.detail} {caught.value.evidence} {caught.value}"
    assert TOKENS.access_token not in shown and "other-token" not in shown and "a-new-token" not in shown
    assert len(caught.value.evidence) <= 2000 and len(caught.value.detail) <= 300


def test_evidence_of_a_token_answer_holds_no_token() -> None:
    answer = {"refresh_token": "a-new-refresh-token", "accessJwt": "a-new-jwt", "expires_in": 5}
    made = client((200, answer))
    with pytest.raises(MalformedPayload) as caught:
        made.run(made.platform.renew(ACCOUNT, TOKENS, APP))
    assert "a-new" not in f"{caught.value.detail} {caught.value.evidence}"


# --- tokens ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ((400, {"error": "invalid_grant"}), TokenExpired),
        ((200, {"error": "invalid_grant"}), TokenExpired),
        ((401, {"error": "invalid_client"}), Misconfigured),
        ((400, {"error": "invalid_request"}), Rejected),
        ((401, {}), Misconfigured),
        ((401, b"<html>"), Misconfigured),
        ((403, {}), Rejected),
        (failing("unit_test_expired", 400), TokenExpired),
        ((429, {}), RateLimited),
        ((500, {}), Unavailable),
        ((200, {}), MalformedPayload),
        ((200, []), MalformedPayload),
        ((200, b"x"), MalformedPayload),
        (Unavailable("x"), Unavailable),
    ],
)
def test_only_a_refusal_that_a_table_names_is_one(answer: Any, error: type[PlatformError]) -> None:
    made = client(answer)
    with pytest.raises(PlatformError) as caught:
        made.run(made.platform.renew(ACCOUNT, TOKENS, APP))
    assert type(caught.value) is error


def test_without_an_app_nothing_names_one() -> None:
    made = client((200, {"access_token": "a"}))
    made.run(made.platform.renew(ACCOUNT, TOKENS, App()))
    assert "client_id" not in (asked(made)[0].form or {}) and "Authorization" not in asked(made)[0].headers

"""What every adapter must hold to. A new one falls under these tests by being registered and having answers on file."""

import contextlib
import inspect
import json
import math
import re
from collections.abc import Iterator
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from platforms import errors, registry
from platforms.base import Account, Platform, Reading
from platforms.dimensions import AccountDimension, Dimension, Reason
from platforms.errors import PlatformError
from platforms.payloads import BIGINT_MAX, clean
from platforms.tests.replay import (
    NOW,
    SECRETS,
    Consented,
    Conversation,
    Replay,
    Turn,
    account_of,
    hold,
    numbers_of,
    on_file,
    query_of,
    raw_of,
)

pytestmark = pytest.mark.usefixtures("then")

KEYS = sorted(registry.PLATFORMS)
ALL = [(key, each) for key in KEYS for each in on_file(key)]
GOOD = [(key, each) for key, each in ALL if "error" not in each.expect]
MEASURED = [(key, each) for key, each in GOOD if each.kind in ("posts", "account") and "numbers" in each.expect]
FREE_TEXT = {"text", "caption", "message", "description", "title", "name", "username", "displayName", "email", "handle"}
BROKEN: dict[str, Any] = {
    "null": None,
    "text": "x",
    "negative": -5,
    "fraction": 3.7,
    "truth": True,
    "list": [],
    "object": {},
    "not a number": math.nan,
    "NUL": "\x00\ud800",
    "huge": 10**30,
    "deep": json.loads("[" * 200 + "]" * 200),
}


def named(cases: list[tuple[str, Conversation]]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize(
        ("key", "conversation"), cases, ids=[f"{key}-{each.name}-{each.note}" for key, each in cases]
    )


@pytest.fixture(params=KEYS)
def platform(request: pytest.FixtureRequest) -> Platform:
    return registry.get(request.param)


def test_an_adapter_states_its_facts(platform: Platform) -> None:
    assert platform.key and platform.label and platform.base_url.startswith("https://")
    assert platform.base_url.endswith("/")
    assert platform.batch_size >= 1
    assert platform.public_reads or platform.scopes
    assert platform.dimensions() <= set(Dimension)
    assert platform.account_dimensions() <= set(AccountDimension)
    assert not platform.has_posts or platform.dimensions()
    assert all(issubclass(kind, PlatformError) for kind in platform.error_codes.values())
    assert all(limit.calls > 0 and limit.seconds > 0 for limit in platform.limits)


def test_an_adapter_stays_small(platform: Platform) -> None:
    lines = Path(inspect.getfile(type(platform))).read_text().count("\n")
    assert lines < 200, f"{platform.key} has {lines} lines; split it by subject"


def test_answers_on_file_cover_every_conversation(platform: Platform) -> None:
    kinds = {each.kind for each in on_file(platform.key) if "error" not in each.expect}
    expected = {"account"} | ({"posts"} if platform.has_posts else set()) | ({"probe"} if platform.has_probe else set())
    expected |= {"refresh"} if platform.refresh else set()
    expected |= {"listing"} if platform.has_listing else set()
    expected |= {"consent"} if platform.consent else set()
    assert kinds >= expected
    assert not platform.refresh or any(
        each.kind == "refresh" and each.expect.get("error") in ("TokenExpired", "Revoked")
        for each in on_file(platform.key)
    ), "no refused refresh on file"


def test_every_kind_of_failure_is_on_file(platform: Platform) -> None:
    cases = on_file(platform.key)
    failures = {each.expect.get("error") for each in cases}
    assert failures >= {"TokenExpired", "RateLimited", "Unavailable"}
    assert platform.public_reads or "ScopeMissing" in failures
    assert not platform.has_posts or any(
        each.expect.get("missing") or "Gone" in each.expect.get("items", {}).values() for each in cases
    ), "no post that is gone on file"


def test_a_probe_that_answers_about_another_account_is_refused(platform: Platform) -> None:
    if not platform.has_probe:
        return
    good = next(each for each in on_file(platform.key, "probe") if "error" not in each.expect)
    account = account_of(platform.key, {**good.account, "network_unique_id": "another"})
    with pytest.raises(PlatformError):
        hold(platform.key, good, Replay(good.turns, lenient=True), account)
    others = [each for each in on_file(platform.key, "probe") if each.name.startswith("probe_other_account")]
    assert others and all(each.expect["error"] == "TokenExpired" for each in others)


def test_every_error_code_has_an_answer_on_file(platform: Platform) -> None:
    bodies = [json.dumps(turn.response.get("body")) for each in on_file(platform.key) for turn in each.turns]
    assert [code for code in platform.error_codes if not any(code in body for body in bodies)] == []


def test_no_answer_on_file_holds_a_secret(platform: Platform) -> None:
    text = json.dumps([turn.response for each in on_file(platform.key) for turn in each.turns])
    assert "eyJ" not in text and "IGAA" not in text and "EAAB" not in text


def test_ids_have_one_canonical_form(platform: Platform) -> None:
    account = account_of(platform.key, {})
    assert platform.normalize_account_id(account.network_unique_id) == account.network_unique_id
    for each in on_file(platform.key, "posts"):
        for post_id in each.ids:
            assert platform.normalize_post_id(post_id, account) == post_id


NUMBER = re.compile(r"(?<![A-Za-z0-9.-])[1-9][0-9]{4,}(?![A-Za-z0-9.-])")


def test_an_id_that_is_a_number_has_no_leading_zeros(platform: Platform) -> None:
    account = account_of(platform.key, {})
    own = account.network_unique_id
    assert platform.normalize_account_id(NUMBER.sub(r"0\g<0>", own)) == own
    for each in on_file(platform.key, "posts"):
        for post_id in each.ids:
            assert platform.normalize_post_id(NUMBER.sub(r"0\g<0>", post_id), account) == post_id


@pytest.mark.parametrize("odd", ["", " ", "\x00", "x" * 5000, "https://example.com/", "'; --", "१२३४५", "-1", "1\n"])
def test_an_id_that_has_no_canonical_form_names_the_expected_one(platform: Platform, odd: str) -> None:
    account = account_of(platform.key, {})
    with pytest.raises(ValueError, match="expected"):
        platform.normalize_post_id(odd, account)
    with pytest.raises(ValueError, match="expected"):
        platform.normalize_account_id(odd)


@named(ALL)
def test_a_conversation_ends_as_it_is_on_file(key: str, conversation: Conversation) -> None:
    transport = Replay(conversation.turns)
    error = conversation.expect.get("error")
    if error is None:
        result = hold(key, conversation, transport)
        check_result(key, conversation, result)
    else:
        with pytest.raises(PlatformError) as caught:
            hold(key, conversation, transport)
        assert type(caught.value).__name__ in family(error), caught.value.detail
        assert conversation.expect.get("detail", "") in caught.value.detail
        check_error(caught.value)
    assert [turn.note for turn in transport.unasked] == []
    for exchange in transport.asked:
        assert exchange.url.startswith("https://")
        for values in query_of(exchange).values():
            assert max(len(values), *(len(value.split(",")) for value in values)) <= max(
                20, registry.get(key).batch_size
            )


def family(name: str) -> set[str]:
    """The named error class and its subclasses: an adapter may tell more apart than a caller needs."""

    def below(kind: type) -> Iterator[type]:
        yield kind
        below_it: list[type] = kind.__subclasses__()
        for each in below_it:
            yield from below(each)

    return {kind.__name__ for kind in below(getattr(errors, name))} - ({"DeadlineExceeded"} - {name})


def check_error(error: PlatformError) -> None:
    shown = f"{error.detail} {error.evidence} {error}"
    assert not any(secret in shown for secret in SECRETS)
    assert len(error.detail) <= 400 and len(str(error.evidence)) <= 2000
    if isinstance(error, errors.RateLimited | errors.BudgetExhausted):
        assert error.retry_at is not None and error.scope is not None


def check_result(key: str, conversation: Conversation, result: Any) -> None:
    platform, expect = registry.get(key), conversation.expect
    if conversation.kind == "refresh":
        assert {name: getattr(result, name) for name in expect["tokens"]} == expect["tokens"]
        return
    if conversation.kind == "consent":
        check_consent(expect, result)
        return
    if conversation.kind == "listing":
        assert [each.id for each in result.posts] == expect["posts"]
        assert [each.url for each in result.posts] == expect["urls"]
        assert all(each.published_at is not None for each in result.posts)
        assert result.cursor == expect.get("cursor", "")
    assert numbers_of(platform, conversation.kind, result) == expect.get("numbers", {})
    for post_id, name in expect.get("items", {}).items():
        assert type(result[post_id]).__name__ in family(name)
    assert not expect.get("missing") or not set(expect["missing"]) & set(result)
    for post_id, reasons in expect.get("unavailable", {}).items():
        assert {str(name): str(reason) for name, reason in result[post_id].unavailable.items()} == reasons
    for raw in raws(conversation.kind, result):
        assert clean(raw) == raw, "a raw answer holds what may not be stored"
        assert not FREE_TEXT & set(keys_of(raw))


def check_consent(expect: Any, result: Consented) -> None:
    assert {name: getattr(result.tokens, name) for name in expect["tokens"]} == expect["tokens"]
    assert result.tokens.expires_at == NOW + timedelta(seconds=expect["lives"])
    assert list(result.scopes) == expect["scopes"]
    nothing = {"extra": {}, "access_token": "", "expires_at": None}
    assert [asdict(each) for each in result.accounts] == [nothing | each for each in expect["accounts"]]


def raws(kind: str, result: Any) -> list[Any]:
    if kind == "listing":
        return [each.raw for each in result.posts if each.raw is not None]
    items = list(result.values()) if kind == "posts" else [result] if kind == "account" else []
    return [raw_of(item) for item in items if not isinstance(item, PlatformError)]


def keys_of(value: Any) -> Iterator[str]:
    """All keys, but the `name` of a metric."""
    if isinstance(value, dict):
        metric = value.keys() & {"values", "total_value"}
        for key, each in value.items():
            yield from () if metric and key == "name" else (key,)
            yield from keys_of(each)
    elif isinstance(value, list):
        for each in value:
            yield from keys_of(each)


# --- nothing invented, nothing wrong -----------------------------------------------------------------------------


@named(MEASURED)
def test_an_answer_without_numbers_gives_no_number(key: str, conversation: Conversation) -> None:
    def stripped(value: Any) -> Any:
        if isinstance(value, dict):
            return {
                name: stripped(each)
                for name, each in value.items()
                if isinstance(each, bool)
                or not (isinstance(each, int | float) or (isinstance(each, str) and name.endswith("Count")))
            }
        return [stripped(each) for each in value] if isinstance(value, list) else value

    turns = [turn.with_body(stripped(turn.response["body"])) for turn in conversation.turns]
    try:
        result = hold(key, conversation, Replay(turns, lenient=True))
    except PlatformError:
        return
    for numbers in numbers_of(registry.get(key), conversation.kind, result).values():
        # That a post is no video, its kind tells without a number.
        assert not any(value for value in numbers.values())
        told = {Dimension.VIDEO_VIEWS, *conversation.expect.get("absent_is_zero", ())}
        assert all(value is None for name, value in numbers.items() if name not in told)


def variants(body: Any) -> Iterator[tuple[str, Any]]:
    """The body with each of its fields broken in each way, and with each left out."""
    for name, broken in BROKEN.items():
        yield f"whole body: {name}", broken
    for path in paths(body):
        for name, broken in BROKEN.items():
            yield f"{path}: {name}", with_field(body, path, broken)
        yield f"{path}: left out", with_field(body, path, ...)


def paths(value: Any, above: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where the fields are; of a list the first item and the last, which stand for those between them."""
    for key, each in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        if isinstance(value, list) and 0 < key < len(value) - 1:
            continue
        yield (*above, key)
        yield from paths(each, (*above, key))


def with_field(body: Any, path: tuple[Any, ...], value: Any) -> Any:
    """A copy with another value in that place, or with none; what is beside the place is shared."""
    key, *below = path
    changed = body.copy()
    if below:
        changed[key] = with_field(body[key], tuple(below), value)
    elif value is ...:
        del changed[key]
    else:
        changed[key] = value
    return changed


@named(GOOD)
def test_a_malformed_answer_is_an_error_or_null_and_never_a_wrong_number(key: str, conversation: Conversation) -> None:
    platform = registry.get(key)
    for number, turn in enumerate(conversation.turns):
        for name, body in variants(turn.response["body"]):
            turns = [*conversation.turns[:number], turn.with_body(body), *conversation.turns[number + 1 :]]
            check_malformed(platform, conversation, turns, f"turn {number}, {name}")


def check_malformed(platform: Platform, conversation: Conversation, turns: list[Turn], name: str) -> None:
    account: Account = account_of(platform.key, conversation.account)
    try:
        result = hold(platform.key, conversation, Replay(turns, lenient=True), account)
    except PlatformError as error:
        check_error(error)
        return
    except Exception as error:
        raise AssertionError(name) from error
    json.dumps(clean(account.memory))
    if conversation.kind == "refresh":
        assert result.access_token, name
        return
    if conversation.kind == "consent":
        check_candidates(platform, result)
        return
    for raw in raws(conversation.kind, result):
        json.dumps(clean(raw), allow_nan=False)
    for item in result.values() if conversation.kind == "posts" else ():
        assert not isinstance(item, Reading) or set(item.unavailable.values()) <= set(Reason), name
    for item_id, numbers in numbers_of(platform, conversation.kind, result).items():
        for dimension, value in numbers.items():
            expected = conversation.expect["numbers"].get(item_id, {}).get(dimension)
            assert value is None or (isinstance(value, int) and 0 <= value <= BIGINT_MAX), name
            zero = "negative" in name or dimension == Dimension.VIDEO_VIEWS
            zero |= dimension in conversation.expect.get("absent_is_zero", ())
            zero |= name.endswith("'value'): left out")  # as Google writes a zero
            allowed = {None, expected, 0 if zero else None}
            assert value in allowed, f"{name}: {dimension} is {value}, not {expected}"


def check_candidates(platform: Platform, result: Consented) -> None:
    """Whatever an account is called, its id is one of the platform's or is refused when it is connected."""
    assert result.tokens.access_token
    for each in result.accounts:
        with contextlib.suppress(ValueError):
            assert platform.normalize_account_id(each.network_unique_id)
        texts = (each.network_unique_id, each.username, each.display_name, each.profile_image_url, each.access_token)
        assert all(isinstance(text, str) for text in texts)


@pytest.mark.parametrize("path", ["text", "fraction", "truth", "huge", "deep", "not a number", "list", "object"])
def test_reading_a_stored_answer_never_fails(platform: Platform, path: str) -> None:
    broken = clean(BROKEN[path])
    for each in on_file(platform.key, "posts", "account"):
        if "error" in each.expect:
            continue
        read = platform.metrics if each.kind == "posts" else platform.account_metrics
        for raw in raws(each.kind, hold(platform.key, each, Replay(each.turns))):
            for where in paths(raw):
                changed = with_field(raw, where, broken)
                read(changed)

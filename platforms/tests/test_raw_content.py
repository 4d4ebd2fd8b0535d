"""What raw answers may hold: numbers, ids, times and kinds. No free text, and nobody else's name or id."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from platforms import registry
from platforms.base import Platform
from platforms.dimensions import Dimension
from platforms.errors import PlatformError
from platforms.tests.replay import Conversation, Replay, account_of, hold, on_file, raw_of
from platforms.tests.test_contract import FREE_TEXT, keys_of

pytestmark = pytest.mark.usefixtures("then")

STRANGER = "Mallory Strange"
PERSON = "urn:li:person:MalloryStrange"
PLANTED: dict[str, Any] = {
    **dict.fromkeys(sorted(FREE_TEXT | {"selftext", "commentary", "headline", "bio", "permalink"}), STRANGER),
    **dict.fromkeys(("actor", "author", "creator", "lastModified", "owner", "from", "created_by"), PERSON),
    "firstName": {"localized": {"en_US": STRANGER}},
    "likers": [{"name": STRANGER, "actor": PERSON, "did": f"did:plc:{PERSON}"}],
    "comments_of": {"data": [{"from": {"name": STRANGER, "id": PERSON}, "message": STRANGER}]},
    "parent": {"author": {"displayName": STRANGER, "username": PERSON}},
}
"""What platforms put beside the numbers, some of them unasked."""
KEPT = re.compile(r"[0-9a-zA-Z_.:/+~$-]{0,120}")  # ids, times, kinds, names of numbers, numbers as text
SINGLE = {"value", "count", "total_count"}
"""The names of numbers in objects that may hold something else, too."""
MEASURED = [(key, each) for key in sorted(registry.PLATFORMS) for each in on_file(key, "posts", "account", "listing")]
LINKEDIN = [(key, each) for key, each in MEASURED if key == "linkedin"]
OWN_URN = re.compile(r"urn:li:(share|ugcPost):[0-9]+")


def named(cases: list[tuple[str, Conversation]]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize(("key", "conversation"), cases, ids=[f"{key}-{each.name}" for key, each in cases])


def planted(value: Any) -> Any:
    """An answer with text and strangers in each of its objects, beside what was there; groups of numbers excepted."""
    if isinstance(value, dict):
        if all(is_number(each) for each in value.values()) and not value.keys() & SINGLE:
            return value
        return PLANTED | {name: planted(each) for name, each in value.items()}
    return [planted(each) for each in value] if isinstance(value, list) else value


def kept(key: str, conversation: Conversation, *, plant: bool) -> list[Any]:
    """All that is stored of a conversation: raw answers, and what is remembered of the account."""
    bodies = [turn.response.get("body") for turn in conversation.turns]
    turns = [
        turn.with_body(planted(body)) if plant and body is not None else turn
        for turn, body in zip(conversation.turns, bodies, strict=True)
    ]
    account = account_of(key, conversation.account)
    try:
        result = hold(key, conversation, Replay(turns, lenient=True), account)
    except PlatformError:
        return [account.memory]
    items = {"posts": lambda: list(result.values()), "account": lambda: [result]}
    found = [each.raw for each in result.posts] if conversation.kind == "listing" else items[conversation.kind]()
    raws = [raw_of(each) for each in found if each is not None and not isinstance(each, PlatformError)]
    return [*raws, account.memory]


def is_number(value: Any) -> bool:
    """Whether a value is a number, or a group of numbers by their names."""
    if isinstance(value, dict):
        return bool(value) and all(map(is_number, value.values()))
    return isinstance(value, int | float) and not isinstance(value, bool)


def texts(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for name, each in value.items():
            yield str(name)
            yield from texts(each)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from texts(each)
    elif isinstance(value, str):
        yield value


def test_every_platform_has_answers_that_are_looked_at() -> None:
    looked_at = {key for key, each in MEASURED if len(kept(key, each, plant=True)) > 1}
    assert looked_at == set(registry.PLATFORMS)


@named(MEASURED)
def test_text_and_strangers_beside_the_numbers_are_not_kept(key: str, conversation: Conversation) -> None:
    for each in kept(key, conversation, plant=True):
        assert STRANGER not in json.dumps(each) and PERSON not in json.dumps(each)


@named(MEASURED)
def test_what_is_kept_is_numbers_ids_times_and_kinds(key: str, conversation: Conversation) -> None:
    for each in kept(key, conversation, plant=False):
        assert not FREE_TEXT & set(keys_of(each))
        assert [text for text in texts(each) if not KEPT.fullmatch(text)] == []


@named(LINKEDIN)
def test_linkedin_raw_names_no_member_but_only_the_post_that_was_asked_for(
    key: str, conversation: Conversation
) -> None:
    for plant in (False, True):
        *raws, memory = kept(key, conversation, plant=plant)
        urns = [text for raw in raws for text in texts(raw) if "urn:" in text]
        numbers = {re.sub(r"\D", "", post_id) for post_id in conversation.ids}
        assert all(OWN_URN.fullmatch(urn) and re.sub(r"\D", "", urn) in numbers for urn in urns)
        assert not re.search(r"urn:li:(person|member|organization)", json.dumps(raws))
        assert not re.search(r"urn:li:(person|member)", json.dumps(memory))


@pytest.fixture(params=sorted(registry.PLATFORMS))
def platform(request: pytest.FixtureRequest) -> Platform:
    return registry.get(request.param)


def test_the_numbers_of_a_removed_post_can_still_be_read(platform: Platform) -> None:
    """So that they stay right when columns are derived again."""
    for each in on_file(platform.key, "posts", "listing"):
        for raw in kept(platform.key, each, plant=False)[:-1]:
            assert platform.metrics(platform.without_content(raw)) == platform.metrics(raw)


def test_what_stays_of_a_post_removed_on_reddit_is_no_content() -> None:
    reddit = registry.get("reddit")
    [answer] = [each for each in on_file("reddit", "posts") if each.name == "posts"]
    whole = planted(answer.turns[0].response["body"]["data"]["children"][0]["data"])
    left = reddit.without_content(whole)
    assert STRANGER not in json.dumps(left) and PERSON not in json.dumps(left)
    assert {"title", "selftext", "author"} & set(whole) and not {"title", "selftext", "author"} & set(left)
    assert reddit.metrics(left) == reddit.metrics(whole) != dict.fromkeys(Dimension)

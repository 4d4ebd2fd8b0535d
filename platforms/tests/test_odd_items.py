"""Lists of posts with items that are odd, doubled, unasked for or in another order."""

import copy
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest

from platforms import registry
from platforms.errors import MalformedPayload, Unavailable
from platforms.tests.replay import Conversation, Replay, hold, numbers_of, on_file

pytestmark = pytest.mark.usefixtures("then")

LISTS: Mapping[str, tuple[str, ...]] = {
    "bluesky": ("posts",),
    "reddit": ("data", "children"),
    "tiktok": ("data", "videos"),
    "x": ("data",),
    "youtube": ("items",),
}
"""Where the first answer of `posts.json` holds its posts."""


def with_items(key: str, change: Callable[[list[Any]], list[Any]]) -> tuple[Conversation, Any]:
    """The conversation on file of several posts, and what is made of it once its first list is changed."""
    conversation = next(each for each in on_file(key, "posts") if each.name == "posts" or each.name == "posts-0")
    body = copy.deepcopy(conversation.turns[0].response["body"])
    *above, last = LISTS[key]
    holder = body
    for name in above:
        holder = holder[name]
    holder[last] = change(holder[last])
    turns = (conversation.turns[0].with_body(body), *conversation.turns[1:])
    return replace(conversation, turns=turns), hold(key, conversation, Replay(turns, lenient=True))


@pytest.mark.parametrize("odd", [None, "x", 5, [], [None], {"id": [], "uri": 1, "data": {}}])
@pytest.mark.parametrize("key", LISTS)
def test_an_item_that_cannot_be_read_costs_no_other_and_its_own_post_is_not_missing(key: str, odd: Any) -> None:
    conversation, found = with_items(key, lambda items: [odd, *items[1:]])
    numbers, expected = numbers_of(registry.get(key), "posts", found), conversation.expect["numbers"]
    assert len(numbers) == len(expected) - 1 > 0
    assert all(expected[post_id] == each for post_id, each in numbers.items())
    (hidden,) = expected.keys() - numbers.keys()
    assert isinstance(found[hidden], MalformedPayload)


@pytest.mark.parametrize("key", LISTS)
def test_where_no_item_can_be_read_no_post_is_missing(key: str) -> None:
    try:
        conversation, found = with_items(key, lambda items: [{"nothing": "known"} for _ in items] + [None])
    except (MalformedPayload, Unavailable):
        return
    assert all(isinstance(found[post_id], MalformedPayload) for post_id in conversation.expect["numbers"])


@pytest.mark.parametrize("key", LISTS)
def test_order_doubles_and_posts_nobody_asked_for_change_nothing(key: str) -> None:
    def change(items: list[Any]) -> list[Any]:
        other = json.loads(re.sub("[2-9]", "7", json.dumps(items[0])))  # as in ids of every kind
        return [*reversed(items), items[0], other]

    conversation, found = with_items(key, change)
    assert numbers_of(registry.get(key), "posts", found) == conversation.expect["numbers"]
    assert found.keys() <= set(conversation.ids)


CURSORS: Mapping[str, tuple[str, ...]] = {
    "bluesky": ("cursor",),
    "pinterest": ("bookmark",),
    "reddit": ("data", "after"),
    "x": ("meta", "next_token"),
    "youtube": ("nextPageToken",),
}
"""Where the last answer of a listing names the next page."""


@pytest.mark.parametrize("odd", [5, True, {}, ["c"], "\x00", "\ud800"])
@pytest.mark.parametrize("key", CURSORS)
def test_a_next_page_that_cannot_be_named_is_no_last_page(key: str, odd: Any) -> None:
    conversation = next(each for each in on_file(key, "listing") if each.name in ("listing", "listing-0"))
    *before, last = conversation.turns
    body = copy.deepcopy(last.response["body"])
    *above, name = CURSORS[key]
    holder = body
    for each in above:
        holder = holder[each]
    holder[name] = odd
    with pytest.raises(MalformedPayload):
        hold(key, conversation, Replay([*before, last.with_body(body)]))

"""How many answers have to be waited for in a row, where calls that do not depend on each other go side by side."""

from typing import Any

import pytest

from platforms import registry
from platforms.base import Request
from platforms.client import Client, Settings
from platforms.errors import PlatformError
from platforms.tests.replay import APP, TOKENS, Replay, account_of, on_file

pytestmark = pytest.mark.usefixtures("then")

AT_ONCE = ("bluesky", "pinterest", "reddit", "tiktok", "x", "youtube")


class Counting(Client):
    """A client that counts how often it waits."""

    trips = 0

    def _answer(self, wanted: Request | tuple[Request, ...]) -> tuple[Any, PlatformError | None]:
        self.trips += 1
        return super()._answer(wanted)


def trips(key: str, name: str) -> int:
    conversation = next(each for each in on_file(key) if each.name in (name, f"{name}-0"))
    platform, account = registry.get(key), account_of(key, conversation.account)
    settings = Settings(transport=Replay(conversation.turns))
    client = Counting(platform, account, settings=settings, credentials=TOKENS, app=APP)
    if conversation.kind == "posts":
        client.run(platform.fetch_posts(conversation.ids, account))
    elif conversation.kind == "account":
        client.run(platform.fetch_account(account))
    else:
        client.run(platform.probe(account))
    return client.trips


@pytest.mark.parametrize("name", ["posts", "account", "probe"])
@pytest.mark.parametrize("key", AT_ONCE)
def test_a_live_read_waits_once(key: str, name: str) -> None:
    assert trips(key, name) == 1


@pytest.mark.parametrize(
    ("key", "name", "expected"),
    [("pinterest", "posts_video", 2), ("tiktok", "posts_publish_id", 2), ("youtube", "posts_method_down", 2)],
)
def test_what_has_to_be_known_first_is_waited_for(key: str, name: str, expected: int) -> None:
    assert trips(key, name) == expected

"""Answers on file that tell of a limit: whom they park, and until when. No other failure parks anybody."""

import contextlib

import pytest

from platforms.errors import PlatformError
from platforms.tests.replay import NOW, Conversation, Replay, account_of, client_for, conversation_of, on_file
from platforms.tests.sample import Gates

pytestmark = pytest.mark.usefixtures("then")

KEYS = ("facebook", "instagram", "threads", "linkedin", "google_business")
FAILURES = [(key, each) for key in KEYS for each in on_file(key) if "error" in each.expect and each.kind != "consent"]


@pytest.mark.parametrize(
    ("key", "conversation"), FAILURES, ids=[f"{key}-{each.name}-{each.note}" for key, each in FAILURES]
)
def test_a_limit_parks_whom_it_concerns_until_the_time_it_names(key: str, conversation: Conversation) -> None:
    gates, account = Gates(), account_of(key, conversation.account)
    client = client_for(key, Replay(conversation.turns), account, gates=gates)
    with contextlib.suppress(PlatformError):
        client.run(conversation_of(key, conversation, account))
    owners = {"app": "app-1", "account": "account-1"}
    expected = {}
    for owner, seconds in conversation.expect.get("parks", {}).items():
        scope, _, group = owner.partition(":")
        expected[f"{key}:{scope}:{owners[scope]}:{group}"] = seconds
    assert {gate: (until - NOW).total_seconds() for gate, until in gates.closed.items()} == expected
    assert bool(expected) == (conversation.expect["error"] == "RateLimited")

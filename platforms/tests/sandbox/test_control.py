"""The control endpoint."""

import time

import pytest

from platforms.tests.sandbox.conftest import Client


def test_calls_are_counted_by_group_and_control_calls_are_not(client: Client) -> None:
    me = client.account("x", "1")
    client.get("api.x.com/2/tweets", me["access_token"], ids="20")
    client.get("api.x.com/2/tweets", "garbage", ids="20")
    client.get("api.x.com/2/users/me", me["access_token"])
    assert client.calls("x") == {"total": 3, "tweets": 2, "users_me": 1}
    client.post("_control/reset")
    assert client.calls("x") == {"total": 0}


def test_the_newest_calls_are_told_without_tokens(client: Client) -> None:
    me = client.account("instagram", "17841400000000001")
    client.get("graph.instagram.com/v26.0/me", fields="user_id", access_token=me["access_token"])
    (call,) = client.get("_control/calls/instagram").json()["calls"]
    assert (call["group"], call["status"], call["query"]) == ("node", 200, {"fields": ["user_id"]})


def test_latency_is_for_platforms_only(client: Client) -> None:
    client.switch("all", latency_ms=1000)
    begin = time.perf_counter()
    client.account("x", "1")
    assert time.perf_counter() - begin < 1
    client.get("public.api.bsky.app/xrpc/app.bsky.feed.getPosts")
    assert time.perf_counter() - begin >= 1


def test_an_account_lists_as_many_posts_as_it_is_told_to(client: Client) -> None:
    me = client.account("bluesky", "did:plc:abcdefghijklmnopqrstuvwx", posts=1000, span_days=30)
    assert len(set(me["post_ids"])) == 1000
    path = "_control/accounts/bluesky/did:plc:abcdefghijklmnopqrstuvwx/posts"
    assert client.get(path).json() == {"post_ids": me["post_ids"]}
    none = client.account("x", "5", posts=0)
    assert none["post_ids"] == []


def test_deleted_posts_leave_the_listing_and_return(client: Client) -> None:
    me = client.account("x", "1")
    body = {"platform": "x", "ids": me["post_ids"][:3]}
    client.post("_control/posts/delete", json=body)
    assert client.account("x", "1")["post_ids"] == me["post_ids"][3:]
    client.post("_control/posts/restore", json=body)
    assert client.account("x", "1")["post_ids"] == me["post_ids"]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("platforms/myspace", {"latency_ms": 1}),
        ("platforms/x", {"no_such_switch": 1}),
        ("platforms/x", {"faults": [{"kind": "no_such_kind"}]}),
        ("platforms/x", {"faults": ["hang"]}),
        ("accounts", {"platform": "x"}),
        ("accounts", {"platform": "x", "account_id": "1", "nonsense": 1}),
        ("posts/delete", {"platform": "x"}),
        ("nowhere", {}),
    ],
)
def test_what_it_does_not_understand_it_says(client: Client, path: str, body: dict[str, object]) -> None:
    answer = client.post(f"_control/{path}", json=body)
    assert answer.status_code == 400 and answer.json()["error"]


def test_it_answers_to_loopback_names_only(client: Client) -> None:
    answer = client.http.get(f"{client.running.url}/_control", headers={"Host": "evil.example.com"}, timeout=5)
    assert answer.status_code == 403

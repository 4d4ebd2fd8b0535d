"""What goes wrong on purpose."""

import json
import socket
import time
from typing import Any

import pytest
import requests

from platforms.tests.sandbox.conftest import Client

ME = "2244994945"
TWEETS = "api.x.com/2/tweets"
PUBLIC = {"tweet.fields": "public_metrics"}


@pytest.fixture
def me(client: Client) -> dict[str, Any]:
    return client.account("x", ME)


def read(client: Client, me: dict[str, Any], count: int = 2, **fault: Any) -> requests.Response:
    client.switch("x", faults=[fault] if fault else [])
    return client.get(TWEETS, me["access_token"], ids=",".join(me["post_ids"][:count]), **PUBLIC)


def likes(answer: requests.Response) -> list[Any]:
    return [item["public_metrics"]["like_count"] for item in answer.json()["data"]]


def test_a_fault_ends_after_its_times(client: Client, me: dict[str, Any]) -> None:
    assert read(client, me, kind="status", status=418, body={"a": 1}, times=2).status_code == 418
    found = [client.get(TWEETS, me["access_token"], ids="20").status_code for _ in range(2)]
    assert found == [418, 200]
    assert client.get("_control").json()["platforms"]["x"]["faults"] == []


def test_a_fault_may_be_for_one_group_or_one_post(client: Client, me: dict[str, Any]) -> None:
    assert read(client, me, kind="server_error", group="users_me").status_code == 200
    assert client.get("api.x.com/2/users/me", me["access_token"]).status_code == 503
    assert read(client, me, kind="server_error", id=me["post_ids"][1]).status_code == 503
    assert read(client, me, 1, kind="server_error", id=me["post_ids"][1]).status_code == 200


def test_plain_faults_answer_as_a_proxy_would(client: Client, me: dict[str, Any]) -> None:
    assert read(client, me, kind="non_json").status_code == 502
    assert "<html>" in read(client, me, kind="non_json", status=200).text
    assert read(client, me, kind="empty").content == b""
    assert read(client, me, kind="redirect").status_code == 302
    limited = read(client, me, kind="html_429", retry_after=7)
    assert (limited.status_code, limited.headers["Retry-After"]) == (429, "7")


def test_a_rate_limit_names_a_time_or_not(client: Client, me: dict[str, Any]) -> None:
    named = read(client, me, kind="rate_limited", retry_after=60)
    assert 58 <= int(named.headers["x-rate-limit-reset"]) - time.time() <= 61
    assert "x-rate-limit-reset" not in read(client, me, kind="rate_limited").headers
    client.switch("bluesky", faults=[{"kind": "rate_limited", "retry_after": 5}])
    assert client.get("public.api.bsky.app/xrpc/app.bsky.feed.getPosts").headers["Retry-After"] == "5"


def test_a_live_token_is_called_dead(client: Client, me: dict[str, Any]) -> None:
    assert read(client, me, kind="token_expired", times=1).status_code == 401
    assert client.get(TWEETS, me["access_token"], ids="20").status_code == 200


def test_a_refused_refresh_leaves_the_token_unused_unless_it_was_processed(client: Client, me: dict[str, Any]) -> None:
    form = {"grant_type": "refresh_token", "refresh_token": me["refresh_token"]}
    client.switch("x", faults=[{"kind": "refuse_refresh", "times": 1}])
    assert client.post("api.x.com/2/oauth2/token", data=form).status_code == 400
    client.switch("x", faults=[{"kind": "server_error", "times": 1, "processed": True, "group": "token"}])
    assert client.post("api.x.com/2/oauth2/token", data=form).status_code == 503
    assert client.post("api.x.com/2/oauth2/token", data=form).status_code == 400


def test_counts_can_be_of_any_kind(client: Client, me: dict[str, Any]) -> None:
    assert all(type(value) is not int for value in likes(read(client, me, kind="wrong_types")))
    assert "NaN" in read(client, me, kind="nan").text
    assert likes(read(client, me, kind="huge_int")) == [10**30, 10**30]
    assert all(value < 0 for value in likes(read(client, me, kind="negative")))
    assert "\\u0000\\ud800" in read(client, me, kind="nul").text


def test_only_the_named_item_is_spoilt(client: Client, me: dict[str, Any]) -> None:
    first, second = likes(read(client, me, kind="huge_int", id=me["post_ids"][1]))
    assert first < 10**9 and second == 10**30


def test_half_a_batch_is_left_out_without_a_word(client: Client, me: dict[str, Any]) -> None:
    answer = read(client, me, 10, kind="half_missing").json()
    assert len(answer["data"]) == 5 and "errors" not in answer


def test_a_withdrawn_metric_is_refused_or_left_out(client: Client, me: dict[str, Any]) -> None:
    answer = read(client, me, kind="withdrawn", metric="bookmark_count").json()
    assert "bookmark_count" not in answer["data"][0]["public_metrics"]
    account = client.account("instagram", "17841400000000001")
    client.switch("instagram", faults=[{"kind": "withdrawn", "metric": "saved"}])
    path, token = f"graph.instagram.com/v26.0/{account['post_ids'][0]}/insights", account["access_token"]
    assert client.get(path, metric="views,saved", access_token=token).status_code == 400
    assert client.get(path, metric="views", access_token=token).status_code == 200


def test_a_post_of_a_protected_author_is_an_error_in_a_good_answer(client: Client, me: dict[str, Any]) -> None:
    problem = {"id": me["post_ids"][0], "problem": "not-authorized-for-resource"}
    answer = read(client, me, kind="item_error", **problem).json()
    assert len(answer["data"]) == 1
    assert answer["errors"][0]["type"].endswith("/not-authorized-for-resource")


def test_connections_break(client: Client, me: dict[str, Any]) -> None:
    for fault in ({"kind": "close"}, {"kind": "truncated"}):
        with pytest.raises(requests.RequestException):
            read(client, me, **fault)


def test_a_hanging_call_never_answers(client: Client, me: dict[str, Any]) -> None:
    client.switch("x", faults=[{"kind": "hang"}])
    with pytest.raises(requests.ReadTimeout):
        client.http.get(f"{client.running.url}/{TWEETS}", timeout=0.2)


def dripped(client: Client, variant: str) -> bytes:
    client.switch("x", faults=[{"kind": "drip", "variant": variant, "seconds": 0.05}])
    with socket.create_connection(("127.0.0.1", client.running.port)) as sock:
        sock.sendall(b"GET /api.x.com/2/tweets HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        time.sleep(0.25)
        return sock.recv(65536)


def test_a_dripping_answer_comes_byte_by_byte(client: Client) -> None:
    assert len(dripped(client, "headers")) < 20
    head, _, body = dripped(client, "body").partition(b"\r\n\r\n")
    assert b"Content-Length" in head and len(body) < 20


def test_a_huge_body_does_not_end(client: Client, me: dict[str, Any]) -> None:
    client.switch("x", faults=[{"kind": "huge"}])
    with client.http.get(f"{client.running.url}/{TWEETS}", timeout=2, stream=True) as answer:
        read = sum(len(chunk) for _, chunk in zip(range(64), answer.iter_content(65536), strict=False))
    assert read > 3_000_000


def test_a_broken_part_of_a_batch_is_only_that_part(client: Client) -> None:
    page = client.account("instagram", "17841400000000001", login="facebook")
    client.switch("instagram", faults=[{"kind": "server_error", "id": page["post_ids"][1], "group": "insights"}])
    parts = [{"method": "GET", "relative_url": f"v26.0/{one}/insights?metric=views"} for one in page["post_ids"][:3]]
    form = {"access_token": page["access_token"], "batch": json.dumps(parts)}
    answer = client.post("graph.facebook.com/v26.0/", data=form).json()
    assert [item["code"] for item in answer] == [200, 500, 200]

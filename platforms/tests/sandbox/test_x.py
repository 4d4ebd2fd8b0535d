"""The sandbox's X."""

import time
from typing import Any

import pytest

from platforms.sandbox.registry import post_ids, tokens
from platforms.tests.sandbox.conftest import Client
from platforms.tests.sandbox.test_facebook import speaker

ME = "2244994945"
TWEETS = "api.x.com/2/tweets"
CALL_A = {
    "tweet.fields": "created_at,public_metrics,attachments",
    "expansions": "attachments.media_keys",
    "media.fields": "type,public_metrics",
}


@pytest.fixture
def me(client: Client) -> dict[str, Any]:
    return client.account("x", ME)


def refresh(client: Client, token: str, **more: str) -> Any:
    form = {"grant_type": "refresh_token", "refresh_token": token, **more}
    return client.post("api.x.com/2/oauth2/token", data=form)


def test_a_batch_carries_public_numbers_and_the_views_of_videos(client: Client, me: dict[str, Any]) -> None:
    answer = client.get(TWEETS, me["access_token"], ids=",".join(me["post_ids"]), **CALL_A).json()
    assert [item["id"] for item in answer["data"]] == me["post_ids"]
    assert set(answer["data"][0]["public_metrics"]) == {
        "retweet_count",
        "reply_count",
        "like_count",
        "quote_count",
        "bookmark_count",
        "impression_count",
    }
    media = answer["includes"]["media"]
    assert all(("public_metrics" in one) == (one["type"] == "video") for one in media)
    assert {one["type"] for one in media} == {"video", "photo"}
    assert "errors" not in answer


def test_only_what_is_asked_for_is_returned(client: Client, me: dict[str, Any]) -> None:
    answer = client.get(TWEETS, me["access_token"], ids=me["post_ids"][0]).json()
    assert set(answer["data"][0]) == {"id", "text", "edit_history_tweet_ids"}
    assert "includes" not in answer


def test_missing_posts_are_errors_in_a_good_answer(client: Client, me: dict[str, Any]) -> None:
    client.post("_control/posts/delete", json={"platform": "x", "ids": me["post_ids"][:1]})
    future = str(int(me["post_ids"][0]) + (1 << 50))
    answer = client.get(TWEETS, me["access_token"], ids=f"{me['post_ids'][0]},{future},1,{me['post_ids'][1]}")
    assert answer.status_code == 200
    assert len(answer.json()["data"]) == 1
    assert [error["value"] for error in answer.json()["errors"]] == [me["post_ids"][0], future, "1"]
    alone = client.get(TWEETS, me["access_token"], ids="1").json()
    assert "data" not in alone


def test_too_many_or_malformed_ids_fail_the_whole_call(client: Client, me: dict[str, Any]) -> None:
    many = client.get(TWEETS, me["access_token"], ids=",".join(str(10**18 + n) for n in range(101)))
    assert many.status_code == 400
    assert "is not between 1 and 100" in many.json()["errors"][0]["message"]
    assert client.get(TWEETS, me["access_token"], ids=f"{me['post_ids'][0]},abc").status_code == 400


def test_private_numbers_are_for_own_posts_of_the_last_thirty_days(client: Client, me: dict[str, Any]) -> None:
    foreign = client.account("x", "111")["post_ids"][0]
    ids = [me["post_ids"][0], me["post_ids"][-1], foreign]
    query = {"ids": ",".join(ids), "tweet.fields": "non_public_metrics,organic_metrics"}
    answer = client.get(TWEETS, me["access_token"], **query).json()
    assert [item["id"] for item in answer["data"]] == ids[:1]
    assert "public_metrics" not in answer["data"][0]
    assert {error["value"] for error in answer["errors"]} == set(ids[1:])
    assert {error["title"] for error in answer["errors"]} == {"Field Authorization Error"}
    assert client.calls("x") == {"total": 1, "tweets_private": 1}


def test_link_clicks_are_missing_where_there_is_no_link(client: Client, me: dict[str, Any]) -> None:
    query = {"ids": ",".join(me["post_ids"][:18]), "tweet.fields": "non_public_metrics"}
    items = client.get(TWEETS, me["access_token"], **query).json()["data"]
    assert {"url_link_clicks" in item["non_public_metrics"] for item in items} == {True, False}


def test_the_answer_uses_the_vocabulary_of_the_parameter(client: Client, me: dict[str, Any]) -> None:
    one = {"ids": me["post_ids"][3]}
    new = client.get(TWEETS, me["access_token"], **one, **{"post.fields": "public_metrics,author_id"}).json()["data"][0]
    assert "repost_count" in new["public_metrics"] and "author_id" not in new
    client.switch("x", vocabulary="tweet")
    assert (
        "public_metrics" not in client.get(TWEETS, me["access_token"], **one, **{"post.fields": "public_metrics"}).text
    )
    client.switch("x", refuse_unknown_fields=True)
    refused = client.get(TWEETS, me["access_token"], **one, **{"post.fields": "public_metrics"})
    assert refused.status_code == 400 and "post.fields" in refused.text


def test_the_account_reports_itself(client: Client, me: dict[str, Any]) -> None:
    answer = client.get("api.twitter.com/2/users/me", me["access_token"], **{"user.fields": "public_metrics"}).json()
    assert answer["data"]["id"] == ME
    assert answer["data"]["public_metrics"]["tweet_count"] > 0
    many = client.get("api.x.com/2/users", me["access_token"], ids="1,2").json()
    assert [user["id"] for user in many["data"]] == ["1", "2"]


def test_dead_tokens_are_refused(client: Client, now: float) -> None:
    expired = client.account("x", ME, token_lifetime=-1)["access_token"]
    foreign = tokens("bluesky", "did:plc:abc", now)["access_token"]
    refresh_token = tokens("x", ME, now)["refresh_token"]
    for token in ("", "garbage", expired, foreign, refresh_token):
        answer = client.get("api.x.com/2/users/me", token)
        assert (answer.status_code, answer.json()["title"]) == (401, "Unauthorized")


def test_a_revoked_grant_is_dead_until_it_is_given_back(client: Client, me: dict[str, Any]) -> None:
    client.account("x", ME, revoked=True)
    assert client.get("api.x.com/2/users/me", me["access_token"]).status_code == 401
    assert refresh(client, me["refresh_token"]).status_code == 400
    client.account("x", ME, revoked=False)
    assert client.get("api.x.com/2/users/me", me["access_token"]).status_code == 200


def test_a_refresh_token_works_once_and_a_replay_kills_the_grant(client: Client, me: dict[str, Any]) -> None:
    pair = refresh(client, me["refresh_token"]).json()
    assert pair["expires_in"] == 7200
    assert client.get("api.x.com/2/users/me", pair["access_token"]).status_code == 200
    replay = refresh(client, me["refresh_token"])
    assert (replay.status_code, replay.json()["error"]) == (400, "invalid_request")
    assert client.get("api.x.com/2/users/me", pair["access_token"]).status_code == 401
    assert refresh(client, pair["refresh_token"]).status_code == 400


def test_the_client_must_be_named_if_the_switch_says_so(client: Client, me: dict[str, Any]) -> None:
    client.switch("x", require_client=True)
    assert refresh(client, me["refresh_token"]).json()["error"] == "unauthorized_client"
    assert refresh(client, me["refresh_token"], client_id="me").status_code == 200


def test_windows_are_counted_and_refuse_when_spent(client: Client, me: dict[str, Any]) -> None:
    first = client.get("api.x.com/2/users/me", me["access_token"])
    assert first.headers["x-rate-limit-limit"] == "75"
    assert first.headers["x-rate-limit-remaining"] == "74"
    assert 890 <= int(first.headers["x-rate-limit-reset"]) - time.time() <= 901
    client.switch("x", limits={"tweets": {"app": 2, "user": 5}})
    found = [client.get(TWEETS, me["access_token"], ids="20") for _ in range(3)]
    assert [one.status_code for one in found] == [200, 200, 429]
    assert found[-1].headers["x-rate-limit-remaining"] == "0"


def test_a_timeline_is_paged_newest_first(client: Client, me: dict[str, Any]) -> None:
    path, ids, token = f"api.x.com/2/users/{ME}/tweets", [], ""
    while True:
        query = {"max_results": 25, "tweet.fields": "public_metrics"} | ({"pagination_token": token} if token else {})
        page = client.get(path, me["access_token"], **query).json()
        ids += [item["id"] for item in page["data"]]
        token = page["meta"].get("next_token", "")
        if not token:
            break
    assert ids == me["post_ids"]
    empty = client.get(path, me["access_token"], start_time="2035-01-01T00:00:00Z").json()
    assert empty == {"meta": {"result_count": 0}}


def test_money_and_enrolment_are_refused_in_their_own_forms(client: Client, me: dict[str, Any]) -> None:
    for kind, status, last in (
        ("credits_depleted", 402, "credits"),
        ("usage_capped", 429, "usage-capped"),
        ("client_forbidden", 403, "client-forbidden"),
        ("scope_missing", 403, "oauth1-permissions"),
    ):
        client.switch("x", faults=[{"kind": kind}])
        answer = client.get("api.x.com/2/users/me", me["access_token"])
        assert (answer.status_code, answer.json()["type"].rpartition("/")[2]) == (status, last)


def test_an_app_only_token_reads_posts_but_is_nobody(client: Client, me: dict[str, Any]) -> None:
    token = client.account("x", ME, app_only=True)["access_token"]
    assert client.get(TWEETS, token, ids=me["post_ids"][0]).json()["data"]
    assert client.get("api.x.com/2/users/me", token).status_code == 403


def test_ids_made_elsewhere_are_the_ones_that_are_listed(client: Client, me: dict[str, Any], now: float) -> None:
    assert post_ids("x", ME, 60, now=now) == me["post_ids"]


def test_the_adapter_lists_a_timeline_in_either_vocabulary(client: Client, me: dict[str, Any]) -> None:
    speaking = speaker(client, "x", ME, me["access_token"])
    for vocabulary in ("tweet", "post"):
        client.switch("x", vocabulary=vocabulary)
        page = speaking.run(speaking.platform.list_posts(speaking.account))
        assert [each.id for each in page.posts] == me["post_ids"]
        assert all(each.url and each.published_at and each.raw for each in page.posts) and not page.cursor
    assert speaking.account.memory["vocabulary"] == "post"

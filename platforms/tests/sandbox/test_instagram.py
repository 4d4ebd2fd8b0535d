"""The sandbox's Instagram."""

import json
from typing import Any

import pytest

from platforms.sandbox.instagram_media import decode
from platforms.tests.sandbox.conftest import Client
from platforms.tests.sandbox.test_facebook import speaker

ME = "17841400000000001"
IL = "graph.instagram.com/v26.0"
FL = "graph.facebook.com/v26.0"
POST_METRICS = "views,reach,likes,comments,shares,saved,total_interactions"


@pytest.fixture
def me(client: Client) -> dict[str, Any]:
    return client.account("instagram", ME)


@pytest.fixture
def page(client: Client) -> dict[str, Any]:
    return client.account("instagram", ME, login="facebook")


def of_kind(ids: list[str], *kinds: str) -> str:
    return next(one for one in ids if (media := decode(one)) and media.kind in kinds)


def test_a_media_reports_its_lifetime(client: Client, me: dict[str, Any]) -> None:
    media_id = me["post_ids"][5]
    answer = client.get(f"{IL}/{media_id}/insights", metric=POST_METRICS, access_token=me["access_token"])
    found = {one["name"]: one["values"][0]["value"] for one in answer.json()["data"]}
    assert set(found) == set(POST_METRICS.split(","))
    assert found["views"] >= found["reach"] >= found["likes"]
    assert json.loads(answer.headers["X-Business-Use-Case-Usage"])[ME][0]["type"] == "instagram"


def test_one_name_that_does_not_fit_refuses_the_call(client: Client, me: dict[str, Any]) -> None:
    reel, image = of_kind(me["post_ids"], "REELS"), of_kind(me["post_ids"], "IMAGE")
    for media_id, metric in ((reel, "views,follows"), (image, "views,impressions"), (image, "views,nonsense")):
        answer = client.get(f"{IL}/{media_id}/insights", metric=metric, access_token=me["access_token"])
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, 100)
        assert "metric" in answer.json()["error"]["message"]


def test_a_page_of_media_carries_insights_and_a_next_url_with_the_token(client: Client, me: dict[str, Any]) -> None:
    fields = f"id,media_type,media_product_type,timestamp,like_count,insights.metric({POST_METRICS})"
    query = {"limit": 50, "fields": fields, "access_token": me["access_token"]}
    first = client.get(f"{IL}/me/media", **query).json()
    assert len(first["data"]) == 50
    assert me["access_token"] in first["paging"]["next"]
    assert {one["name"] for one in first["data"][0]["insights"]["data"]} == set(POST_METRICS.split(","))
    last = client.get(f"{IL}/{ME}/media", **query, after=first["paging"]["cursors"]["after"]).json()
    assert [row["id"] for row in first["data"] + last["data"]] == me["post_ids"]
    assert "next" not in last["paging"]


def test_one_poisonous_media_fails_its_whole_page(client: Client, me: dict[str, Any]) -> None:
    client.switch("instagram", poison=[me["post_ids"][7]])
    query = {"fields": "id,insights.metric(views)", "access_token": me["access_token"], "limit": 5}
    first = client.get(f"{IL}/me/media", **query)
    assert first.status_code == 200
    after = first.json()["paging"]["cursors"]["after"]
    assert client.get(f"{IL}/me/media", **query, after=after).json()["error"]["error_subcode"] == 2108006
    plain = {"fields": "id,like_count", "access_token": me["access_token"], "limit": 5, "after": after}
    assert client.get(f"{IL}/me/media", **plain).status_code == 200
    single = client.get(f"{IL}/{me['post_ids'][7]}/insights", metric="views", access_token=me["access_token"])
    assert single.json()["error"]["error_subcode"] == 2108006


def test_missing_and_foreign_media_are_the_same(client: Client, me: dict[str, Any]) -> None:
    foreign = client.account("instagram", "17841400000000002")["post_ids"][0]
    client.post("_control/posts/delete", json={"platform": "instagram", "ids": me["post_ids"][:1]})
    for media_id in (me["post_ids"][0], foreign, "17900000000000001", "123"):
        answer = client.get(f"{IL}/{media_id}/insights", metric="views", access_token=me["access_token"])
        assert (answer.json()["error"]["code"], answer.json()["error"]["error_subcode"]) == (100, 33)


def test_each_host_has_its_own_tokens(client: Client, me: dict[str, Any], page: dict[str, Any]) -> None:
    good = client.get(f"{IL}/me", fields="user_id,followers_count", access_token=me["access_token"]).json()
    assert good["user_id"] == ME and good["id"] != ME
    assert client.get(f"{FL}/{ME}", page["access_token"], fields="id").json() == {"id": ME}
    assert page["expires_at"] is None
    for path, token in ((f"{FL}/{ME}", me["access_token"]), (f"{IL}/me", page["access_token"]), (f"{IL}/me", "x")):
        assert client.get(path, access_token=token).json()["error"]["code"] == 190


def test_an_expired_token_says_so(client: Client) -> None:
    token = client.account("instagram", ME, token_lifetime=-5)["access_token"]
    error = client.get(f"{IL}/me", access_token=token).json()["error"]
    assert (error["code"], error["error_subcode"]) == (190, 463)


def test_a_token_is_extended_once_it_is_a_day_old(client: Client, me: dict[str, Any]) -> None:
    path = "graph.instagram.com/refresh_access_token"
    query = {"grant_type": "ig_refresh_token"}
    young = client.get(path, **query, access_token=me["access_token"])
    assert (young.status_code, young.json()["error"]["code"]) == (400, 100)
    old = client.account("instagram", ME, token_age=90000)["access_token"]
    answer = client.get(path, **query, access_token=old).json()
    assert answer["expires_in"] == 60 * 86400
    assert client.get(f"{IL}/me", access_token=answer["access_token"]).status_code == 200
    dead = client.account("instagram", ME, token_age=90000, token_lifetime=-1)["access_token"]
    assert client.get(path, **query, access_token=dead).json()["error"]["code"] == 190


def test_account_insights_are_totals_of_a_window(client: Client, me: dict[str, Any], page: dict[str, Any]) -> None:
    query = {"metric": "reach,views", "period": "day", "metric_type": "total_value"}
    answer = client.get(f"{IL}/{ME}/insights", **query, access_token=me["access_token"]).json()
    found = {one["name"]: one["total_value"]["value"] for one in answer["data"]}
    assert found["views"] >= found["reach"] > 0
    visits = {**query, "metric": "profile_views"}
    refused = client.get(f"{IL}/{ME}/insights", **visits, access_token=me["access_token"])
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, 100)
    assert client.get(f"{FL}/{ME}/insights", **visits, access_token=page["access_token"]).status_code == 200


def test_the_ids_parameter_is_dead(client: Client, me: dict[str, Any]) -> None:
    answer = client.get(f"{IL}/", ids=ME, access_token=me["access_token"])
    assert (answer.status_code, answer.json()["error"]["code"]) == (500, 100)


def test_a_batch_answers_in_order_on_one_host_only(client: Client, me: dict[str, Any], page: dict[str, Any]) -> None:
    parts = [{"method": "GET", "relative_url": f"v26.0/{one}/insights?metric=views"} for one in page["post_ids"][:2]]
    parts.append({"method": "GET", "relative_url": "v26.0/17900000000000001"})
    form = {"access_token": page["access_token"], "include_headers": "false", "batch": json.dumps(parts)}
    answer = client.post(f"{FL}/", data=form).json()
    assert [item["code"] for item in answer] == [200, 200, 400]
    assert json.loads(answer[0]["body"])["data"][0]["name"] == "views"
    assert client.calls("instagram") == {"total": 1, "batch": 1, "batched_insights": 2, "batched_node": 1}
    assert client.post(f"{IL}/", data={**form, "access_token": me["access_token"]}).status_code == 400
    assert client.post(f"{FL}/", data={**form, "batch": json.dumps(parts * 17)}).status_code == 400


def test_stories_have_an_edge_of_their_own(client: Client, me: dict[str, Any]) -> None:
    stories = client.get(f"{IL}/me/stories", fields="id,media_product_type", access_token=me["access_token"]).json()
    assert {row["media_product_type"] for row in stories["data"]} == {"STORY"}
    story = stories["data"][-1]["id"]
    assert story not in me["post_ids"]
    bad = client.get(f"{IL}/{story}/insights", metric="likes", access_token=me["access_token"])
    assert bad.json()["error"]["code"] == 100


def test_a_spent_account_is_refused_with_minutes(client: Client, me: dict[str, Any]) -> None:
    client.switch("instagram", faults=[{"kind": "rate_limited", "retry_after": 600}])
    answer = client.get(f"{IL}/me", access_token=me["access_token"])
    assert answer.json()["error"]["code"] == 80002
    usage = json.loads(answer.headers["X-Business-Use-Case-Usage"])[ME][0]
    assert usage["estimated_time_to_regain_access"] == 10


def test_the_adapter_lists_media_by_either_login(client: Client, me: dict[str, Any], page: dict[str, Any]) -> None:
    for login, account in (("instagram", me), ("facebook", page)):
        speaking = speaker(client, "instagram", ME, account["access_token"], extra={"login": login})
        first = speaking.run(speaking.platform.list_posts(speaking.account))
        last = speaking.run(speaking.platform.list_posts(speaking.account, cursor=first.cursor))
        assert [each.id for each in (*first.posts, *last.posts)] == account["post_ids"] and not last.cursor
        assert all(each.url and each.published_at and each.raw for each in first.posts)

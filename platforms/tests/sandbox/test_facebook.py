"""The sandbox's Facebook, and the adapter against it."""

import json
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from platforms import client as platform_client
from platforms import registry
from platforms.base import Account, Reading
from platforms.dimensions import Dimension, Reason
from platforms.errors import Gone, PlatformError, RateLimited, TokenExpired
from platforms.hosts import HostMap
from platforms.oauth import Credentials
from platforms.tests.replay import raw_of
from platforms.tests.sandbox.conftest import Client

PAGE = "102030405060708"
API = "graph.facebook.com/v26.0"
METRICS = "post_media_view,post_total_media_view_unique,post_clicks,post_reactions_by_type_total"


@pytest.fixture
def page(client: Client) -> dict[str, Any]:
    return client.account("facebook", PAGE)


def speaker(client: Client, key: str, account_id: str, token: str, **more: Any) -> platform_client.Client:
    account = Account(id="1", network_unique_id=account_id, scopes=registry.get(key).scopes, **more)
    settings = platform_client.Settings(hosts=HostMap({}, client.running.url))
    return platform_client.Client(registry.get(key), account, settings=settings, credentials=Credentials(token))


def fetch(speaking: platform_client.Client, ids: list[str]) -> dict[str, Any]:
    found: dict[str, Any] = speaking.run(speaking.platform.fetch_posts(ids, speaking.account))
    return found


def test_a_call_belongs_to_its_tokens_platform(client: Client, page: dict[str, Any]) -> None:
    business = client.account("instagram", "17841400000000001", login="facebook")
    assert client.get(f"{API}/me", fields="id", access_token=page["access_token"]).json() == {"id": PAGE}
    assert client.get(f"{API}/17841400000000001", fields="id", access_token=business["access_token"]).status_code == 200
    assert client.calls("facebook")["total"] == 1 and client.calls("instagram")["total"] == 1
    for path, token in ((f"{API}/{PAGE}", business["access_token"]), (f"{API}/me/media", page["access_token"])):
        assert client.get(path, access_token=token).status_code == 400


def test_one_unknown_name_refuses_the_call_and_is_not_named(client: Client, page: dict[str, Any]) -> None:
    path, query = f"{API}/{page['post_ids'][5]}/insights", {"access_token": page["access_token"], "period": "lifetime"}
    good = client.get(path, metric=METRICS, **query).json()
    assert {entry["name"] for entry in good["data"]} == set(METRICS.split(","))
    assert page["access_token"] in good["paging"]["next"]
    for metric in (f"{METRICS},post_impressions_unique", "nonsense"):
        error = client.get(path, metric=metric, **query).json()["error"]
        assert (error["code"], error["message"]) == (100, "(#100) The value must be a valid insights metric")
    assert client.get(path, **query).json()["error"]["error_subcode"] == 1504028
    twice = client.get(path, metric="post_clicks", access_token=page["access_token"]).json()
    assert [entry["period"] for entry in twice["data"]] == ["day", "lifetime"]


def test_gates_refuse_what_they_guard(client: Client, page: dict[str, Any]) -> None:
    client.switch("facebook", content_scope=False, low_reach=True)
    post, token = page["post_ids"][3], page["access_token"]
    gated = client.get(f"{API}/{post}", fields="id,comments.summary(true).limit(0)", access_token=token)
    assert gated.json()["error"]["code"] == 10
    assert client.get(f"{API}/{post}", fields="id,shares", access_token=token).status_code == 200
    insights = {"metric": METRICS, "period": "lifetime", "access_token": token}
    assert client.get(f"{API}/{post}/insights", **insights).json()["error"]["code"] == 200


def test_the_listing_ends_without_a_link(client: Client, page: dict[str, Any]) -> None:
    query = {"limit": 50, "fields": "id,shares", "access_token": page["access_token"]}
    first = client.get(f"{API}/{PAGE}/published_posts", **query).json()
    after = parse_qs(urlsplit(first["paging"]["next"]).query)["after"][0]
    last = client.get(f"{API}/{PAGE}/published_posts", **query, after=after).json()
    assert [row["id"] for row in first["data"] + last["data"]] == page["post_ids"]
    assert "next" not in last["paging"] and last["paging"]["cursors"]["after"]


def test_the_ids_parameter_is_dead_and_a_batch_has_an_end(client: Client, page: dict[str, Any]) -> None:
    answer = client.get(f"{API}/", ids=page["post_ids"][0], access_token=page["access_token"])
    assert (answer.status_code, answer.json()["error"]["code"]) == (500, 100)
    parts = [{"method": "GET", "relative_url": f"v26.0/{post}?fields=id"} for post in page["post_ids"][:51]]
    form = {"access_token": page["access_token"], "include_headers": "false", "batch": json.dumps(parts)}
    assert client.post(f"{API}/", data=form).status_code == 400
    answer = client.post(f"{API}/", data={**form, "batch": json.dumps(parts[:50])}).json()
    assert [item["code"] for item in answer] == [200] * 50


# --- the adapter -------------------------------------------------------------------------------------------------


def test_the_adapter_reads_a_thousand_posts_in_30_calls(client: Client) -> None:
    page = client.account("facebook", PAGE, posts=1000, span_days=400)
    speaking = speaker(client, "facebook", PAGE, page["access_token"])
    found = fetch(speaking, page["post_ids"])
    assert speaking.usage.calls == client.calls("facebook")["total"] == 30
    numbers = [registry.get("facebook").metrics(raw_of(found[i])) for i in page["post_ids"]]
    assert all(each[Dimension.IMPRESSIONS] is not None and each[Dimension.SHARES] is not None for each in numbers)
    assert {each[Dimension.VIDEO_VIEWS] for each in numbers} > {0, None}
    assert page["access_token"] not in json.dumps([raw_of(item) for item in found.values()])


def test_the_adapter_lives_with_gates_and_withdrawn_metrics(client: Client, page: dict[str, Any]) -> None:
    client.switch(
        "facebook", content_scope=False, low_reach=True, heavy_limit=25,
        faults=[{"kind": "withdrawn", "metric": "post_clicks"}],
    )  # fmt: skip
    speaking = speaker(client, "facebook", PAGE, page["access_token"])
    found = fetch(speaking, page["post_ids"])
    reading = found[page["post_ids"][9]]
    assert isinstance(reading, Reading) and reading.unavailable == {Dimension.CLICKS: Reason.RETIRED}
    numbers = registry.get("facebook").metrics(reading.raw)
    assert numbers[Dimension.REACH] is None and numbers[Dimension.IMPRESSIONS]
    assert numbers[Dimension.LIKES] is not None
    assert speaking.account.retired == {"post_clicks"}


def test_the_adapter_reads_singly_what_the_listing_lacks(client: Client, page: dict[str, Any]) -> None:
    older = client.account("facebook", PAGE, posts=100, span_days=200)["post_ids"]
    client.account("facebook", PAGE, posts=0)
    client.post("_control/posts/delete", json={"platform": "facebook", "ids": older[:1]})
    speaking = speaker(client, "facebook", PAGE, page["access_token"])
    found = fetch(speaking, older)
    assert isinstance(found[older[0]], Gone)
    assert not any(isinstance(found[i], PlatformError) for i in older[1:])
    assert speaking.usage.calls <= 2 + 7


def test_the_adapter_finds_the_post_of_a_video(client: Client, page: dict[str, Any]) -> None:
    speaking = speaker(client, "facebook", PAGE, page["access_token"])
    metrics = registry.get("facebook").metrics
    ids = fetch(speaking, page["post_ids"])
    post = next(i for i in page["post_ids"] if metrics(raw_of(ids[i]))[Dimension.VIDEO_VIEWS])
    number = "2" + post.partition("_")[2][1:]
    item = fetch(speaking, [number])[number]
    assert isinstance(item, Reading) and item.id == post


def test_the_adapter_reads_account_listing_and_probe(client: Client, page: dict[str, Any]) -> None:
    speaking = speaker(client, "facebook", PAGE, page["access_token"])
    platform, account = speaking.platform, speaking.account
    assert None not in platform.account_metrics(raw_of(speaking.run(platform.fetch_account(account)))).values()
    listing = speaking.run(platform.list_posts(account))
    assert [each.id for each in listing.posts] == page["post_ids"] and listing.cursor == ""
    speaking.run(platform.probe(account))
    client.switch("facebook", faults=[{"kind": "token_expired", "times": 1}])
    with pytest.raises(TokenExpired):
        speaking.run(platform.probe(account))
    client.switch("facebook", usage_percent=100, regain_minutes=7)
    with pytest.raises(RateLimited):
        speaking.run(platform.probe(account))

"""The sandbox's Threads, and the adapter against it."""

from typing import Any

import pytest

from platforms import registry
from platforms.base import Reading
from platforms.dimensions import AccountDimension, Dimension
from platforms.errors import Gone, Rejected, ScopeMissing, TokenExpired, Unavailable
from platforms.oauth import App, Credentials
from platforms.tests.replay import raw_of
from platforms.tests.sandbox.conftest import Client
from platforms.tests.sandbox.test_facebook import fetch, speaker

ME = "26000000000000001"
API = "graph.threads.net/v1.0"
METRICS = "views,likes,replies,reposts,quotes,shares"


@pytest.fixture
def me(client: Client) -> dict[str, Any]:
    return client.account("threads", ME)


def test_a_name_that_is_no_post_metric_fails_as_if_by_accident(client: Client, me: dict[str, Any]) -> None:
    path = f"{API}/{me['post_ids'][4]}/insights"
    good = client.get(path, metric=METRICS, access_token=me["access_token"]).json()
    assert [entry["name"] for entry in good["data"]] == METRICS.split(",")
    bad = client.get(path, metric=f"{METRICS},clicks", access_token=me["access_token"])
    assert (bad.status_code, bad.json()["error"]["code"]) == (500, 1)


def test_no_call_carries_two_posts(client: Client, me: dict[str, Any]) -> None:
    ids = ",".join(me["post_ids"][:2])
    assert client.get(f"{API}/", ids=ids, access_token=me["access_token"]).status_code == 500
    assert client.get(f"{API}/{ids}/insights", metric="views", access_token=me["access_token"]).status_code == 400
    assert client.post(f"{API}/", data={"access_token": me["access_token"], "batch": "[]"}).status_code == 400


def test_account_insights_have_three_shapes_and_a_window_of_rules(client: Client, me: dict[str, Any]) -> None:
    path, token = f"{API}/me/threads_insights", me["access_token"]
    metrics = "views,likes,clicks,followers_count"
    data = {one["name"]: one for one in client.get(path, metric=metrics, access_token=token).json()["data"]}
    assert len(data["views"]["values"]) == 2
    assert data["clicks"]["link_total_values"] and data["followers_count"]["total_value"]["value"] > 0
    for more in ({"since": "1790000000"}, {"since": "1600000000", "until": "1790000000"}):
        assert client.get(path, metric="views", access_token=token, **more).status_code == 400


# --- the adapter -------------------------------------------------------------------------------------------------


def test_the_adapter_takes_one_call_a_post(client: Client, me: dict[str, Any]) -> None:
    client.post("_control/posts/delete", json={"platform": "threads", "ids": me["post_ids"][:1]})
    speaking = speaker(client, "threads", ME, me["access_token"])
    found = fetch(speaking, me["post_ids"])
    assert speaking.usage.calls == len(me["post_ids"])
    assert isinstance(found[me["post_ids"][0]], Gone)
    numbers = registry.get("threads").metrics(raw_of(found[me["post_ids"][7]]))
    assert numbers[Dimension.IMPRESSIONS] and None not in numbers.values()


def test_the_adapter_lives_with_a_withdrawn_metric(client: Client, me: dict[str, Any]) -> None:
    client.switch("threads", faults=[{"kind": "withdrawn", "metric": "shares"}])
    speaking = speaker(client, "threads", ME, me["access_token"])
    found = fetch(speaking, me["post_ids"])
    assert speaking.account.retired == {"shares"}
    assert all(None not in registry.get("threads").metrics(raw_of(item)).values() for item in found.values())


def test_the_adapter_asks_a_stubborn_post_for_less(client: Client, me: dict[str, Any]) -> None:
    odd = me["post_ids"][2]
    client.switch("threads", stubborn=[odd])
    speaking = speaker(client, "threads", ME, me["access_token"])
    for _ in range(2):
        assert isinstance(fetch(speaking, me["post_ids"][:4])[odd], Unavailable)
    assert registry.get("threads").metrics(raw_of(fetch(speaking, me["post_ids"][:4])[odd]))[Dimension.IMPRESSIONS]


def test_the_adapter_knows_a_missing_scope(client: Client, me: dict[str, Any]) -> None:
    client.switch("threads", insights_scope=False)
    with pytest.raises(ScopeMissing):
        fetch(speaker(client, "threads", ME, me["access_token"]), me["post_ids"][:3])


def test_the_adapter_reads_account_listing_and_probe(client: Client, me: dict[str, Any]) -> None:
    speaking = speaker(client, "threads", ME, me["access_token"])
    platform, account = speaking.platform, speaking.account
    found = speaking.run(platform.fetch_account(account))
    assert isinstance(found, Reading)
    assert platform.account_metrics(found.raw)[AccountDimension.IMPRESSIONS]
    first = speaking.run(platform.list_posts(account))
    last = speaking.run(platform.list_posts(account, cursor=first.cursor))
    assert [each.id for each in (*first.posts, *last.posts)] == me["post_ids"]
    client.switch("threads", facades=True)
    assert len(speaking.run(platform.list_posts(account)).posts) < len(first.posts)
    speaking.run(platform.probe(account))
    client.switch("threads", faults=[{"kind": "no_resource", "group": "me"}])
    with pytest.raises(TokenExpired):
        speaking.run(platform.probe(account))


def test_the_adapter_extends_a_token_that_is_a_day_old(client: Client, me: dict[str, Any]) -> None:
    def renew(token: str) -> Any:
        speaking = speaker(client, "threads", ME, token)
        return speaking.run(speaking.platform.renew(speaking.account, Credentials(token), App()))

    with pytest.raises(Rejected):
        renew(me["access_token"])
    tokens = renew(client.account("threads", ME, token_age=90000)["access_token"])
    speaking = speaker(client, "threads", ME, tokens.access_token)
    speaking.run(speaking.platform.probe(speaking.account))
    with pytest.raises(TokenExpired):
        renew(client.account("threads", ME, token_age=90000, token_lifetime=-1)["access_token"])

"""The sandbox's Reddit, and the adapter that talks to it."""

from typing import Any

import pytest

from platforms import registry
from platforms.base import Account, Reading
from platforms.client import Client as Speaker
from platforms.client import Settings
from platforms.dimensions import Dimension
from platforms.errors import (
    Gone,
    Misconfigured,
    PlatformError,
    RateLimited,
    Rejected,
    ScopeMissing,
    TokenExpired,
    Unavailable,
)
from platforms.hosts import HostMap
from platforms.oauth import App, Credentials
from platforms.tests.sandbox.conftest import Client

ME = "a2gghybr"
INFO = "oauth.reddit.com/api/info"
TOKEN = "www.reddit.com/api/v1/access_token"
REDDIT = registry.get("reddit")
APP = App(id="app-1", client_id="client", client_secret="client-secret")


@pytest.fixture
def client(client: Client) -> Client:
    client.http.headers["User-Agent"] = "web:com.example.stats:v1.0 (by /u/example)"
    return client


@pytest.fixture
def me(client: Client) -> dict[str, Any]:
    return client.account("reddit", ME, posts=120)


def info(client: Client, me: dict[str, Any], *names: str) -> Any:
    return client.get(INFO, me["access_token"], id=",".join(names), raw_json="1")


def refresh(client: Client, token: str) -> Any:
    return client.post(TOKEN, data={"grant_type": "refresh_token", "refresh_token": token})


def speaker(client: Client, me: dict[str, Any], **more: Any) -> Speaker:
    return Speaker(
        REDDIT,
        Account(id="account-1", network_unique_id=ME, username="jane"),
        settings=Settings(hosts=HostMap({}, client.running.url)),
        credentials=Credentials(me["access_token"], me["refresh_token"]),
        app=APP,
        **more,
    )


def test_a_batch_comes_in_a_listing_with_budget_headers(client: Client, me: dict[str, Any]) -> None:
    answer = info(client, me, *me["post_ids"][:100])
    assert [child["data"]["name"] for child in answer.json()["data"]["children"]] == me["post_ids"][:100]
    assert answer.headers["X-Ratelimit-Remaining"] == "999.0"
    assert answer.headers["X-Ratelimit-Used"] == "1"
    assert int(answer.headers["X-Ratelimit-Reset"]) <= 600


def test_a_batch_too_large_is_answered_with_nothing(client: Client, me: dict[str, Any]) -> None:
    answer = info(client, me, *me["post_ids"][:101])
    assert answer.status_code == 200
    assert answer.json()["data"]["children"] == []


def test_a_deleted_post_is_left_out_or_comes_back_as_removed(client: Client, me: dict[str, Any]) -> None:
    name = me["post_ids"][0]
    client.post("_control/posts/delete", json={"platform": "reddit", "ids": [name]})
    assert info(client, me, name, "t3_zz", "nonsense").json()["data"]["children"] == []
    client.switch("reddit", removed="shown")
    (child,) = info(client, me, name).json()["data"]["children"]
    assert child["data"]["removed_by_category"] == "moderator"
    assert child["data"]["author"] == "[deleted]"


def test_generic_agents_are_blocked_with_html(client: Client, me: dict[str, Any]) -> None:
    client.http.headers["User-Agent"] = "python-requests/2.32"
    answer = info(client, me, me["post_ids"][0])
    assert answer.status_code == 403
    assert answer.headers["Content-Type"].startswith("text/html")


def test_one_window_is_shared_by_all_accounts(client: Client, me: dict[str, Any]) -> None:
    client.switch("reddit", calls=2)
    other = client.account("reddit", "b2")
    assert info(client, me, "t3_a").status_code == 200
    assert info(client, other, "t3_a").headers["X-Ratelimit-Remaining"] == "0.0"
    refused = info(client, me, "t3_a")
    assert refused.status_code == 429
    assert float(refused.headers["X-Ratelimit-Reset"]) > 0


@pytest.mark.parametrize(("form", "status"), [("json", 400), ("oauth", 400), ("ok", 200)])
def test_a_dead_refresh_token_is_refused_in_three_forms(
    client: Client, me: dict[str, Any], form: str, status: int
) -> None:
    client.switch("reddit", refused_refresh=form)
    client.account("reddit", ME, revoked=True)
    answer = refresh(client, me["refresh_token"])
    assert answer.status_code == status
    assert "error" in answer.json()
    assert client.get("oauth.reddit.com/api/v1/me", me["access_token"]).status_code == 401


def test_a_refresh_token_serves_again_and_may_be_repeated(client: Client, me: dict[str, Any]) -> None:
    first, second = refresh(client, me["refresh_token"]).json(), refresh(client, me["refresh_token"]).json()
    assert first["refresh_token"] == me["refresh_token"]
    assert second["expires_in"] == 86400
    client.switch("reddit", repeat_refresh_token=False)
    assert "refresh_token" not in refresh(client, me["refresh_token"]).json()


def test_a_listing_is_paged_by_name_and_ends_at_a_thousand(client: Client) -> None:
    many = client.account("reddit", "many", posts=1100)
    names: list[str] = []
    after = ""
    while True:
        query = {"sort": "new", "limit": "100", **({"after": after} if after else {})}
        data = client.get("oauth.reddit.com/user/jane/submitted", many["access_token"], **query).json()["data"]
        names += [child["data"]["name"] for child in data["children"]]
        after = data["after"]
        if after is None:
            break
    assert names == many["post_ids"][:1000]


# --- the adapter -----------------------------------------------------------------------------------------------------


def test_the_adapter_reads_posts_account_and_listing(client: Client, me: dict[str, Any]) -> None:
    talk = speaker(client, me)
    found = talk.run(REDDIT.fetch_posts(me["post_ids"][:100], talk.account))
    assert list(found) == me["post_ids"][:100]
    talk.run(REDDIT.probe(talk.account))
    raw = talk.run(REDDIT.fetch_account(talk.account))
    assert isinstance(raw, dict)
    assert all(value for value in REDDIT.account_metrics(raw).values())
    page = talk.run(REDDIT.list_posts(talk.account))
    more = talk.run(REDDIT.list_posts(talk.account, cursor=page.cursor))
    assert [each.id for each in page.posts + more.posts] == me["post_ids"]
    assert more.cursor == ""
    assert talk.usage.calls == 5


def test_the_adapter_reads_views_where_they_are_told(client: Client, me: dict[str, Any]) -> None:
    client.switch("reddit", view_counts=True)
    talk = speaker(client, me)
    found = talk.run(REDDIT.fetch_posts(me["post_ids"][-1:], talk.account))
    (item,) = found.values()
    assert isinstance(item, dict)
    assert (REDDIT.metrics(item)[Dimension.IMPRESSIONS] or 0) > 0


def test_a_removed_post_is_gone_to_the_adapter(client: Client, me: dict[str, Any]) -> None:
    client.post("_control/posts/delete", json={"platform": "reddit", "ids": me["post_ids"][:1]})
    client.switch("reddit", removed="shown")
    talk = speaker(client, me)
    found = talk.run(REDDIT.fetch_posts(me["post_ids"][:2], talk.account))
    assert isinstance(found[me["post_ids"][0]], Gone)
    assert not isinstance(found[me["post_ids"][1]], PlatformError | Reading)


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ({"kind": "rate_limited", "retry_after": 60}, RateLimited),
        ({"kind": "rate_limited"}, RateLimited),
        ({"kind": "html_429"}, RateLimited),
        ({"kind": "scope_missing"}, ScopeMissing),
        ({"kind": "token_expired"}, TokenExpired),
        ({"kind": "server_error"}, Unavailable),
        ({"kind": "blocked"}, Misconfigured),
        ({"kind": "redirect"}, Rejected),
        ({"kind": "private_subreddit"}, Rejected),
    ],
)
def test_every_fault_is_told_from_the_others(
    client: Client, me: dict[str, Any], fault: dict[str, Any], error: type[PlatformError]
) -> None:
    client.switch("reddit", faults=[fault])
    talk = speaker(client, me)
    with pytest.raises(error):
        talk.run(REDDIT.fetch_posts(me["post_ids"][:2], talk.account))


def test_an_expired_token_is_renewed_in_mid_conversation(client: Client) -> None:
    me = client.account("reddit", ME, token_lifetime=-1)
    talk = speaker(client, me)

    def renew(stale: str) -> Credentials:
        tokens = talk.run(REDDIT.renew(talk.account, Credentials(stale, me["refresh_token"]), APP))
        return Credentials(tokens.access_token, tokens.refresh_token or me["refresh_token"])

    speaker(client, me, renew=renew).run(REDDIT.probe(talk.account))
    assert client.calls("reddit") == {"total": 3, "me": 2, "token": 1}


def test_a_refused_refresh_is_an_expired_token(client: Client, me: dict[str, Any]) -> None:
    talk = speaker(client, me)
    for form in ("json", "oauth", "ok"):
        client.switch("reddit", refused_refresh=form, faults=[{"kind": "refuse_refresh"}])
        with pytest.raises(TokenExpired):
            talk.run(REDDIT.renew(talk.account, Credentials("", me["refresh_token"]), APP))

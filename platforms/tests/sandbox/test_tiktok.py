"""The sandbox's TikTok, and the adapter against it."""

from typing import Any

import pytest

from platforms import registry
from platforms.base import Account, Reading
from platforms.client import Client as Speaker
from platforms.client import Settings
from platforms.dimensions import AccountDimension, Dimension, Reason
from platforms.errors import PlatformError, RateLimited, ScopeMissing, TokenExpired, Unavailable
from platforms.hosts import HostMap
from platforms.oauth import App, Credentials
from platforms.sandbox.registry import post_ids
from platforms.tests.sandbox.conftest import Client

ME = "723f24d7-e717-40f8-a2b6-cb8464cd23b4"
API = "open.tiktokapis.com/v2"
TIKTOK = registry.get("tiktok")
COUNTS = "view_count,like_count,comment_count,share_count"


@pytest.fixture
def me(client: Client) -> dict[str, Any]:
    return client.account("tiktok", ME)


def query(client: Client, me: dict[str, Any], *ids: str, fields: str = f"id,{COUNTS}") -> Any:
    body = {"filters": {"video_ids": list(ids)}}
    return client.post(f"{API}/video/query/", me["access_token"], params={"fields": fields}, json=body)


def listing(client: Client, me: dict[str, Any], **body: Any) -> Any:
    return client.post(f"{API}/video/list/", me["access_token"], params={"fields": "id"}, json=body).json()["data"]


def refresh(client: Client, token: str, **more: str) -> Any:
    form = {"grant_type": "refresh_token", "refresh_token": token, "client_key": "k", "client_secret": "s", **more}
    return client.post(f"{API}/oauth/token/", data=form)


def speaker(client: Client, me: dict[str, Any], account: Account, **more: Any) -> Speaker:
    settings = Settings(hosts=HostMap({}, sandbox=client.running.url))
    credentials = Credentials(access_token=me["access_token"], refresh_token=me["refresh_token"])
    return Speaker(TIKTOK, account, settings=settings, credentials=credentials, **more)


@pytest.fixture
def account() -> Account:
    return Account(id="account-1", network_unique_id=ME)


# --- the wire ----------------------------------------------------------------------------------------------------


def test_a_query_answers_with_what_is_asked_for(client: Client, me: dict[str, Any]) -> None:
    answer = query(client, me, *me["post_ids"][:20]).json()
    assert answer["error"]["code"] == "ok"
    assert [video["id"] for video in answer["data"]["videos"]] == me["post_ids"][:20]
    assert set(answer["data"]["videos"][0]) == {"id", *COUNTS.split(",")}


def test_more_than_twenty_ids_or_an_unknown_field_are_refused(client: Client, me: dict[str, Any]) -> None:
    for answer in (
        query(client, me, *me["post_ids"][:21]),
        query(client, me),
        query(client, me, "abc"),
        query(client, me, me["post_ids"][0], fields="id,saves"),
        query(client, me, me["post_ids"][0], fields=""),
    ):
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_params")


def test_deleted_and_foreign_videos_are_left_out_of_a_good_answer(client: Client, me: dict[str, Any]) -> None:
    client.post("_control/posts/delete", json={"platform": "tiktok", "ids": me["post_ids"][:1]})
    foreign = client.account("tiktok", "another-open-id")["post_ids"][0]
    answer = query(client, me, me["post_ids"][0], foreign, me["post_ids"][1]).json()
    assert [video["id"] for video in answer["data"]["videos"]] == [me["post_ids"][1]]
    assert answer["error"]["code"] == "ok"


def test_the_listing_is_paged_by_milliseconds(client: Client, me: dict[str, Any]) -> None:
    for short in (False, True):
        client.switch("tiktok", short_pages=short)
        page = listing(client, me, max_count=20)
        ids = [video["id"] for video in page["videos"]]
        while page["has_more"]:
            page = listing(client, me, max_count=20, cursor=page["cursor"])
            ids += [video["id"] for video in page["videos"]]
        assert ids == me["post_ids"]
    assert len(listing(client, me)["videos"]) == 5


def test_one_field_without_its_scope_fails_the_whole_request(client: Client, me: dict[str, Any]) -> None:
    client.switch("tiktok", scopes="user.info.basic")
    get = f"{API}/user/info/"
    assert client.get(get, me["access_token"], fields="open_id").json()["data"]["user"] == {"open_id": ME}
    answer = client.get(get, me["access_token"], fields="open_id,follower_count")
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "scope_not_authorized")
    assert query(client, me, me["post_ids"][0]).json()["error"]["code"] == "scope_not_authorized"


def test_tokens_expire_rotate_and_work_once(client: Client, me: dict[str, Any]) -> None:
    dead = client.account("tiktok", ME, token_lifetime=-1)
    answer = query(client, dead, me["post_ids"][0])
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "access_token_invalid")
    pair = refresh(client, dead["refresh_token"]).json()
    assert (pair["open_id"], pair["expires_in"], pair["refresh_expires_in"]) == (ME, 86400, 31536000)
    assert query(client, pair, me["post_ids"][0]).status_code == 200
    replay = refresh(client, dead["refresh_token"])
    assert (replay.status_code, replay.json()["error"]) == (200, "invalid_grant")
    client.switch("tiktok", oauth_error_status=400, require_client=True)
    assert refresh(client, pair["refresh_token"], client_key="").json()["error"] == "invalid_client"
    client.account("tiktok", ME, revoked=True)
    assert refresh(client, pair["refresh_token"]).json()["error"] == "invalid_grant"


def test_the_limit_is_the_apps_and_names_no_time(client: Client, me: dict[str, Any]) -> None:
    client.switch("tiktok", limits={"video_query": 2})
    other = client.account("tiktok", "another-open-id")
    found = [query(client, who, me["post_ids"][0]) for who in (me, other, me)]
    assert [answer.status_code for answer in found] == [200, 200, 429]
    assert not {"Retry-After", "x-ratelimit-reset"} & set(found[-1].headers)


def test_ids_made_elsewhere_are_the_ones_that_are_listed(client: Client, me: dict[str, Any], now: float) -> None:
    assert post_ids("tiktok", ME, 60, now=now) == me["post_ids"]
    assert all(len(one) == 19 for one in me["post_ids"])


# --- the adapter -------------------------------------------------------------------------------------------------


def test_the_adapter_reads_everything(client: Client, me: dict[str, Any], account: Account) -> None:
    client.account("tiktok", ME, posts=1000)
    ids = client.account("tiktok", ME)["post_ids"]
    speaks = speaker(client, me, account)
    found: dict[str, Any] = {}
    for start in range(0, len(ids), TIKTOK.batch_size):
        found |= speaks.run(TIKTOK.fetch_posts(ids[start : start + TIKTOK.batch_size], account))
    assert (len(found), speaks.usage.calls) == (1000, 50)
    numbers = TIKTOK.metrics(found[ids[-1]].raw)
    assert None not in numbers.values()
    assert numbers[Dimension.IMPRESSIONS] == numbers[Dimension.VIDEO_VIEWS]
    speaks.run(TIKTOK.probe(account))
    answered = speaks.run(TIKTOK.fetch_account(account))
    assert isinstance(answered, Reading) and TIKTOK.account_metrics(answered.raw)[AccountDimension.FOLLOWERS]


def test_the_adapter_lists_everything(client: Client, me: dict[str, Any], account: Account) -> None:
    speaks = speaker(client, me, account)
    page = speaks.run(TIKTOK.list_posts(account))
    posts = list(page.posts)
    while page.cursor:
        page = speaks.run(TIKTOK.list_posts(account, cursor=page.cursor))
        posts += page.posts
    assert [post.id for post in posts] == me["post_ids"] and speaks.usage.calls == 3 + 1  # whose token it is, once
    assert all(post.published_at and post.url.endswith(post.id) and post.raw for post in posts)


@pytest.mark.parametrize("told", ["resolved", "empty", "failed"])
def test_the_adapter_resolves_publish_ids(client: Client, me: dict[str, Any], account: Account, told: str) -> None:
    client.switch("tiktok", publish=told)
    publish_id = f"v_pub_url~v2-1.{me['post_ids'][0]}"
    found = speaker(client, me, account).run(TIKTOK.fetch_posts([publish_id, me["post_ids"][1]], account))
    assert isinstance(found[me["post_ids"][1]], Reading)
    item = found[publish_id]
    assert isinstance(item, Reading if told == "resolved" else PlatformError)
    assert getattr(item, "id", me["post_ids"][0]) == me["post_ids"][0]


def test_the_adapter_survives_a_metric_withdrawn_in_mid_run(
    client: Client, me: dict[str, Any], account: Account
) -> None:
    speaks = speaker(client, me, account)
    speaks.run(TIKTOK.fetch_posts(me["post_ids"][:20], account))
    client.switch("tiktok", faults=[{"kind": "withdrawn", "metric": "share_count"}])
    for calls in (3, 4):
        found = speaks.run(TIKTOK.fetch_posts(me["post_ids"][:20], account))
        assert speaks.usage.calls == calls and len(found) == 20
        for item in found.values():
            assert isinstance(item, Reading) and item.unavailable == {Dimension.SHARES: Reason.RETIRED}


def test_the_adapter_renews_a_dead_token_once(client: Client, account: Account) -> None:
    dead = client.account("tiktok", ME, token_lifetime=-1)
    app = App(client_id="k", client_secret="s")

    def renew(refused: str) -> Credentials:
        tokens = speaker(client, dead, account, app=app).run(
            TIKTOK.renew(account, Credentials(refused, dead["refresh_token"]), app)
        )
        assert tokens.refresh_token != dead["refresh_token"]
        return Credentials(tokens.access_token, tokens.refresh_token, tokens.expires_at)

    found = speaker(client, dead, account, renew=renew).run(TIKTOK.fetch_posts(dead["post_ids"][:2], account))
    assert len(found) == 2
    with pytest.raises(TokenExpired):  # the refresh token was used
        speaker(client, dead, account, renew=renew).run(TIKTOK.fetch_posts(dead["post_ids"][:2], account))


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ({"kind": "rate_limited"}, RateLimited),
        ({"kind": "rate_limited", "retry_after": 9}, RateLimited),
        ({"kind": "scope_missing"}, ScopeMissing),
        ({"kind": "scope_permission_missed"}, ScopeMissing),
        ({"kind": "token_expired"}, TokenExpired),
        ({"kind": "server_error"}, Unavailable),
        ({"kind": "non_json"}, Unavailable),
        ({"kind": "empty"}, PlatformError),
        ({"kind": "non_json", "status": 200}, PlatformError),
        ({"kind": "close"}, Unavailable),
    ],
)
def test_the_adapter_tells_failures_apart(
    client: Client, me: dict[str, Any], account: Account, fault: dict[str, Any], error: type[PlatformError]
) -> None:
    client.switch("tiktok", faults=[fault])
    with pytest.raises(error):
        speaker(client, me, account).run(TIKTOK.fetch_posts(me["post_ids"][:1], account))


def test_the_adapter_leaves_out_what_a_batch_leaves_out(client: Client, me: dict[str, Any], account: Account) -> None:
    client.switch("tiktok", faults=[{"kind": "half_missing"}])
    found = speaker(client, me, account).run(TIKTOK.fetch_posts(me["post_ids"][:20], account))
    assert list(found) == me["post_ids"][:20:2]

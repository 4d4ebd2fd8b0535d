"""The sandbox's YouTube, and the adapter on it."""

import time
from typing import Any

import pytest

from platforms import registry
from platforms.base import Account, Listed
from platforms.client import Client as PlatformClient
from platforms.client import Settings
from platforms.dimensions import AccountDimension, Dimension
from platforms.errors import AccountNotFound, RateLimited, TokenExpired
from platforms.hosts import HostMap
from platforms.oauth import App, Credentials
from platforms.sandbox.registry import post_ids, tokens
from platforms.tests.sandbox.conftest import Client

ME = "UCacmeAnalyticsDemo00001"
API = "www.googleapis.com/youtube/v3"
STATS = f"{API}/videos:batchGetStats"
YT = registry.get("youtube")


@pytest.fixture
def me(client: Client) -> dict[str, Any]:
    return client.account("youtube", ME)


def adapter(client: Client, tokens_: dict[str, Any], account: Account | None = None) -> PlatformClient:
    hosts = HostMap({}, sandbox=client.running.url)
    credentials = Credentials(tokens_["access_token"], tokens_["refresh_token"])
    app = App("app-1", "client", "a-secret-of-it")
    return PlatformClient(
        YT, account or Account("1", ME), settings=Settings(hosts=hosts), credentials=credentials, app=app
    )


def reason(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["errors"][0]["reason"]


def test_counts_are_text_and_ids_have_eleven_letters(client: Client, me: dict[str, Any]) -> None:
    ids = me["post_ids"][:50]
    assert {len(video_id) for video_id in ids} == {11}
    answer = client.get(STATS, me["access_token"], part="id,statistics", id=",".join(ids)).json()
    assert answer["kind"] == "youtube#batchGetStatsResponse"
    assert [item["id"] for item in answer["items"]] == ids
    assert all(isinstance(count, str) for item in answer["items"] for count in item["statistics"].values())
    older = client.get(f"{API}/videos", me["access_token"], part="statistics", id=ids[0]).json()["items"][0]
    assert older["statistics"].pop("favoriteCount") == "0"
    assert older["statistics"] == answer["items"][0]["statistics"]


def test_more_than_fifty_ids_and_odd_parameters_are_refused(client: Client, me: dict[str, Any]) -> None:
    ids, token = ",".join(me["post_ids"][:51]), me["access_token"]
    assert client.get(STATS, token, part="id", id=ids).status_code == 400
    assert client.get(f"{API}/videos", token, part="id", id=ids).status_code == 400
    one = me["post_ids"][0]
    assert reason(client.get(STATS, token, id=one)) == (400, "missingRequiredParameter")
    assert reason(client.get(STATS, token, id=one, part="status")) == (400, "unexpectedParameter")
    both = client.get(f"{API}/videos", token, id=one, part="id", maxResults="5")
    assert reason(both) == (400, "incompatibleParameters")
    odd = client.get(f"{API}/playlistItems", token, part="id", playlistId="UU" + ME[2:], pageToken="?")
    assert reason(odd) == (400, "invalidPageToken")


def test_what_is_gone_private_or_never_was_is_left_out_in_silence(client: Client, me: dict[str, Any]) -> None:
    gone, private, kept = me["post_ids"][:3]
    client.post("_control/posts/delete", json={"platform": "youtube", "ids": [gone]})
    client.switch("youtube", private=[private])
    ids = f"{gone},{private},{kept},abc123DEF45"
    answers = [
        client.get(STATS, token, part="id", id=ids).json()["items"]
        for token in (me["access_token"], client.account("youtube", "UCanother")["access_token"])
    ]
    assert [[item["id"] for item in items] for items in answers] == [[private, kept], [kept]]
    public = client.get(STATS, part="id", id=ids, key="api-key").json()
    assert [item["id"] for item in public["items"]] == [kept]


def test_a_bucket_that_is_spent_leaves_the_other(client: Client, me: dict[str, Any]) -> None:
    client.switch("youtube", quota={"batch_get_stats": 2, "general": 5})
    query = {"part": "id", "id": me["post_ids"][0]}
    found = [client.get(STATS, me["access_token"], **query) for _ in range(3)]
    assert [one.status_code for one in found] == [200, 200, 403]
    assert reason(found[2]) == (403, "quotaExceeded")
    assert client.get(f"{API}/videos", me["access_token"], **query).status_code == 200


def test_dead_tokens_are_refused(client: Client, now: float) -> None:
    expired = client.account("youtube", ME, token_lifetime=-1)["access_token"]
    foreign = tokens("google_business", "123", now)["access_token"]
    for token in ("", "garbage", expired, foreign, tokens("youtube", ME, now)["refresh_token"]):
        assert reason(client.get(f"{API}/channels", token, part="id", mine="true")) == (401, "authError")


def test_a_grant_is_renewed_with_the_same_refresh_token_until_it_is_revoked(client: Client, me: dict[str, Any]) -> None:
    speaker = adapter(client, me)
    credentials = Credentials(me["access_token"], me["refresh_token"])
    app = App("app-1", "client", "a-secret-of-it")
    client.switch("youtube", require_client=True)
    for _ in range(2):
        renewed = speaker.run(YT.renew(speaker.account, credentials, app))
        assert renewed.refresh_token == "" and renewed.expires_at is not None
        assert 3500 < renewed.expires_at.timestamp() - time.time() < 3600
    client.switch("youtube", rotate_refresh=True)
    assert speaker.run(YT.renew(speaker.account, credentials, app)).refresh_token
    client.account("youtube", ME, revoked=True)
    with pytest.raises(TokenExpired):
        speaker.run(YT.renew(speaker.account, credentials, app))


def test_the_adapter_reads_sixty_videos_in_two_calls(client: Client, me: dict[str, Any]) -> None:
    speaker = adapter(client, me)
    found: dict[str, Any] = {}
    for start in (0, 50):
        found |= speaker.run(YT.fetch_posts(me["post_ids"][start : start + 50], speaker.account))
    assert list(found) == me["post_ids"]
    assert all(set(YT.metrics(raw)) == YT.dimensions() for raw in found.values())
    assert client.calls("youtube") == {"total": 2, "batch_get_stats": 2}


def test_the_adapter_mixes_channels_in_one_call(client: Client, me: dict[str, Any], now: float) -> None:
    ids = me["post_ids"][:2] + post_ids("youtube", "UCanother", 2, now=now)
    speaker = adapter(client, me)
    assert set(speaker.run(YT.fetch_posts(ids, speaker.account))) == set(ids)


def test_the_adapter_tells_hidden_numbers_from_zeros(client: Client, me: dict[str, Any]) -> None:
    one, two = me["post_ids"][-2:]
    client.switch("youtube", likes_hidden=[one], comments_off=[two], hidden_subscribers=True)
    speaker = adapter(client, me)
    found = speaker.run(YT.fetch_posts([one, two], speaker.account))
    first, second = (YT.metrics(found[video_id]) for video_id in (one, two))  # type: ignore[arg-type]
    assert first[Dimension.LIKES] is None and first[Dimension.COMMENTS] is not None
    assert second[Dimension.COMMENTS] is None and second[Dimension.LIKES] is not None
    account = speaker.run(YT.fetch_account(speaker.account))
    numbers = YT.account_metrics(account)  # type: ignore[arg-type]
    assert numbers[AccountDimension.FOLLOWERS] is None and numbers[AccountDimension.POSTS_COUNT]


def test_the_adapter_goes_on_where_the_newer_method_is_gone(client: Client, me: dict[str, Any]) -> None:
    client.switch("youtube", faults=[{"kind": "status", "status": 404, "group": "batch_get_stats"}])
    speaker = adapter(client, me)
    for _ in range(2):
        assert len(speaker.run(YT.fetch_posts(me["post_ids"][:9], speaker.account))) == 9
    assert client.calls("youtube") == {"total": 3, "batch_get_stats": 1, "videos": 2}


def test_the_adapter_lists_what_is_published(client: Client, me: dict[str, Any]) -> None:
    private, unlisted = me["post_ids"][:2]
    client.switch("youtube", private=[private], unlisted=[unlisted])
    speaker, cursor = adapter(client, me), ""
    found: list[Listed] = []
    while not found or cursor:
        page = speaker.run(YT.list_posts(speaker.account, cursor=cursor))
        found += page.posts
        cursor = page.cursor
    assert [post.id for post in found] == me["post_ids"][1:]
    assert client.calls("youtube") == {"total": 3, "channels": 1, "playlist_items": 2}
    client.account("youtube", ME, posts=0)
    assert speaker.run(YT.list_posts(speaker.account)).posts == ()


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"no_channel": True}, AccountNotFound),
        ({"faults": [{"kind": "account_suspended"}]}, AccountNotFound),
        ({"faults": [{"kind": "rate_limited"}]}, RateLimited),
        ({"faults": [{"kind": "rate_limited", "retry_after": 5}]}, RateLimited),
        ({"faults": [{"kind": "user_rate_limited"}]}, RateLimited),
        ({"faults": [{"kind": "token_expired"}]}, TokenExpired),
    ],
)
def test_the_adapter_understands_refusals(
    client: Client, me: dict[str, Any], change: dict[str, Any], error: type[Exception]
) -> None:
    client.switch("youtube", **change)
    speaker = adapter(client, me)
    with pytest.raises(error):
        speaker.run(YT.probe(speaker.account))


def test_the_adapter_proves_the_channel(client: Client, me: dict[str, Any]) -> None:
    adapter(client, me).run(YT.probe(Account("1", ME)))
    other = Account("1", "UCanother")
    with pytest.raises(TokenExpired):
        adapter(client, me, other).run(YT.probe(other))

"""The sandbox's Pinterest, and the adapter against it."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from platforms import registry
from platforms.base import Account, Item, Reading
from platforms.client import Client as Speaker
from platforms.client import Settings
from platforms.dimensions import AccountDimension, Dimension, Reason
from platforms.errors import Gone, PlatformError, RateLimited, ScopeMissing, TokenExpired, Unavailable
from platforms.hosts import HostMap
from platforms.oauth import App, Credentials
from platforms.sandbox.registry import post_ids
from platforms.tests.sandbox.conftest import Client

ME = "2783136121146311751"
API = "api.pinterest.com/v5"
PINTEREST = registry.get("pinterest")


@pytest.fixture
def me(client: Client) -> dict[str, Any]:
    return client.account("pinterest", ME)


@pytest.fixture
def account() -> Account:
    return Account(id="account-1", network_unique_id=ME)


def window(**more: str) -> dict[str, str]:
    today = datetime.now(UTC).date()
    return {"start_date": str(today - timedelta(days=89)), "end_date": str(today), "metric_types": "SAVE", **more}


def refresh(client: Client, token: str) -> Any:
    form = {"grant_type": "refresh_token", "refresh_token": token, "continuous_refresh": "true"}
    return client.post(f"{API}/oauth/token", data=form, auth=("app", "secret"))


def speaker(client: Client, me: dict[str, Any], account: Account, **more: Any) -> Speaker:
    settings = Settings(hosts=HostMap({}, sandbox=client.running.url))
    credentials = Credentials(access_token=me["access_token"], refresh_token=me["refresh_token"])
    return Speaker(PINTEREST, account, settings=settings, credentials=credentials, **more)


def saves(item: Item) -> int | None:
    assert not isinstance(item, PlatformError), item
    return PINTEREST.metrics(item.raw if isinstance(item, Reading) else item)[Dimension.SAVES]


# --- the wire ----------------------------------------------------------------------------------------------------


def test_the_listing_carries_lifetime_counts_page_by_page(client: Client, me: dict[str, Any]) -> None:
    bookmark, ids = None, []
    while True:
        query = {"page_size": 25, "pin_metrics": "true"} | ({"bookmark": bookmark} if bookmark else {})
        page = client.get(f"{API}/pins", me["access_token"], **query).json()
        ids += [pin["id"] for pin in page["items"]]
        bookmark = page["bookmark"]
        if not bookmark:
            break
    assert ids == me["post_ids"]
    lifetime = page["items"][0]["pin_metrics"]["lifetime_metrics"]
    assert set(lifetime) == {"impression", "pin_click", "clickthrough", "reaction", "comment"}
    assert client.get(f"{API}/pins", me["access_token"], page_size=251).status_code == 400


def test_a_window_may_not_be_longer_than_90_days(client: Client, me: dict[str, Any]) -> None:
    path = f"{API}/pins/{me['post_ids'][0]}/analytics"
    assert client.get(path, me["access_token"], **window()).status_code == 200
    for wrong in ({"start_date": "2020-01-01"}, {"end_date": "2020-01-01"}, {"metric_types": "NO"}):
        assert client.get(path, me["access_token"], **window(**wrong)).json()["code"] == 1


def test_the_days_of_a_window_add_up_and_tell_which_are_ready(client: Client, me: dict[str, Any]) -> None:
    path = f"{API}/pins/{me['post_ids'][30]}/analytics"
    found = client.get(path, me["access_token"], **window(metric_types="IMPRESSION,TOTAL_COMMENTS")).json()["all"]
    statuses = [row["data_status"] for row in found["daily_metrics"]]
    assert statuses[0] == "BEFORE_PIN_CREATED" and statuses[-2:] == ["READY", "PROCESSING"]
    told = sum(row["metrics"]["IMPRESSION"] for row in found["daily_metrics"] if "metrics" in row)
    assert 0 < told <= found["summary_metrics"]["IMPRESSION"]
    assert set(found["lifetime_metrics"]) == {"TOTAL_COMMENTS"}


def test_only_own_pins_have_analytics(client: Client, me: dict[str, Any]) -> None:
    foreign = client.account("pinterest", "1")["post_ids"][0]
    answer = client.get(f"{API}/pins/{foreign}/analytics", me["access_token"], **window())
    assert (answer.status_code, answer.json()["code"]) == (403, 403)
    batch = {"pin_ids": f"{me['post_ids'][0]},{foreign}", **window()}
    for told, status, code in (("absent", 200, None), ("404", 404, 50), ("401", 401, 7)):
        client.switch("pinterest", unknown_in_batch=told)
        answer = client.get(f"{API}/pins/analytics", me["access_token"], **batch)
        assert (answer.status_code, answer.json().get("code")) == (status, code)
    assert client.get(f"{API}/pins/{foreign}", me["access_token"], pin_metrics="true").json()["pin_metrics"] is None


def test_the_batch_takes_a_hundred_pins_and_not_every_app(client: Client, me: dict[str, Any]) -> None:
    ids = ",".join(str(10**17 + n) for n in range(101))
    assert client.get(f"{API}/pins/analytics", me["access_token"], pin_ids=ids, **window()).status_code == 400
    client.switch("pinterest", batch_analytics=False)
    assert client.get(f"{API}/pins/analytics", me["access_token"], pin_ids="1", **window()).status_code == 403


def test_views_are_for_videos_only(client: Client, me: dict[str, Any]) -> None:
    pins = client.get(f"{API}/pins", me["access_token"], page_size=250).json()["items"]
    kinds = {pin["media"]["media_type"]: pin["id"] for pin in pins}
    assert set(kinds) == {"video", "image"}
    found = {
        kind: client.get(
            f"{API}/pins/{pin_id}/analytics", me["access_token"], **window(metric_types="VIDEO_MRC_VIEW")
        ).status_code
        for kind, pin_id in kinds.items()
    }
    assert found == {"video": 200, "image": 400}


def test_tokens_expire_rotate_and_work_once(client: Client, me: dict[str, Any]) -> None:
    dead = client.account("pinterest", ME, token_lifetime=-1)
    answer = client.get(f"{API}/user_account", dead["access_token"])
    assert (answer.status_code, answer.json()["code"]) == (401, 2)
    pair = refresh(client, dead["refresh_token"]).json()
    assert (pair["expires_in"], pair["refresh_token_expires_in"]) == (2592000, 5184000)
    assert client.get(f"{API}/user_account", pair["access_token"]).json()["id"] == ME
    assert refresh(client, dead["refresh_token"]).status_code == 400
    client.switch("pinterest", rotates=False)
    assert "refresh_token" not in refresh(client, pair["refresh_token"]).json()


def test_limits_are_each_users_and_told_if_the_switch_says_so(client: Client, me: dict[str, Any]) -> None:
    client.switch("pinterest", limits={"org_read": 2}, limit_headers=True)
    found = [client.get(f"{API}/user_account", me["access_token"]) for _ in range(3)]
    assert [answer.status_code for answer in found] == [200, 200, 429]
    assert found[1].headers["x-ratelimit-remaining"] == "0" and found[2].json()["code"] == 8
    other = client.account("pinterest", "1")
    assert client.get(f"{API}/user_account", other["access_token"]).status_code == 200


def test_ids_made_elsewhere_are_the_ones_that_are_listed(client: Client, me: dict[str, Any], now: float) -> None:
    assert post_ids("pinterest", ME, 60, now=now) == me["post_ids"]
    assert all(len(one) <= 19 for one in me["post_ids"])


# --- the adapter -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("beta", "analytics"), [(True, 12), (False, 1000)])
def test_the_adapter_reads_a_thousand_pins(client: Client, account: Account, beta: bool, analytics: int) -> None:
    me = client.account("pinterest", ME, posts=1000, span_days=80)
    client.switch("pinterest", batch_analytics=beta, rate_limits=False)
    speaks = speaker(client, me, account)
    found = speaks.run(PINTEREST.fetch_posts(me["post_ids"], account))
    assert len(found) == 1000
    calls = client.calls("pinterest")
    assert calls["pins"] == 4 and calls.get("pin", 0) == 0
    made = calls["pins_analytics"] if beta else calls["pin_analytics"]
    assert made <= analytics
    assert None not in [saves(found[pin_id]) for pin_id in me["post_ids"][50:]]


def test_a_live_read_of_one_pin_takes_two_calls(client: Client, me: dict[str, Any], account: Account) -> None:
    speaks = speaker(client, me, account)
    (item,) = speaks.run(PINTEREST.fetch_posts(me["post_ids"][10:11], account)).values()
    assert speaks.usage.calls <= 3
    raw = item.raw if isinstance(item, Reading) else item
    assert isinstance(raw, dict)
    numbers = PINTEREST.metrics(raw)
    assert all(numbers[Dimension(name)] is not None for name in ("impressions", "likes", "comments", "saves", "clicks"))


def test_saves_of_a_pin_never_fall(client: Client, account: Account) -> None:
    me = client.account("pinterest", ME, posts=40, span_days=200)
    found = speaker(client, me, account).run(PINTEREST.fetch_posts(me["post_ids"], account))
    measured = [saves(item) is not None for item in found.values()]
    assert 10 < sum(measured) < 25


@pytest.mark.parametrize("told", ["absent", "404", "401"])
def test_deleted_and_foreign_pins_cost_only_themselves(
    client: Client, me: dict[str, Any], account: Account, told: str
) -> None:
    client.switch("pinterest", unknown_in_batch=told)
    client.post("_control/posts/delete", json={"platform": "pinterest", "ids": me["post_ids"][5:6]})
    foreign = client.account("pinterest", "1")["post_ids"][0]
    found = speaker(client, me, account).run(PINTEREST.fetch_posts([*me["post_ids"], foreign], account))
    assert isinstance(found[me["post_ids"][5]], Gone)
    assert set(PINTEREST.metrics(_raw(found[foreign])).values()) == {None}
    # The last two are older than the window.
    assert None not in [saves(found[pin_id]) for pin_id in me["post_ids"][6:-2]]


def _raw(item: Item) -> dict[str, Any]:
    assert not isinstance(item, PlatformError)
    return item.raw if isinstance(item, Reading) else item


def test_the_adapter_survives_a_metric_withdrawn_in_mid_run(
    client: Client, me: dict[str, Any], account: Account
) -> None:
    client.switch("pinterest", faults=[{"kind": "withdrawn", "metric": "SAVE"}])
    found = speaker(client, me, account).run(PINTEREST.fetch_posts(me["post_ids"], account))
    assert account.retired == {"SAVE"}
    for item in found.values():
        assert isinstance(item, Reading) and item.unavailable[Dimension.SAVES] is Reason.RETIRED
        assert PINTEREST.metrics(item.raw)[Dimension.CLICKS] is not None


def test_the_adapter_lists_own_pins_and_no_saves(client: Client, me: dict[str, Any], account: Account) -> None:
    client.switch("pinterest", repins=True)
    client.account("pinterest", ME, posts=300)
    speaks = speaker(client, me, account)
    page = speaks.run(PINTEREST.list_posts(account))
    posts = list(page.posts)
    while page.cursor:
        page = speaks.run(PINTEREST.list_posts(account, cursor=page.cursor))
        posts += page.posts
    assert 200 < len(posts) < 300 and speaks.usage.calls == 2
    assert all(post.raw and post.published_at and post.url.endswith(f"/{post.id}/") for post in posts)


@pytest.mark.parametrize("business", [True, False])
def test_the_adapter_measures_the_account(client: Client, me: dict[str, Any], account: Account, business: bool) -> None:
    client.switch("pinterest", business=business)
    speaks = speaker(client, me, account)
    speaks.run(PINTEREST.probe(account))
    numbers = PINTEREST.account_metrics(_raw(speaks.run(PINTEREST.fetch_account(account))))
    assert numbers[AccountDimension.FOLLOWERS] and numbers[AccountDimension.POSTS_COUNT]
    assert bool(numbers[AccountDimension.IMPRESSIONS]) is business


def test_the_adapter_renews_a_dead_token_once(client: Client, account: Account) -> None:
    dead = client.account("pinterest", ME, token_lifetime=-1)
    client.switch("pinterest", require_client=True)
    app = App(client_id="k", client_secret="s")

    def renew(refused: str) -> Credentials:
        tokens = speaker(client, dead, account, app=app).run(
            PINTEREST.renew(account, Credentials(refused, dead["refresh_token"]), app)
        )
        assert tokens.refresh_expires_at is not None
        return Credentials(tokens.access_token, tokens.refresh_token, tokens.expires_at)

    assert speaker(client, dead, account, renew=renew).run(PINTEREST.fetch_posts(dead["post_ids"][:1], account))
    with pytest.raises(TokenExpired):  # the refresh token was used
        speaker(client, dead, account, renew=renew).run(PINTEREST.fetch_posts(dead["post_ids"][:1], account))


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ({"kind": "rate_limited"}, RateLimited),
        ({"kind": "rate_limited", "retry_after": 9}, RateLimited),
        ({"kind": "scope_missing"}, ScopeMissing),
        ({"kind": "token_expired"}, TokenExpired),
        ({"kind": "server_error"}, Unavailable),
        ({"kind": "non_json"}, Unavailable),
        ({"kind": "empty"}, PlatformError),
        ({"kind": "close"}, Unavailable),
    ],
)
def test_the_adapter_tells_failures_apart(
    client: Client, me: dict[str, Any], account: Account, fault: dict[str, Any], error: type[PlatformError]
) -> None:
    client.switch("pinterest", faults=[fault])
    for ids in (me["post_ids"][:1], me["post_ids"]):
        with pytest.raises(error):
            speaker(client, me, account).run(PINTEREST.fetch_posts(ids, account))


def test_half_a_listing_missing_is_made_up_for_pin_by_pin(client: Client, me: dict[str, Any], account: Account) -> None:
    client.switch("pinterest", faults=[{"kind": "half_missing", "group": "pins"}])
    found = speaker(client, me, account).run(PINTEREST.fetch_posts(me["post_ids"][:20], account))
    assert len(found) == 20 and not any(isinstance(item, PlatformError) for item in found.values())

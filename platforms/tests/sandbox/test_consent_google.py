"""From consent to numbers on YouTube and Google Business Profile."""

from typing import Any

import pytest

from platforms.tests.sandbox.conftest import Client
from platforms.tests.sandbox.consenting import APP, SECRET, WAYS, Walk

DATA = "www.googleapis.com/youtube/v3"
ACCOUNTS = "mybusinessaccountmanagement.googleapis.com/v1/accounts"
INFORMATION = "mybusinessbusinessinformation.googleapis.com/v1"
PERFORMANCE = "businessprofileperformance.googleapis.com/v1"
MASK = "name,title,storefrontAddress,metadata"


def renew(client: Client, refresh_token: str) -> Any:
    form = {"grant_type": "refresh_token", "refresh_token": refresh_token, "client_id": APP, "client_secret": SECRET}
    return client.post("oauth2.googleapis.com/token", data=form).json()


def locations(client: Client, token: str, account: str = "accounts/-", **query: Any) -> Any:
    return client.get(f"{INFORMATION}/{account}/locations", token, readMask=MASK, **query)


def owner(client: Client, count: int) -> str:
    """The account on the page that owns so many locations."""
    walk = Walk(client, "google_business")
    tokens = {one.value: walk.tokens(one.value)["access_token"] for one in walk.form().named("account")}
    return next(
        one for one, token in tokens.items() if len(locations(client, token).json().get("locations", ())) == count
    )


def test_youtube_leads_to_one_channel_its_videos_and_their_numbers(client: Client) -> None:
    walk = Walk(client, "youtube")
    wanted = walk.form().named("account")[1].value
    back = walk.press("allow", accounts=[wanted])
    assert back.query["scope"] == " ".join(walk.way.scopes)
    tokens = walk.exchange(back.query["code"]).json()
    assert tokens["scope"] == back.query["scope"] and tokens["expires_in"] == 3599
    token = renew(client, tokens["refresh_token"])["access_token"]
    (channel,) = client.get(f"{DATA}/channels", token, part="snippet,contentDetails", mine="true").json()["items"]
    assert channel["id"] == wanted and channel["snippet"]["title"]
    uploads = channel["contentDetails"]["relatedPlaylists"]["uploads"]
    items = client.get(f"{DATA}/playlistItems", token, part="contentDetails", playlistId=uploads).json()["items"]
    ids = ",".join(one["contentDetails"]["videoId"] for one in items)
    found = client.get(f"{DATA}/videos:batchGetStats", token, part="id,statistics", id=ids).json()["items"]
    assert len(found) == len(items) and all(one["statistics"]["viewCount"] for one in found)


def test_a_channel_without_the_scope_is_refused_also_after_a_renewal(client: Client) -> None:
    tokens = Walk(client, "youtube").tokens(untick=(WAYS["youtube"].scopes[0],))
    renewed = renew(client, tokens["refresh_token"])
    assert renewed["scope"] == tokens["scope"] == WAYS["youtube"].scopes[1]
    for token in (tokens["access_token"], renewed["access_token"]):
        answer = client.get(f"{DATA}/channels", token, part="id", mine="true")
        assert answer.json()["error"]["errors"][0]["reason"] == "insufficientPermissions"


@pytest.mark.parametrize("key", ["youtube", "google_business"])
def test_a_refresh_token_comes_for_offline_access_and_again_only_with_the_page(client: Client, key: str) -> None:
    assert "refresh_token" not in Walk(client, key, access_type="").tokens()
    assert "refresh_token" in Walk(client, key, prompt="").tokens()
    assert "refresh_token" not in Walk(client, key, prompt="").tokens()
    assert "refresh_token" in Walk(client, key).tokens()


def test_a_location_owner_finds_accounts_locations_and_their_numbers(client: Client) -> None:
    token = Walk(client, "google_business").tokens(owner(client, 3))["access_token"]
    first, second = client.get(ACCOUNTS, token, pageSize=20).json()["accounts"]
    assert (first["type"], second["type"]) == ("PERSONAL", "LOCATION_GROUP")
    everything = locations(client, token).json()["locations"]
    own, grouped = (locations(client, token, one["name"]).json()["locations"] for one in (first, second))
    assert own + grouped == everything and len(everything) == 3
    assert len({one["title"] for one in everything}) == 3
    for one in everything:
        assert client.get(f"{INFORMATION}/{one['name']}", token, readMask="name").json() == {"name": one["name"]}
        days = {
            f"dailyRange.{end}Date.{part}": n
            for end in ("start", "end")
            for part, n in (("year", 2026), ("month", 1), ("day", 5))
        }
        path = f"{PERFORMANCE}/{one['name']}:fetchMultiDailyMetricsTimeSeries"
        series = client.get(path, token, dailyMetrics="WEBSITE_CLICKS", **days)
        assert series.json()["multiDailyMetricTimeSeries"]
    assert client.get(f"{INFORMATION}/locations/1", token, readMask="name").status_code == 404


def test_accounts_and_locations_come_in_pages(client: Client) -> None:
    token = Walk(client, "google_business").tokens(owner(client, 3))["access_token"]
    one = client.get(ACCOUNTS, token, pageSize=1).json()
    two = client.get(ACCOUNTS, token, pageSize=1, pageToken=one["nextPageToken"]).json()
    assert one["accounts"] != two["accounts"] and "nextPageToken" not in two
    first = locations(client, token, pageSize=2).json()
    rest = locations(client, token, pageSize=2, pageToken=first["nextPageToken"]).json()
    assert len(first["locations"] + rest["locations"]) == 3 and "nextPageToken" not in rest
    assert client.get(f"{INFORMATION}/accounts/-/locations", token).status_code == 400
    assert locations(client, token, "accounts/1").status_code == 404
    assert locations(client, token, pageSize=101).status_code == 400


def test_an_owner_of_nothing_has_an_account_and_no_locations(client: Client) -> None:
    token = Walk(client, "google_business").tokens(owner(client, 0))["access_token"]
    (account,) = client.get(ACCOUNTS, token).json()["accounts"]
    assert account["type"] == "PERSONAL"
    assert locations(client, token).json() == {}
    assert locations(client, token, account["name"]).json() == {}

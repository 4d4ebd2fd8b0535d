"""From consent to numbers on X, LinkedIn, TikTok, Pinterest and Reddit."""

from typing import Any

import pytest

from platforms.tests.sandbox.conftest import Client
from platforms.tests.sandbox.consenting import APP, SECRET, WAYS, Walk

REST = "api.linkedin.com/rest"
TIKTOK = "open.tiktokapis.com/v2"
PINS = "api.pinterest.com/v5"
REDDIT = "oauth.reddit.com"


def second(walk: Walk) -> str:
    """The second account on the page."""
    return walk.form().named("account")[1].value


def renew(walk: Walk, refresh_token: str) -> dict[str, Any]:
    answer = walk.exchange("", grant_type="refresh_token", refresh_token=refresh_token, redirect_uri="")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


# --- X -----------------------------------------------------------------------------------------------------------


def test_x_leads_to_the_user_and_their_posts(client: Client) -> None:
    walk = Walk(client, "x")
    wanted = second(walk)
    tokens = walk.tokens(wanted)
    assert (tokens["scope"], tokens["expires_in"]) == ("tweet.read users.read offline.access", 7200)
    token = renew(walk, tokens["refresh_token"])["access_token"]
    me = client.get("api.x.com/2/users/me", token).json()["data"]
    assert me["id"] == wanted and me["username"]
    posts = client.get(f"api.x.com/2/users/{wanted}/tweets", token, max_results=5).json()["data"]
    query = {"ids": posts[0]["id"], "tweet.fields": "public_metrics,non_public_metrics"}
    (post,) = client.get("api.x.com/2/tweets", token, **query).json()["data"]
    assert "public_metrics" in post and "non_public_metrics" in post


def test_x_gives_a_refresh_token_for_its_scope_only(client: Client) -> None:
    assert "refresh_token" not in Walk(client, "x", scopes=("tweet.read", "users.read")).tokens()
    for scopes in (("tweet.read",), ("users.read", "offline.access")):
        token = Walk(client, "x", scopes=scopes).tokens()["access_token"]
        for path in ("users/me", "tweets?ids=20"):
            answer = client.get(f"api.x.com/2/{path}", token)
            assert (answer.status_code, answer.json()["type"].rpartition("/")[2]) == (403, "oauth1-permissions")


def test_x_takes_a_public_client_without_a_header(client: Client) -> None:
    walk = Walk(client, "x")
    form = {"grant_type": "authorization_code", "code": walk.allow(), "redirect_uri": walk.query["redirect_uri"]}
    form["code_verifier"] = walk.way.verifier
    refused = client.post(walk.way.token, data=form)
    assert (refused.status_code, refused.json()["error"]) == (401, "unauthorized_client")
    assert client.post(walk.way.token, data={**form, "client_id": APP}).json()["access_token"]


# --- LinkedIn ----------------------------------------------------------------------------------------------------


def linkedin(client: Client, token: str, path: str, **query: str) -> Any:
    headers = {"Authorization": f"Bearer {token}", "LinkedIn-Version": "202609", "X-Restli-Protocol-Version": "2.0.0"}
    return client.http.get(f"{client.running.url}/{path}", params=query, headers=headers, timeout=5)


def roles(client: Client, token: str, **more: str) -> dict[str, Any]:
    query = {"q": "roleAssignee", "role": "ADMINISTRATOR", "state": "APPROVED", **more}
    found: dict[str, Any] = linkedin(client, token, f"{REST}/organizationAcls", **query).json()
    return found


def test_linkedin_leads_to_the_member_their_pages_and_their_posts(client: Client) -> None:
    walk = Walk(client, "linkedin")
    member = walk.form().named("account")[0].value
    tokens = walk.tokens(member)
    assert tokens["expires_in"] == 60 * 86400 and tokens["refresh_token_expires_in"] == 365 * 86400
    token = renew(walk, tokens["refresh_token"])["access_token"]
    assert linkedin(client, token, f"{REST}/me").json()["id"] == member.rpartition(":")[2]
    pages = [one["organization"] for one in roles(client, token)["elements"]]
    assert len(pages) == 2
    one = linkedin(client, token, f"{REST}/organizations/{pages[0].rpartition(':')[2]}").json()
    assert one["localizedName"] and one["id"] == int(pages[0].rpartition(":")[2])
    for page in pages:
        posts = linkedin(client, token, f"{REST}/posts", q="author", author=page, count="2").json()["elements"]
        shares = "shares" if ":share:" in posts[0]["id"] else "ugcPosts"
        query = {"q": "organizationalEntity", "organizationalEntity": page, shares: f"List({posts[0]['id']})"}
        found = linkedin(client, token, f"{REST}/organizationalEntityShareStatistics", **query).json()["elements"]
        assert found[0]["organizationalEntity"] == page and found[0]["totalShareStatistics"]["impressionCount"]
    query = {"q": "me", "queryType": "IMPRESSION", "aggregation": "TOTAL"}
    assert linkedin(client, token, f"{REST}/memberCreatorPostAnalytics", **query).json()["elements"][0]["count"]


def test_linkedin_pages_come_in_pages_and_in_batches(client: Client) -> None:
    walk = Walk(client, "linkedin")
    token = walk.tokens(walk.form().named("account")[0].value)["access_token"]
    first, rest = (roles(client, token, start=start, count="1") for start in ("0", "1"))
    assert [link["rel"] for link in first["paging"]["links"]] == ["next"]
    numbers = [each["elements"][0]["organization"].rpartition(":")[2] for each in (first, rest)]
    batch = linkedin(client, token, f"{REST}/organizations", ids=f"List({','.join(numbers)},9)").json()
    assert [*batch["results"]] == numbers and [*batch["errors"]] == ["9"]
    client.switch("linkedin", tier="development")
    assert linkedin(client, token, f"{REST}/organizations", ids="List(1)").status_code == 403


def test_a_linkedin_member_without_pages_has_none(client: Client) -> None:
    walk = Walk(client, "linkedin")
    token = walk.tokens(walk.form().named("account")[2].value)["access_token"]
    assert roles(client, token)["elements"] == []
    query = {"q": "author", "author": "urn:li:organization:5001"}
    assert linkedin(client, token, f"{REST}/posts", **query).status_code == 403


def test_a_linkedin_grant_covers_what_was_asked_for_and_no_more(client: Client) -> None:
    token = Walk(client, "linkedin", scopes=("openid", "profile")).tokens()["access_token"]
    assert linkedin(client, token, "api.linkedin.com/v2/userinfo").json()["sub"]
    assert linkedin(client, token, f"{REST}/me").status_code == 403
    token = Walk(client, "linkedin").tokens()["access_token"]
    refused = linkedin(client, token, "api.linkedin.com/v2/userinfo")
    assert (refused.status_code, "userinfo.GET.NO_VERSION" in refused.json()["message"]) == (403, True)


def test_another_set_of_scopes_ends_what_a_linkedin_app_was_granted_before(client: Client) -> None:
    first, again = (Walk(client, "linkedin").tokens() for _ in range(2))
    elsewhere = Walk(client, "linkedin", client_id="another")
    theirs = elsewhere.exchange(elsewhere.allow(), client_id="another").json()
    assert linkedin(client, first["access_token"], f"{REST}/me").status_code == 200
    walk = Walk(client, "linkedin", scopes=("r_basicprofile",))
    narrow = walk.tokens()["access_token"]
    for old in (first, again):
        answer = linkedin(client, old["access_token"], f"{REST}/me")
        assert (answer.status_code, answer.json()["code"]) == (401, "REVOKED_ACCESS_TOKEN")
        renewed = walk.exchange("", grant_type="refresh_token", refresh_token=old["refresh_token"], redirect_uri="")
        assert renewed.status_code == 400
    for alive in (narrow, theirs["access_token"]):
        assert linkedin(client, alive, f"{REST}/me").status_code == 200


def test_an_app_that_is_no_linkedin_partner_gets_no_refresh_token(client: Client) -> None:
    client.switch("linkedin", partner=False)
    tokens = Walk(client, "linkedin").tokens()
    assert set(tokens) == {"access_token", "expires_in", "scope"}


# --- TikTok ------------------------------------------------------------------------------------------------------


def test_tiktok_leads_to_the_user_and_their_videos(client: Client) -> None:
    walk = Walk(client, "tiktok")
    wanted = second(walk)
    code = walk.allow(wanted)
    assert "*" in code and "!" in code
    tokens = walk.exchange(code).json()
    assert tokens["open_id"] == wanted and tokens["refresh_expires_in"] == 365 * 86400
    token = renew(walk, tokens["refresh_token"])["access_token"]
    user = client.get(f"{TIKTOK}/user/info/", token, fields="open_id,display_name,follower_count").json()["data"][
        "user"
    ]
    assert user["open_id"] == wanted and user["follower_count"]
    listed = client.post(f"{TIKTOK}/video/list/", token, params={"fields": "id,view_count"}, json={"max_count": 2})
    assert len(listed.json()["data"]["videos"]) == 2


def test_tiktok_answers_what_was_granted(client: Client) -> None:
    walk = Walk(client, "tiktok", scopes=("user.info.basic", "user.info.profile", "user.info.stats", "video.list"))
    back = walk.press("allow", untick=("video.list", "user.info.stats"))
    tokens = walk.exchange(back.query["code"]).json()
    assert tokens["scope"] == back.query["scopes"] == "user.info.basic,user.info.profile"
    token = renew(walk, tokens["refresh_token"])["access_token"]
    user = client.get(f"{TIKTOK}/user/info/", token, fields="open_id,username").json()["data"]["user"]
    assert user["username"]
    refused = [
        client.get(f"{TIKTOK}/user/info/", token, fields="open_id,follower_count"),
        client.post(f"{TIKTOK}/video/list/", token, params={"fields": "id"}, json={}),
    ]
    assert [one.json()["error"]["code"] for one in refused] == ["scope_not_authorized"] * 2


# --- Pinterest ---------------------------------------------------------------------------------------------------


def test_pinterest_leads_to_the_user_and_their_pins(client: Client) -> None:
    walk = Walk(client, "pinterest")
    wanted = second(walk)
    tokens = walk.tokens(wanted)
    assert (tokens["response_type"], tokens["scope"]) == ("authorization_code", ",".join(walk.way.scopes))
    assert tokens["refresh_token_expires_in"] == 60 * 86400
    token = renew(walk, tokens["refresh_token"])["access_token"]
    user = client.get(f"{PINS}/user_account", token).json()
    assert user["id"] == wanted and user["username"]
    pins = client.get(f"{PINS}/pins", token, pin_metrics="true", page_size="2").json()["items"]
    assert len(pins) == 2 and pins[0]["pin_metrics"]


def test_a_pinterest_grant_covers_what_was_asked_for(client: Client) -> None:
    token = Walk(client, "pinterest", scopes=("user_accounts:read",)).tokens()["access_token"]
    assert client.get(f"{PINS}/user_account", token).status_code == 200
    answer = client.get(f"{PINS}/pins", token)
    assert (answer.status_code, answer.json()["code"]) == (401, 3)


@pytest.mark.parametrize("key", ["pinterest", "reddit"])
def test_an_app_that_names_itself_in_the_form_is_refused(client: Client, key: str) -> None:
    walk = Walk(client, key)
    form = {"grant_type": "authorization_code", "code": walk.allow(), "redirect_uri": walk.query["redirect_uri"]}
    answer = client.post(WAYS[key].token, data={**form, "client_id": APP, "client_secret": SECRET})
    assert answer.status_code == 401


# --- Reddit ------------------------------------------------------------------------------------------------------


def test_reddit_leads_to_the_user_and_their_submissions(client: Client) -> None:
    walk = Walk(client, "reddit")
    wanted = second(walk)
    tokens = walk.tokens(wanted)
    assert (tokens["scope"], tokens["token_type"]) == ("identity read history", "bearer")
    token = renew(walk, tokens["refresh_token"])["access_token"]
    me = client.get(f"{REDDIT}/api/v1/me", token).json()
    assert me["id"] == wanted
    posts = client.get(f"{REDDIT}/user/{me['name']}/submitted", token, limit=2).json()["data"]["children"]
    found = client.get(f"{REDDIT}/api/info", token, id=posts[0]["data"]["name"]).json()["data"]["children"]
    assert len(posts) == 2 and found[0]["data"]["ups"] >= 1


def test_reddit_gives_a_refresh_token_for_a_permanent_grant_only(client: Client) -> None:
    assert "refresh_token" not in Walk(client, "reddit", duration="temporary").tokens()
    token = Walk(client, "reddit", scopes=("identity",)).tokens()["access_token"]
    assert client.get(f"{REDDIT}/api/v1/me", token).status_code == 200
    refused = client.get(f"{REDDIT}/api/info", token, id="t3_a")
    assert refused.status_code == 403 and "insufficient_scope" in refused.headers["www-authenticate"]

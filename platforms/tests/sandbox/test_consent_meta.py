"""From consent to numbers on Facebook, Instagram and Threads."""

from typing import Any

import pytest

from platforms.tests.sandbox.conftest import Client
from platforms.tests.sandbox.consenting import APP, SECRET, Walk, platform_of

GRAPH = "graph.facebook.com/v26.0"
IL = "graph.instagram.com/v26.0"
THREADS = "graph.threads.net/v1.0"
APP_QUERY = {"client_id": APP, "client_secret": SECRET}


def long_lived(client: Client, short: str) -> dict[str, Any]:
    query = {**APP_QUERY, "grant_type": "fb_exchange_token", "fb_exchange_token": short}
    answer = client.get(f"{GRAPH}/oauth/access_token", **query)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def accounts(client: Client, token: str, **query: Any) -> dict[str, Any]:
    found: dict[str, Any] = client.get(f"{GRAPH}/me/accounts", access_token=token, **query).json()
    return found


def code_of(answer: Any) -> int:
    code: int = answer.json()["error"]["code"]
    return code


# --- Facebook ----------------------------------------------------------------------------------------------------


def test_a_person_names_the_pages_they_granted_and_each_reads_its_posts(client: Client) -> None:
    walk = Walk(client, "facebook")
    ids = [one.value for one in walk.form().named("account")]
    short = walk.tokens(*ids[:2])
    assert 3600 <= short["expires_in"] <= 7200
    token = long_lived(client, short["access_token"])["access_token"]
    rows = accounts(client, token, fields="id,name,access_token,tasks,followers_count", limit=100)["data"]
    assert [row["id"] for row in rows] == ids[:2] and rows[0]["name"] != rows[1]["name"]
    assert all("ANALYZE" in row["tasks"] and row["followers_count"] for row in rows)
    assert client.get(f"{GRAPH}/me", fields="id", access_token=token).json()["id"] not in ids
    for row in rows:
        mine = {"access_token": row["access_token"]}
        assert client.get(f"{GRAPH}/me", fields="id", **mine).json() == {"id": row["id"]}
        (post,) = client.get(f"{GRAPH}/{row['id']}/published_posts", limit=1, fields="id", **mine).json()["data"]
        metric = {"metric": "post_clicks", "period": "lifetime"}
        assert client.get(f"{GRAPH}/{post['id']}/insights", **metric, **mine).json()["data"]
    for page_id in (ids[0], ids[2]):
        foreign = client.get(f"{GRAPH}/{page_id}", fields="name", access_token=rows[1]["access_token"])
        assert foreign.status_code == 400


def test_the_list_of_pages_comes_in_pages_of_its_own(client: Client) -> None:
    walk = Walk(client, "facebook")
    token, found, query = walk.tokens()["access_token"], [], {"limit": 2}
    while rows := (answer := accounts(client, token, **query))["data"]:
        found += [row["id"] for row in rows]
        query["after"] = answer["paging"]["cursors"]["after"]
    assert found == [one.value for one in walk.form().named("account")]


def test_a_page_token_lasts_as_long_as_the_persons(client: Client) -> None:
    short = Walk(client, "facebook").tokens()["access_token"]
    ends = [
        client.get(f"{GRAPH}/debug_token", input_token=row["access_token"], access_token=short).json()["data"]
        for token in (short, long_lived(client, short)["access_token"])
        for row in accounts(client, token)["data"][:1]
    ]
    assert ends[0]["expires_at"] > 0 and ends[1]["expires_at"] == 0
    assert ends[0]["type"] == "PAGE" and "read_insights" in ends[0]["scopes"]


def test_a_persons_token_is_no_pages_token(client: Client) -> None:
    walk = Walk(client, "facebook")
    token, page_id = walk.tokens()["access_token"], walk.form().named("account")[1].value
    assert code_of(client.get(f"{GRAPH}/{page_id}/published_posts", access_token=token)) == 210
    node = client.get(f"{GRAPH}/{page_id}", fields="access_token", access_token=token).json()
    assert client.get(f"{GRAPH}/me", access_token=node["access_token"]).json()["id"] == page_id


def test_a_person_may_grant_no_page_at_all(client: Client) -> None:
    walk = Walk(client, "facebook")
    back = client.post(
        walk.way.authorize, params=walk.query, data={"decision": "allow"}, allow_redirects=False
    ).headers["Location"]
    token = walk.exchange(back.partition("code=")[2].partition("&")[0]).json()["access_token"]
    assert accounts(client, token) == {"data": []}
    assert client.get(f"{GRAPH}/me", access_token=token).status_code == 200


def test_what_was_unticked_on_facebook_is_not_answered(client: Client) -> None:
    def page(*unticked: str) -> tuple[str, str, str]:
        walk = Walk(client, "facebook")
        row = accounts(client, walk.tokens(untick=unticked)["access_token"])["data"][0]
        rows = client.get(f"{GRAPH}/{row['id']}/published_posts", access_token=row["access_token"]).json()
        return row["id"], row["access_token"], rows["data"][0]["id"] if "data" in rows else ""

    _, token, post = page("read_insights")
    metric = {"metric": "post_clicks", "period": "lifetime"}
    assert client.get(f"{GRAPH}/{post}/insights", **metric, access_token=token).json() == {"data": []}
    _, token, post = page("pages_read_user_content")
    gated = {"fields": "id,comments.summary(true).limit(0)"}
    assert code_of(client.get(f"{GRAPH}/{post}", **gated, access_token=token)) == 10
    assert client.get(f"{GRAPH}/{post}", fields="id,shares", access_token=token).status_code == 200
    page_id, token, post = page("pages_read_engagement")
    assert not post and code_of(client.get(f"{GRAPH}/{page_id}/posts", access_token=token)) == 200
    hidden = Walk(client, "facebook").tokens(untick=("pages_show_list",))["access_token"]
    assert accounts(client, hidden) == {"data": []}


def test_a_longer_token_takes_the_apps_secret(client: Client) -> None:
    short = Walk(client, "facebook").tokens()["access_token"]
    query = {"grant_type": "fb_exchange_token", "fb_exchange_token": short, "client_id": APP}
    assert client.get(f"{GRAPH}/oauth/access_token", **query).status_code == 400
    assert long_lived(client, short)["expires_in"] == 60 * 86400


@pytest.mark.parametrize(("key", "row"), [("facebook", "id"), ("instagram_facebook", "instagram_business_account")])
def test_pages_of_a_business_are_found_through_it(client: Client, key: str, row: str) -> None:
    scopes = (*Walk(client, key).way.scopes, "business_management")
    walk = Walk(client, key, scopes=scopes)
    ids = [one.value for one in walk.form().named("account")]
    client.switch(platform_of(key), business_pages=ids[1:])
    token = walk.tokens()["access_token"]

    def found(edge: str) -> list[str]:
        fields = "id,access_token,instagram_business_account{id}" if row != "id" else "id,access_token"
        rows = client.get(f"{GRAPH}/{edge}", fields=fields, access_token=token).json()["data"]
        assert all(each["access_token"] for each in rows)
        return [each["id"] if row == "id" else each[row]["id"] for each in rows if row in each]

    (business,) = client.get(f"{GRAPH}/me/businesses", access_token=token).json()["data"]
    assert found("me/accounts") == ids[:1]
    assert (found(f"{business['id']}/owned_pages"), found(f"{business['id']}/client_pages")) == (ids[1:], [])
    assert code_of(client.get(f"{GRAPH}/1/owned_pages", access_token=token)) == 100
    without = Walk(client, key).tokens()["access_token"]
    for edge in ("me/businesses", f"{business['id']}/owned_pages"):
        assert code_of(client.get(f"{GRAPH}/{edge}", access_token=without)) == 10


@pytest.mark.parametrize("key", ["facebook", "instagram_facebook"])
def test_an_app_looks_at_a_token_in_its_own_name(client: Client, key: str) -> None:
    walk = Walk(client, key)
    token = walk.tokens(untick=("pages_show_list",))["access_token"]
    told = client.get(f"{GRAPH}/debug_token", input_token=token, access_token=f"{APP}|{SECRET}").json()["data"]
    assert told["is_valid"] and set(told["scopes"]) == {*walk.way.scopes} - {"pages_show_list"}
    assert told["expires_at"] > 0
    garbage = client.get(f"{GRAPH}/debug_token", input_token="x", access_token=f"{APP}|{SECRET}").json()["data"]
    assert garbage["is_valid"] is False
    for bad in (f"{APP}|", APP, "|"):
        assert client.get(f"{GRAPH}/debug_token", input_token=token, access_token=bad).status_code == 401
    assert client.get(f"{GRAPH}/me", access_token=f"{APP}|{SECRET}").status_code == 401


@pytest.mark.parametrize(("key", "config_id"), [("facebook", "1"), ("instagram_facebook", "instagram-1")])
def test_a_configuration_of_the_app_stands_for_scopes(client: Client, key: str, config_id: str) -> None:
    walk = Walk(client, key, scopes=(), config_id=config_id)
    assert {one.value for one in walk.form().named("scope")} == {*walk.way.scopes}
    assert accounts(client, walk.tokens()["access_token"])["data"]
    assert client.calls(platform_of(key))["authorize"] == 3


# --- Instagram ---------------------------------------------------------------------------------------------------


def test_instagram_login_leads_to_one_account(client: Client) -> None:
    walk = Walk(client, "instagram")
    wanted = walk.form().named("account")[1].value
    short = walk.tokens(wanted)
    assert short["user_id"] == int(wanted) and short["permissions"] == list(walk.way.scopes)
    query = {"grant_type": "ig_exchange_token", "access_token": short["access_token"]}
    assert client.get("graph.instagram.com/access_token", **query).status_code == 400
    answer = client.get("graph.instagram.com/access_token", **query, client_secret=SECRET).json()
    assert answer["expires_in"] == 60 * 86400
    mine = {"access_token": answer["access_token"]}
    me = client.get(f"{IL}/me", fields="user_id,username,name,account_type", **mine).json()
    assert (me["user_id"], me["account_type"]) == (wanted, "BUSINESS")
    (media,) = client.get(f"{IL}/me/media", limit=1, **mine).json()["data"]
    assert client.get(f"{IL}/{media['id']}/insights", metric="views", **mine).json()["data"]


def test_instagram_login_answers_in_two_shapes_and_with_a_tail(client: Client) -> None:
    client.switch("instagram", short_answer="data")
    walk = Walk(client, "instagram")
    code = walk.allow()
    assert walk.exchange(f"{code}#_").status_code == 400
    (told,) = walk.exchange(code).json()["data"]
    assert told["access_token"].startswith("IGAA") and told["user_id"]


def test_what_was_unticked_on_instagram_is_refused(client: Client) -> None:
    short = Walk(client, "instagram").tokens(untick=("instagram_business_manage_insights",))
    assert short["permissions"] == ["instagram_business_basic"]
    mine = {"access_token": short["access_token"]}
    (media,) = client.get(f"{IL}/me/media", limit=1, fields="id", **mine).json()["data"]
    assert code_of(client.get(f"{IL}/{media['id']}/insights", metric="views", **mine)) == 10
    expanded = client.get(f"{IL}/me/media", fields="id,insights.metric(views)", **mine)
    assert code_of(expanded) == 10


def test_facebook_login_finds_instagram_accounts_behind_pages(client: Client) -> None:
    walk = Walk(client, "instagram_facebook")
    ids = [one.value for one in walk.form().named("account")]
    token = long_lived(client, walk.tokens(*ids[:2])["access_token"])["access_token"]
    fields = "id,name,access_token,instagram_business_account{id,username}"
    rows = accounts(client, token, fields=fields)["data"]
    linked = [row["instagram_business_account"]["id"] for row in rows if "instagram_business_account" in row]
    assert linked == ids[:2] and len(rows) == 3
    assert client.get(f"{GRAPH}/me", access_token=token).json()["id"] not in ids
    for row, account_id in zip(rows, ids, strict=False):
        if account_id in linked:
            for mine in ({"access_token": row["access_token"]}, {"access_token": token}):
                assert client.get(f"{GRAPH}/{account_id}", fields="id", **mine).json() == {"id": account_id}
                (media,) = client.get(f"{GRAPH}/{account_id}/media", limit=1, **mine).json()["data"]
                assert client.get(f"{GRAPH}/{media['id']}/insights", metric="views", **mine).json()["data"]
            node = client.get(f"{GRAPH}/{row['id']}", fields="instagram_business_account", access_token=token).json()
            assert node["instagram_business_account"]["id"] == account_id
    for path in (ids[2], "me/media"):
        assert client.get(f"{GRAPH}/{path}", access_token=token).status_code == 400


@pytest.mark.parametrize(
    ("scope", "found"),
    [("pages_show_list", {"data": []}), ("instagram_basic", None)],
)
def test_facebook_login_without_a_scope_finds_less(client: Client, scope: str, found: Any) -> None:
    token = Walk(client, "instagram_facebook").tokens(untick=(scope,))["access_token"]
    answer = accounts(client, token, fields="id,instagram_business_account{id}")
    assert answer == found if found else all("instagram_business_account" not in row for row in answer["data"])


# --- Threads -----------------------------------------------------------------------------------------------------


def test_threads_leads_from_a_code_to_a_long_token_and_numbers(client: Client) -> None:
    walk = Walk(client, "threads")
    wanted = walk.form().named("account")[2].value
    short = walk.tokens(wanted)
    assert short["user_id"] == int(wanted)
    query = {"grant_type": "th_exchange_token", "client_secret": SECRET}
    path = "graph.threads.net/access_token"
    long = client.get(path, **query, access_token=short["access_token"]).json()
    assert long["expires_in"] == 60 * 86400
    assert code_of(client.get(path, **query, access_token=long["access_token"])) == 452
    mine = {"access_token": long["access_token"]}
    me = client.get(f"{THREADS}/me", fields="id,username,name", **mine).json()
    assert me["id"] == wanted and me["username"]
    (post,) = client.get(f"{THREADS}/me/threads", limit=1, **mine).json()["data"]
    assert client.get(f"{THREADS}/{post['id']}/insights", metric="views", **mine).json()["data"]


def test_what_was_unticked_on_threads_is_refused(client: Client) -> None:
    token = Walk(client, "threads").tokens(untick=("threads_manage_insights",))["access_token"]
    mine = {"access_token": token}
    (post,) = client.get(f"{THREADS}/me/threads", limit=1, **mine).json()["data"]
    assert code_of(client.get(f"{THREADS}/{post['id']}/insights", metric="views", **mine)) == 10
    debug = client.get(f"{THREADS}/debug_token", input_token=token, **mine).json()["data"]
    assert debug["scopes"] == ["threads_basic"]

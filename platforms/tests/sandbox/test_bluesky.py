"""The sandbox's Bluesky."""

from typing import Any

import pytest

from platforms.sandbox.app import Sandbox, SandboxRequest, SandboxResponse
from platforms.sandbox.registry import post_ids, tokens
from platforms.tests.sandbox.conftest import Client
from platforms.tests.sandbox.test_facebook import speaker

DID = "did:plc:ewvi7nxzyoun6zhxrhs64oiz"
PUBLIC = "public.api.bsky.app/xrpc/app.bsky"
SERVER = "morel.us-east.host.bsky.network/xrpc/com.atproto.server"


@pytest.fixture
def me(client: Client) -> dict[str, Any]:
    return client.account("bluesky", DID)


def session_call(sandbox: Sandbox, method: str, token: str, now: float) -> SandboxResponse:
    verb = "GET" if method == "getSession" else "POST"
    path = f"/xrpc/com.atproto.server.{method}"
    request = SandboxRequest(verb, "pds.example.com", path, {}, {"authorization": f"Bearer {token}"})
    return sandbox.handle(request, now)


def test_posts_come_in_the_order_asked_and_without_the_missing(client: Client, me: dict[str, Any]) -> None:
    uris = me["post_ids"][:3]
    client.post("_control/posts/delete", json={"platform": "bluesky", "ids": uris[1:2]})
    odd = f"at://{DID}/app.bsky.feed.post/3kxyz"
    by_handle = uris[0].replace(DID, "jane.bsky.social")
    answer = client.get(f"{PUBLIC}.feed.getPosts", uris=[uris[2], uris[1], odd, by_handle, uris[0], uris[0]]).json()
    assert [post["uri"] for post in answer["posts"]] == [uris[2], uris[0]]
    assert all(isinstance(answer["posts"][0][name], int) for name in ("likeCount", "repostCount", "bookmarkCount"))
    assert "viewer" not in answer["posts"][0]


def test_more_than_a_batch_is_refused(client: Client) -> None:
    uris = [f"at://{DID}/app.bsky.feed.post/3kxyz{n}" for n in range(26)]
    answer = client.get(f"{PUBLIC}.feed.getPosts", uris=uris)
    assert (answer.status_code, answer.json()["error"]) == (400, "InvalidRequest")


def test_profiles_answer_one_by_one_and_in_batches(client: Client) -> None:
    one = client.get(f"{PUBLIC}.actor.getProfile", actor=DID).json()
    assert one["did"] == DID and one["followersCount"] > 0
    many = client.get(f"{PUBLIC}.actor.getProfiles", actors=[DID, "did:nonsense"]).json()
    assert [profile["did"] for profile in many["profiles"]] == [DID]
    missing = client.get(f"{PUBLIC}.actor.getProfile", actor="did:nonsense")
    assert (missing.status_code, missing.json()["message"]) == (400, "Profile not found")


def test_a_feed_is_paged_with_a_cursor(client: Client, me: dict[str, Any]) -> None:
    found, cursor = [], ""
    while True:
        page = client.get(f"{PUBLIC}.feed.getAuthorFeed", actor=DID, limit=25, cursor=cursor).json()
        found += [item["post"]["uri"] for item in page["feed"]]
        cursor = page.get("cursor", "")
        if not cursor:
            break
    assert found == me["post_ids"]


def test_a_handle_leads_to_its_did(client: Client) -> None:
    resolve = "public.api.bsky.app/xrpc/com.atproto.identity.resolveHandle"
    handle = client.get(f"{PUBLIC}.actor.getProfile", actor=DID).json()["handle"]
    assert client.get(resolve, handle=handle).json() == {"did": DID}
    assert client.get(resolve, handle="not a handle").status_code == 400


def test_a_pds_wants_a_token_and_tells_why_it_refuses_one(client: Client, me: dict[str, Any]) -> None:
    expired = client.account("bluesky", DID, token_lifetime=-1)["access_token"]
    found = [client.get(f"{SERVER}.getSession", token) for token in ("", "garbage", expired, me["refresh_token"])]
    assert [(one.status_code, one.json()["error"]) for one in found] == [
        (401, "AuthMissing"),
        (400, "InvalidToken"),
        (400, "ExpiredToken"),
        (400, "InvalidToken"),
    ]
    good = client.get(f"{SERVER}.getSession", me["access_token"])
    assert good.json()["did"] == DID and good.json()["active"] is True
    assert good.headers["RateLimit-Policy"] == "3000;w=300"
    wrong_kind = client.post(f"{SERVER}.refreshSession", me["access_token"])
    assert (wrong_kind.status_code, wrong_kind.json()["error"]) == (400, "InvalidToken")


def test_a_used_refresh_token_works_for_two_hours_more(now: float) -> None:
    sandbox, old = Sandbox(), tokens("bluesky", DID, now)["refresh_token"]
    first = session_call(sandbox, "refreshSession", old, now).json()
    again = session_call(sandbox, "refreshSession", old, now + 7100).json()
    assert again["refreshJwt"] != first["refreshJwt"]
    late = session_call(sandbox, "refreshSession", old, now + 7300)
    assert (late.status, late.json()["error"]) == (400, "ExpiredToken")
    assert session_call(sandbox, "refreshSession", first["refreshJwt"], now + 9000).status == 200


def test_a_deleted_app_password_ends_refreshing_but_not_the_access_token(client: Client, me: dict[str, Any]) -> None:
    client.account("bluesky", DID, revoked=True)
    refused = client.post(f"{SERVER}.refreshSession", me["refresh_token"])
    assert (refused.status_code, refused.json()["message"]) == (400, "Token has been revoked")
    assert client.get(f"{SERVER}.getSession", me["access_token"]).status_code == 200


def test_an_inactive_account_says_so(client: Client, me: dict[str, Any]) -> None:
    client.account("bluesky", DID, active=False, status="takendown")
    session = client.get(f"{SERVER}.getSession", me["access_token"]).json()
    assert (session["active"], session["status"]) == (False, "takendown")
    assert client.post(f"{SERVER}.refreshSession", me["refresh_token"]).json()["error"] == "AccountTakedown"
    assert client.get(f"{PUBLIC}.actor.getProfile", actor=DID).json()["error"] == "AccountTakedown"
    assert client.get(f"{PUBLIC}.feed.getPosts", uris=me["post_ids"][:1]).json() == {"posts": []}


def test_a_session_is_opened_with_an_app_password_only(client: Client) -> None:
    create = "bsky.social/xrpc/com.atproto.server.createSession"
    body = {"identifier": "jane.bsky.social", "password": "aaaa-bbbb-cccc-dddd"}
    opened = client.post(create, json=body).json()
    assert opened["handle"] == "jane.bsky.social"
    assert opened["didDoc"]["service"][0]["serviceEndpoint"] == "https://bsky.social"
    assert client.get(f"{SERVER}.getSession", opened["accessJwt"]).json()["did"] == opened["did"]
    wrong = client.post(create, json={**body, "password": "my dog"})
    assert (wrong.status_code, wrong.json()["error"]) == (401, "AuthenticationRequired")


def test_logins_are_few(client: Client) -> None:
    create = "bsky.social/xrpc/com.atproto.server.createSession"
    body = {"identifier": "few.bsky.social", "password": "aaaa-bbbb-cccc-dddd"}
    found = [client.post(create, json=body).status_code for _ in range(31)]
    assert found == [200] * 30 + [429]


def test_ids_made_elsewhere_are_the_ones_that_are_listed(me: dict[str, Any], now: float) -> None:
    assert post_ids("bluesky", DID, 60, now=now) == me["post_ids"]


def test_the_adapter_lists_a_feed(client: Client, me: dict[str, Any]) -> None:
    speaking = speaker(client, "bluesky", DID, me["access_token"])
    page = speaking.run(speaking.platform.list_posts(speaking.account))
    assert [each.id for each in page.posts] == me["post_ids"] and not page.cursor
    assert all(each.url and each.published_at and each.raw for each in page.posts)

"""From a handle and an app password to a session, and to numbers, on the sandbox's AT Protocol network."""

from typing import Any

from platforms.tests.sandbox.conftest import Client

HANDLE = "jane.example.com"
PDS = "morel.us-east.host.bsky.network"
PASSWORD = "abcd-efgh-2345-wxyz"


def did_of(client: Client, handle: str = HANDLE) -> str:
    answer = client.get(f"{handle}/.well-known/atproto-did")
    assert answer.status_code == 200 and answer.headers["Content-Type"].startswith("text/plain")
    return answer.text


def login(client: Client, host: str, identifier: str, password: str = PASSWORD) -> Any:
    body = {"identifier": identifier, "password": password}
    return client.post(f"{host}/xrpc/com.atproto.server.createSession", json=body)


def test_a_handle_leads_to_a_did_its_pds_a_session_and_numbers(client: Client) -> None:
    did = did_of(client)
    resolved = client.get("public.api.bsky.app/xrpc/com.atproto.identity.resolveHandle", handle=HANDLE)
    assert resolved.json() == {"did": did}
    client.account("bluesky", did, pds=f"https://{PDS}")
    document = client.get(f"plc.directory/{did}").json()
    assert (document["id"], document["alsoKnownAs"]) == (did, [f"at://{HANDLE}"])
    (service,) = document["service"]
    assert (service["id"], service["serviceEndpoint"]) == ("#atproto_pds", f"https://{PDS}")
    session = login(client, PDS, HANDLE).json()
    assert (session["did"], session["handle"], session["didDoc"]) == (did, HANDLE, document)
    token = session["accessJwt"]
    assert client.get(f"{PDS}/xrpc/com.atproto.server.getSession", token).json()["handle"] == HANDLE
    feed = client.get(f"{PDS}/xrpc/app.bsky.feed.getAuthorFeed", token, actor=did, limit=1).json()["feed"]
    assert feed[0]["post"]["author"]["handle"] == HANDLE and feed[0]["post"]["likeCount"] >= 0


def test_an_account_is_at_home_on_its_own_pds_and_at_the_entryway(client: Client) -> None:
    did = did_of(client)
    client.account("bluesky", did, pds=f"https://{PDS}")
    assert login(client, "bsky.social", did).json()["didDoc"]["service"][0]["serviceEndpoint"] == f"https://{PDS}"
    elsewhere = login(client, "pds.example.com", did)
    assert (elsewhere.status_code, elsewhere.json()["error"]) == (401, "AuthenticationRequired")


def test_a_wrong_password_and_an_unknown_name_look_alike(client: Client) -> None:
    did = did_of(client)
    client.account("bluesky", did, app_password=PASSWORD)
    tries = [
        login(client, "bsky.social", HANDLE, "aaaa-bbbb-cccc-dddd"),
        login(client, "bsky.social", HANDLE, "hunter2"),
        login(client, "bsky.social", "not a handle"),
        login(client, "bsky.social", "did:nonsense"),
    ]
    assert {(one.status_code, one.json()["error"]) for one in tries} == {(401, "AuthenticationRequired")}
    assert login(client, "bsky.social", HANDLE).status_code == 200


def test_a_did_of_the_web_is_documented_by_its_own_host(client: Client) -> None:
    document = client.get("blog.example.org/.well-known/did.json").json()
    assert (document["id"], document["alsoKnownAs"]) == ("did:web:blog.example.org", ["at://blog.example.org"])
    assert login(client, "bsky.social", "did:web:blog.example.org").json()["did"] == "did:web:blog.example.org"


def test_who_is_gone_is_not_found(client: Client) -> None:
    did = did_of(client)
    client.post("_control/posts/delete", json={"platform": "bluesky", "ids": [did]})
    assert client.get(f"{HANDLE}/.well-known/atproto-did").status_code == 404
    assert client.get(f"plc.directory/{did}").status_code == 410
    assert client.get("plc.directory/did:plc:UPPER").status_code == 404
    answer = client.get("bsky.social/xrpc/com.atproto.identity.resolveHandle", handle=HANDLE)
    assert (answer.status_code, answer.json()["message"]) == (400, "Unable to resolve handle")


def test_a_password_is_tried_so_often_and_no_more(client: Client) -> None:
    tries = [login(client, "bsky.social", HANDLE, "wrong").status_code for _ in range(31)]
    assert tries == [401] * 30 + [429]

"""Bluesky end to end: our HTTP API against AT Protocol's own development network."""

import json
import os
import shutil
import socket
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests

from platforms.tests.real.client import DevAccount, Ref
from platforms.tests.real.network import DevNetwork, postgres_url
from platforms.tests.real.proxy import CountingProxy
from platforms.tests.real.service import Service, free_port

pytestmark = [pytest.mark.real, pytest.mark.timeout(900)]

PDS_HOST = "pds.devnet.example"
APPVIEW_HOST = "public.api.bsky.app"
GET_POSTS = "app.bsky.feed.getPosts"
GET_PROFILE = "app.bsky.actor.getProfile"
GET_SESSION = "com.atproto.server.getSession"
CREATE_SESSION = "com.atproto.server.createSession"
CONNECT = "social-accounts/bluesky/connect"
REFRESH_SESSION = "com.atproto.server.refreshSession"
UNSUPPORTED = dict.fromkeys(("impressions", "reach", "clicks", "video_views"), "unsupported")
APP_PASSWORD_SCOPE = "com.atproto.appPass"

_numbers = count(1)


@dataclass(frozen=True)
class Stage:
    """The network, what is seen on the way to it, and our service."""

    network: DevNetwork
    pds: CountingProxy
    appview: CountingProxy
    service: Service

    def person(self, name: str) -> DevAccount:
        return self.network.create_account(f"{name}-{next(_numbers)}.test")

    def connect(self, person: DevAccount) -> str:
        """Connect the account with tokens of an app password; our id of it."""
        session = person.sign_in(person.create_app_password("postfuze"))
        body = {
            "platform": "bluesky",
            "network_unique_id": person.did,
            "username": person.handle,
            "access_token": session.access_token,
            "refresh_token": session.refresh_token,
            "extra": {"pds_host": f"https://{PDS_HOST}"},
        }
        return str(self.service.call("POST", "social-accounts", expect=201, json=body)["id"])

    def register(self, account_id: str, ref: Ref) -> str:
        """Our id of a post that is already out."""
        return str(self.service.call("POST", "posts", expect=201, json=_registration(account_id, ref))["id"])

    def analytics(self, post_id: str, **params: int) -> dict[str, Any]:
        return self.service.get(f"posts/{post_id}/analytics", **params)

    def history(self, post_id: str) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = self.service.get(f"posts/{post_id}/analytics/history")["data"]
        return rows

    def collect(self, account_id: str) -> dict[str, Any]:
        summary: dict[str, Any] = json.loads(self.service.manage("collect", "--account", account_id, "--json"))
        return summary

    def expire_access_token(self, account_id: str, did: str) -> None:
        """Give the account a token that has ended, though nothing but the network says so."""
        body = {
            "access_token": self.network.expired_access_token(did, scope=APP_PASSWORD_SCOPE),
            "token_expires_at": (datetime.now(UTC) + timedelta(hours=1)).isoformat(),
        }
        self.service.call("PATCH", f"social-accounts/{account_id}", json=body)

    def health(self, account_id: str) -> tuple[dict[str, Any], list[tuple[str, int]]]:
        """The health answer, and the calls to the PDS that it took."""
        self.pds.clear()
        answer = self.service.get(f"social-accounts/{account_id}/health")
        return answer, [(call.method, call.status) for call in self.pds.calls()]


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    _require_tools()
    with (
        DevNetwork(pds_port=free_port(), appview_port=free_port()) as network,
        CountingProxy(network.pds_url) as pds,
        CountingProxy(network.appview_url) as appview,
        Service(tmp_path_factory.mktemp("service"), _hosts(network, pds, appview)) as service,
    ):
        yield Stage(network=network, pds=pds, appview=appview, service=service)


def _hosts(network: DevNetwork, pds: CountingProxy, appview: CountingProxy) -> dict[str, str]:
    """Where the hosts are that our service asks for; the network's DID documents name its PDS by localhost."""
    named = f"localhost:{network.pds_port}"
    return {APPVIEW_HOST: appview.url, PDS_HOST: pds.url, named: pds.url, "plc.directory": network.facts["plc_url"]}


def test_an_account_is_connected_by_handle_and_app_password_and_measured(stage: Stage) -> None:
    alice = stage.person("alice")
    ref = alice.post("Hello")
    stage.network.process()
    given = {"handle": alice.handle, "app_password": alice.create_app_password("postfuze"), "keep_password": True}
    stage.pds.clear()
    connected = stage.service.call("POST", CONNECT, expect=201, json=given)
    assert (connected["network_unique_id"], connected["username"]) == (alice.did, alice.handle)
    assert [(call.method, call.status) for call in stage.pds.calls()] == [(CREATE_SESSION, 200)]
    answer, calls = stage.health(connected["id"])
    assert (answer["healthy"], calls) == (True, [(GET_SESSION, 200)])
    job = stage.service.call("POST", f"social-accounts/{connected['id']}/imports", expect=202, json={})
    assert job["status"] in ("pending", "running", "completed")
    row = stage.analytics(stage.register(connected["id"], ref))["metrics_by_account"][0]
    assert (row["source"], _counts(row)["likes"]) == ("live", 0)


def test_a_wrong_password_and_an_unknown_handle_connect_nobody(stage: Stage) -> None:
    alice = stage.person("alice")
    stage.network.process()
    for handle, password, field in (
        (alice.handle, "aaaa-bbbb-cccc-dddd", "app_password"),
        ("nobody-at-all.test", "aaaa-bbbb-cccc-dddd", "handle"),
    ):
        body = {"handle": handle, "app_password": password}
        answer = stage.service.call("POST", CONNECT, expect=400, json=body)
        assert [each["field"] for each in answer["errors"]] == [field]


def test_a_session_that_was_ended_is_begun_again_by_the_password_until_that_is_deleted(stage: Stage) -> None:
    alice = stage.person("alice")
    stage.network.process()
    given = {"handle": alice.handle, "app_password": alice.create_app_password("postfuze"), "keep_password": True}
    account_id = str(stage.service.call("POST", CONNECT, expect=201, json=given)["id"])
    ended = {"refresh_token": stage.network.expired_access_token(alice.did, scope=APP_PASSWORD_SCOPE)}
    stage.service.call("PATCH", f"social-accounts/{account_id}", json=ended)
    stage.expire_access_token(account_id, alice.did)
    answer, calls = stage.health(account_id)
    assert answer["healthy"] is True
    assert calls == [(GET_SESSION, 400), (REFRESH_SESSION, 400), (CREATE_SESSION, 200), (GET_SESSION, 200)]

    alice.revoke_app_password("postfuze")
    stage.expire_access_token(account_id, alice.did)
    answer, calls = stage.health(account_id)
    assert (answer["healthy"], answer["status"]) == (False, "token_expired")
    assert calls == [(GET_SESSION, 400), (REFRESH_SESSION, 400), (CREATE_SESSION, 401)]
    _, calls = stage.health(account_id)
    assert (CREATE_SESSION, 401) not in calls  # a password that was refused is not sent again


def test_analytics_are_the_networks_own_counts_and_follow_them(stage: Stage) -> None:
    alice, bob = stage.person("alice"), stage.person("bob")
    ref = alice.post("Hello")
    for text in ("One", "Two", "Three"):
        bob.post(text, reply_to=ref)
    for person in (alice, bob):
        person.repost(ref)
    bob.post("Look at this", quote=ref)
    bob.like(ref)
    bob.bookmark(ref)
    stage.network.process()
    post_id = stage.register(stage.connect(alice), ref)

    first = stage.analytics(post_id)

    row = first["metrics_by_account"][0]
    assert len(first["metrics_by_account"]) == 1
    assert _counts(row) == {"likes": 1, "comments": 3, "shares": 2, "saves": 1}
    assert {name: reason for name, reason in row["unavailable"].items() if row[name] is None} == UNSUPPORTED
    assert (row["platform"], row["source"], row["engagement_rate"]) == ("bluesky", "live", None)
    assert _totals(first) == {"likes": 1, "comments": 3, "shares": 2, "saves": 1, "impressions": 0, "reach": 0}
    assert first["coverage"] == {"targets": 1, "live": 1, "snapshot": 0, "missing": 0}
    assert first["skipped"] == []
    assert stage.network.get_posts(ref.uri)[ref.uri]["quoteCount"] == 1  # and in none of ours

    alice.like(ref)
    stage.network.process()
    second = stage.analytics(post_id)

    assert _counts(second["metrics_by_account"][0]) == {"likes": 2, "comments": 3, "shares": 2, "saves": 1}
    assert [row["likes"] for row in stage.history(post_id)] == [1, 2]


def test_account_metrics_are_the_profiles_own(stage: Stage) -> None:
    alice, bob, carol = stage.person("alice"), stage.person("bob"), stage.person("carol")
    for follower in (bob, carol):
        follower.follow(alice.did)
    alice.follow(bob.did)
    alice.post_many(3)
    stage.network.process()

    metrics = stage.service.get(f"social-accounts/{stage.connect(alice)}/metrics")

    assert metrics["source"] == "live"
    assert (metrics["followers"], metrics["following"], metrics["posts_count"]) == (2, 1, 3)
    assert (metrics["impressions"], metrics["reach"], metrics["profile_views"]) == (None, None, None)
    assert metrics["raw"]["followersCount"] == stage.network.get_profile(alice.did)["followersCount"]


def test_an_expired_token_is_refreshed_once_and_the_rotated_pair_is_kept(stage: Stage) -> None:
    alice = stage.person("alice")
    account_id = stage.connect(alice)
    once_refreshed = [(GET_SESSION, 400), (REFRESH_SESSION, 200), (GET_SESSION, 200)]

    stage.expire_access_token(account_id, alice.did)
    health, calls = stage.health(account_id)
    assert calls == once_refreshed
    assert (health["healthy"], health["status"], health["checked_live"]) == (True, "active", True)
    first = stage.pds.calls(REFRESH_SESSION)[0].claims["jti"]

    health, calls = stage.health(account_id)
    assert calls == [(GET_SESSION, 200)]
    assert health["healthy"] is True

    stage.expire_access_token(account_id, alice.did)
    health, calls = stage.health(account_id)
    assert calls == once_refreshed
    assert health["healthy"] is True
    assert stage.pds.calls(REFRESH_SESSION)[0].claims["jti"] != first  # the token of the rotation, not the first again


def test_a_deleted_app_password_ends_the_token_but_not_the_public_reading(stage: Stage) -> None:
    alice = stage.person("alice")
    account_id = stage.connect(alice)
    ref = alice.post("Still here")
    stage.network.process()
    post_id = stage.register(account_id, ref)
    alice.revoke_app_password("postfuze")

    stage.expire_access_token(account_id, alice.did)
    health, calls = stage.health(account_id)

    assert calls == [(GET_SESSION, 400), (REFRESH_SESSION, 400)]
    assert health["healthy"] is False
    assert health["status"] == "token_expired"
    assert stage.analytics(post_id)["coverage"]["live"] == 1


def test_a_deleted_post_goes_missing_and_is_not_counted_as_zero(stage: Stage) -> None:
    alice, bob = stage.person("alice"), stage.person("bob")
    measured, unmeasured = alice.post("Seen"), alice.post("Never seen")
    bob.like(measured)
    stage.network.process()
    account_id = stage.connect(alice)
    measured_id, unmeasured_id = stage.register(account_id, measured), stage.register(account_id, unmeasured)
    assert stage.analytics(measured_id)["coverage"]["live"] == 1

    for ref in (measured, unmeasured):
        alice.delete(ref)
    stage.network.process()
    after, never = stage.analytics(measured_id), stage.analytics(unmeasured_id)

    assert [(row["source"], row["likes"]) for row in after["metrics_by_account"]] == [("snapshot", 1)]
    assert [skip["code"] for skip in after["skipped"]] == ["post_gone"]
    assert never["metrics_by_account"] == []
    assert never["coverage"] == {"targets": 1, "live": 0, "snapshot": 0, "missing": 1}
    assert [skip["code"] for skip in never["skipped"]] == ["post_gone"]
    assert [row["likes"] for row in stage.history(measured_id)] == [1]


def test_a_stopped_network_leaves_snapshots_and_collecting_catches_up(stage: Stage) -> None:
    alice, bob = stage.person("alice"), stage.person("bob")
    measured, waiting = alice.post("Before"), alice.post("Waiting")
    stage.network.process()
    account_id = stage.connect(alice)
    measured_id = stage.register(account_id, measured)
    assert stage.analytics(measured_id)["coverage"]["live"] == 1
    for ref in (measured, waiting):
        bob.like(ref)
    stage.network.process()
    waiting_id = stage.register(account_id, waiting)

    stage.network.down()
    try:
        stopped = stage.analytics(measured_id)
    finally:
        stage.network.up()

    assert [(row["source"], row["likes"]) for row in stopped["metrics_by_account"]] == [("snapshot", 0)]
    assert [(skip["code"], skip["retryable"]) for skip in stopped["skipped"]] == [("platform_unavailable", True)]
    assert stopped["skipped"][0]["last_captured_at"] == stopped["metrics_by_account"][0]["captured_at"]
    stage.collect(account_id)
    assert _counts(_stored(stage, waiting_id)) == {"likes": 1, "comments": 0, "shares": 0, "saves": 0}
    assert stage.analytics(measured_id)["metrics_by_account"][0]["likes"] == 1


def test_a_thousand_posts_are_collected_in_forty_calls(stage: Stage) -> None:
    alice, bob = stage.person("alice"), stage.person("bob")
    refs = alice.post_many(1000)
    liked = (0, 499, 999)
    for index in liked:
        bob.like(refs[index])
    stage.network.process()
    account_id = stage.connect(alice)
    post_ids = _register_all(stage.service, account_id, refs)
    stage.appview.clear()

    stage.collect(account_id)

    calls = stage.appview.calls(GET_POSTS)
    assert len(calls) == 40
    assert sorted(uri for call in calls for uri in call.uris) == sorted(ref.uri for ref in refs)
    assert len(stage.appview.calls(GET_PROFILE)) <= 1
    for index in (*liked, 1, 500):
        assert _stored(stage, post_ids[index])["likes"] == (1 if index in liked else 0)
    assert len(stage.appview.calls(GET_POSTS)) == 40


def _require_tools() -> None:
    missing = [name for name in ("node", "npm") if shutil.which(name) is None]
    server = urlsplit(postgres_url())
    try:
        socket.create_connection((server.hostname or "127.0.0.1", server.port or 5432), timeout=5).close()
    except OSError:
        missing.append("PostgreSQL")
    if not missing:
        return
    reason = f"The development network needs {', '.join(missing)}"
    if "CI" in os.environ:
        pytest.fail(reason)
    pytest.skip(reason)


def _registration(account_id: str, ref: Ref) -> dict[str, Any]:
    return {"targets": [{"account_id": account_id, "platform_post_id": ref.uri}]}


def _register_all(service: Service, account_id: str, refs: Sequence[Ref], *, threads: int = 8) -> list[str]:
    def register(part: Sequence[Ref]) -> list[str]:
        with service.session() as session:
            return [_register(session, service.url("posts"), _registration(account_id, ref)) for ref in part]

    size = -(-len(refs) // threads)
    parts = [refs[start : start + size] for start in range(0, len(refs), size)]
    with ThreadPoolExecutor(threads) as pool:
        return [post_id for ids in pool.map(register, parts) for post_id in ids]


def _register(session: requests.Session, url: str, body: dict[str, Any]) -> str:
    answer = session.post(url, json=body, timeout=60)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def _stored(stage: Stage, post_id: str) -> dict[str, Any]:
    """The stored row, read without a call to the platform."""
    analytics = stage.analytics(post_id, max_age=3600)
    (row,) = analytics["metrics_by_account"]
    assert row["source"] == "snapshot"
    assert analytics["skipped"] == []
    return dict(row)


def _counts(row: dict[str, Any]) -> dict[str, Any]:
    return {name: row[name] for name in ("likes", "comments", "shares", "saves")}


def _totals(analytics: dict[str, Any]) -> dict[str, Any]:
    names = ("likes", "comments", "shares", "saves", "impressions", "reach")
    return {name: analytics["aggregated_metrics"][f"total_{name}"] for name in names}

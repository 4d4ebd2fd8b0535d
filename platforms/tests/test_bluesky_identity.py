"""From a Bluesky handle to its server and a session there."""

import contextlib
from typing import Any
from urllib.parse import urlsplit

import pytest

from platforms import registry
from platforms.base import Account
from platforms.client import Client, Settings
from platforms.consent import Candidate
from platforms.errors import (
    AccountNotFound,
    MalformedPayload,
    PasswordRefused,
    PlatformError,
    RateLimited,
    TokenExpired,
    Unavailable,
)
from platforms.hosts import HostMap, secured
from platforms.oauth import Credentials
from platforms.tests.replay import Answers
from platforms.tests.sample import Gates

DID, HANDLE, PDS = "did:plc:nqvjziui4nzzvjpypawxnxqi", "alice.test", "https://pds.example.com"
BLUESKY = registry.get("bluesky")
SESSION = {"did": DID, "handle": HANDLE, "accessJwt": "access-1", "refreshJwt": "refresh-1", "active": True}
PASSWORD = "abcd-efgh-ijkl-mnop"


def document(did: str = DID, **more: Any) -> dict[str, Any]:
    service = {"id": "#atproto_pds", "type": "AtprotoPersonalDataServer", "serviceEndpoint": PDS}
    return {"id": did, "alsoKnownAs": [f"at://{HANDLE}"], "service": [service], **more}


ANSWERS: dict[str, Any] = {
    "com.atproto.identity.resolveHandle": (200, {"did": DID}),
    DID: (200, document()),
    "app.bsky.actor.getProfile": (200, {"did": DID, "handle": HANDLE, "displayName": "Alice", "avatar": f"{PDS}/a"}),
    "com.atproto.server.createSession": (200, SESSION),
}


def answering(**changed: Any) -> Answers:
    answers = {**ANSWERS, **{name.replace("_", "."): answer for name, answer in changed.items()}}
    return Answers(lambda exchange: answers.get(urlsplit(exchange.url).path.rpartition("/")[2], (404, {})))


def identify(name: str, transport: Answers) -> Candidate:
    nobody = Account(id="", network_unique_id="")
    return Client(BLUESKY, nobody, settings=Settings(transport=transport)).run(BLUESKY.identify(name))


def sign_in(transport: Answers) -> Any:
    account = Account(id=DID, network_unique_id=DID, extra={"pds_host": PDS})
    return Client(BLUESKY, account, settings=Settings(transport=transport)).run(BLUESKY.sign_in(account, PASSWORD))


@pytest.mark.parametrize("name", [HANDLE, "Alice.TEST", DID])
def test_a_handle_or_a_did_leads_to_the_accounts_server(name: str) -> None:
    transport = answering()
    assert identify(name, transport) == Candidate(DID, HANDLE, "Alice", f"{PDS}/a", extra={"pds_host": PDS})
    hosts = {urlsplit(each.url).netloc for each in transport.asked}
    assert hosts == {"public.api.bsky.app", "plc.directory"}
    assert not any("Authorization" in (each.headers or {}) for each in transport.asked)


def test_a_did_of_the_web_is_documented_at_its_own_host_which_is_checked() -> None:
    did = "did:web:alice.example.com"
    transport = Answers(
        lambda exchange: (200, document(did)) if exchange.url.endswith("did.json") else (400, {"error": "Nope"})
    )
    assert identify(did, transport).extra == {"pds_host": PDS}
    asked = next(each for each in transport.asked if each.url.endswith("did.json"))
    assert asked.url == "https://alice.example.com/.well-known/did.json"
    assert asked.guarded


@pytest.mark.parametrize(
    "name", ["", "alice", "alice@example.com", "a..b", "127.0.0.1", "did:web:127.0.0.1", "did:x:y"]
)
def test_what_is_no_handle_leads_nowhere_and_asks_nobody(name: str) -> None:
    transport = answering()
    with pytest.raises(AccountNotFound):
        identify(name, transport)
    assert transport.asked == []


def test_an_unknown_handle_and_an_unknown_did_are_told() -> None:
    refused = (400, {"error": "InvalidRequest", "message": "Unable to resolve handle"})
    with pytest.raises(AccountNotFound, match=r"no handle alice\.test"):
        identify(HANDLE, answering(com_atproto_identity_resolveHandle=refused))
    with pytest.raises(AccountNotFound, match="no account"):
        identify(DID, answering(**{DID: (404, {"message": f"DID not registered: {DID}"})}))


def test_an_account_without_a_server_is_told() -> None:
    with pytest.raises(AccountNotFound, match="no server"):
        identify(DID, answering(**{DID: (200, document(service=[]))}))


def test_a_directory_that_is_away_or_tells_of_another_account_is_no_answer() -> None:
    with pytest.raises(Unavailable):
        identify(DID, answering(**{DID: (502, b"")}))
    with pytest.raises(MalformedPayload):
        identify(DID, answering(**{DID: (200, document("did:plc:another"))}))


@pytest.mark.parametrize("profile", [(502, b""), (200, {"did": DID, "handle": "handle.invalid"})])
def test_a_name_that_is_not_told_costs_only_the_name(profile: Any) -> None:
    for name, handle in ((DID, ""), (HANDLE.upper(), HANDLE)):
        found = identify(name, answering(app_bsky_actor_getProfile=profile))
        assert found == Candidate(DID, handle, extra={"pds_host": PDS})


def test_a_session_is_made_at_the_accounts_own_server() -> None:
    transport = answering()
    tokens = sign_in(transport)
    assert (tokens.access_token, tokens.refresh_token) == ("access-1", "refresh-1")
    (sent,) = transport.asked
    assert sent.url == f"{PDS}/xrpc/com.atproto.server.createSession"
    assert sent.json == {"identifier": DID, "password": PASSWORD}
    assert sent.guarded


@pytest.mark.parametrize("name", ["AuthenticationRequired", "AuthFactorTokenRequired"])
def test_a_wrong_password_is_told_as_such(name: str) -> None:
    refused = (401, {"error": name, "message": "Invalid identifier or password"})
    with pytest.raises(PasswordRefused, match="Invalid identifier or password"):
        sign_in(answering(com_atproto_server_createSession=refused))


def test_a_session_of_another_account_or_of_one_that_is_taken_down_is_none() -> None:
    with pytest.raises(TokenExpired, match="another account"):
        sign_in(answering(com_atproto_server_createSession=(200, {**SESSION, "did": "did:plc:another"})))
    with pytest.raises(AccountNotFound, match="takendown"):
        sign_in(answering(com_atproto_server_createSession=(200, {**SESSION, "active": False, "status": "takendown"})))


@pytest.mark.parametrize(("limit", "scope"), [("100", "account"), ("30", "account"), ("3000", "host"), ("", "host")])
def test_too_many_sessions_of_one_account_do_not_stop_the_others(limit: str, scope: str) -> None:
    headers = {"ratelimit-limit": limit, "ratelimit-remaining": "0", "ratelimit-reset": "4000000000"}
    answer = (429, {"error": "RateLimitExceeded", "message": "Rate Limit Exceeded"}, headers)
    with pytest.raises(RateLimited) as caught:
        sign_in(answering(com_atproto_server_createSession=answer))
    assert caught.value.scope == scope


@pytest.mark.parametrize("status", [200, 429])
def test_an_account_that_may_begin_no_further_session_can_still_be_read(status: int) -> None:
    headers = {"ratelimit-limit": "100", "ratelimit-remaining": "0", "ratelimit-reset": "4000000000"}
    gates, account = Gates(), Account(id=DID, network_unique_id=DID)
    transport = Answers(lambda exchange: (status, SESSION, headers))
    client = Client(BLUESKY, account, settings=Settings(transport=transport), gates=gates)
    with contextlib.suppress(RateLimited):
        client.run(BLUESKY.sign_in(account, PASSWORD))
    assert list(gates.closed) == [f"bluesky:account:{DID}:session"]


def test_the_password_is_not_repeated_by_an_error() -> None:
    account = Account(id=DID, network_unique_id=DID, extra={"pds_host": PDS})
    told = (400, {"error": "InvalidRequest", "message": f"bad password {PASSWORD}"})
    from_server = answering(com_atproto_server_createSession=told)
    client = Client(
        BLUESKY, account, settings=Settings(transport=from_server), credentials=Credentials(refresh_token=PASSWORD)
    )
    with pytest.raises(PlatformError) as caught:
        client.run(BLUESKY.sign_in(account, PASSWORD))
    assert PASSWORD not in f"{caught.value.detail} {caught.value.evidence}"


def test_a_mapped_server_may_be_documented_without_https() -> None:
    mapped = HostMap({"localhost:2583": "http://127.0.0.1:2583"}).mapping
    assert secured("http://localhost:2583", mapped=mapped) == "https://localhost:2583"
    for other in ("http://localhost:2584", "http://pds.example.com", "https://localhost:2583", "http://[", "nonsense"):
        assert secured(other, mapped=mapped) == other

"""Bluesky: expired tokens in disguise, rotation, two hosts, ids."""

from datetime import UTC, datetime
from typing import Any

import pytest

from platforms import registry
from platforms.base import Account, Listing
from platforms.errors import (
    AccountNotFound,
    MalformedPayload,
    RateLimited,
    Rejected,
    Revoked,
    TokenExpired,
    Unavailable,
)
from platforms.oauth import Credentials
from platforms.tests.replay import APP, TOKENS, Answers, account_of, client_for, query_of
from platforms.tests.sample import Gates
from platforms.transport import Exchange

pytestmark = pytest.mark.usefixtures("then")

BLUESKY = registry.get("bluesky")
DID = "did:plc:nqvjziui4nzzvjpypawxnxqi"
URI = f"at://{DID}/app.bsky.feed.post/3n2xwb5zf222m"
EXPIRED = (400, {"error": "ExpiredToken", "message": "Token has expired"})
SESSION = (200, {"did": DID, "handle": "alice.test", "active": True})


def fetch(transport: Answers, *ids: str) -> dict[str, Any]:
    account = account_of("bluesky", {})
    found: dict[str, Any] = client_for("bluesky", transport, account).run(BLUESKY.fetch_posts(ids, account))
    return found


def test_an_expired_token_is_renewed_once_and_the_call_repeated_once() -> None:
    renewals: list[str] = []

    def renew(refused: str) -> Credentials:
        renewals.append(refused)
        return Credentials("access-2", "refresh-2")

    def answer(exchange: Exchange) -> Any:
        return SESSION if exchange.headers["Authorization"] == "Bearer access-2" else EXPIRED

    account, transport = account_of("bluesky", {}), Answers(answer)
    client = client_for("bluesky", transport, account, renew=renew)
    client.run(BLUESKY.probe(account))
    assert renewals == [TOKENS.access_token]
    assert client.usage.calls == len(transport.asked) == 2


def test_a_token_that_stays_expired_is_not_renewed_twice() -> None:
    renewals: list[str] = []

    def renew(refused: str) -> Credentials:
        renewals.append(refused)
        return Credentials("access-2", "refresh-2")

    account, transport = account_of("bluesky", {}), Answers(lambda exchange: EXPIRED)
    with pytest.raises(Unavailable):
        client_for("bluesky", transport, account, renew=renew).run(BLUESKY.probe(account))
    assert len(renewals) == 1 and len(transport.asked) == 2


def test_a_refresh_sends_the_refresh_token_as_bearer_and_no_body_to_the_accounts_own_host() -> None:
    answer = (200, {"accessJwt": "a2", "refreshJwt": "r2", "did": DID})
    account, transport = account_of("bluesky", {}), Answers(lambda exchange: answer)
    tokens = client_for("bluesky", transport, account).run(BLUESKY.renew(account, TOKENS, APP))
    (exchange,) = transport.asked
    assert exchange.method == "POST"
    assert exchange.url == "https://pds.example.com/xrpc/com.atproto.server.refreshSession"
    assert exchange.headers["Authorization"] == f"Bearer {TOKENS.refresh_token}"
    assert exchange.json is None and exchange.form is None and not exchange.params
    assert exchange.guarded
    assert (tokens.access_token, tokens.refresh_token) == ("a2", "r2")


@pytest.mark.parametrize(
    ("status", "error", "message", "expected"),
    [
        (400, "ExpiredToken", "Token has been revoked", TokenExpired),
        (400, "InvalidToken", "Invalid token type", TokenExpired),
        (401, "AccountTakedown", "Account has been taken down", Revoked),
        (400, "InvalidRequest", "Could not find user info for account: did:plc:x", Revoked),
        (400, "InvalidRequest", "A request body was provided when none was expected", Rejected),
    ],
)
def test_a_refused_refresh_is_told_from_a_mistake(
    status: int, error: str, message: str, expected: type[Exception]
) -> None:
    account = account_of("bluesky", {})
    transport = Answers(lambda exchange: (status, {"error": error, "message": message}))
    with pytest.raises(expected):
        client_for("bluesky", transport, account).run(BLUESKY.renew(account, TOKENS, APP))


def test_tokens_of_another_account_are_refused() -> None:
    answer = (200, {"accessJwt": "a2", "refreshJwt": "r2", "did": "did:plc:other"})
    account = account_of("bluesky", {})
    with pytest.raises(TokenExpired):
        client_for("bluesky", Answers(lambda exchange: answer), account).run(BLUESKY.renew(account, TOKENS, APP))


@pytest.mark.parametrize("status", ["takendown", "suspended", "deactivated", None])
def test_a_session_that_is_not_active_is_unhealthy(status: str | None) -> None:
    answer = (200, {"did": DID, "active": False, "status": status})
    account = account_of("bluesky", {})
    with pytest.raises(AccountNotFound, match=status or "not active"):
        client_for("bluesky", Answers(lambda exchange: answer), account).run(BLUESKY.probe(account))


@pytest.mark.parametrize(
    ("extra", "host"),
    [({"pds_host": "https://pds.example.com"}, "https://pds.example.com"), ({}, "https://bsky.social")],
)
def test_sessions_go_to_the_accounts_own_host_and_reads_to_the_public_one_without_a_token(
    extra: dict[str, str], host: str
) -> None:
    account, transport = account_of("bluesky", {"extra": extra}), Answers(lambda exchange: SESSION)
    client_for("bluesky", transport, account).run(BLUESKY.probe(account))
    assert transport.asked[0].url == f"{host}/xrpc/com.atproto.server.getSession"
    assert transport.asked[0].guarded
    public = Answers(lambda exchange: (200, {"posts": []}))
    assert fetch(public, URI) == {}
    assert public.asked[0].url == "https://public.api.bsky.app/xrpc/app.bsky.feed.getPosts"
    assert "Authorization" not in public.asked[0].headers
    assert not public.asked[0].guarded


def test_at_most_25_posts_go_into_a_call_each_as_a_parameter_of_its_own() -> None:
    assert BLUESKY.batch_size == 25
    ids = [f"at://{DID}/app.bsky.feed.post/{n}" for n in range(25)]
    transport = Answers(lambda exchange: (200, {"posts": [{"uri": ids[3], "likeCount": 4}]}))
    assert set(fetch(transport, *ids)) == {ids[3]}
    assert query_of(transport.asked[0])["uris"] == ids


def test_a_thousand_posts_take_forty_calls() -> None:
    ids = [f"at://{DID}/app.bsky.feed.post/{n}" for n in range(1000)]
    transport = Answers(lambda exchange: (200, {"posts": [{"uri": uri} for uri in query_of(exchange)["uris"]]}))
    size = BLUESKY.batch_size
    found = [uri for start in range(0, 1000, size) for uri in fetch(transport, *ids[start : start + size])]
    assert found == ids and len(transport.asked) == 40


@pytest.mark.parametrize("answer", [(400, {"error": "ExpiredToken", "message": "x"}), (401, b"<html>")])
def test_a_refusal_of_the_public_view_blames_no_token(answer: Any) -> None:
    account = account_of("bluesky", {})
    for call in (BLUESKY.fetch_posts([URI], account), BLUESKY.fetch_account(account), BLUESKY.list_posts(account)):
        with pytest.raises(Unavailable):
            client_for("bluesky", Answers(lambda exchange: answer), account).run(call)


def test_posts_nobody_asked_for_are_passed_over() -> None:
    transport = Answers(
        lambda exchange: (200, {"posts": [{"uri": URI, "likeCount": 4}, {"uri": "at://x", "likeCount": 9}]})
    )
    assert set(fetch(transport, URI)) == {URI}


@pytest.mark.parametrize("posts", [None, {}, "x", 5])
def test_an_odd_answer_never_passes_for_missing_posts(posts: Any) -> None:
    with pytest.raises(MalformedPayload):
        fetch(Answers(lambda exchange: (200, {"posts": posts})), URI)


def test_raw_keeps_counts_and_ids_but_no_text_and_no_names() -> None:
    post = {
        "uri": URI,
        "author": {"did": DID, "handle": "alice.test", "displayName": "Alice"},
        "record": {"$type": "app.bsky.feed.post", "text": "hi", "createdAt": "2026-11-01T10:00:00.000Z"},
        "quoteCount": 1,
        "repostCount": 3,
    }
    raw = fetch(Answers(lambda exchange: (200, {"posts": [post]})), URI)[URI]
    assert raw["quoteCount"] == 1
    assert "text" not in raw["record"] and set(raw["author"]) == {"did"}
    assert BLUESKY.metrics(raw) == {"likes": None, "comments": None, "shares": 3, "saves": None}


@pytest.mark.parametrize(
    ("headers", "until"),
    [
        ({"ratelimit-remaining": "0", "ratelimit-reset": "1795430013"}, datetime.fromtimestamp(1795430013, UTC)),
        ({"ratelimit-remaining": "1", "ratelimit-reset": "1795430013"}, None),
        ({"ratelimit-remaining": "0", "ratelimit-reset": "soon"}, None),
        ({}, None),
    ],
)
def test_reset_headers_are_unix_seconds_and_park_the_host(headers: dict[str, str], until: datetime | None) -> None:
    gates, account = Gates(), account_of("bluesky", {})
    transport = Answers(lambda exchange: (*SESSION, headers))
    client_for("bluesky", transport, account, gates=gates).run(BLUESKY.probe(account))
    assert gates.closed == ({"bluesky:host:pds.example.com:": until} if until else {})


def test_a_refused_call_parks_the_host_for_as_long_as_it_says() -> None:
    gates, account = Gates(), account_of("bluesky", {})
    refusal = (429, {"error": "RateLimitExceeded"}, {"retry-after": "60"})
    with pytest.raises(RateLimited):
        client_for("bluesky", Answers(lambda exchange: refusal), account, gates=gates).run(BLUESKY.probe(account))
    assert list(gates.closed) == ["bluesky:host:pds.example.com:"]


def account_named(username: str) -> Account:
    return account_of("bluesky", {"username": username})


@pytest.mark.parametrize(
    "given",
    [
        URI,
        "https://bsky.app/profile/alice.test/post/3n2xwb5zf222m",
        "https://bsky.app/profile/Alice.test/post/3n2xwb5zf222m/",
        f"https://bsky.app/profile/{DID}/post/3n2xwb5zf222m?ref=x",
        "at://alice.test/app.bsky.feed.post/3n2xwb5zf222m",
    ],
)
@pytest.mark.parametrize("username", ["alice.test", "@alice.test", ""])
def test_a_post_is_known_by_its_did(given: str, username: str) -> None:
    assert BLUESKY.normalize_post_id(given, account_named(username)) == URI


@pytest.mark.parametrize(
    "given",
    [
        "https://bsky.app/profile/bob.test/post/3n2xwb5zf222m",
        f"at://{DID}/app.bsky.feed.like/3n2xwb5zf222m",
        f"at://{DID}/app.bsky.feed.post/..",
        f"at://{DID}/app.bsky.feed.post/a b",
        f"at://{DID}/app.bsky.feed.post/",
        f"at://{DID}/post/3n2xwb5zf222m",
        "3n2xwb5zf222m",
    ],
)
def test_what_names_no_post_of_the_account_is_refused(given: str) -> None:
    with pytest.raises(ValueError, match="expected"):
        BLUESKY.normalize_post_id(given, account_named("alice.test"))


@pytest.mark.parametrize(
    "given", ["did:PLC:abc", "did:plc:", "did:plc:abc:", "alice.test", "did:web:a b", "did:p1c:abc"]
)
def test_an_account_id_is_a_did(given: str) -> None:
    with pytest.raises(ValueError, match="expected"):
        BLUESKY.normalize_account_id(given)
    assert BLUESKY.normalize_account_id("did:web:example.com") == "did:web:example.com"


@pytest.mark.parametrize("given", ["http://pds.example.com", "https://10.0.0.1", "https://localhost", 5, ""])
def test_a_host_that_a_caller_gives_must_be_a_public_https_origin(given: Any) -> None:
    with pytest.raises(ValueError, match="must"):
        BLUESKY.check_extra("pds_host", given)
    assert BLUESKY.check_extra("pds_host", "https://PDS.example.com/") == "https://pds.example.com"


# --- listing -----------------------------------------------------------------------------------------------------


def post(rkey: str, did: str = DID, **more: Any) -> dict[str, Any]:
    uri = f"at://{did}/app.bsky.feed.post/{rkey}"
    record = {"$type": "app.bsky.feed.post", "text": "hi", "createdAt": "2026-11-20T09:00:00.000Z"}
    counts = {"likeCount": 2, "repostCount": 1, "replyCount": 0, "quoteCount": 0, "bookmarkCount": 1}
    author = {"did": did, "handle": "alice.test"}
    return {"uri": uri, "author": author, "record": record, "indexedAt": "2026-11-20T09:00:01.000Z", **counts, **more}


def entry(post: dict[str, Any], reason: str = "") -> dict[str, Any]:
    return {"post": post} | ({"reason": {"$type": f"app.bsky.feed.defs#{reason}"}} if reason else {})


def listing(transport: Answers, cursor: str = "") -> Listing:
    account = account_of("bluesky", {})
    found: Listing = client_for("bluesky", transport, account).run(BLUESKY.list_posts(account, cursor=cursor))
    return found


def test_a_feed_is_paged_on_the_public_view_and_tells_what_a_lookup_tells() -> None:
    def answer(exchange: Exchange) -> Any:
        if "uris" in query_of(exchange):
            return 200, {"posts": [post("a")]}
        return 200, {"feed": [entry(post("b"))]} if "cursor" in query_of(exchange) else {
            "feed": [entry(post("a"))],
            "cursor": "c2",
        }

    transport = Answers(answer)
    first = listing(transport)
    last = listing(transport, first.cursor)
    uris = [each.id for each in (*first.posts, *last.posts)]
    assert uris == [post("a")["uri"], post("b")["uri"]]
    assert (first.cursor, last.cursor) == ("c2", "")
    assert first.posts[0].url == f"https://bsky.app/profile/{DID}/post/a"
    assert BLUESKY.normalize_post_id(first.posts[0].url, account_of("bluesky", {})) == first.posts[0].id
    assert first.posts[0].published_at == datetime(2026, 11, 20, 9, tzinfo=UTC)
    assert all(exchange.url.startswith("https://public.api.bsky.app/") for exchange in transport.asked)
    assert not any("Authorization" in exchange.headers for exchange in transport.asked)
    assert first.posts[0].raw == fetch(transport, uris[0])[uris[0]]


def test_reposts_and_others_posts_are_left_out_and_a_pinned_post_comes_once() -> None:
    feed = [
        entry(post("old"), "reasonPin"),
        entry(post("x", did="did:plc:bob"), "reasonRepost"),
        entry(post("older"), "reasonRepost"),
        entry(post("y", did="did:plc:bob")),
        entry(post("new")),
        entry(post("old")),
    ]
    found = listing(Answers(lambda exchange: (200, {"feed": feed})))
    assert [each.url.rpartition("/")[2] for each in found.posts] == ["new", "old"]


def test_a_page_of_nothing_but_reposts_is_not_the_last_and_a_cursor_that_stays_is() -> None:
    transport = Answers(lambda exchange: (200, {"feed": [entry(post("a"), "reasonRepost")], "cursor": "c2"}))
    assert listing(transport) == Listing((), "c2")
    assert listing(transport, "c2") == Listing(())


@pytest.mark.parametrize(
    ("created_at", "published_at"),
    [
        ("2031-01-01T00:00:00Z", datetime(2026, 11, 20, 9, 0, 1, tzinfo=UTC)),
        ("soon", datetime(2026, 11, 20, 9, 0, 1, tzinfo=UTC)),
        ("2019-01-01T00:00:00Z", datetime(2019, 1, 1, tzinfo=UTC)),
    ],
)
def test_a_post_is_not_from_after_it_was_seen(created_at: str, published_at: datetime) -> None:
    made = post("a", record={"$type": "app.bsky.feed.post", "createdAt": created_at})
    found = listing(Answers(lambda exchange: (200, {"feed": [entry(made)]})))
    assert found.posts[0].published_at == published_at


@pytest.mark.parametrize("answer", [{}, {"feed": None}, {"feed": [{}]}, {"feed": [], "cursor": 5}, []])
def test_an_odd_feed_never_passes_for_an_empty_one(answer: Any) -> None:
    with pytest.raises(MalformedPayload):
        listing(Answers(lambda exchange: (200, answer)))

"""Reddit: one budget for all accounts, net scores, removed posts, and answers that are no JSON."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from platforms import registry
from platforms.base import Account, Listing
from platforms.dimensions import AccountDimension, Dimension
from platforms.errors import (
    Gone,
    MalformedPayload,
    Misconfigured,
    PlatformError,
    RateLimited,
    Rejected,
    ScopeMissing,
    TokenExpired,
    Unavailable,
)
from platforms.oauth import Credentials
from platforms.rates import Gates
from platforms.tests.replay import APP, NOW, TOKENS, Answers, account_of, client_for, query_of, raw_of
from platforms.transport import Exchange

pytestmark = pytest.mark.usefixtures("then")

REDDIT = registry.get("reddit")
ME = {"id": "a2gghybr", "name": "jane", "subreddit": {"subscribers": 15}}
HTML = b"<!doctype html><html><body>whoa there, pardner!</body></html>"


def post(name: str, **more: Any) -> dict[str, Any]:
    counts = {"ups": 42, "score": 42, "num_comments": 7, "view_count": None, "likes": True, "downs": 0}
    texts = {"title": "Hello", "selftext": "Hello", "author": "jane", "subreddit": "test"}
    made = {"id": name[3:], "name": name, "created_utc": 1790000000.0, "removed_by_category": None}
    return {"kind": "t3", "data": {**texts, **counts, **made, "hide_score": False, **more}}


def listing(*children: Any, after: str | None = None) -> dict[str, Any]:
    return {"kind": "Listing", "data": {"after": after, "children": list(children)}}


def fetch(transport: Answers, *ids: str, account: Account | None = None, **more: Any) -> dict[str, Any]:
    account = account or account_of("reddit", {})
    found: dict[str, Any] = client_for("reddit", transport, account, **more).run(REDDIT.fetch_posts(ids, account))
    return found


def probe(transport: Answers, account: Account | None = None, **more: Any) -> None:
    account = account or account_of("reddit", {})
    client_for("reddit", transport, account, **more).run(REDDIT.probe(account))


class Closed(Gates):
    """Gates that note what closes them."""

    def __init__(self) -> None:
        self.closed: dict[str, datetime] = {}

    def parked(self, keys: Any) -> None:
        return None

    def close(self, key: str, until: datetime, reason: str) -> None:
        self.closed[key] = until


def asked_posts(exchange: Exchange) -> Any:
    return 200, listing(*(post(name) for name in query_of(exchange)["id"][0].split(",")))


def test_a_thousand_posts_take_ten_calls() -> None:
    transport = Answers(asked_posts)
    ids = [f"t3_1a{n:04d}" for n in range(1000)]
    for start in range(0, 1000, REDDIT.batch_size):
        batch = ids[start : start + REDDIT.batch_size]
        assert list(fetch(transport, *batch)) == batch
    assert len(transport.asked) == 10


def test_likes_are_the_score_and_never_the_callers_own_vote() -> None:
    answer = listing(post("t3_a", likes=True), post("t3_b", likes=None, ups=None, score=9), post("t3_c", ups=-3))
    found = fetch(Answers(lambda exchange: (200, answer)), "t3_a", "t3_b", "t3_c")
    assert [REDDIT.metrics(raw_of(item))[Dimension.LIKES] for item in found.values()] == [42, 9, 0]
    assert "likes" not in raw_of(found["t3_a"])


def test_a_hidden_score_is_no_number() -> None:
    found = fetch(Answers(lambda exchange: (200, listing(post("t3_a", hide_score=True)))), "t3_a")
    assert REDDIT.metrics(raw_of(found["t3_a"])) == {
        Dimension.IMPRESSIONS: None,
        Dimension.LIKES: None,
        Dimension.COMMENTS: 7,
    }


def test_raw_keeps_counts_and_ids_but_no_text_and_no_names() -> None:
    found = fetch(Answers(lambda exchange: (200, listing(post("t3_a")))), "t3_a")
    assert not {"title", "selftext", "author", "subreddit", "name"} & set(raw_of(found["t3_a"]))


def test_a_removed_post_is_gone_and_the_others_come() -> None:
    removed = post("t3_b", author="[deleted]", removed_by_category="moderator")
    found = fetch(Answers(lambda exchange: (200, listing(post("t3_a"), removed))), "t3_a", "t3_b")
    assert isinstance(found["t3_b"], Gone)
    assert REDDIT.metrics(raw_of(found["t3_a"]))[Dimension.LIKES] == 42


def test_a_post_of_a_deleted_user_is_not_gone() -> None:
    found = fetch(Answers(lambda exchange: (200, listing(post("t3_a", author="[deleted]")))), "t3_a")
    assert raw_of(found["t3_a"])["ups"] == 42


def test_half_a_batch_missing_leaves_it_out() -> None:
    found = fetch(Answers(lambda exchange: (200, listing(post("t3_b"), post("t3_zz")))), "t3_a", "t3_b")
    assert list(found) == ["t3_b"]


@pytest.mark.parametrize("answer", [{}, {"kind": "Listing", "data": {}}, listing({}), [], None])
def test_an_odd_answer_never_passes_for_missing_posts(answer: Any) -> None:
    with pytest.raises(MalformedPayload):
        fetch(Answers(lambda exchange: (200, answer)), "t3_a")


@pytest.mark.parametrize(
    ("status", "body", "alone"),
    [
        (403, {"message": "Forbidden", "error": 403, "reason": "private"}, Unavailable),
        (404, {"message": "Not Found", "error": 404, "reason": "banned"}, Unavailable),
        (403, {"message": "Forbidden", "error": 403, "reason": "quarantined"}, Unavailable),
        (451, HTML, Gone),
    ],
)
def test_a_poisoned_post_is_told_from_its_batch(status: int, body: Any, alone: type[PlatformError]) -> None:
    def answer(exchange: Exchange) -> Any:
        return (status, body) if "t3_bad" in query_of(exchange)["id"][0] else asked_posts(exchange)

    with pytest.raises(Rejected):  # which makes the one reader halve it
        fetch(Answers(answer), "t3_a", "t3_bad")
    assert isinstance(fetch(Answers(answer), "t3_bad")["t3_bad"], alone)
    assert raw_of(fetch(Answers(answer), "t3_a")["t3_a"])["ups"] == 42


@pytest.mark.parametrize(
    ("headers", "body", "error"),
    [
        ({"www-authenticate": 'Bearer realm="reddit", error="insufficient_scope"'}, {"error": 403}, ScopeMissing),
        ({}, HTML, Misconfigured),
        ({}, {"message": "Forbidden", "error": 403}, Rejected),
        ({}, {"message": "Forbidden", "error": 403, "reason": "private"}, Rejected),
    ],
)
def test_403_means_opposite_things(headers: dict[str, str], body: Any, error: type[PlatformError]) -> None:
    with pytest.raises(error):
        probe(Answers(lambda exchange: (403, body, headers)))


def test_every_call_names_the_app() -> None:
    transport = Answers(lambda exchange: (200, {"access_token": "a2", "expires_in": 3600}))
    account = account_of("reddit", {"settings": {"user_agent": "web:com.example.stats:v1.0 (by /u/example)"}})
    client_for("reddit", transport, account).run(REDDIT.renew(account, TOKENS, APP))
    probe(answers := Answers(lambda exchange: (200, ME)), account)
    assert {each.headers["User-Agent"] for each in transport.asked + answers.asked} == {
        "web:com.example.stats:v1.0 (by /u/example)"
    }
    probe(answers := Answers(lambda exchange: (200, ME)))
    assert answers.asked[0].headers["User-Agent"].startswith("web:")


# --- tokens ----------------------------------------------------------------------------------------------------------


def renewed(answer: Any) -> Any:
    account = account_of("reddit", {})
    return client_for("reddit", Answers(lambda exchange: answer), account).run(REDDIT.renew(account, TOKENS, APP))


def test_a_refresh_is_a_form_under_basic_authorization_and_keeps_the_refresh_token() -> None:
    transport = Answers(lambda exchange: (200, {"access_token": "a2", "expires_in": 86400}))
    account = account_of("reddit", {})
    tokens = client_for("reddit", transport, account).run(REDDIT.renew(account, TOKENS, APP))
    (exchange,) = transport.asked
    assert exchange.url == "https://www.reddit.com/api/v1/access_token"
    assert exchange.headers["Authorization"].startswith("Basic ")
    assert exchange.form == {"grant_type": "refresh_token", "refresh_token": TOKENS.refresh_token}
    assert (tokens.refresh_token, tokens.expires_at) == ("", NOW + timedelta(days=1))


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ((400, {"message": "Bad Request", "error": 400}), TokenExpired),
        ((400, {"error": "invalid_request"}), TokenExpired),
        ((200, {"error": "invalid_grant"}), TokenExpired),
        ((401, {"message": "Unauthorized", "error": 401}), Misconfigured),
        ((400, HTML), Rejected),
        ((429, HTML), RateLimited),
        ((503, HTML), Unavailable),
        (Unavailable("The platform did not answer in time."), Unavailable),
        ((200, {}), MalformedPayload),
    ],
)
def test_a_refused_refresh_is_told_from_all_others(answer: Any, error: type[PlatformError]) -> None:
    with pytest.raises(error) as caught:
        renewed(answer)
    assert isinstance(caught.value, TokenExpired) == (error is TokenExpired)


def test_an_expired_token_is_renewed_once_and_the_call_repeated_once() -> None:
    def answer(exchange: Exchange) -> Any:
        fresh = exchange.headers["Authorization"] == "Bearer newer-access-token"
        return (200, ME) if fresh else (401, {"message": "Unauthorized", "error": 401})

    transport = Answers(answer)
    probe(transport, renew=lambda stale: Credentials(access_token="newer-access-token"))
    assert len(transport.asked) == 2


# --- limits ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"x-ratelimit-remaining": "0.0", "x-ratelimit-reset": "181"}, 181),
        ({"x-ratelimit-reset": "181", "retry-after": "7"}, 181),
        ({"retry-after": "7"}, 7),
        ({"x-ratelimit-reset": "soon"}, 300),
        ({}, 300),
    ],
)
def test_a_refusal_parks_every_call_of_the_client(headers: dict[str, str], seconds: int) -> None:
    gates = Closed()
    with pytest.raises(RateLimited):
        fetch(Answers(lambda exchange: (429, HTML, headers)), "t3_a", gates=gates)
    assert gates.closed == {"reddit:app:app-1:": NOW + timedelta(seconds=seconds)}


@pytest.mark.parametrize(
    ("remaining", "reset", "closed"),
    [("0.0", "60", True), ("0.5", "60", True), ("1.0", "60", False), ("nan", "60", False), ("0.0", "", False)],
)
def test_headers_close_the_gate_before_a_refusal(remaining: str, reset: str, closed: bool) -> None:
    gates = Closed()
    headers = {"x-ratelimit-remaining": remaining, "x-ratelimit-reset": reset}
    fetch(Answers(lambda exchange: (200, listing(post("t3_a")), headers)), "t3_a", gates=gates)
    assert gates.closed == ({"reddit:app:app-1:": NOW + timedelta(seconds=60)} if closed else {})


# --- account, listing and ids ----------------------------------------------------------------------------------------


def test_a_profile_that_is_null_has_no_followers() -> None:
    account = account_of("reddit", {})
    transport = Answers(lambda exchange: (200, {**ME, "subreddit": None}))
    raw = raw_of(client_for("reddit", transport, account).run(REDDIT.fetch_account(account)))
    assert REDDIT.account_metrics(raw) == {AccountDimension.FOLLOWERS: None}
    assert "name" not in raw


def test_a_listing_leaves_removed_posts_out_and_tells_when_posts_were_made() -> None:
    answer = listing(post("t3_a"), post("t3_b", removed_by_category="author"), after="t3_b")
    account = account_of("reddit", {"username": "u/jane"})
    transport = Answers(lambda exchange: (200, answer))
    found: Listing = client_for("reddit", transport, account).run(REDDIT.list_posts(account, cursor="t3_0"))
    assert transport.paths == ["/user/jane/submitted"]
    assert query_of(transport.asked[0])["after"] == ["t3_0"]
    assert [(each.id, each.published_at) for each in found.posts] == [("t3_a", datetime.fromtimestamp(1.79e9, UTC))]
    assert found.cursor == "t3_b"


@pytest.mark.parametrize(
    "given",
    [
        "1abcd2",
        "t3_1abcd2",
        "https://www.reddit.com/r/test/comments/1abcd2/hello/",
        "https://old.reddit.com/r/test/comments/1abcd2?utm_source=share",
        "https://www.reddit.com/user/jane/comments/1abcd2/hello/",
        "https://www.reddit.com/comments/1abcd2",
        "https://www.reddit.com/gallery/1abcd2",
        "https://redd.it/1abcd2",
    ],
)
def test_a_post_is_known_by_its_fullname(given: str) -> None:
    assert REDDIT.normalize_post_id(given, account_of("reddit", {})) == "t3_1abcd2"


@pytest.mark.parametrize(
    "given",
    [
        "t1_1abcd2",
        "https://www.reddit.com/r/test/s/AbCdEf",
        "https://www.reddit.com/r/test/comments/1abcd2/hello/k1234/",
        "https://www.reddit.com/r/test/",
    ],
)
def test_other_texts_are_no_posts(given: str) -> None:
    with pytest.raises(ValueError, match="expected"):
        REDDIT.normalize_post_id(given, account_of("reddit", {}))


def test_an_account_id_has_no_prefix() -> None:
    assert REDDIT.normalize_account_id("t2_A2gghybr") == "a2gghybr"


def test_all_accounts_of_a_client_share_one_limit() -> None:
    (limit,) = REDDIT.limits_for(account_of("reddit", {}))
    assert (limit.calls, limit.seconds, limit.scope, limit.group) == (1000, 600, "app", "")

"""LinkedIn: tokens, versions, permissions and quotas, and what looks alike and means opposite things."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from limits.storage import MemoryStorage

from platforms import registry
from platforms.base import Account, Reading
from platforms.client import Settings
from platforms.dimensions import AccountDimension, Reason
from platforms.errors import (
    AccountNotFound,
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
from platforms.rates import Gates, Meter
from platforms.tests.replay import APP, NOW, TOKENS, Answers, account_of, client_for, query_of
from platforms.transport import Exchange

pytestmark = pytest.mark.usefixtures("then")

LINKEDIN = registry.get("linkedin")
PAGE = {"network_unique_id": "urn:li:organization:123"}
ME = {"id": "AbC123xyz"}
DEAD = "The provided authorization grant or refresh token is invalid, expired or revoked"


def failure(status: int, message: str = "", **more: Any) -> tuple[int, dict[str, Any]]:
    return status, {"status": status, "message": message, **more}


def denied(words: str) -> tuple[int, dict[str, Any]]:
    return failure(403, words, code="ACCESS_DENIED", serviceErrorCode=100)


def probe(transport: Answers, account: Account | None = None, **more: Any) -> None:
    account = account or account_of("linkedin", {})
    client_for("linkedin", transport, account, **more).run(LINKEDIN.probe(account))


class Closed(Gates):
    """Gates that note what closes them."""

    def __init__(self) -> None:
        self.closed: dict[str, datetime] = {}

    def parked(self, keys: Any) -> None:
        return None

    def close(self, key: str, until: datetime, reason: str) -> None:
        self.closed[key] = until


def test_every_call_names_version_and_protocol() -> None:
    probe(transport := Answers(lambda exchange: (200, ME)))
    assert transport.asked[0].headers["LinkedIn-Version"] == "202609"
    assert transport.asked[0].headers["X-Restli-Protocol-Version"] == "2.0.0"
    probe(transport, account_of("linkedin", {"settings": {"api_version": "202701"}}))
    assert transport.asked[1].headers["LinkedIn-Version"] == "202701"


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (failure(426, "Requested version 20251101 is not active", code="NONEXISTENT_VERSION"), Misconfigured),
        (failure(400, "A version must be present.", code="VERSION_MISSING"), Misconfigured),
        (failure(404, "No virtual resource found", code="RESOURCE_NOT_FOUND"), Misconfigured),
        (denied("Not enough permissions to access: me.GET.20260901"), ScopeMissing),
        (denied("Unpermitted fields present in PARAMETER: … [/shares[0]]"), Rejected),
        (failure(403, "Something else"), Rejected),
        (failure(401, "Invalid access token", serviceErrorCode=65600), TokenExpired),
        (failure(401, "…", serviceErrorCode=65601, code="REVOKED_ACCESS_TOKEN"), TokenExpired),
        ((404, b"<html>"), Rejected),
        ((503, b"<html>"), Unavailable),
        ((200, b"<html>"), MalformedPayload),
        ((200, b""), MalformedPayload),
    ],
)
def test_a_version_that_is_over_is_no_dead_token_and_a_syntax_no_missing_scope(
    answer: Any, error: type[PlatformError]
) -> None:
    with pytest.raises(error) as caught:
        probe(Answers(lambda exchange: answer))
    assert isinstance(caught.value, TokenExpired | ScopeMissing) == issubclass(error, TokenExpired | ScopeMissing)


def test_an_expired_token_is_renewed_once_and_the_call_repeated_once() -> None:
    def answer(exchange: Exchange) -> Any:
        fresh = exchange.headers["Authorization"] == "Bearer newer-access-token"
        return (200, ME) if fresh else failure(401, "expired", serviceErrorCode=65602, code="EXPIRED_ACCESS_TOKEN")

    transport = Answers(answer)
    probe(transport, renew=lambda stale: Credentials(access_token="newer-access-token"))
    assert len(transport.asked) == 2


# --- refresh ---------------------------------------------------------------------------------------------------------


def test_a_refresh_names_the_app_in_the_body_and_tells_when_the_grant_ends() -> None:
    body = {"access_token": "a2", "expires_in": 432000, "refresh_token": "r", "refresh_token_expires_in": 432000}
    account, transport = account_of("linkedin", {}), Answers(lambda exchange: (200, body | {"scope": "a,b"}))
    tokens = client_for("linkedin", transport, account).run(LINKEDIN.renew(account, TOKENS, APP))
    (exchange,) = transport.asked
    assert exchange.url == "https://www.linkedin.com/oauth/v2/accessToken"
    assert "Authorization" not in exchange.headers
    assert exchange.form == {
        "grant_type": "refresh_token",
        "refresh_token": TOKENS.refresh_token,
        "client_id": APP.client_id,
        "client_secret": APP.client_secret,
    }
    assert tokens.expires_at == NOW + timedelta(days=5)
    assert tokens.scopes == ("a", "b")


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ((400, {"error": "invalid_request", "error_description": DEAD}), TokenExpired),
        ((400, {"error": "invalid_grant", "error_description": DEAD}), TokenExpired),
        ((400, {"error": "invalid_request", "error_description": 'A required parameter "x" is missing'}), Rejected),
        ((401, {"error": "invalid_client"}), Misconfigured),
        ((401, b"<html>"), Misconfigured),
        ((503, b"<html>"), Unavailable),
        (failure(429, "Too many requests"), RateLimited),
        (Unavailable("The platform did not answer in time."), Unavailable),
    ],
)
def test_a_refused_refresh_is_told_from_all_others(answer: Any, error: type[PlatformError]) -> None:
    account, transport = account_of("linkedin", {}), Answers(lambda exchange: answer)
    with pytest.raises(error) as caught:
        client_for("linkedin", transport, account).run(LINKEDIN.renew(account, TOKENS, APP))
    assert isinstance(caught.value, TokenExpired) == (error is TokenExpired)


def test_what_the_token_endpoint_says_is_passed_on() -> None:
    told = {"error": "invalid_request", "error_description": 'A required parameter "x" is missing'}
    account, transport = account_of("linkedin", {}), Answers(lambda exchange: (400, told))
    with pytest.raises(Rejected, match='parameter "x"'):
        client_for("linkedin", transport, account).run(LINKEDIN.renew(account, TOKENS, APP))


def test_an_app_without_refresh_tokens_sends_nothing() -> None:
    account, transport = account_of("linkedin", {}), Answers(lambda exchange: (200, {}))
    with pytest.raises(TokenExpired):
        client_for("linkedin", transport, account).run(LINKEDIN.renew(account, Credentials(access_token="a"), APP))
    assert transport.asked == []


# --- limits ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "headers", "key", "until"),
    [
        ("APPLICATION DAY", {}, "linkedin:app:app-1:me", datetime(2026, 11, 24, tzinfo=UTC)),
        ("MEMBER DAY", {}, "linkedin:account:account-1:me", datetime(2026, 11, 24, tzinfo=UTC)),
        ("Too many requests", {"retry-after": "30"}, "linkedin:account:account-1:me", NOW + timedelta(seconds=30)),
        ("Too many requests", {}, "linkedin:account:account-1:me", NOW + timedelta(minutes=5)),
    ],
)
def test_a_spent_quota_parks_its_endpoint(words: str, headers: dict[str, str], key: str, until: datetime) -> None:
    gates = Closed()
    body = failure(429, f"Resource level throttle {words} limit for calls to this resource is reached.")
    with pytest.raises(RateLimited) as caught:
        probe(Answers(lambda exchange: (*body, headers)), gates=gates)
    assert gates.closed == {key: until}
    assert caught.value.retry_at == until


def test_only_the_development_tier_has_limits_that_are_known_before_they_are_spent() -> None:
    transport = Answers(lambda exchange: (200, ME))
    settings = Settings(transport=transport, meter=Meter(MemoryStorage(), reserved=0.0))
    development = account_of("linkedin", {"settings": {"tier": "development"}})
    for _ in range(100):
        probe(transport, development, settings=settings)
    with pytest.raises(RateLimited) as caught:
        probe(transport, development, settings=settings)
    assert caught.value.retry_at == datetime(2026, 11, 24, tzinfo=UTC)
    probe(transport, account_of("linkedin", {}), settings=settings)
    assert len(transport.asked) == 101


# --- probe and account -----------------------------------------------------------------------------------------------


def test_an_openid_app_is_asked_for_userinfo() -> None:
    probe(
        transport := Answers(lambda exchange: (200, {"sub": "AbC123xyz"})),
        account_of("linkedin", {"scopes": ["openid", "profile"]}),
    )
    assert transport.paths == ["/v2/userinfo"]


def test_an_app_of_unknown_kind_is_asked_both_ways() -> None:
    def answer(exchange: Exchange) -> Any:
        me = exchange.url.endswith("/me")
        return denied("Not enough permissions to access: me.GET.202609") if me else (200, {"sub": "AbC123xyz"})

    probe(transport := Answers(answer), account_of("linkedin", {"scopes": []}))
    assert transport.paths == ["/rest/me", "/v2/userinfo"]
    with pytest.raises(ScopeMissing):
        probe(Answers(answer))
    with pytest.raises(ScopeMissing):
        probe(
            Answers(lambda exchange: denied("Not enough permissions to access: x")),
            account_of("linkedin", {"scopes": []}),
        )


def test_a_page_is_looked_for_among_all_that_the_member_administers() -> None:
    def answer(exchange: Exchange) -> Any:
        start = int(query_of(exchange)["start"][0])
        pages = [{"organization": f"urn:li:organization:{n}"} for n in range(1000 + start, 1100 + start)]
        last = start == 200
        found = [{"organization": "urn:li:organization:123"}] if last else pages
        return 200, {"elements": found, "paging": {"links": [] if last else [{"rel": "next"}]}}

    transport = Answers(answer)
    probe(transport, account_of("linkedin", PAGE))
    assert len(transport.asked) == 3


@pytest.mark.parametrize(
    ("refused", "lost"),
    [
        ("memberFollowersCount", {AccountDimension.FOLLOWERS}),
        ("memberCreatorPostAnalytics", {AccountDimension.IMPRESSIONS, AccountDimension.REACH}),
    ],
)
def test_a_missing_scope_costs_a_member_only_what_it_gates(refused: str, lost: set[AccountDimension]) -> None:
    def answer(exchange: Exchange) -> Any:
        if refused in exchange.url:
            return denied(f"Not enough permissions to access: {refused}")
        return 200, {"elements": [{"count": 7, "memberFollowersCount": 7}]}

    account = account_of("linkedin", {})
    reading = client_for("linkedin", Answers(answer), account).run(LINKEDIN.fetch_account(account))
    assert isinstance(reading, Reading)
    numbers = LINKEDIN.account_metrics(reading.raw)
    assert {name for name, value in numbers.items() if value is None} == lost
    assert {name for name, reason in reading.unavailable.items() if reason is Reason.SCOPE_MISSING} == lost
    assert reading.unavailable[AccountDimension.PROFILE_VIEWS] is Reason.UNSUPPORTED


@pytest.mark.parametrize(("answer", "error"), [(failure(503), Unavailable), (failure(401), TokenExpired)])
def test_while_nobody_says_whose_a_members_token_is_nothing_is_read_and_nothing_gone(
    answer: Any, error: type[PlatformError]
) -> None:
    def answers(exchange: Exchange) -> Any:
        if exchange.url.endswith("/me"):
            return answer
        if "entity" in query_of(exchange):
            return failure(404, "Not found")
        return 200, {"elements": [{"count": 7, "memberFollowersCount": 7}]}

    account = account_of("linkedin", {"network_unique_id": "urn:li:person:AbC123xyz"})
    client = client_for("linkedin", Answers(answers), account)
    with pytest.raises(error):
        client.run(LINKEDIN.fetch_account(account))
    with pytest.raises(error):
        client.run(LINKEDIN.fetch_posts(["urn:li:share:7330000000000000001"], account))
    assert "own" not in account.memory


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (denied("Not enough permissions to access: x"), ScopeMissing),
        (failure(404, "Not found"), AccountNotFound),
        (failure(503), Unavailable),
    ],
)
@pytest.mark.parametrize("told", [PAGE, {}])
def test_an_account_that_cannot_be_read_at_all_says_why(answer: Any, error: type[PlatformError], told: Any) -> None:
    account = account_of("linkedin", told)
    with pytest.raises(error):
        client_for("linkedin", Answers(lambda exchange: answer), account).run(LINKEDIN.fetch_account(account))


def test_followers_of_a_page_are_asked_for_in_the_new_words() -> None:
    account, transport = account_of("linkedin", PAGE), Answers(lambda exchange: (200, {"elements": []}))
    client_for("linkedin", transport, account).run(LINKEDIN.fetch_account(account))
    (url,) = [exchange.url for exchange in transport.asked if "networkSizes" in exchange.url]
    assert url.endswith("/networkSizes/urn%3Ali%3Aorganization%3A123?edgeType=COMPANY_FOLLOWED_BY_MEMBER")


# --- ids and listing -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "urn"),
    [
        ("urn:li:share:73", "urn:li:share:73"),
        ("urn:li:ugcPost:73", "urn:li:ugcPost:73"),
        ("https://www.linkedin.com/feed/update/urn:li:share:73/", "urn:li:share:73"),
        ("https://www.linkedin.com/feed/update/urn%3Ali%3AugcPost%3A73?trk=x", "urn:li:ugcPost:73"),
        ("https://www.linkedin.com/posts/acme_launch-day-ugcPost-73-aBcD?utm_source=share", "urn:li:ugcPost:73"),
    ],
)
def test_a_post_is_known_by_its_urn(given: str, urn: str) -> None:
    assert LINKEDIN.normalize_post_id(given, account_of("linkedin", {})) == urn


@pytest.mark.parametrize(
    "given", ["73", "urn:li:activity:73", "https://www.linkedin.com/feed/update/urn:li:activity:73/", "urn:li:share:"]
)
def test_an_activity_is_no_post(given: str) -> None:
    with pytest.raises(ValueError, match="expected urn:li:share"):
        LINKEDIN.normalize_post_id(given, account_of("linkedin", {}))


def test_the_author_tells_members_and_pages_apart() -> None:
    assert LINKEDIN.normalize_account_id("https://www.linkedin.com/company/123/") == "urn:li:organization:123"
    assert LINKEDIN.normalize_account_id("urn:li:organization:0123") == "urn:li:organization:123"
    assert LINKEDIN.normalize_account_id("urn:li:person:0012") == "urn:li:person:0012"
    assert LINKEDIN.normalize_account_id("urn:li:person:AbC_1-2") == "urn:li:person:AbC_1-2"
    with pytest.raises(ValueError, match="expected urn:li:person"):
        LINKEDIN.normalize_account_id("123")


def test_a_members_posts_are_not_listed_and_not_asked_for() -> None:
    account, transport = account_of("linkedin", {}), Answers(lambda exchange: (200, {}))
    with pytest.raises(Rejected, match="does not list the posts of members"):
        client_for("linkedin", transport, account).run(LINKEDIN.list_posts(account))
    assert transport.asked == []


def test_a_listing_remembers_age_and_sort_of_what_linkedin_names() -> None:
    posts: list[dict[str, Any]] = [
        {"id": "urn:li:share:1", "publishedAt": 1795341600000, "content": {"media": {"id": "urn:li:image:a"}}},
        {"id": "urn:li:ugcPost:2", "createdAt": 1795341500000, "content": {"media": {"id": "urn:li:video:b"}}},
        {"id": "urn:li:share:3", "publishedAt": 1795341400000, "author": "urn:li:person:x"},
        {"id": "urn:li:share:4", "lifecycleState": "DRAFT"},
    ]
    known = {"author": "urn:li:organization:123", "lifecycleState": "PUBLISHED"}
    account = account_of("linkedin", PAGE)
    transport = Answers(lambda exchange: (200, {"elements": [{**known, **each} for each in posts]}))
    found = client_for("linkedin", transport, account).run(LINKEDIN.list_posts(account))
    assert [each.id for each in found.posts] == ["urn:li:share:1", "urn:li:ugcPost:2"]
    assert found.cursor == ""
    assert account.memory == {
        "listed": {"urn:li:share:1": 1795341600000, "urn:li:ugcPost:2": 1795341500000},
        "videos": ["urn:li:ugcPost:2"],
    }
    assert transport.asked[0].headers["X-RestLi-Method"] == "FINDER"

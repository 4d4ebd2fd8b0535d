"""YouTube: two methods with a bucket each, counts that are text or absent, and a listing without numbers."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from platforms import registry
from platforms.base import Account, Listing
from platforms.dimensions import AccountDimension, Dimension
from platforms.errors import (
    AccountNotFound,
    DeadlineExceeded,
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
from platforms.tests.replay import APP, NOW, TOKENS, Answers, account_of, client_for, query_of, raw_of
from platforms.tests.sample import Gates
from platforms.transport import Exchange

pytestmark = pytest.mark.usefixtures("then")

YT = registry.get("youtube")
MIDNIGHT = datetime(2026, 11, 24, 8, tzinfo=UTC)
"""The next midnight on the Pacific coast, in winter time."""
STATS, LIST = "/youtube/v3/videos:batchGetStats", "/youtube/v3/videos"
ONE, TWO = "abc123DEF45", "-bC_23DEF45"


def video(video_id: str, **more: Any) -> dict[str, Any]:
    counts = {"viewCount": "1532", "likeCount": "87", "commentCount": "12"}
    return {"id": video_id, "snippet": {"title": "Launch day"}, "statistics": counts, **more}


def videos(*found: Any) -> tuple[int, Any]:
    return 200, {"kind": "youtube#videoListResponse", "items": list(found)}


def refusal(status: int, reason: str = "", told: str = "", message: str = "no") -> tuple[int, Any]:
    return status, {"error": {"code": status, "message": message, "errors": [{"reason": reason}], "status": told}}


def fetch(transport: Answers, *ids: str, account: Account | None = None, **more: Any) -> dict[str, Any]:
    account = account or account_of("youtube", {})
    found: dict[str, Any] = client_for("youtube", transport, account, **more).run(YT.fetch_posts(ids, account))
    return found


def pages(transport: Answers) -> list[Listing]:
    account, cursor = account_of("youtube", {}), ""
    found: list[Listing] = []
    while not found or cursor:
        found.append(client_for("youtube", transport, account).run(YT.list_posts(account, cursor=cursor)))
        cursor = found[-1].cursor
    return found


def test_a_thousand_videos_take_twenty_calls() -> None:
    def answer(exchange: Exchange) -> Any:
        return videos(*map(video, query_of(exchange)["id"][0].split(",")))

    transport = Answers(answer)
    ids = [f"{number:011d}" for number in range(1000)]
    found: dict[str, Any] = {}
    for start in range(0, 1000, YT.batch_size):
        found |= fetch(transport, *ids[start : start + YT.batch_size])
    assert len(found) == 1000
    assert transport.paths == [STATS] * 20


def test_the_colon_of_the_method_is_sent_as_it_is_and_ids_once() -> None:
    transport = Answers(lambda exchange: videos(video(ONE)))
    fetch(transport, ONE, TWO, ONE)
    (exchange,) = transport.asked
    assert exchange.url == "https://www.googleapis.com/youtube/v3/videos:batchGetStats"
    assert query_of(exchange) == {"part": ["id,statistics"], "id": [f"{ONE},{TWO}"]}
    assert exchange.headers["Authorization"] == f"Bearer {TOKENS.access_token}"


def test_views_count_as_impressions_too_and_only_numbers_are_kept() -> None:
    raw = raw_of(fetch(Answers(lambda exchange: videos(video(ONE))), ONE)[ONE])
    assert raw == {"id": ONE, "statistics": {"viewCount": "1532", "likeCount": "87", "commentCount": "12"}}
    numbers = YT.metrics(raw)
    assert numbers[Dimension.IMPRESSIONS] == numbers[Dimension.VIDEO_VIEWS] == 1532
    assert set(numbers) == YT.dimensions()


@pytest.mark.parametrize("statistics", [{"viewCount": "5"}, {"viewCount": "5", "likeCount": "many"}, None, "?"])
def test_what_a_video_lacks_is_null_and_costs_the_others_nothing(statistics: Any) -> None:
    odd = video(TWO, statistics=statistics)
    found = fetch(Answers(lambda exchange: videos(video(ONE), odd)), ONE, TWO)
    assert YT.metrics(raw_of(found[ONE]))[Dimension.LIKES] == 87
    assert YT.metrics(raw_of(found[TWO]))[Dimension.LIKES] is None


def test_half_a_batch_missing_leaves_the_other_half() -> None:
    assert set(fetch(Answers(lambda exchange: videos(video(TWO), video("Zz9notasked"))), ONE, TWO)) == {TWO}


@pytest.mark.parametrize("answer", [{}, [], None, {"items": "?"}, {"items": None}, {"items": [{"id": 5}]}])
def test_an_answer_that_is_none_does_not_make_videos_disappear(answer: Any) -> None:
    with pytest.raises((MalformedPayload, Unavailable)):
        fetch(Answers(lambda exchange: (200, answer)), ONE)


# --- the older method --------------------------------------------------------------------------------------------

UNUSABLE = [
    refusal(404, "notFound", "NOT_FOUND"),
    refusal(400, "badRequest", "INVALID_ARGUMENT"),
    refusal(403, "forbidden", "PERMISSION_DENIED"),
    (404, b"<html>"),
    (200, b"<html>"),
    (200, {}),
]


@pytest.mark.parametrize("refused", UNUSABLE)
def test_the_older_method_answers_where_the_newer_is_refused_and_is_kept_for_the_day(refused: Any) -> None:
    transport = Answers(lambda exchange: refused if exchange.url.endswith("Stats") else videos(video(ONE)))
    account = account_of("youtube", {})
    for _ in range(2):
        assert set(fetch(transport, ONE, account=account)) == {ONE}
    assert transport.paths == [STATS, LIST, LIST]
    account.memory["stats_refused_on"] = "2026-11-22"
    fetch(transport, ONE, account=account)
    assert transport.paths[3:] == [STATS, LIST]


def test_a_passing_failure_of_the_newer_method_is_not_remembered() -> None:
    down = refusal(503, "backendError", "UNAVAILABLE")
    transport = Answers(lambda exchange: down if exchange.url.endswith("Stats") else videos(video(ONE)))
    account = account_of("youtube", {})
    assert set(fetch(transport, ONE, account=account)) == {ONE}
    assert account.memory == {}


@pytest.mark.parametrize("error", [Unavailable(scope="account"), Rejected(scope="account")])
def test_the_older_method_is_not_asked_with_a_token_that_could_not_be_renewed(error: PlatformError) -> None:
    def renew(stale: str) -> Any:
        raise error

    transport = Answers(lambda exchange: refusal(401, "authError", "UNAUTHENTICATED"))
    with pytest.raises(type(error)):
        fetch(transport, ONE, renew=renew)
    assert transport.paths == [STATS]


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (refusal(403, "quotaExceeded"), RateLimited),
        (refusal(401, "authError"), TokenExpired),
        (refusal(403, "insufficientPermissions"), ScopeMissing),
        (refusal(403, "accessNotConfigured"), Misconfigured),
        (refusal(403, "authenticatedUserAccountClosed"), AccountNotFound),
        (DeadlineExceeded(), DeadlineExceeded),
    ],
)
def test_what_would_refuse_the_older_method_as_well_is_not_asked_again(answer: Any, error: type[Exception]) -> None:
    transport = Answers(lambda exchange: answer)
    with pytest.raises(error):
        fetch(transport, ONE)
    assert transport.paths == [STATS]


def test_both_methods_refused_is_an_error_and_forgotten() -> None:
    account = account_of("youtube", {})
    with pytest.raises(Rejected):
        fetch(Answers(lambda exchange: refusal(400, "badRequest")), ONE, account=account)
    assert account.memory == {}


# --- errors and limits -------------------------------------------------------------------------------------------


def failing(answer: Any, **more: Any) -> PlatformError:
    account = account_of("youtube", {})
    with pytest.raises(PlatformError) as caught:
        client_for("youtube", Answers(lambda exchange: answer), account, **more).run(YT.probe(account))
    return caught.value


def test_a_403_for_the_quota_parks_its_bucket_until_midnight_on_the_pacific_coast() -> None:
    gates = Gates()
    message = 'You have exceeded your <a href="/quota">quota</a>.'
    error = failing(refusal(403, "quotaExceeded", "PERMISSION_DENIED", message), gates=gates)
    assert type(error) is RateLimited
    assert gates.closed == {"youtube:app:app-1:general": MIDNIGHT}
    assert set(fetch(Answers(lambda exchange: videos(video(ONE))), ONE, gates=gates)) == {ONE}


def test_the_spent_bucket_of_posts_leaves_accounts_alone() -> None:
    gates = Gates()
    with pytest.raises(RateLimited):
        fetch(Answers(lambda exchange: refusal(403, "quotaExceeded")), ONE, gates=gates)
    assert gates.closed == {"youtube:app:app-1:batchGetStats": MIDNIGHT}


@pytest.mark.parametrize(
    ("unit", "until"),
    [("1/d/{project}", MIDNIGHT), ("1/min/{project}", NOW + timedelta(seconds=60))],
)
def test_the_newer_quota_service_says_whether_a_day_or_a_minute_is_spent(unit: str, until: datetime) -> None:
    status, body = refusal(429, "rateLimitExceeded", "RESOURCE_EXHAUSTED")
    body["error"]["details"] = [{"reason": "RATE_LIMIT_EXCEEDED", "metadata": {"quota_unit": unit}}]
    error = failing((status, body))
    assert type(error) is RateLimited
    assert (error.retry_at, error.scope, error.group) == (until, "app", "general")


@pytest.mark.parametrize(
    ("reason", "headers", "key", "seconds"),
    [
        ("rateLimitExceeded", {}, "youtube:app:app-1:general", 60),
        ("rateLimitExceeded", {"retry-after": "7"}, "youtube:app:app-1:general", 7),
        ("userRateLimitExceeded", {}, "youtube:account:account-1:general", 60),
    ],
)
def test_short_term_rates_pass(reason: str, headers: dict[str, str], key: str, seconds: int) -> None:
    gates = Gates()
    error = failing((*refusal(403, reason), headers), gates=gates)
    assert type(error) is RateLimited and error.retry_at is not None
    assert gates.closed == {key: error.retry_at}
    assert (error.retry_at - datetime.now(UTC)).total_seconds() == seconds


def test_the_first_reason_decides_then_the_status_then_http() -> None:
    assert type(failing(refusal(403, "quotaExceeded", "PERMISSION_DENIED"))) is RateLimited
    assert type(failing(refusal(403, "somethingNew", "PERMISSION_DENIED"))) is ScopeMissing
    assert type(failing(refusal(403, "somethingNew", "SOMETHING_NEW"))) is Rejected
    assert type(failing(refusal(500, "somethingNew"))) is Unavailable


def test_each_bucket_is_the_projects_for_a_day_on_the_pacific_coast() -> None:
    assert {(limit.group, limit.scope, limit.zone, limit.calls) for limit in YT.limits} == {
        ("batchGetStats", "app", "America/Los_Angeles", 10000),
        ("general", "app", "America/Los_Angeles", 10000),
    }


def test_markup_in_a_message_is_not_shown() -> None:
    assert failing(refusal(400, "unexpectedParameter", message='No <b>such</b> <a href="x">thing</a>')).detail == (
        "No such thing"
    )


@pytest.mark.parametrize(("status", "body"), [(502, b"<html>"), (200, b""), (200, b"<html>"), (503, {})])
def test_broken_answers_are_passing_failures(status: int, body: Any) -> None:
    assert failing((status, body)).retryable


def test_an_expired_token_is_renewed_once() -> None:
    transport = Answers(
        lambda exchange: (
            (200, {"items": [{"id": "UCacmeAnalyticsDemo00001"}]})
            if exchange.headers["Authorization"].endswith("new")
            else refusal(401, "authError")
        )
    )
    account = account_of("youtube", {})
    client_for("youtube", transport, account, renew=lambda old: Credentials("new")).run(YT.probe(account))
    assert len(transport.asked) == 2


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ((400, {"error": "invalid_grant", "error_description": "Token has been expired or revoked."}), TokenExpired),
        ((401, {"error": "invalid_client"}), Misconfigured),
        ((429, {}), RateLimited),
        ((503, {}), Unavailable),
        (DeadlineExceeded(), DeadlineExceeded),
    ],
)
def test_only_a_refused_grant_is_the_owners(answer: Any, error: type[Exception]) -> None:
    transport, account = Answers(lambda exchange: answer), account_of("youtube", {})
    with pytest.raises(error) as caught:
        client_for("youtube", transport, account).run(YT.renew(account, TOKENS, APP))
    assert type(caught.value) is error
    (exchange,) = transport.asked
    assert exchange.url == "https://oauth2.googleapis.com/token" and "Authorization" not in exchange.headers
    assert exchange.form is not None and exchange.form["client_secret"] == APP.client_secret


# --- the channel and its uploads ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("statistics", "followers"),
    [
        ({"subscriberCount": "1230", "hiddenSubscriberCount": False}, 1230),
        ({"subscriberCount": "0", "hiddenSubscriberCount": False}, 0),
        ({"subscriberCount": "1230", "hiddenSubscriberCount": True}, None),
        ({"subscriberCount": "0", "hiddenSubscriberCount": True}, None),
        ({"subscriberCount": "1230"}, 1230),
        ({}, None),
    ],
)
def test_hidden_subscribers_are_null(statistics: Any, followers: int | None) -> None:
    assert YT.account_metrics({"statistics": statistics})[AccountDimension.FOLLOWERS] == followers


def test_a_listing_reads_the_uploads_page_by_page() -> None:
    def answer(exchange: Exchange) -> Any:
        if exchange.url.endswith("channels"):
            uploads = {"relatedPlaylists": {"uploads": "UUother"}}
            return 200, {"items": [{"id": "UCacmeAnalyticsDemo00001", "contentDetails": uploads}]}
        page = int(query_of(exchange).get("pageToken", ["0"])[0])
        known = {"videoId": f"{page:011d}", "videoPublishedAt": "2026-11-20T10:00:00Z"}
        more = {"nextPageToken": str(page + 1)} if page < 3 else {}
        return 200, {"items": [{"id": "UUother.x", "contentDetails": known}], **more}

    transport = Answers(answer)
    assert [post.id for page in pages(transport) for post in page.posts] == [f"{n:011d}" for n in range(4)]
    assert [path.rpartition("/")[2] for path in transport.paths] == ["channels", *["playlistItems"] * 4]
    assert {query_of(exchange)["playlistId"][0] for exchange in transport.asked[1:]} == {"UUother"}


@pytest.mark.parametrize(
    ("uploads", "video_id"), [({}, "abc123DEF45"), ("UU\x00", "abc123DEF45"), ("UUother", "\x00"), ("UUother", 5)]
)
def test_a_listing_of_odd_ids_is_malformed_and_not_empty(uploads: Any, video_id: Any) -> None:
    def answer(exchange: Exchange) -> Any:
        if exchange.url.endswith("channels"):
            details = {"relatedPlaylists": {"uploads": uploads}}
            return 200, {"items": [{"id": "UCacmeAnalyticsDemo00001", "contentDetails": details}]}
        return 200, {"items": [{"contentDetails": {"videoId": video_id, "videoPublishedAt": "2026-11-20T10:00:00Z"}}]}

    with pytest.raises(MalformedPayload):
        pages(Answers(answer))


def test_a_listing_that_repeats_its_page_ends() -> None:
    account = account_of("youtube", {})
    transport = Answers(lambda exchange: (200, {"items": [], "nextPageToken": "same"}))
    assert client_for("youtube", transport, account).run(YT.list_posts(account, cursor="UUx:same")) == Listing(())


@pytest.mark.parametrize(
    "given",
    [
        "abc123DEF45",
        "https://www.youtube.com/watch?v=abc123DEF45",
        "https://m.youtube.com/watch?app=desktop&v=abc123DEF45&t=10s",
        "https://youtu.be/abc123DEF45?si=x",
        "https://www.youtube.com/shorts/abc123DEF45",
        "https://youtube.com/live/abc123DEF45?feature=share",
        "https://www.youtube.com/embed/abc123DEF45",
    ],
)
def test_permalinks_become_ids(given: str) -> None:
    assert YT.normalize_post_id(given, account_of("youtube", {})) == "abc123DEF45"


@pytest.mark.parametrize(
    "given", ["abc123DEF4", "abc123DEF456", "UEw.abc123DEF45", "https://youtu.be/abc", "abc 23DEF45"]
)
def test_other_texts_are_no_ids(given: str) -> None:
    with pytest.raises(ValueError, match="expected"):
        YT.normalize_post_id(given, account_of("youtube", {}))


def test_a_channel_is_named_by_its_id_or_address() -> None:
    assert YT.normalize_account_id("https://www.youtube.com/channel/UCacmeAnalyticsDemo00001") == (
        "UCacmeAnalyticsDemo00001"
    )
    with pytest.raises(ValueError, match="expected"):
        YT.normalize_account_id("@acme")

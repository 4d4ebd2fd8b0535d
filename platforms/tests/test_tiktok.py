"""TikTok: two 401s, publish ids, withdrawn metrics, pages."""

from datetime import timedelta
from typing import Any

import pytest

from platforms import registry
from platforms.base import Account, Reading
from platforms.dimensions import Dimension, Reason
from platforms.errors import (
    Gone,
    MalformedPayload,
    PlatformError,
    RateLimited,
    Rejected,
    ScopeMissing,
    TokenExpired,
    Unavailable,
)
from platforms.oauth import Credentials
from platforms.tests.replay import APP, NOW, TOKENS, Answers, account_of, client_for, query_of, raw_of
from platforms.tiktok_videos import list_videos
from platforms.transport import Exchange

pytestmark = pytest.mark.usefixtures("then")

TIKTOK = registry.get("tiktok")
A, B = "7077642457847991554", "7080217258529737986"
PUBLISH_ID = "v_pub_url~v2-1.7080217258529737986"
COUNTS = {"view_count": 18400, "like_count": 920, "comment_count": 41, "share_count": 77}
OK = {"code": "ok", "message": "", "log_id": "2026"}


def video(video_id: str, **more: Any) -> dict[str, Any]:
    return {"id": video_id, "create_time": 1763600000, **COUNTS, **more}


def good(**data: Any) -> tuple[int, Any]:
    return 200, {"data": data, "error": OK}


def refused(status: int, code: str, message: str = "") -> tuple[int, Any]:
    return status, {"data": {}, "error": {"code": code, "message": message, "log_id": "2026"}}


def wanted(exchange: Exchange) -> list[str]:
    assert isinstance(exchange.json, dict)
    ids: list[str] = exchange.json["filters"]["video_ids"]
    return ids


def all_there(exchange: Exchange) -> tuple[int, Any]:
    return good(videos=[video(video_id) for video_id in wanted(exchange)])


def fetch(transport: Answers, *ids: str, account: Account | None = None, **more: Any) -> dict[str, Any]:
    account = account or account_of("tiktok", {})
    found: dict[str, Any] = client_for("tiktok", transport, account, **more).run(TIKTOK.fetch_posts(ids, account))
    return found


def told(status: str = "PUBLISH_COMPLETE", ids: Any = (int(B),)) -> Answers:
    """A server that says this of publish ids, and has every video."""

    def answer(exchange: Exchange) -> Any:
        if "publish" in exchange.url:
            return good(status=status, publicaly_available_post_id=list(ids) if isinstance(ids, tuple) else ids)
        return all_there(exchange)

    return Answers(answer)


def test_a_thousand_videos_take_fifty_calls() -> None:
    ids = [str(7_000_000_000_000_000_000 + n) for n in range(1000)]
    transport = Answers(all_there)
    found: dict[str, Any] = {}
    for start in range(0, len(ids), TIKTOK.batch_size):
        found |= fetch(transport, *ids[start : start + TIKTOK.batch_size])
    assert len(found) == 1000 and len(transport.asked) == 50
    assert max(len(wanted(exchange)) for exchange in transport.asked) == 20


def test_fields_are_asked_in_the_query_and_ids_in_the_body() -> None:
    transport = Answers(all_there)
    fetch(transport, A)
    (exchange,) = transport.asked
    assert exchange.url == "https://open.tiktokapis.com/v2/video/query/"
    assert query_of(exchange) == {"fields": ["id,create_time,view_count,like_count,comment_count,share_count"]}
    assert exchange.json == {"filters": {"video_ids": [A]}}


def test_views_are_impressions_and_video_views() -> None:
    numbers = TIKTOK.metrics(COUNTS)
    assert numbers[Dimension.IMPRESSIONS] == numbers[Dimension.VIDEO_VIEWS] == 18400
    assert set(numbers) == {*map(Dimension, ("impressions", "likes", "comments", "shares", "video_views"))}


def test_no_text_of_a_video_is_kept() -> None:
    transport = Answers(lambda exchange: good(videos=[video(A, title="Demo", share_url="https://x", duration=3)]))
    assert set(raw_of(fetch(transport, A)[A])) == {"id", "create_time", *COUNTS}


def test_a_foreign_video_in_the_answer_is_nobodys() -> None:
    assert set(fetch(Answers(lambda exchange: good(videos=[video(A), video(B)])), A)) == {A}


@pytest.mark.parametrize("videos", [[{}], [{"id": None}], [{"id": "abc"}], "?", {}])
def test_an_answer_that_hides_its_videos_is_not_one_without_them(videos: Any) -> None:
    with pytest.raises(MalformedPayload):
        fetch(Answers(lambda exchange: good(videos=videos)), A)


@pytest.mark.parametrize("videos", [[], None])
def test_a_missing_video_is_left_out_and_no_zero(videos: Any) -> None:
    account = account_of("tiktok", {})
    shown = {"videos": videos, "user": {"open_id": account.network_unique_id}}
    assert fetch(Answers(lambda exchange: good(**shown)), A, account=account) == {}


def test_videos_that_anothers_token_is_not_shown_are_not_gone() -> None:
    with pytest.raises(TokenExpired):
        fetch(Answers(lambda exchange: good(videos=[], user={"open_id": "another"})), A, B)


# --- errors ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "renewals", "error"),
    [("access_token_invalid", 1, None), ("scope_not_authorized", 0, ScopeMissing)],
)
def test_the_two_401s_have_opposite_remedies(code: str, renewals: int, error: type[PlatformError] | None) -> None:
    renewed: list[str] = []

    def renew(refused_token: str) -> Credentials:
        renewed.append(refused_token)
        return Credentials(access_token="access-token-renewed")

    def answer(exchange: Exchange) -> Any:
        return all_there(exchange) if "renewed" in exchange.headers["Authorization"] else refused(401, code)

    if error is None:
        assert set(fetch(Answers(answer), A, renew=renew)) == {A}
    else:
        with pytest.raises(error):
            fetch(Answers(answer), A, renew=renew)
    assert len(renewed) == renewals


@pytest.mark.parametrize(
    ("answer", "seconds"),
    [
        (refused(429, "rate_limit_exceeded"), 60),
        ((*refused(429, "rate_limit_exceeded"), {"retry-after": "7"}), 7),
        (refused(200, "rate_limit_exceeded"), 60),
    ],
)
def test_a_rate_limit_parks_the_endpoint_for_the_app(answer: Any, seconds: int) -> None:
    with pytest.raises(RateLimited) as caught:
        fetch(Answers(lambda exchange: answer), A)
    assert caught.value.retry_at == NOW + timedelta(seconds=seconds)
    assert (caught.value.scope, caught.value.group) == ("app", "video/query")


def test_a_limit_of_publish_ids_is_the_users_alone() -> None:
    error = fetch(Answers(lambda exchange: refused(429, "rate_limit_exceeded")), PUBLISH_ID)[PUBLISH_ID]
    assert isinstance(error, RateLimited)
    assert (error.scope, error.group) == ("account", "publish/status")


def test_each_endpoint_has_a_limit_of_its_own() -> None:
    limits = {limit.group: (limit.calls, limit.seconds, limit.scope) for limit in TIKTOK.limits}
    assert limits["video/query"] == limits["video/list"] == limits["user/info"] == (600, 60, "app")
    assert limits["publish/status"] == (30, 60, "account")


def test_success_is_told_by_the_code_and_not_by_the_status() -> None:
    with pytest.raises(Unavailable):
        fetch(Answers(lambda exchange: refused(200, "internal_error")), A)


def test_a_scope_that_the_owner_did_not_grant_makes_the_account_unhealthy() -> None:
    transport = Answers(lambda exchange: good(user={"open_id": account_of("tiktok", {}).network_unique_id}))
    for scopes, problem in (((), None), (TIKTOK.scopes, None), (("user.info.basic",), ScopeMissing)):
        account = account_of("tiktok", {"scopes": scopes})
        client = client_for("tiktok", transport, account)
        if problem is None:
            client.run(TIKTOK.probe(account))
        else:
            with pytest.raises(problem, match=r"user\.info\.stats, video\.list"):
                client.run(TIKTOK.probe(account))
    assert {query_of(exchange)["fields"][0] for exchange in transport.asked} == {"open_id"}


# --- withdrawn metrics -------------------------------------------------------------------------------------------


def without_shares(exchange: Exchange) -> tuple[int, Any]:
    if "share_count" in query_of(exchange)["fields"][0]:
        return refused(400, "invalid_params", "Invalid fields: share_count")
    told = {name: value for name, value in video(A).items() if name != "share_count"}
    return good(videos=[told], cursor=0, has_more=False)


def test_a_withdrawn_metric_costs_one_call_once_and_its_own_column() -> None:
    transport, account = Answers(without_shares), account_of("tiktok", {})
    for calls in (2, 3):
        reading = fetch(transport, A, account=account)[A]
        assert isinstance(reading, Reading)
        assert reading.unavailable == {Dimension.SHARES: Reason.RETIRED}
        assert TIKTOK.metrics(reading.raw)[Dimension.LIKES] == 920
        assert len(transport.asked) == calls
    assert account.retired == {"share_count"}


def test_a_listing_does_without_a_withdrawn_metric() -> None:
    transport, account = Answers(without_shares), account_of("tiktok", {})
    page = client_for("tiktok", transport, account).run(list_videos(account, ""))
    assert [each.id for each in page.posts] == [A] and account.retired == {"share_count"}
    assert page.posts[0].unavailable == {Dimension.SHARES: Reason.RETIRED}


@pytest.mark.parametrize("message", ["Bad", "Fields must be of view_count, like_count, comment_count, share_count"])
def test_a_refusal_that_names_no_single_metric_retires_none(message: str) -> None:
    account = account_of("tiktok", {})
    transport = Answers(lambda exchange: refused(400, "invalid_params", message))
    with pytest.raises(Rejected):
        fetch(transport, A, account=account)
    assert account.retired == set() and len(transport.asked) == 1


# --- publish ids -------------------------------------------------------------------------------------------------


def test_a_publish_id_is_resolved_once_and_names_its_video() -> None:
    account, transport = account_of("tiktok", {}), told()
    first = fetch(transport, PUBLISH_ID, account=account)[PUBLISH_ID]
    assert (first.id, first.raw["id"]) == (B, B)
    assert account.memory == {"published": {PUBLISH_ID: B}}
    assert [path.rpartition("/v2/")[2] for path in transport.paths] == ["post/publish/status/fetch/", "video/query/"]
    again = fetch(transport, PUBLISH_ID, account=account)[PUBLISH_ID]
    assert again.id == B and len(transport.asked) == 3


def test_a_publish_id_is_asked_about_beside_the_videos_that_are_known() -> None:
    transport = told()
    found = fetch(transport, A, PUBLISH_ID)
    assert set(found) == {A, PUBLISH_ID} and found[A].id == ""
    assert len(transport.asked) == 3


@pytest.mark.parametrize(
    ("status", "ids", "error"),
    [
        ("PUBLISH_COMPLETE", (), Unavailable),
        ("PUBLISH_COMPLETE", None, Unavailable),
        ("PUBLISH_COMPLETE", "?", Unavailable),
        ("PUBLISH_COMPLETE", (1, 2), Unavailable),
        ("PUBLISH_COMPLETE", ({},), Unavailable),
        ("PROCESSING_DOWNLOAD", (), Unavailable),
        ("FAILED", (), Gone),
    ],
)
def test_an_unresolved_publish_id_is_never_guessed_nor_missing(status: str, ids: Any, error: type[Exception]) -> None:
    account = account_of("tiktok", {})
    found = fetch(told(status, ids), A, PUBLISH_ID, account=account)
    assert isinstance(found[PUBLISH_ID], error) and isinstance(found[A], Reading)
    assert account.memory == {}


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (refused(401, "scope_not_authorized"), ScopeMissing),
        (refused(400, "invalid_publish_id"), Rejected),
        (refused(429, "rate_limit_exceeded"), RateLimited),
        ((503, b""), Unavailable),
        ((200, b"<html>"), MalformedPayload),
    ],
)
def test_a_refused_status_costs_only_the_publish_id(answer: Any, error: type[Exception]) -> None:
    transport = Answers(lambda exchange: answer if "publish" in exchange.url else all_there(exchange))
    found = fetch(transport, A, PUBLISH_ID)
    assert isinstance(found[PUBLISH_ID], error) and isinstance(found[A], Reading)


def test_a_dead_token_is_not_a_publish_ids_fault() -> None:
    with pytest.raises(TokenExpired):
        fetch(Answers(lambda exchange: refused(401, "access_token_invalid")), PUBLISH_ID)


# --- listing -----------------------------------------------------------------------------------------------------


def test_pages_are_walked_by_milliseconds_and_a_cursor_that_stands_still_ends_them() -> None:
    transport = Answers(lambda exchange: good(videos=[video(A)], cursor=1762000000000, has_more=True))
    account = account_of("tiktok", {})
    first = client_for("tiktok", transport, account).run(list_videos(account, ""))
    second = client_for("tiktok", transport, account).run(list_videos(account, first.cursor))
    assert (first.cursor, second.cursor) == ("1762000000000", "")
    assert [exchange.json for exchange in transport.asked] == [
        {"max_count": 20},
        {"max_count": 20, "cursor": 1762000000000},
    ]
    assert first.posts[0].published_at is not None and first.posts[0].published_at.year == 2025


def test_whose_token_it_is_is_asked_once() -> None:
    account = account_of("tiktok", {})
    transport = Answers(lambda exchange: good(videos=[], user={"open_id": account.network_unique_id}, has_more=False))
    made = client_for("tiktok", transport, account)
    for _ in range(2):
        assert made.run(TIKTOK.list_posts(account)).posts == ()
        assert made.run(TIKTOK.fetch_posts([A], account)) == {}
    assert [path.rpartition("v2")[2] for path in transport.paths] == [
        "/user/info/",
        *["/video/list/", "/video/query/"] * 2,
    ]


def test_anothers_videos_are_not_listed() -> None:
    transport, account = (
        Answers(lambda exchange: good(videos=[video(A)], user={"open_id": "another"})),
        account_of("tiktok", {}),
    )
    with pytest.raises(TokenExpired):
        client_for("tiktok", transport, account).run(TIKTOK.list_posts(account))
    assert not any("list" in exchange.url for exchange in transport.asked)


# --- tokens ------------------------------------------------------------------------------------------------------


def renew(answer: Any, credentials: Credentials = TOKENS) -> tuple[Answers, Any]:
    account, transport = account_of("tiktok", {}), Answers(lambda exchange: answer)
    return transport, client_for("tiktok", transport, account).run(TIKTOK.renew(account, credentials, APP))


def test_a_refresh_names_the_app_by_client_key_in_the_body_and_keeps_what_rotates() -> None:
    pair = {"access_token": "act.2", "refresh_token": "rft.2", "expires_in": 86400, "refresh_expires_in": 31536000}
    transport, tokens = renew((200, pair | {"scope": "user.info.basic,video.list"}))
    (exchange,) = transport.asked
    assert "Authorization" not in exchange.headers
    assert exchange.form == {
        "grant_type": "refresh_token",
        "refresh_token": "refresh-token-on-file",
        "client_key": "client-on-file",
        "client_secret": "secret-on-file",
    }
    assert (tokens.refresh_token, tokens.expires_at) == ("rft.2", NOW + timedelta(hours=24))
    assert tokens.refresh_expires_at == NOW + timedelta(days=365)
    assert tokens.scopes == ("user.info.basic", "video.list")


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ((200, {"error": "invalid_grant", "error_description": "expired"}), TokenExpired),
        ((400, {"error": "invalid_grant"}), TokenExpired),
        ((200, {"error": "temporarily_unavailable"}), Unavailable),
        (Unavailable("timed out"), Unavailable),
        ((429, {"error": "rate_limit_exceeded"}), RateLimited),
    ],
)
def test_only_a_clear_refusal_of_a_refresh_is_one(answer: Any, error: type[PlatformError]) -> None:
    with pytest.raises(error) as caught:
        renew(answer)
    assert type(caught.value) is error

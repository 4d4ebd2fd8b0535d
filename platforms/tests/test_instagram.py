"""Instagram: two hosts, kinds of media, the listing, refused metrics, media that spoil a page."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest

from platforms import registry
from platforms.base import Account, Reading
from platforms.dimensions import AccountDimension, Dimension, Reason
from platforms.errors import (
    AccountNotFound,
    Gone,
    MalformedPayload,
    PlatformError,
    RateLimited,
    Rejected,
    TokenExpired,
    Unavailable,
)
from platforms.instagram_media import METRICS, STORY_METRICS
from platforms.oauth import Credentials
from platforms.tests.replay import APP, NOW, TOKENS, Answers, account_of, client_for, query_of, raw_of
from platforms.tests.test_x import Closed
from platforms.transport import Exchange

pytestmark = pytest.mark.usefixtures("then")

INSTAGRAM = registry.get("instagram")
ME = "17841400000000001"


def failure(code: int, message: str = "", subcode: int = 0, status: int = 400) -> tuple[int, Any]:
    return status, {"error": {"code": code, "message": message, "error_subcode": subcode, "type": "OAuthException"}}


POISON = failure(100, "Media posted before business account conversion", 2108006)


class Network:
    """A small Instagram: a listing, newest first, and whatever each test wants refused."""

    def __init__(self, size: int) -> None:
        self.ids = [f"17900000000{n:06d}" for n in range(size)]
        self.media: dict[str, dict[str, Any]] = {}
        for n, media_id in enumerate(self.ids):
            stamp = (NOW - timedelta(hours=n)).strftime("%Y-%m-%dT%H:%M:%S+0000")
            self.media[media_id] = {
                "id": media_id,
                "media_type": "IMAGE",
                "media_product_type": "FEED",
                "timestamp": stamp,
                "like_count": 7,
                "comments_count": 3,
                "caption": "free text",
            }
        self.values = {name: n for n, name in enumerate((*METRICS, "replies", "link_clicks"), 10)}
        self.listed = list(self.ids)
        self.refuse: Callable[[str, list[str]], tuple[int, Any] | None] = lambda media_id, metrics: None
        self.refuse_page: Callable[[list[str], dict[str, Any]], Any] = lambda ids, query: None
        self.gone: set[str] = set()
        self.account_gone = False
        self.transport = Answers(self.answer)

    def fetch(self, *ids: str, account: Account | None = None, **more: Any) -> dict[str, Any]:
        account = account or account_of("instagram", {})
        client = client_for("instagram", self.transport, account, **more)
        found: dict[str, Any] = client.run(INSTAGRAM.fetch_posts(ids, account))
        return found

    @property
    def calls(self) -> int:
        return len(self.transport.asked)

    def answer(self, exchange: Exchange) -> Any:
        path = urlsplit(exchange.url).path.removeprefix("/v26.0/")
        query = {name: values[0] for name, values in query_of(exchange).items()}
        if path == f"{ME}/media":
            return self.page(query)
        if path in (ME, "me"):
            return failure(100, "does not exist", 33) if self.account_gone else (200, {"id": ME, "user_id": ME})
        media_id, _, insights = path.partition("/")
        if media_id in self.gone or media_id not in self.media or self.account_gone:
            return failure(100, "does not exist", 33)
        if not insights:
            return 200, self.media[media_id]
        metrics = query["metric"].split(",")
        return self.refuse(media_id, metrics) or (200, self.insights(metrics))

    def insights(self, metrics: list[str]) -> dict[str, Any]:
        return {"data": [{"name": name, "values": [{"value": self.values[name]}], "title": name} for name in metrics]}

    def page(self, query: dict[str, str]) -> Any:
        start, size = int(query.get("after", 0)), int(query["limit"])
        ids = self.listed[start : start + size]
        refused = self.refuse_page(ids, query)
        if refused is not None:
            return refused
        media = [dict(self.media[i]) for i in ids]
        _, _, metrics = query["fields"].partition("insights.metric(")
        for item in media if metrics else ():
            refusal = self.refuse(item["id"], metrics.strip(")").split(","))
            if refusal is not None:
                return refusal
            item["insights"] = self.insights(metrics.strip(")").split(","))
        paging: dict[str, Any] = {"cursors": {"before": str(start), "after": str(start + size)}}
        if start + size < len(self.listed):
            paging["next"] = "https://graph.facebook.com/next?access_token=paging"
        return 200, {"data": media, "paging": paging}


def numbers(item: Any) -> dict[Dimension, int | None]:
    return INSTAGRAM.metrics(raw_of(item))


# --- the listing -------------------------------------------------------------------------------------------------


def test_a_thousand_posts_take_at_most_40_calls() -> None:
    network = Network(1000)
    found = network.fetch(*network.ids)
    assert set(found) == set(network.ids)
    assert network.calls <= 40
    assert all(numbers(item)[Dimension.IMPRESSIONS] == 10 for item in found.values())


def test_a_thousand_posts_with_a_metric_that_was_withdrawn_take_at_most_40_calls() -> None:
    network = Network(1000)
    words = "(#100) metric[4] must be one of the following values: " + ", ".join(
        ["impressions", "replies", "video_views", "follows", "profile_visits", "navigation"] * 5
        + [name for name in METRICS if name != "shares"]
    )
    network.refuse = lambda media_id, metrics: failure(100, words) if "shares" in metrics else None
    found = network.fetch(*network.ids)
    assert network.calls <= 40
    reading = found[network.ids[0]]
    assert isinstance(reading, Reading)
    assert reading.unavailable == {Dimension.SHARES: Reason.RETIRED}
    assert numbers(reading)[Dimension.SAVES] == 15


def test_few_posts_are_read_one_by_one_side_by_side() -> None:
    network = Network(300)
    found = network.fetch(network.ids[250], network.ids[299])
    assert len(found) == 2
    assert network.calls == 4
    assert "caption" not in raw_of(found[network.ids[250]])


def test_media_that_the_listing_lacks_do_not_make_it_be_walked_through_again_and_again() -> None:
    network = Network(10_000)
    stories = [f"18000000000{n:06d}" for n in range(30)]
    network.media |= {i: network.media[network.ids[0]] | {"id": i, "media_product_type": "STORY"} for i in stories}
    network.refuse = lambda media_id, metrics: (
        failure(100, "The metric likes is not supported for this media type")
        if media_id in stories and "likes" in metrics
        else None
    )
    account = account_of("instagram", {})
    found = network.fetch(*stories, account=account)
    assert set(found) == set(stories)
    assert network.calls <= 20 + 3 * 30
    before = network.calls
    found = network.fetch(*stories, account=account)
    assert network.calls - before <= 3 * 30
    assert numbers(found[stories[0]])[Dimension.CLICKS] == network.values["link_clicks"]
    assert numbers(found[stories[0]])[Dimension.COMMENTS] == network.values["replies"]


def test_a_listing_that_never_ends_is_left() -> None:
    network = Network(10)
    paging = {"cursors": {"after": "same"}, "next": "https://graph.facebook.com/next"}
    network.refuse_page = lambda ids, query: (200, {"data": [network.media[network.ids[0]]], "paging": paging})
    assert set(network.fetch(*network.ids[:5])) == set(network.ids[:5])
    assert network.calls < 20


def test_a_page_that_is_too_much_is_asked_for_in_smaller_ones() -> None:
    network = Network(100)
    words = "Please reduce the amount of data you're asking for, then retry your request"
    network.refuse_page = lambda ids, query: failure(1, words, status=500) if int(query["limit"]) > 25 else None
    assert len(network.fetch(*network.ids)) == 100
    assert network.calls == 1 + 4


def test_what_was_found_before_a_failure_is_kept() -> None:
    network = Network(100)
    network.refuse_page = lambda ids, query: failure(4, "limit", status=403) if query.get("after") == "50" else None
    found = network.fetch(*network.ids)
    assert network.calls == 2
    assert numbers(found[network.ids[49]])[Dimension.REACH] == 11
    assert all(isinstance(found[i], RateLimited) for i in network.ids[50:])


def test_a_listing_that_fails_at_once_fails_the_batch() -> None:
    network = Network(100)
    network.refuse_page = lambda ids, query: failure(2, "later", status=500)
    with pytest.raises(Unavailable):
        network.fetch(*network.ids)
    assert network.calls == 1


@pytest.mark.parametrize("data", [None, {}, "x"])
def test_a_listing_that_is_no_list_never_passes_for_an_empty_one(data: Any) -> None:
    network = Network(10)
    network.refuse_page = lambda ids, query: (200, {"data": data})
    with pytest.raises(MalformedPayload):
        network.fetch(*network.ids)


# --- media from before the account became professional -----------------------------------------------------------


def test_a_medium_that_spoils_its_page_costs_little_and_is_remembered() -> None:
    network = Network(400)
    old = set(network.ids[210:])
    network.refuse = lambda media_id, metrics: POISON if media_id in old else None
    account = account_of("instagram", {})
    found = network.fetch(*network.ids, account=account)
    assert set(found) == set(network.ids)
    assert numbers(found[network.ids[209]])[Dimension.IMPRESSIONS] == 10
    assert numbers(found[network.ids[210]])[Dimension.IMPRESSIONS] is None
    assert numbers(found[network.ids[210]])[Dimension.LIKES] == 7
    assert numbers(found[network.ids[399]])[Dimension.COMMENTS] == 3
    assert account.memory["no_insights_until"] == network.media[network.ids[210]]["timestamp"]
    assert network.calls <= 9 + 50
    before = network.calls
    again = network.fetch(*network.ids, account=account)
    assert {i: numbers(item) for i, item in again.items()} == {i: numbers(item) for i, item in found.items()}
    assert network.calls - before <= 9 + 10


def test_a_medium_from_before_is_read_without_insights() -> None:
    network = Network(2)
    network.refuse = lambda media_id, metrics: POISON
    account = account_of("instagram", {})
    found = network.fetch(network.ids[1], account=account)
    assert numbers(found[network.ids[1]])[Dimension.LIKES] == 7
    assert account.memory["no_insights_until"] == network.media[network.ids[1]]["timestamp"]


# --- kinds and refused metrics -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("media_type", "product", "views"),
    [("IMAGE", "FEED", 0), ("VIDEO", "REELS", 10), ("VIDEO", "FEED", 10), ("CAROUSEL_ALBUM", "FEED", None)],
)
def test_video_views_are_those_of_videos(media_type: str, product: str, views: int | None) -> None:
    network = Network(1)
    network.media[network.ids[0]] |= {"media_type": media_type, "media_product_type": product}
    found = numbers(network.fetch(network.ids[0])[network.ids[0]])
    assert (found[Dimension.IMPRESSIONS], found[Dimension.VIDEO_VIEWS], found[Dimension.CLICKS]) == (10, views, None)


REFUSALS = [
    ("The Media Insights API does not support the views metric for this media product type.", {"views"}),
    ("(#100) The metric shares is not supported for this media type", {"shares"}),
    (
        "(#100) Starting from version v22.0, the total_interactions metric is no longer supported",
        {"total_interactions"},
    ),
    ("(#100) metric[0] must be one of the following values: " + ", ".join(METRICS[2:]), {"views", "reach"}),
]


@pytest.mark.parametrize(("words", "lost"), REFUSALS)
def test_a_refused_metric_costs_only_itself(words: str, lost: set[str]) -> None:
    network = Network(1)
    network.refuse = lambda media_id, metrics: failure(100, words) if lost & set(metrics) else None
    raw = raw_of(network.fetch(network.ids[0])[network.ids[0]])
    assert {entry["name"] for entry in raw["insights"]["data"]} == set(METRICS) - lost
    assert network.calls == 3


def test_a_refusal_that_names_no_metric_is_answered_by_asking_for_fewer() -> None:
    network = Network(1)
    network.refuse = lambda media_id, metrics: failure(100, "(#100) Bad metric") if len(metrics) > 1 else None
    found = numbers(network.fetch(network.ids[0])[network.ids[0]])
    assert (found[Dimension.REACH], found[Dimension.IMPRESSIONS], found[Dimension.LIKES]) == (11, None, 7)
    network.refuse = lambda media_id, metrics: failure(100, "(#100) Bad metric")
    assert numbers(network.fetch(network.ids[0])[network.ids[0]])[Dimension.LIKES] == 7


def test_one_medium_of_another_kind_does_not_cost_its_page_the_metric() -> None:
    network = Network(20)
    odd = network.ids[3]
    words = "The Media Insights API does not support the views metric for this media product type."
    network.refuse = lambda media_id, metrics: failure(100, words) if media_id == odd and "views" in metrics else None
    found = network.fetch(*network.ids)
    assert [i for i in network.ids if numbers(found[i])[Dimension.IMPRESSIONS] is None] == [odd]
    assert numbers(found[odd])[Dimension.REACH] == 11


def test_a_story_has_metrics_of_its_own() -> None:
    network = Network(1)
    network.media[network.ids[0]] |= {"media_product_type": "STORY", "media_type": "VIDEO"}
    network.refuse = lambda media_id, metrics: (
        failure(100, "(#100) metric unknown") if tuple(metrics) != STORY_METRICS else None
    )
    found = numbers(network.fetch(network.ids[0])[network.ids[0]])
    assert found[Dimension.COMMENTS] == network.values["replies"]
    assert found[Dimension.CLICKS] == network.values["link_clicks"]
    assert found[Dimension.SAVES] is None


def test_too_few_viewers_is_not_a_missing_permission() -> None:
    network = Network(1)
    network.refuse = lambda media_id, metrics: failure(10, "(#10) Not enough viewers for the media to show insights")
    item = network.fetch(network.ids[0])[network.ids[0]]
    assert not isinstance(item, Reading)
    assert numbers(item)[Dimension.IMPRESSIONS] is None


def test_hidden_likes_come_from_the_metric_and_else_are_null() -> None:
    network = Network(1)
    del network.media[network.ids[0]]["like_count"]
    assert numbers(network.fetch(network.ids[0])[network.ids[0]])[Dimension.LIKES] == network.values["likes"]
    network.refuse = lambda media_id, metrics: failure(100, "(#100) likes metric") if "likes" in metrics else None
    assert numbers(network.fetch(network.ids[0])[network.ids[0]])[Dimension.LIKES] is None


def test_a_total_stands_in_for_a_value() -> None:
    data = [
        {"name": "views", "total_value": {"value": 4}},
        {"name": "reach", "values": [{}], "total_value": {"value": 5}},
    ]
    found = INSTAGRAM.metrics({"insights": {"data": data}})
    assert (found[Dimension.IMPRESSIONS], found[Dimension.REACH]) == (4, 5)


@pytest.mark.parametrize("count", [2, 200])
def test_a_missing_insights_permission_costs_only_the_insights_and_few_calls(count: int) -> None:
    network = Network(count)
    network.refuse = lambda media_id, metrics: failure(10, "(#10) Application does not have permission", status=403)
    found = network.fetch(*network.ids)
    for item in found.values():
        assert isinstance(item, Reading)
        assert numbers(item)[Dimension.LIKES] == 7
        assert item.unavailable[Dimension.REACH] is Reason.SCOPE_MISSING
        assert Dimension.LIKES not in item.unavailable and Dimension.CLICKS not in item.unavailable
    assert network.calls <= 6


# --- gone --------------------------------------------------------------------------------------------------------


def test_a_deleted_medium_is_gone_only_while_its_account_answers() -> None:
    network = Network(2)
    network.gone = {network.ids[0]}
    found = network.fetch(*network.ids)
    assert isinstance(found[network.ids[0]], Gone)
    assert isinstance(found[network.ids[1]], dict)
    network.account_gone = True
    with pytest.raises(AccountNotFound):
        network.fetch(*network.ids)


def test_a_listing_that_is_gone_is_the_account() -> None:
    network = Network(10)
    network.refuse_page = lambda ids, query: failure(100, "does not exist", 33)
    with pytest.raises(AccountNotFound):
        network.fetch(*network.ids)


def test_a_dead_token_fails_the_batch_and_not_each_medium() -> None:
    transport = Answers(lambda exchange: failure(190, "Session has expired", 463))
    account = account_of("instagram", {})
    with pytest.raises(TokenExpired):
        client_for("instagram", transport, account).run(INSTAGRAM.fetch_posts(["17900000000000001"], account))


def test_a_token_of_the_other_host_looks_expired() -> None:
    account = account_of("instagram", {"extra": {"login": "instagram"}})
    words = "Unsupported request - method type: get"
    transport = Answers(lambda exchange: failure(100, words))
    with pytest.raises(TokenExpired):
        client_for("instagram", transport, account).run(INSTAGRAM.probe(account))
    assert urlsplit(transport.asked[0].url).netloc == "graph.instagram.com"


# --- account, limits, tokens -------------------------------------------------------------------------------------


def test_a_withdrawn_account_metric_does_not_cost_the_other() -> None:
    def answer(exchange: Exchange) -> Any:
        asked = query_of(exchange).get("metric", [""])[0].split(",")
        if asked == [""]:
            return 200, {"id": ME, "followers_count": 5}
        if "views" in asked or "profile_views" in asked:
            return failure(100, "(#100) metric[1] must be one of the following values: reach, follower_count")
        return 200, {"data": [{"name": "reach", "total_value": {"value": 9}}]}

    account = account_of("instagram", {})
    result = client_for("instagram", Answers(answer), account).run(INSTAGRAM.fetch_account(account))
    found = INSTAGRAM.account_metrics(raw_of(result))
    assert found[AccountDimension.REACH] == 9
    assert found[AccountDimension.FOLLOWERS] == 5
    assert found[AccountDimension.IMPRESSIONS] is None


@pytest.mark.parametrize(
    ("headers", "closed"),
    [
        ({"x-app-usage": '{"call_count":28,"total_time":25,"total_cputime":25}'}, {}),
        ({"x-app-usage": '{"call_count":100,"total_time":25}'}, {"instagram:app:app-1:": timedelta(hours=1)}),
        (
            {"x-business-use-case-usage": '{"1":[{"call_count":101,"estimated_time_to_regain_access":9}]}'},
            {"instagram:account:account-1:": timedelta(minutes=9)},
        ),
        (
            {"x-business-use-case-usage": '{"1":[{"call_count":100,"estimated_time_to_regain_access":0}]}'},
            {"instagram:account:account-1:": timedelta(hours=1)},
        ),
        ({"x-app-usage": "[" * 60000}, {}),
        ({"x-app-usage": '{"call_count":NaN}', "x-business-use-case-usage": "null"}, {}),
    ],
)
def test_usage_headers_close_gates_for_every_endpoint(headers: dict[str, str], closed: dict[str, timedelta]) -> None:
    gates, account = Closed(), account_of("instagram", {})
    transport = Answers(lambda exchange: (200, {"id": ME}, headers))
    client_for("instagram", transport, account, gates=gates).run(INSTAGRAM.probe(account))
    assert {key: until - NOW for key, until in gates.closed.items()} == closed


@pytest.mark.parametrize(("code", "key"), [(4, "app:app-1"), (17, "account:account-1"), (80002, "account:account-1")])
def test_a_limit_parks_the_app_or_the_account(code: int, key: str) -> None:
    gates, account = Closed(), account_of("instagram", {})
    transport = Answers(lambda exchange: failure(code, "limit", status=403))
    with pytest.raises(RateLimited):
        client_for("instagram", transport, account, gates=gates).run(INSTAGRAM.probe(account))
    assert list(gates.closed) == [f"instagram:{key}:"]


def renew(login: str, answer: Any) -> tuple[Any, Answers]:
    account, transport = account_of("instagram", {"extra": {"login": login}}), Answers(lambda exchange: answer)
    return client_for("instagram", transport, account).run(INSTAGRAM.renew(account, TOKENS, APP)), transport


def test_an_instagram_token_is_extended_without_the_apps_secret() -> None:
    tokens, transport = renew("instagram", (200, {"access_token": "a2", "expires_in": 5183944}))
    (exchange,) = transport.asked
    assert exchange.url == "https://graph.instagram.com/refresh_access_token"
    assert query_of(exchange) == {"grant_type": ["ig_refresh_token"], "access_token": [TOKENS.access_token]}
    assert (tokens.access_token, tokens.refresh_token) == ("a2", "")
    assert tokens.expires_at == NOW + timedelta(seconds=5183944)


@pytest.mark.parametrize("words", ["The access token must be at least 24 hours old to be refreshed.", "Bad grant"])
def test_a_refusal_to_extend_that_is_no_expiry_is_not_taken_for_one(words: str) -> None:
    with pytest.raises(PlatformError) as caught:
        renew("instagram", failure(100, words))
    assert type(caught.value) is Rejected


def test_a_token_is_extended_early_but_not_in_its_first_day() -> None:
    for login in ("instagram", "facebook"):
        facts = INSTAGRAM.refresh_for(account_of("instagram", {"extra": {"login": login}}))
        assert facts is not None
        assert (facts.early, facts.min_age, facts.revives) == (timedelta(days=7), timedelta(hours=24), False)
    account = account_of("instagram", {})
    with pytest.raises(TokenExpired):
        client_for("instagram", Answers(lambda exchange: (200, {})), account).run(
            INSTAGRAM.renew(account, Credentials(refresh_token="x"), APP)
        )


def test_a_message_that_repeats_the_token_is_shown_without_it() -> None:
    account = account_of("instagram", {})
    words = f"Malformed access token {TOKENS.access_token}"
    with pytest.raises(TokenExpired) as caught:
        client_for("instagram", Answers(lambda exchange: failure(190, words)), account).run(INSTAGRAM.probe(account))
    assert caught.value.detail == "Malformed access token [removed]"
    assert TOKENS.access_token not in f"{caught.value} {caught.value.evidence}"


@pytest.mark.parametrize("given", ["CxYz123", "https://www.instagram.com/p/CxYz123/", "1790_17841", "12"])
def test_a_shortcode_is_no_id(given: str) -> None:
    with pytest.raises(ValueError, match="expected"):
        INSTAGRAM.normalize_post_id(given, account_of("instagram", {}))

"""Posts of several accounts in one call: what anybody's token shows, and what is left to their owners."""

from datetime import timedelta
from typing import Any

import pytest

from platforms import registry
from platforms.base import Found, Reading
from platforms.dimensions import Dimension, Reason
from platforms.errors import Gone, NotOpen, PlatformError, RateLimited, ScopeMissing, TokenExpired, Unavailable
from platforms.tests.replay import NOW, Answers, account_of, client_for, query_of
from platforms.transport import Exchange

pytestmark = pytest.mark.usefixtures("then")

X = registry.get("x")
EPOCH_MS = 1288834974657
PROBLEM = "https://api.x.com/2/problems/"


def made(age: timedelta) -> str:
    """The id of a post of that age."""
    return str((int((NOW - age).timestamp() * 1000) - EPOCH_MS) << 22)


YOUNG, OTHER, OLD = made(timedelta(days=1)), made(timedelta(days=2)), made(timedelta(days=40))


def public(post_id: str, name: str = "retweet_count") -> dict[str, Any]:
    return {"id": post_id, "created_at": "2026-01-01T00:00:00.000Z", "public_metrics": {"like_count": 3, name: 1}}


def private(post_id: str) -> dict[str, Any]:
    return {"id": post_id, "non_public_metrics": {"url_link_clicks": 7}}


def is_private(exchange: Exchange) -> bool:
    return any("non_public_metrics" in value for values in query_of(exchange).values() for value in values)


def x_answers(*posts: dict[str, Any], refusal: Any = None) -> Answers:
    def answer(exchange: Exchange) -> Any:
        if is_private(exchange):
            return refusal or (200, {"data": [private(i) for i in query_of(exchange)["ids"][0].split(",")]})
        return 200, {"data": list(posts)}

    return Answers(answer)


def shared(transport: Answers, *ids: str) -> dict[str, Reading]:
    account = account_of("x", {})
    return client_for("x", transport, account).run(X.fetch_shared(ids, account))


def own(transport: Answers, found: dict[str, Found]) -> dict[str, Any]:
    account = account_of("x", {})
    return client_for("x", transport, account).run(X.fetch_own(found, account))


@pytest.mark.parametrize("platform", [each for each in registry.PLATFORMS.values() if each.shares_calls])
def test_a_post_that_is_missing_or_not_open_is_left_to_its_owner_and_no_other_failure(platform: Any) -> None:
    told: list[Found] = [None, NotOpen(), Gone(), Unavailable(), RateLimited()]
    assert [platform.wants_owner(OLD, found) for found in told] == [True, True, False, False, False]


def test_x_shows_public_numbers_to_any_token_in_one_call() -> None:
    transport = x_answers(public(YOUNG), public(OLD))
    found = shared(transport, YOUNG, OLD)
    assert len(transport.asked) == 1 and not is_private(transport.asked[0])
    assert [X.wants_owner(post_id, found[post_id]) for post_id in (YOUNG, OLD)] == [True, False]


def test_an_x_post_whose_id_hides_that_it_is_young_is_left_to_its_owner() -> None:
    hidden = {**public("1890000000000000001"), "created_at": "2026-11-20T09:00:00.000Z"}
    assert X.wants_owner(hidden["id"], shared(x_answers(hidden), hidden["id"])[hidden["id"]])


@pytest.mark.parametrize(("name", "field"), [("retweet_count", "tweet.fields"), ("repost_count", "post.fields")])
def test_an_owner_on_x_is_asked_for_nothing_but_private_numbers_in_the_words_that_were_understood(
    name: str, field: str
) -> None:
    known: dict[str, Found] = {i: Reading({"post": public(i, name)}) for i in (YOUNG, OTHER)}
    transport = x_answers()
    found = own(transport, known)
    assert [query_of(each) for each in transport.asked] == [
        {"ids": [f"{YOUNG},{OTHER}"], field: ["non_public_metrics,organic_metrics"]}
    ]
    assert [X.metrics(found[i].raw)[Dimension.CLICKS] for i in (YOUNG, OTHER)] == [7, 7]
    assert not any(X.wants_owner(i, found[i]) for i in found)


def test_an_owner_on_x_is_asked_for_all_of_a_post_that_is_not_open_to_others() -> None:
    known: dict[str, Found] = {YOUNG: Reading({"post": public(YOUNG)}), OTHER: NotOpen()}
    transport = x_answers(public(OTHER))
    found = own(transport, known)
    assert [query_of(each)["ids"] for each in transport.asked if not is_private(each)] == [[OTHER]]
    assert [X.metrics(found[i].raw)[Dimension.CLICKS] for i in (YOUNG, OTHER)] == [7, 7]


def test_an_owner_on_x_without_the_scope_keeps_the_public_numbers() -> None:
    known: dict[str, Found] = {YOUNG: Reading({"post": public(YOUNG)})}
    forbidden = {"title": "Forbidden", "type": "about:blank", "status": 403, "detail": "Forbidden"}
    assert own(x_answers(refusal=(403, forbidden)), known) == {
        YOUNG: Reading({"post": public(YOUNG)}, {Dimension.CLICKS: Reason.SCOPE_MISSING})
    }


@pytest.mark.parametrize(
    ("answer", "error"), [((401, {"title": "Unauthorized"}), TokenExpired), ((503, {}), Unavailable)]
)
def test_other_failures_of_an_owner_on_x_are_told(answer: Any, error: type[PlatformError]) -> None:
    with pytest.raises(error):
        own(x_answers(refusal=answer), {YOUNG: Reading({"post": public(YOUNG)})})


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("not-authorized-for-resource", NotOpen),
        ("disallowed-resource", NotOpen),
        ("internal-error", Unavailable),
        ("not-authorized-for-field", ScopeMissing),
    ],
)
def test_x_tells_posts_that_are_not_open_from_those_that_it_failed_to_show(kind: str, error: type[Exception]) -> None:
    told = {"resource_id": OLD, "value": OLD, "title": "?", "detail": "?", "type": PROBLEM + kind}
    transport = Answers(lambda exchange: (200, {"data": [public(YOUNG)], "errors": [told]}))
    assert type(shared(transport, YOUNG, OLD)[OLD]) is error


def test_a_post_in_a_closed_subreddit_is_left_to_its_owner() -> None:
    reddit, account = registry.get("reddit"), account_of("reddit", {})
    transport = Answers(lambda exchange: (403, {"message": "Forbidden", "error": 403, "reason": "private"}))
    found = client_for("reddit", transport, account).run(reddit.fetch_shared(["t3_abc"], account))
    assert reddit.wants_owner("t3_abc", found["t3_abc"])

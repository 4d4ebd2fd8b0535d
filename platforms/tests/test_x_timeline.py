"""X: the timeline of an account, page by page."""

from datetime import UTC, date, datetime
from typing import Any

import pytest

from platforms.base import Account, Listing
from platforms.errors import AccountNotFound, MalformedPayload, Unavailable
from platforms.tests.replay import Answers, account_of, client_for, query_of, raw_of
from platforms.tests.x_posts import OLD, YOUNG, X, fetch, post
from platforms.transport import Exchange
from platforms.wanted import Wanted

pytestmark = pytest.mark.usefixtures("then")


def page_of(*posts: dict[str, Any], **meta: Any) -> dict[str, Any]:
    return ({"data": list(posts)} if posts else {}) | {"meta": {"result_count": len(posts), **meta}}


def listing(transport: Answers, cursor: str = "", account: Account | None = None) -> Listing:
    account = account or account_of("x", {})
    found: Listing = client_for("x", transport, account).run(X.list_posts(account, cursor=cursor))
    return found


def test_a_timeline_is_paged_and_tells_what_a_lookup_tells_but_private_numbers() -> None:
    made_at = "2026-11-20T09:00:00.000Z"

    def answer(exchange: Exchange) -> Any:
        if "ids" in query_of(exchange):
            return 200, {"data": [post(OLD, created_at=made_at)]}
        if "pagination_token" in query_of(exchange):
            return 200, page_of(post(OLD, created_at=made_at))
        return 200, page_of(post(YOUNG, created_at=made_at), next_token="t2")

    transport = Answers(answer)
    first = listing(transport)
    last = listing(transport, first.cursor)
    assert [each.id for each in (*first.posts, *last.posts)] == [YOUNG, OLD]
    assert (first.cursor, last.cursor) == ("t2", "")
    assert first.posts[0].url == f"https://x.com/i/status/{YOUNG}"
    assert first.posts[0].published_at == datetime(2026, 11, 20, 9, tzinfo=UTC)
    assert len(transport.asked) == 2
    looked_up = raw_of(fetch(transport, OLD)[OLD])
    assert last.posts[0].raw == {name: value for name, value in looked_up.items() if name != "private"}


def test_a_repost_that_comes_although_it_was_excluded_is_left_out() -> None:
    repost = post(YOUNG) | {"text": "RT @other: Launch day"}
    transport = Answers(lambda exchange: (200, page_of(repost, post(OLD))))
    assert [each.id for each in listing(transport).posts] == [OLD]
    assert query_of(transport.asked[0])["exclude"] == ["replies,retweets"]


@pytest.mark.parametrize(
    ("wanted", "told"),
    [
        (Wanted(), {"max_results": "100"}),
        (Wanted(most=150), {"max_results": "75"}),
        (Wanted(most=1), {"max_results": "5"}),
        (Wanted(most=1000), {"max_results": "100"}),
        (
            Wanted(date(2026, 1, 1), date(2026, 1, 31), 30),
            {"max_results": "30", "start_time": "2026-01-01T00:00:00Z", "end_time": "2026-02-01T00:00:00Z"},
        ),
        (Wanted(date(2006, 1, 1), date(2026, 11, 23)), {"max_results": "100"}),
        (Wanted(until=date.max), {"max_results": "100"}),
    ],
)
def test_no_more_is_listed_than_is_wanted_because_it_is_billed(wanted: Wanted, told: dict[str, str]) -> None:
    account, transport = account_of("x", {}), Answers(lambda exchange: (200, page_of(post(OLD))))
    client_for("x", transport, account).run(X.list_wanted(account, wanted))
    asked = {name: values[0] for name, values in query_of(transport.asked[0]).items()}
    assert {name: asked[name] for name in ("max_results", "start_time", "end_time") if name in asked} == told


def test_a_timeline_remembers_which_vocabulary_is_understood() -> None:
    def answer(exchange: Exchange) -> Any:
        return 200, page_of(post(OLD) if "post.fields" in query_of(exchange) else {"id": OLD, "text": "Launch day"})

    account, transport = account_of("x", {}), Answers(answer)
    for calls in (2, 3):
        assert [each.id for each in listing(transport, account=account).posts] == [OLD]
        assert len(transport.asked) == calls
    assert account.memory["vocabulary"] == "post"


def test_an_empty_page_may_have_a_next_one_but_not_itself() -> None:
    transport = Answers(lambda exchange: (200, page_of(next_token="t2")))
    assert listing(transport) == Listing((), "t2")
    assert listing(transport, "t2") == Listing(())


@pytest.mark.parametrize("answer", [{}, {"data": []}, {"meta": {"result_count": 3}}, {"data": {}, "meta": {}}, []])
def test_an_odd_timeline_never_passes_for_an_empty_one(answer: Any) -> None:
    with pytest.raises(MalformedPayload):
        listing(Answers(lambda exchange: (200, answer)))


@pytest.mark.parametrize(
    ("kind", "error"), [("resource-not-found", AccountNotFound), ("not-authorized-for-resource", Unavailable)]
)
def test_a_timeline_that_cannot_be_shown_says_so(kind: str, error: type[Exception]) -> None:
    told = {"resource_id": "2244994945", "resource_type": "user", "type": f"https://api.x.com/2/problems/{kind}"}
    with pytest.raises(error):
        listing(Answers(lambda exchange: (200, {"errors": [told]})))


def test_a_page_whose_posts_are_all_withheld_is_empty() -> None:
    told = {"resource_id": OLD, "type": "https://api.x.com/2/problems/disallowed-resource"}
    answer = {"errors": [told], "meta": {"result_count": 1, "next_token": "t2"}}
    assert listing(Answers(lambda exchange: (200, answer))) == Listing((), "t2")

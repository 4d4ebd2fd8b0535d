"""The client, with adapters made up for the purpose."""

import threading
import time
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest
from limits.storage import MemoryStorage

from platforms.base import Call, Request
from platforms.client import Client, Settings
from platforms.errors import (
    BudgetExhausted,
    DeadlineExceeded,
    Gone,
    Misconfigured,
    PlatformError,
    RateLimited,
    TokenExpired,
    Unavailable,
)
from platforms.hosts import HostMap
from platforms.oauth import Credentials
from platforms.rates import Meter
from platforms.tests.replay import NOW, TOKENS, query_of
from platforms.tests.sample import ACCOUNT, Gates, Sample, asked, client, failing, one, side_by_side
from platforms.transport import Exchange

pytestmark = pytest.mark.usefixtures("then")


# --- what is sent ------------------------------------------------------------------------------------------------


def test_a_relative_path_is_joined_to_the_base_and_a_list_becomes_repeated_parameters() -> None:
    made = client((200, {}))
    made.run(one("things", params={"ids": ["1", "2"], "q": "a b"}))
    (exchange,) = asked(made)
    assert exchange.url == "https://api.sample.com/v1/things"
    assert query_of(exchange) == {"ids": ["1", "2"], "q": ["a b"]}
    assert exchange.headers["Authorization"] == f"Bearer {TOKENS.access_token}"


@pytest.mark.parametrize(
    ("auth", "header", "query"),
    [
        ("bearer", f"Bearer {TOKENS.access_token}", {}),
        ("query", None, {"access_token": [TOKENS.access_token]}),
        ("refresh", f"Bearer {TOKENS.refresh_token}", {}),
        ("app", "Basic Y2xpZW50LW9uLWZpbGU6c2VjcmV0LW9uLWZpbGU=", {}),
        ("none", None, {}),
    ],
)
def test_each_way_of_authorization(auth: str, header: str | None, query: dict[str, list[str]]) -> None:
    made = client((200, {}))
    made.run(one(auth=auth))
    assert asked(made)[0].headers.get("Authorization") == header
    assert query_of(asked(made)[0]) == query


def test_a_token_that_is_a_parameter_travels_in_the_form_where_there_is_one() -> None:
    made = client((200, {}))
    made.run(one(auth="query", method="POST", form={"batch": "[]"}))
    (exchange,) = asked(made)
    assert exchange.form == {"batch": "[]", "access_token": TOKENS.access_token}
    assert not exchange.params


def test_a_token_goes_only_to_the_platforms_own_hosts() -> None:
    made = client((200, {}))
    with pytest.raises(Misconfigured):
        made.run(one("https://evil.example.com/"))
    made.run(one("https://evil.example.com/", auth="none"))
    made.run(one("https://pds.example.com/", foreign=True))
    assert [exchange.guarded for exchange in asked(made)] == [False, True]


def test_a_mapped_host_is_called_instead_and_unguarded() -> None:
    hosts = HostMap({"api.sample.com": "http://127.0.0.1:9001/x"})
    made = client((200, {}), settings={"hosts": hosts})
    made.run(one("things", foreign=True))
    assert (asked(made)[0].url, asked(made)[0].guarded) == ("http://127.0.0.1:9001/x/v1/things", False)


@pytest.mark.parametrize("token", ["", "with space", "new\nline", "ünicode"])
def test_a_token_that_is_none_is_not_sent(token: str) -> None:
    made = client((200, {}), credentials=Credentials(token))
    with pytest.raises(TokenExpired):
        made.run(one())
    assert asked(made) == [] and made.usage.calls == 0


# --- renewing ----------------------------------------------------------------------------------------------------


def fresh_only(exchange: Exchange) -> Any:
    return (200, {"ok": 1}) if exchange.headers.get("Authorization") == "Bearer fresh-token" else (401, {})


class Renew:
    """A renewal that is counted."""

    def __init__(self, answer: Credentials | PlatformError) -> None:
        self.refused: list[str] = []
        self._answer = answer

    def __call__(self, refused: str) -> Credentials:
        self.refused.append(refused)
        if isinstance(self._answer, PlatformError):
            raise self._answer
        return self._answer


def test_a_refused_token_is_renewed_once_for_all_requests_side_by_side() -> None:
    renew = Renew(Credentials("fresh-token"))
    made = client(fresh_only, renew=renew)
    assert made.run(side_by_side("a", "b", "c")) == ({"ok": 1},) * 3
    assert renew.refused == [TOKENS.access_token]
    assert made.usage.calls == 6


def test_only_the_refused_ones_are_repeated() -> None:
    def answer(exchange: Exchange) -> Any:
        return (200, {"public": 1}) if exchange.url.endswith("public") else fresh_only(exchange)

    made = client(answer, renew=Renew(Credentials("fresh-token")))
    assert made.run(side_by_side("public", "mine")) == ({"public": 1}, {"ok": 1})
    assert made.usage.calls == 3


def test_a_missing_access_token_is_renewed_without_asking_first() -> None:
    renew = Renew(Credentials("fresh-token"))
    made = client(fresh_only, renew=renew, credentials=Credentials(refresh_token="r"))
    assert made.run(one()) == {"ok": 1}
    assert made.usage.calls == 1


@pytest.mark.parametrize("error", [TokenExpired("refused"), Unavailable("no answer")])
def test_a_renewal_that_fails_is_the_answer_and_is_not_tried_again(error: PlatformError) -> None:
    renew = Renew(error)
    made = client((401, {}), renew=renew)

    def stubborn() -> Call[str]:
        for _ in range(3):
            try:
                yield Request("things")
            except PlatformError as caught:
                last = caught
        return last.code

    assert made.run(stubborn()) in (error.code, "token_expired")
    assert len(renew.refused) == 1


def test_a_fresh_token_that_is_refused_too_does_not_count_against_the_account() -> None:
    made = client((401, {}), renew=Renew(Credentials("fresh-token")))
    with pytest.raises(Unavailable):
        made.run(one())
    assert made.usage.calls == 2


def test_nor_does_it_where_the_conversation_goes_on_elsewhere() -> None:
    made = client((401, {}), renew=Renew(Credentials("fresh-token")))

    def otherwise() -> Call[Any]:
        try:
            return (yield Request("things"))
        except Unavailable:
            return (yield Request("other-things"))

    with pytest.raises(Unavailable):
        made.run(otherwise())


def test_without_a_way_to_renew_a_refused_token_is_expired() -> None:
    with pytest.raises(TokenExpired):
        client((401, {})).run(one())


def test_what_uses_no_token_is_not_cured_by_a_new_one() -> None:
    renew = Renew(Credentials("fresh-token"))
    with pytest.raises(TokenExpired):
        client((401, {}), renew=renew).run(one(auth="none"))
    assert renew.refused == []


# --- side by side ------------------------------------------------------------------------------------------------


def test_answers_side_by_side_come_in_the_order_of_the_requests_with_errors_in_place() -> None:
    def answer(exchange: Exchange) -> Any:
        name = exchange.url.rsplit("/", 1)[-1]
        return failing("gone") if name == "3" else Unavailable("x") if name == "5" else (200, {"n": name})

    made = client(answer)
    answers = made.run(side_by_side(*[str(n) for n in range(40)]))
    assert isinstance(answers[3], Gone) and isinstance(answers[5], Unavailable)
    assert [each["n"] for each in answers if isinstance(each, dict)] == [str(n) for n in range(40) if n not in (3, 5)]
    assert made.usage.calls == 40


def test_requests_side_by_side_overlap() -> None:
    meeting = threading.Barrier(3, timeout=10)

    class Meeting:
        def send(self, exchange: Exchange) -> Any:
            meeting.wait()
            raise Unavailable("met")

    made = Client(Sample(), ACCOUNT, settings=Settings(transport=Meeting()), credentials=TOKENS)
    assert [each.detail for each in made.run(side_by_side("a", "b", "c"))] == ["met"] * 3


def test_gates_are_used_in_the_callers_thread_only() -> None:
    gates = Gates()
    client((200, {}, {"spent-for": "60"}), gates=gates).run(side_by_side("a", "b", "c"))
    assert gates.threads == {threading.current_thread().name}


def test_nothing_side_by_side_is_nothing() -> None:
    assert client((200, {})).run(side_by_side()) == ()


# --- gates and limits --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "key",
    [
        "sample:account:account-1:few",
        "sample:account:account-1:",
        "sample:app:app-1:",
        "sample:app:app-1:few",
        "sample:platform::",
        "sample:host:api.sample.com:",
    ],
)
def test_a_closed_gate_keeps_a_call_back(key: str) -> None:
    until = NOW + timedelta(minutes=5)
    made = client((200, {}), gates=Gates(**{key: until}))
    with pytest.raises(RateLimited) as caught:
        made.run(one(group="few"))
    assert caught.value.retry_at == until
    assert asked(made) == [] and made.usage.calls == 0


def test_a_gate_of_another_group_or_account_keeps_nothing_back() -> None:
    later = NOW + timedelta(minutes=5)
    gates = Gates(
        **{"sample:account:account-1:other": later, "sample:account:account-2:": later, "x:platform::": later}
    )
    assert client((200, {"a": 1}), gates=gates).run(one(group="few")) == {"a": 1}


@pytest.mark.parametrize(("vital", "sent"), [(("few",), 0), (("few", "few"), 0), (("few", "other"), 2)])
def test_nothing_is_sent_beside_vital_requests_of_which_none_may_be(vital: tuple[str, ...], sent: int) -> None:
    gates = Gates(**{"sample:account:account-1:few": NOW + timedelta(minutes=5)})
    made = client((200, {}), gates=gates)
    wanted = tuple(Request(group, group=group, vital=True) for group in vital)

    def call() -> Call[Any]:
        return (yield (Request("other", group="other"), *wanted))

    answers = made.run(call())
    assert [exchange.url.rpartition("/")[2] for exchange in asked(made)] == ["other"] * sent
    assert isinstance(answers[0], RateLimited) is (sent == 0)


def test_limits_keep_calls_back_before_the_platform_has_to() -> None:
    made = client((200, {}), settings={"meter": Meter(MemoryStorage())}, live=True)

    def many() -> Call[int]:
        for n in range(99):
            try:
                yield Request("things", group="few")
            except RateLimited:
                return n
        return 99

    assert made.run(many()) == 10
    assert client((200, {}), settings={"meter": Meter(MemoryStorage())}).run(many()) == 8, "a part is kept for live"


def test_calls_of_other_groups_are_not_counted() -> None:
    meter = Meter(MemoryStorage())
    for _ in range(30):
        client((200, {}), settings={"meter": meter}).run(one(group="other"))
    client((200, {}), settings={"meter": meter}).run(one(group="few"))


@pytest.mark.parametrize(
    ("answer", "seconds"),
    [
        (failing("slow", 429), 300),
        (failing("slow", 429, retry_after="60"), 60),
        (failing("slow", 429, retry_after="Mon, 23 Nov 2026 10:32:00 GMT"), 120),
        (failing("slow", 429, retry_after="-5"), 300),
        (failing("slow", 429, retry_after="²"), 300),
        (failing("slow", 429, retry_after="9" * 400), 31 * 86400),
        (failing("slow", 429, retry_after="0"), 1),
        (failing("slow", 200 + 200, spent_for="45"), 45),
        (failing("slow", 429, spent_for="many"), 300),
        ((429, b"<html>"), 300),
        ((429, []), 300),
    ],
)
def test_a_rate_limit_closes_its_gate_until_the_time_it_names(answer: Any, seconds: int) -> None:
    gates = Gates()
    with pytest.raises(RateLimited) as caught:
        client(answer, gates=gates).run(one(group="few"))
    assert gates.closed == {"sample:account:account-1:few": NOW + timedelta(seconds=seconds)}
    assert (caught.value.scope, caught.value.group) == ("account", "few")


def test_a_spent_budget_closes_the_gate_of_every_endpoint() -> None:
    class Paid(Sample):
        def classify(self, status: int, headers: Mapping[str, str], payload: Any) -> PlatformError | None:
            return BudgetExhausted(scope="app") if status == 402 else None

    gates = Gates()
    with pytest.raises(BudgetExhausted):
        client((402, {}), Paid(), gates=gates).run(one(group="few"))
    assert list(gates.closed) == ["sample:app:app-1:"]
    with pytest.raises(BudgetExhausted) as caught:
        (parked := client((200, {}), Paid(), gates=gates)).run(one(group="many"))
    assert asked(parked) == []
    assert (caught.value.scope, caught.value.retry_at) == ("app", gates.closed["sample:app:app-1:"])


# --- deadlines ---------------------------------------------------------------------------------------------------


def test_a_call_has_its_own_deadline_within_that_of_the_conversation() -> None:
    made = client((200, {}), settings={"call_seconds": 5.0, "conversation_seconds": 50.0})
    made.run(one())
    assert asked(made)[0].deadline - time.monotonic() < 6
    made = client((200, {}), settings={"call_seconds": 50.0, "conversation_seconds": 5.0})
    made.run(one())
    assert asked(made)[0].deadline - time.monotonic() < 6


def test_a_call_that_the_time_did_not_allow_is_not_counted() -> None:
    made = client(DeadlineExceeded())
    with pytest.raises(DeadlineExceeded):
        made.run(one())
    assert made.usage.calls == 0


# --- what is watched ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("more", "accepted"),
    [
        ({"params": {"fields": "id,share_count,insights.metric(reach)"}}, {"share_count", "reach"}),
        ({"form": {"batch": "1/insights?metric=views%2Creach&x=1"}}, {"reach"}),
        ({"json": {"metrics": ["share_count"]}}, {"share_count"}),
        ({"params": {"fields": "share_counts,outreach"}}, set()),
    ],
)
def test_a_watched_name_is_accepted_when_a_request_that_bears_it_is_answered_well(more: Any, accepted: Any) -> None:
    made = client((200, {}), watched=("share_count", "reach"))
    made.run(one(**more))
    assert made.usage.accepted == accepted


def test_a_watched_name_is_not_accepted_with_a_refusal() -> None:
    made = client(failing("no"), watched=("reach",))
    with pytest.raises(PlatformError):
        made.run(one("things/reach"))
    assert made.usage.accepted == set()

"""What Meta's Graph APIs share: limits, usage headers, batches, tokens of 60 days."""

import json
from datetime import timedelta
from typing import Any

import pytest

from platforms import registry, versions
from platforms.base import Request
from platforms.errors import MalformedPayload, PlatformError, RateLimited, Unavailable
from platforms.graph import GraphPlatform
from platforms.graph_batch import ask
from platforms.graph_insights import insights_by_name, metric_values, rows_by_id
from platforms.tests.replay import APP, NOW, TOKENS, Answers, account_of, client_for, query_of
from platforms.tests.sample import Gates

pytestmark = pytest.mark.usefixtures("then")

GRAPHS = ("facebook", "instagram", "threads")
BUSINESS = "x-business-use-case-usage"


def failure(code: Any, words: str = "limit", status: int = 400) -> tuple[int, Any]:
    return status, {"error": {"code": code, "message": words, "type": "OAuthException"}}


def probe(key: str, answer: Any) -> Gates:
    gates, account = Gates(), account_of(key, {})
    with pytest.raises(RateLimited):
        client_for(key, Answers(lambda exchange: answer), account, gates=gates).run(registry.get(key).probe(account))
    return gates


@pytest.mark.parametrize("key", GRAPHS)
@pytest.mark.parametrize(
    ("code", "owner"),
    [(4, "app:app-1"), ("4", "app:app-1"), (341, "app:app-1"), (17, "account:account-1"), (613, "account:account-1")],
)
def test_a_limit_of_the_app_parks_the_app_and_any_other_the_account(key: str, code: Any, owner: str) -> None:
    assert probe(key, failure(code)).closed == {f"{key}:{owner}:": NOW + timedelta(hours=1)}


@pytest.mark.parametrize("key", GRAPHS)
@pytest.mark.parametrize(
    ("header", "value", "owner", "wait"),
    [
        (BUSINESS, {"1": [{"call_count": 97, "estimated_time_to_regain_access": 0}]}, None, 0),
        (BUSINESS, {"1": [{"estimated_time_to_regain_access": 9}]}, "account:account-1", 9),
        (BUSINESS, {"1": [{"estimated_time_to_regain_access": "9"}]}, "account:account-1", 9),
        (
            BUSINESS,
            {"1": [{"estimated_time_to_regain_access": 3}], "2": [{}, {"estimated_time_to_regain_access": 19}]},
            "account:account-1",
            19,
        ),
        (BUSINESS, {"1": [{"total_cputime": 100}]}, "account:account-1", 60),
        ("x-page-usage", {"call_count": 100}, "account:account-1", 60),
        ("x-app-usage", {"call_count": 99, "total_time": 99, "total_cputime": 99}, None, 0),
        ("x-app-usage", {"total_time": 100}, "app:app-1", 60),
        (
            BUSINESS,
            {"1": [{"estimated_time_to_regain_access": True, "call_count": None}], "2": 5, "3": [None]},
            None,
            0,
        ),
    ],
)
def test_usage_headers_close_gates_until_all_is_regained(
    key: str, header: str, value: Any, owner: str | None, wait: int
) -> None:
    found = registry.get(key).spent({header: json.dumps(value)}, NOW)
    assert found == ((owner.partition(":")[0], NOW + timedelta(minutes=wait)) if owner else None)


@pytest.mark.parametrize(
    ("status", "code", "kind"), [(429, 400, RateLimited), (400, 429, RateLimited), (503, 400, Unavailable)]
)
def test_a_token_endpoint_that_is_busy_refuses_nothing(status: int, code: int, kind: type) -> None:
    told = {"error_type": "OAuthException", "code": code, "error_message": "Invalid token: too many requests"}
    assert type(registry.get("instagram").classify(status, {}, told)) is kind


def test_a_limit_that_stops_a_whole_batch_parks_the_account() -> None:
    gates, account = Gates(), account_of("facebook", {})
    platform = registry.get("facebook")
    assert isinstance(platform, GraphPlatform)
    limited = {"code": 400, "body": json.dumps(failure(80001)[1])}
    transport = Answers(lambda exchange: (200, [limited] * len(json.loads(query_of(exchange)["batch"][0]))))
    reads = [Request(f"{n}", params={"fields": "id"}) for n in range(10)]
    answers = client_for("facebook", transport, account, gates=gates).run(ask(reads, platform, account))
    assert {type(each) for each in answers} == {RateLimited}
    assert gates.closed == {"facebook:account:account-1:": NOW + timedelta(hours=1)}


@pytest.mark.parametrize("other", [{"code": 200, "body": '{"id":"1"}'}, {"code": 200, "body": "<html>"}, None, {}])
def test_a_limit_that_stops_a_part_of_a_batch_costs_the_others_nothing(other: Any) -> None:
    gates, account = Gates(), account_of("facebook", {})
    platform = registry.get("facebook")
    assert isinstance(platform, GraphPlatform)
    limited = {"code": 400, "body": json.dumps(failure(80001)[1])}
    transport = Answers(lambda exchange: (200, [other if n == 3 else limited for n in range(10)][: size(exchange)]))

    def size(exchange: Any) -> int:
        return len(json.loads(query_of(exchange)["batch"][0]))

    reads = [Request(f"{n}", params={"fields": "id"}) for n in range(10)]
    answers = client_for("facebook", transport, account, gates=gates).run(ask(reads, platform, account))
    assert [type(each) for n, each in enumerate(answers) if n != 3] == [RateLimited] * 9
    assert type(answers[3]) is not RateLimited or other is None  # what timed out is asked for again, and refused then


@pytest.mark.parametrize("key", ["instagram", "threads"])
@pytest.mark.parametrize("told", [{}, {"expires_in": None}, {"expires_in": "soon"}])
def test_an_extended_token_lives_sixty_days_where_the_answer_does_not_say(key: str, told: dict[str, Any]) -> None:
    account = account_of(key, {})
    transport = Answers(lambda exchange: (200, {"access_token": "a2", "token_type": "bearer", **told}))
    tokens = client_for(key, transport, account).run(registry.get(key).renew(account, TOKENS, APP))
    assert tokens.expires_at == NOW + timedelta(days=60)


def test_a_metric_that_comes_once_for_each_period_counts_once() -> None:
    def entry(period: str, value: int) -> dict[str, Any]:
        return {"name": "post_clicks", "period": period, "values": [{"value": value}]}

    both = [entry("day", 3), entry("lifetime", 57)]
    for data in (both, both[::-1]):
        assert insights_by_name({"data": data}) == {"post_clicks": 57}
        assert metric_values({"data": data}) == {"post_clicks": [3]}


def test_a_page_of_which_nothing_has_an_id_is_no_empty_one() -> None:
    assert list(rows_by_id({"data": [{"id": 7}, {}, {"id": True}, {"id": "8"}, {"id": "8"}, "x"]})) == ["7", "8"]
    assert rows_by_id({"data": []}) == {}
    with pytest.raises(TypeError):
        rows_by_id({"data": [{"name": "x"}]})
    account = account_of("threads", {})
    with pytest.raises(MalformedPayload):
        client_for("threads", Answers(lambda exchange: (200, {"data": [{}]})), account).run(
            registry.get("threads").list_posts(account)
        )


@pytest.mark.parametrize(
    ("key", "served", "set_to", "told"),
    [
        ("facebook", "v24.0", None, ["facebook was asked in version v26.0 and answered in v24.0"]),
        ("instagram", "v24.0", None, ["instagram was asked in version v26.0 and answered in v24.0"]),
        ("facebook", "v27.0", "v27.0", []),
        ("facebook", "", None, []),
        ("threads", "v1.0", None, []),
    ],
)
def test_a_version_that_was_not_asked_for_is_told_of_once(
    key: str, served: str, set_to: str | None, told: list[str], caplog: Any, monkeypatch: Any
) -> None:
    monkeypatch.setattr(versions, "_told", set())
    account = account_of(key, {"settings": {"api_version": set_to}} if set_to else {})
    client = client_for(key, Answers(lambda exchange: (400, {}, {"facebook-api-version": served})), account)
    for _ in range(2):
        with pytest.raises(PlatformError):
            client.run(registry.get(key).probe(account))
    assert caplog.messages == told

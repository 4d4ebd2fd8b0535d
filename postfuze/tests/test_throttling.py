import os
from typing import Any

import pytest

from postfuze.api import throttling
from postfuze.tests.stubs import ORGANIZATION

URL = "/api/v1/things"


@pytest.fixture
def limits(settings: Any) -> dict[str, int]:
    settings.API_RATE_LIMITS = {"all": 5, "posts": 2, "social_accounts": 2, "webhooks": 2}
    return settings.API_RATE_LIMITS


def standing(response: Any) -> tuple[str, str]:
    assert 1 <= int(response["RateLimit-Reset"]) <= 60
    return response["RateLimit-Limit"], response["RateLimit-Remaining"]


@pytest.mark.usefixtures("limits")
def test_each_answer_says_how_much_is_left(api: Any, problem: Any) -> None:
    assert [standing(api.get(URL)) for _ in range(5)] == [("5", str(left)) for left in (4, 3, 2, 1, 0)]
    response = api.get(URL)
    assert standing(response) == ("5", "0")
    problem(response, 429, "rate_limited")
    assert 1 <= int(response["Retry-After"]) <= 60


@pytest.mark.usefixtures("limits")
def test_a_write_counts_in_its_own_bucket_as_well(api: Any, problem: Any) -> None:
    for left in ("1", "0"):
        assert standing(api.post(URL, {"name": "a"})) == ("2", left)
    response = api.post(URL, {"name": "a"})
    problem(response, 429, "rate_limited")
    assert standing(response) == ("2", "0")
    assert standing(api.get(URL)) == ("5", "1")


@pytest.mark.usefixtures("limits")
def test_errors_count_and_tell_too(api: Any) -> None:
    assert standing(api.post(URL, {})) == ("2", "1")
    assert standing(api.delete(URL)) == ("2", "0")
    assert standing(api.get(f"{URL}/nothing")) == ("5", "2")
    api.credentials(HTTP_AUTHORIZATION="Bearer accounts:write 00000000-0000-4000-8000-000000000002")
    assert standing(api.post(URL, {"name": "a"})) == ("2", "1")


@pytest.mark.usefixtures("limits")
def test_organizations_are_counted_apart_and_strangers_not_at_all(api: Any) -> None:
    for _ in range(6):
        api.get(URL)
    api.credentials(HTTP_AUTHORIZATION="Bearer * 00000000-0000-4000-8000-000000000002")
    assert standing(api.get(URL)) == ("5", "4")
    api.credentials()
    assert "RateLimit-Limit" not in api.get(URL)
    assert "RateLimit-Limit" not in api.get("/api/v1/health")


@pytest.mark.usefixtures("limits")
def test_the_api_stays_up_and_limited_when_redis_is_down(api: Any, settings: Any, caplog: Any, problem: Any) -> None:
    settings.LIMITS_STORAGE_URL = "redis://127.0.0.1:1/0"
    assert [standing(api.get(URL)) for _ in range(5)] == [("5", str(left)) for left in (4, 3, 2, 1, 0)]
    problem(api.get(URL), 429, "rate_limited")
    assert len([record for record in caplog.records if record.name == "postfuze.api.throttling"]) == 1


@pytest.mark.redis
@pytest.mark.skipif("REDIS_URL" not in os.environ, reason="needs REDIS_URL")
def test_two_processes_share_one_count_in_redis(settings: Any) -> None:
    first, second = (throttling.Counter(os.environ["REDIS_URL"]) for _ in range(2))
    first.storage.reset()
    assert [counter.hit("all", str(ORGANIZATION), 3).remaining for counter in (first, second, first)] == [2, 1, 0]
    assert second.hit("all", str(ORGANIZATION), 3).exceeded
    first.storage.reset()

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import OperationalError

from postfuze import health
from postfuze.api import times

MOMENT: list[datetime | None] = [None]


def last_pass_at() -> datetime | None:
    return MOMENT[0]


@pytest.fixture(autouse=True)
def _own_last_pass(settings: Any) -> None:
    settings.API_LAST_PASS = "postfuze.tests.test_health.last_pass_at"
    settings.REDIS_URL = None
    MOMENT[0] = None


def test_health_is_public_and_asks_no_database(client: Any) -> None:
    body = client.get("/api/v1/health").json()
    assert (body["ok"], body["service"]) == (True, "PostFuze")
    assert abs(times.parse(body["time"]) - datetime.now(UTC)) < timedelta(minutes=1)


@pytest.mark.django_db
def test_ready_names_its_checks_and_the_age_of_the_last_pass(client: Any) -> None:
    body = client.get("/api/v1/ready").json()
    assert body == {
        "ok": True,
        "checks": {"database": {"ok": True}, "migrations": {"ok": True}},
        "last_collection_pass": None,
    }
    MOMENT[0] = datetime.now(UTC) - timedelta(hours=2)
    age = client.get("/api/v1/ready").json()["last_collection_pass"]["age_seconds"]
    assert 7200 <= age < 7260


@pytest.mark.django_db
def test_what_is_not_there_is_a_503_that_names_it(client: Any, settings: Any, problem: Any, monkeypatch: Any) -> None:
    settings.REDIS_URL = settings.CELERY_BROKER_URL = settings.LIMITS_STORAGE_URL = "redis://127.0.0.1:1/0"
    monkeypatch.setattr(health, "migrations_are_applied", refuse)
    response = client.get("/api/v1/ready")
    body = problem(response, 503, "unavailable")
    assert response["Retry-After"]
    assert {name: found["ok"] for name, found in body["checks"].items()} == {
        "database": True,
        "migrations": False,
        "broker": False,
        "cache": False,
    }
    assert "127.0.0.1" not in response.content.decode()


def test_a_database_that_is_down_is_waited_for_once(client: Any, problem: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(health, "database_answers", refuse)
    monkeypatch.setattr(health, "migrations_are_applied", lambda: pytest.fail("it was asked again"))
    body = problem(client.get("/api/v1/ready"), 503, "unavailable")
    assert {name: found["ok"] for name, found in body["checks"].items()} == {"database": False, "migrations": False}
    assert body["last_collection_pass"] is None


def refuse() -> None:
    raise OperationalError("connection to 127.0.0.1 refused")

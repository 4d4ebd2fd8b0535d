"""Whether the service is up, and whether it is ready to serve."""

import logging
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import redis
from django.conf import settings
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.utils.module_loading import import_string
from drf_spectacular.utils import OpenApiTypes, extend_schema
from limits.errors import StorageError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from postfuze.api import throttling
from postfuze.api.problems import Problem

logger = logging.getLogger(__name__)

FAILURES = (DatabaseError, redis.RedisError, StorageError, RuntimeError)


class PublicView(APIView):
    authentication_classes = ()
    permission_classes = ()


class HealthView(PublicView):
    """The process answers."""

    @extend_schema(auth=[], responses=OpenApiTypes.OBJECT)
    def get(self, request: Request) -> Response:
        return Response({"ok": True, "service": "PostFuze", "time": datetime.now(UTC)})


class ReadyView(PublicView):
    """What the service needs is there; 503 says what is not. The age of the last pass only informs."""

    @extend_schema(auth=[], responses=OpenApiTypes.OBJECT)
    def get(self, request: Request) -> Response:
        outcomes = run_checks()
        facts = {"checks": outcomes, "last_collection_pass": last_pass() if outcomes["migrations"]["ok"] else None}
        failing = [name for name, found in outcomes.items() if not found["ok"]]
        if failing:
            raise Problem("unavailable", f"Not ready: {', '.join(failing)}.", extra={"ok": False, **facts})
        return Response({"ok": True, **facts})


def checks() -> Iterator[tuple[str, Callable[[], None]]]:
    yield "database", database_answers
    yield "migrations", migrations_are_applied
    if settings.REDIS_URL:
        yield "broker", broker_answers
        yield "cache", cache_answers


def run_checks() -> dict[str, dict[str, Any]]:
    """How each check ended. A database that does not answer is waited for once, not again for its migrations."""
    outcomes: dict[str, dict[str, Any]] = {}
    for name, check in checks():
        if name == "migrations" and not outcomes["database"]["ok"]:
            outcomes[name] = {"ok": False, "detail": "not asked, the database does not answer"}
        else:
            outcomes[name] = outcome(name, check)
    return outcomes


def outcome(name: str, check: Callable[[], None]) -> dict[str, Any]:
    try:
        check()
    except FAILURES as error:
        logger.warning("Not ready, %s: %s", name, error)
        return {"ok": False, "detail": str(error) if type(error) is RuntimeError else "does not answer"}
    return {"ok": True}


def database_answers() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")


def migrations_are_applied() -> None:
    executor = MigrationExecutor(connection)
    if plan := executor.migration_plan(executor.loader.graph.leaf_nodes()):
        raise RuntimeError(f"{len(plan)} migrations are not applied")


def broker_answers() -> None:
    with redis.Redis.from_url(settings.CELERY_BROKER_URL, socket_timeout=2, socket_connect_timeout=2) as client:
        client.ping()


def cache_answers() -> None:
    if not throttling.counter.storage.check():
        raise RuntimeError("does not answer")


def last_pass() -> dict[str, Any] | None:
    moment = import_string(settings.API_LAST_PASS)()
    if moment is None:
        return None
    return {"at": moment, "age_seconds": max(0, int((datetime.now(UTC) - moment).total_seconds()))}

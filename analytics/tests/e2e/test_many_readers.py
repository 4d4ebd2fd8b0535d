"""Live reads of many callers at once, served by a process with fewer database connections than threads."""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests

from postfuze.tests.e2e.stage import Stage, database_url

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.postgres,
    pytest.mark.skipif(
        not os.environ.get("DATABASE_URL", "").startswith("postgres"), reason="needs PostgreSQL, named by DATABASE_URL"
    ),
]


@pytest.fixture
def stage(tmp_path: Path, worker_id: str) -> Iterator[Stage]:
    name = f"readers_{worker_id}"
    with Stage(tmp_path, database_url(tmp_path), name=name, DATABASE_POOL_SIZE="4").playing() as stage:
        yield stage


def test_nobody_waits_for_a_connection_that_is_held_by_somebody_who_waits(stage: Stage) -> None:
    demo = stage.manage_json("demo")
    stage.control("/platforms/all", {"latency_ms": 100})

    def ask(path: str) -> Any:
        headers = {"Authorization": f"Bearer {demo['key']}"}
        answer = requests.get(f"{stage.address}/api/v1/{path}", headers=headers, timeout=60)
        answer.raise_for_status()
        return answer.json()

    def read(post: str) -> set[str]:
        return {each["code"] for each in ask(f"posts/{post}/analytics")["skipped"]} - {"no_post_metrics"}

    def look(account: dict[str, str]) -> set[str]:
        one = f"social-accounts/{account['id']}"
        metrics, health = ask(f"{one}/metrics"), ask(f"{one}/health")
        return {metrics.get("live_error", {}).get("code", ""), health["error_code"] or ""} - {""}

    with ThreadPoolExecutor(8) as callers, ThreadPoolExecutor(4) as others:
        found = [callers.map(read, demo["posts"] * 4), others.map(look, demo["accounts"] * 2)]
        assert {code for codes in found for each in codes for code in each} <= {"rate_limited"}

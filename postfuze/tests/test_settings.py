import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings

from platforms import registry

KEY = "dGVzdC1vbmx5LWtleS10aGF0LWVuY3J5cHRzLW5vbmU="
GOOD = {"SECRET_KEY": "0123456789abcdef" * 4, "TOKEN_ENCRYPTION_KEYS": KEY, "ENV_FILE": "", "PATH": os.environ["PATH"]}
ASKED = ["DATABASES", "CELERY_TASK_ALWAYS_EAGER", "PROCESS_SHARE_OF_LIMITS", "SECURE_SSL_REDIRECT", "CELERY_BROKER_URL"]
PRINT = f"import json; from postfuze import settings; print(json.dumps({{n: getattr(settings, n) for n in {ASKED}}}))"


def start(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *arguments]
    return subprocess.run(
        command, cwd=settings.BASE_DIR, env=GOOD | environment, capture_output=True, text=True, timeout=60, check=False
    )


def read(**environment: str) -> dict[str, Any]:
    found = start("-c", PRINT, **environment)
    assert found.returncode == 0, found.stderr
    return json.loads(found.stdout)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SECRET_KEY", ""),
        ("TOKEN_ENCRYPTION_KEYS", "short"),
        ("PLATFORM_HOST_MAP", "nonsense"),
        ("ALLOWED_HOSTS", "https://x.com"),
        ("CONNECT_REDIRECT_HOSTS", "*.example.com"),
        ("WEBHOOK_ALLOWED_HOSTS", "http://x"),
        ("SENTRY_DSN", "rubbish!"),
        ("REDIS_URL", "redis://127.0.0.1:notaport/0"),
        ("ENV_FILE", "/nonexistent.env"),
        ("WEB_CONCURRENCY", "rubbish"),
        ("WORKER_CONCURRENCY", "0"),
    ],
)
def test_a_wrong_variable_ends_the_start_with_one_line_that_names_it(name: str, value: str) -> None:
    found = start("manage.py", "migrate", **{name: value})
    assert found.returncode == 1
    assert found.stderr.startswith(f"PostFuze cannot start: {name} is ")
    assert found.stderr.count("\n") == 1


def test_gunicorn_gives_up_on_a_wrong_variable() -> None:
    found = start("-c", "import postfuze.wsgi", DEBUG="perhaps")
    assert (found.returncode, found.stderr.splitlines()[-1][:38]) == (3, "PostFuze cannot start: DEBUG is wrong:")


@pytest.mark.parametrize("name", ["SENTRY_DSN", "WORKER_CONCURRENCY"])
def test_every_process_says_the_same_of_a_wrong_variable(name: str) -> None:
    celery = ("-m", "celery", "-q", "-A", "postfuze")
    commands = [
        ("manage.py", "check"),
        ("-m", "gunicorn", "postfuze.wsgi", "--bind", "127.0.0.1:0", "--log-level", "critical"),
        (*celery, "worker", "--concurrency", "rubbish!"),
        (*celery, "beat"),
    ]
    found = [start(*command, **{name: "rubbish!"}) for command in commands]
    assert [each.returncode for each in found] == [1, 3, 1, 1]
    [told] = {each.stderr for each in found}
    assert told.startswith(f"PostFuze cannot start: {name} is wrong: expected ")
    assert told.count("\n") == 1


def test_the_web_process_of_the_procfile_names_the_variable_that_gunicorn_fails_on_before() -> None:
    lines = (settings.BASE_DIR / "Procfile").read_text().splitlines()
    [command] = [line.removeprefix("web: ") for line in lines if line.startswith("web: ")]
    found = subprocess.run(
        ["sh", "-c", command],
        cwd=settings.BASE_DIR,
        env=GOOD | {"WEB_CONCURRENCY": "rubbish", "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert found.returncode == 3
    assert found.stderr.startswith("PostFuze cannot start: WEB_CONCURRENCY is wrong: ")
    assert found.stderr.count("\n") == 1


def test_a_claim_that_may_lapse_in_mid_batch_is_refused() -> None:
    found = start("manage.py", "check", COLLECT_TASK_SECONDS="100", COLLECT_CLAIM_SECONDS="220")
    assert found.returncode == 1
    assert "COLLECT_CLAIM_SECONDS is wrong: expected a whole number from 240" in found.stderr
    assert start("manage.py", "check", COLLECT_CLAIM_SECONDS="12", DEBUG="on").returncode == 0


def test_without_anything_it_is_sqlite_and_no_broker() -> None:
    found = read(POSTFUZE_PROCESS="web")
    assert found["DATABASES"]["default"]["OPTIONS"]["transaction_mode"] == "IMMEDIATE"
    assert found["CELERY_TASK_ALWAYS_EAGER"] is True
    assert found["PROCESS_SHARE_OF_LIMITS"] == 0.4
    assert found["SECURE_SSL_REDIRECT"] is True


def test_with_postgresql_the_web_process_has_a_pool_as_large_as_its_threads() -> None:
    services = {"DATABASE_URL": "postgres://u:p@h/n", "REDIS_URL": "redis://h/1"}
    web = read(POSTFUZE_PROCESS="web", WEB_THREADS="4", **services)
    worker = read(POSTFUZE_PROCESS="worker", **services)
    assert web["DATABASES"]["default"]["OPTIONS"]["pool"]["max_size"] == 12
    assert "OPTIONS" not in worker["DATABASES"]["default"]
    assert worker["DATABASES"]["default"]["CONN_HEALTH_CHECKS"] is True
    assert worker["CELERY_TASK_ALWAYS_EAGER"] is False
    assert (web["PROCESS_SHARE_OF_LIMITS"], worker["CELERY_BROKER_URL"]) == (1.0, "redis://h/1")


def test_the_deployment_check_is_clean() -> None:
    found = start("manage.py", "check", "--deploy", "--fail-level", "WARNING", DATABASE_URL="sqlite:////dev/null")
    assert found.returncode == 0, found.stderr


def test_every_variable_that_is_read_is_in_the_example() -> None:
    source = (settings.BASE_DIR / "postfuze" / "settings.py").read_text()
    example = (settings.BASE_DIR / ".env.example").read_text()
    names = [part.partition('"')[0] for part in source.split(' env("')[1:]]
    assert len(names) > 20
    assert [name for name in names if f"{name}=" not in example] == []


@pytest.mark.parametrize("key", [key for key, given in settings.PLATFORM_SETTINGS.items() if "api_version" in given])
def test_where_no_version_is_set_it_is_the_adapters(key: str) -> None:
    assert settings.PLATFORM_SETTINGS[key]["api_version"] == registry.get(key).api_version


@pytest.mark.parametrize(("given", "process"), [("", "web"), ("command", "command")])
def test_gunicorn_runs_the_web_process_unless_it_is_told_otherwise(given: str, process: str) -> None:
    told = "import postfuze.wsgi; from django.conf import settings; print(settings.PROCESS)"
    found = start("-c", told, POSTFUZE_PROCESS=given, DATABASE_URL="sqlite:////dev/null")
    assert found.stdout.strip() == process, found.stderr

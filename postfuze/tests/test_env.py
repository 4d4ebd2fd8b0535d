from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured

from postfuze import env

KEY = "dGVzdC1vbmx5LWtleS10aGF0LWVuY3J5cHRzLW5vbmU="
DAY, YEAR = timedelta(days=1), timedelta(days=365)
RETENTION = env.retention(("linkedin", "reddit", "x"), {"linkedin": YEAR})
LIMITS = {"all": 600, "posts": 120, "social_accounts": 20}


def test_a_missing_or_wrong_variable_is_named_in_one_line(monkeypatch: Any) -> None:
    monkeypatch.setenv("NUMBER", "many")
    monkeypatch.setenv("BLANK", " ")
    read = env.Environment()
    with pytest.raises(ImproperlyConfigured, match=r"\ANUMBER is wrong: [^\n]+\Z"):
        read("NUMBER", env.whole)
    with pytest.raises(ImproperlyConfigured, match=r"\ABLANK is not set[^\n]+\Z"):
        read("BLANK")
    assert read("BLANK", env.whole, 7) == 7


def test_the_process_wins_over_the_file(monkeypatch: Any, tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text("A_POSTFUZE_NAME=file\nB_POSTFUZE_NAME=a=$b\n")
    monkeypatch.setenv("A_POSTFUZE_NAME", "process")
    monkeypatch.setenv("B_POSTFUZE_NAME", "")
    monkeypatch.delenv("B_POSTFUZE_NAME")
    read = env.Environment(file)
    assert (read("A_POSTFUZE_NAME"), read("B_POSTFUZE_NAME")) == ("process", "a=$b")


@pytest.mark.parametrize(
    ("parse", "value", "expected"),
    [
        (env.boolean, "On", True),
        (env.boolean, "0", False),
        (env.names, " a, b,,", ["a", "b"]),
        (env.share, "0.25", 0.25),
        (env.hosts, "App.example.com., .example.com,[::1],*", ["app.example.com", ".example.com", "[::1]", "*"]),
        (env.hosts_and_ports, "App.example.com.,localhost:3000", ["app.example.com", "localhost:3000"]),
        (
            env.hosts_and_ports,
            "a.example:0443,127.0.0.1:80,[::1],::1,[::1]:80",
            ["a.example:443", "127.0.0.1:80", "::1", "::1", "[::1]:80"],
        ),
        (env.origin, "http://127.0.0.1:9002/fb/", "http://127.0.0.1:9002/fb"),
        (env.host_map, "", {}),
        (
            env.host_map,
            "API.x.com=http://127.0.0.1:9001, graph.facebook.com=http://127.0.0.1:9002/fb",
            {"api.x.com": "http://127.0.0.1:9001", "graph.facebook.com": "http://127.0.0.1:9002/fb"},
        ),
        (env.rate_limits(LIMITS), "all=6, social-accounts=2", {"all": 6, "posts": 120, "social_accounts": 2}),
        (env.duration, "30m", timedelta(minutes=30)),
        (env.cadence, "1d=30m,*=7d", ((timedelta(days=1), timedelta(minutes=30)), (None, timedelta(days=7)))),
        (RETENTION, "*=forever", {"linkedin": YEAR, "reddit": None, "x": None}),
        (RETENTION, "x=30d", {"linkedin": YEAR, "reddit": None, "x": timedelta(days=30)}),
        (RETENTION, "*=2w", dict.fromkeys(("linkedin", "reddit", "x"), timedelta(weeks=2))),
        (RETENTION, "linkedin=forever, *=9999d, x=1h", {"linkedin": None, "reddit": 9999 * DAY, "x": DAY / 24}),
        (env.fernet_keys, f"{KEY},{KEY}", [KEY, KEY]),
        (env.redis_url, "redis://:p@localhost:6379/1", "redis://:p@localhost:6379/1"),
        (env.redis_url, "rediss://h?ssl_cert_reqs=none", "rediss://h?ssl_cert_reqs=none"),
        (env.sentry_dsn, "https://key@sentry.example.com/1", "https://key@sentry.example.com/1"),
    ],
)
def test_values_are_read(parse: Any, value: str, expected: object) -> None:
    assert parse(value) == expected


@pytest.mark.parametrize(
    ("parse", "value"),
    [
        (env.boolean, "perhaps"),
        (env.whole, "0"),
        (env.whole, "-1"),
        (env.whole, "1.5"),
        (env.whole, "9" * 50),
        (env.port, "70000"),
        (env.share, "2"),
        (env.share, "nan"),
        (env.one_of("a", "b"), "c"),
        (env.graph_version, "26.0"),
        (env.monthly_version, "202613"),
        (env.hosts, " , "),
        *((env.hosts, wrong) for wrong in ("https://x.com", "*.example.com", "x.com:8000", "x.com/", "::1", "x y")),
        *(
            (env.hosts_and_ports, f"a.com,{wrong}")
            for wrong in ("https://x.com", "*.example.com", "*", ".x.com", "x.com/")
        ),
        *((env.hosts_and_ports, wrong) for wrong in ("x.com:0", "x.com:70000", "x.com:", "me@x.com", "bücher.example")),
        (env.origin, "127.0.0.1:9001"),
        (env.origin, "ftp://x"),
        (env.origin, "http://x:99999"),
        (env.origin, "http://x/?a=1"),
        (env.host_map, "api.x.com"),
        (env.host_map, "https://api.x.com=http://127.0.0.1"),
        (env.host_map, "api.x.com=127.0.0.1:9001"),
        (env.host_map, "a.b=http://x,a.b=http://y"),
        (RETENTION, "linkedn=365d"),
        (RETENTION, "linkedin"),
        (RETENTION, "linkedin=never"),
        (RETENTION, "linkedin=0d"),
        (RETENTION, "linkedin=999999w"),
        (RETENTION, "x=1d,x=2d"),
        (env.keeping, "forever"),
        (env.keeping, "36501d"),
        (env.rate_limits(LIMITS), "everything=1"),
        (env.rate_limits(LIMITS), "all=0"),
        (env.rate_limits(LIMITS), "all"),
        (env.duration, "30"),
        (env.duration, "0m"),
        (env.cadence, "1d=30m"),
        (env.cadence, "7d=6h,1d=30m,*=7d"),
        (env.cadence, "*=1d,7d=6h"),
        (env.cadence, ","),
        (env.fernet_keys, ","),
        (env.redis_url, "http://localhost"),
        (env.redis_url, "redis://"),
        (env.redis_url, "redis://localhost:notaport/0"),
        (env.redis_url, "redis://localhost/rubbish"),
        (env.redis_url, "redis://localhost/-1"),
        (env.redis_url, "redis://localhost?db=rubbish"),
        (env.redis_url, "redis://[::1/0"),
        (env.sentry_dsn, "rubbish!"),
        (env.sentry_dsn, "https://sentry.example.com/1"),
        (env.database(Path("/")), "mysql://localhost/x"),
        (env.database(Path("/")), "sqlite://:memory:"),
        (env.database(Path("/")), "postgres://"),
    ],
)
def test_wrong_values_are_refused(parse: Any, value: str) -> None:
    with pytest.raises(ValueError, match=r"\A[^\n]+\Z"):
        parse(value)


def test_a_wrong_secret_is_not_repeated() -> None:
    with pytest.raises(ValueError, match="key 2 of 2") as caught:
        env.fernet_keys(f"{KEY},c2VjcmV0")
    assert "c2VjcmV0" not in str(caught.value)
    with pytest.raises(ValueError, match=r"database address|names no database|expected") as caught:
        env.database(Path("/"))("postgres://user:hunter2@host:port/name")
    assert "hunter2" not in str(caught.value)
    with pytest.raises(ValueError, match="expected") as caught:
        env.redis_url("redis://user:hunter2@host:port/0")
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("spoil", [lambda file: None, Path.mkdir, lambda file: file.write_bytes(b"\xff")])
def test_a_file_that_is_named_must_be_there_and_text_and_another_need_not_be_there(tmp_path: Path, spoil: Any) -> None:
    file = tmp_path / "postfuze.env"
    env.Environment(file)
    spoil(file)
    with pytest.raises(
        ImproperlyConfigured, match=r"\AENV_FILE is wrong: [^\n]*postfuze\.env cannot be read: [^\n]+\Z"
    ):
        env.Environment(file, is_named=True)


def test_a_relative_sqlite_path_starts_at_the_root_of_the_project() -> None:
    assert env.database(Path("/srv"))("sqlite:///data.sqlite3")["NAME"] == "/srv/data.sqlite3"
    assert env.database(Path("/srv"))("sqlite:////var/data.sqlite3")["NAME"] == "/var/data.sqlite3"

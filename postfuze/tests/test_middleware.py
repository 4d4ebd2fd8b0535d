import io
import json
from typing import Any

import pytest
from django.test import RequestFactory

from postfuze.api.requests import Handler

URL = "/api/v1/things"
ONE = f"{URL}/00000000-0000-4000-8000-00000000000a"


@pytest.mark.parametrize("debug", [True, False])
@pytest.mark.parametrize(
    "path",
    [
        "/api",
        "/api/",
        "/api/v1/",
        "/api/v1/nothing",
        f"{URL}/",
        "/api/v1/health/",
        "/api/%00",
        "/api/%ff%fe",
        "/api/../x",
    ],
)
def test_an_unknown_path_is_a_problem_even_with_debug(
    api: Any, settings: Any, problem: Any, path: str, debug: bool
) -> None:
    settings.DEBUG = debug
    problem(api.get(path), 404, "not_found")


@pytest.mark.parametrize("debug", [True, False])
def test_a_crash_anywhere_is_a_plain_500(api: Any, settings: Any, problem: Any, debug: bool) -> None:
    settings.DEBUG = debug
    body = problem(api.get("/api/v1/crash"), 500, "internal")
    assert "bug" not in json.dumps(body)
    assert "sk_live" not in json.dumps(problem(api.get(f"{ONE}?raise=bug"), 500, "internal"))


def test_a_crash_in_a_middleware_is_a_plain_500(api: Any, settings: Any, problem: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr("postfuze.api.middleware.check_head", lambda request: 1 / 0)
    problem(api.get(URL), 500, "internal")
    monkeypatch.undo()
    monkeypatch.setattr("django.middleware.common.CommonMiddleware.process_request", lambda *_: 1 / 0)
    problem(api.get(URL), 500, "internal")


def test_pages_outside_of_the_api_are_left_alone(api: Any) -> None:
    assert api.get("/nothing")["Content-Type"].startswith("text/html")


@pytest.mark.parametrize("host", ["evil.example", "a b", "[::1", "x" * 300, "localhost:port"])
def test_a_bad_host_header_is_a_problem(api: Any, settings: Any, problem: Any, host: str) -> None:
    settings.DEBUG = True
    problem(api.get(URL, HTTP_HOST=host), 400, "validation_failed")


def test_a_wrong_method_names_the_right_ones(api: Any, problem: Any) -> None:
    response = api.delete(URL)
    problem(response, 405, "method_not_allowed")
    assert {"GET", "POST"} <= set(response["Allow"].split(", "))
    problem(api.generic("BREW", URL), 405, "method_not_allowed")
    problem(api.post("/api/v1/health"), 405, "method_not_allowed")


def test_options_and_head_are_answered(api: Any) -> None:
    options = api.options(URL)
    assert options.status_code == 200
    assert "POST" in options["Allow"]
    for path in (URL, "/api/v1/openapi.json"):
        head, get = api.head(path), api.get(path)
        assert (head.status_code, head.content, head["Content-Length"]) == (200, b"", str(len(get.content)))
    assert api.head("/api/v1/health").status_code == 200


@pytest.mark.parametrize("accept", ["text/html", "application/xml", "a/b; c*=nonsense'x'y"])
def test_only_json_can_be_asked_for(api: Any, problem: Any, accept: str) -> None:
    problem(api.get(URL, HTTP_ACCEPT=accept), 406, "not_acceptable")


@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "x", ""]
)
def test_only_json_can_be_sent(api: Any, problem: Any, content_type: str) -> None:
    problem(api.generic("POST", URL, b"a=1", content_type=content_type), 415, "unsupported_media_type")


def test_an_unknown_query_parameter_is_ignored(api: Any) -> None:
    assert api.get(f"{URL}?format=xml&nothing=1").status_code == 200


@pytest.mark.parametrize("query", ["name=%00", "name=a%00b"])
def test_a_nul_in_the_query_names_the_parameter(api: Any, problem: Any, query: str) -> None:
    assert problem(api.get(f"{URL}?{query}"), 400, "validation_failed")["errors"][0]["field"] == "name"


@pytest.mark.parametrize("query", ["name=%ff%fe", "%ed%a0%80=1", "=", "&&&", "a=%zz"])
def test_an_undecodable_query_is_no_crash(api: Any, query: str) -> None:
    assert api.get(f"{URL}?{query}").status_code == 200


def test_too_many_parameters_are_a_problem(api: Any, problem: Any) -> None:
    problem(api.get(URL + "?" + "a=1&" * 2000), 400, "validation_failed")


def test_a_body_over_one_mebibyte_is_refused(api: Any, problem: Any) -> None:
    body = b'{"name": "' + b"x" * 1024 * 1024 + b'"}'
    problem(api.generic("POST", URL, body, content_type="application/json"), 413, "payload_too_large")


def answer(**environ: Any) -> Any:
    """As the web process builds the request, which the test client does not."""
    handler = Handler()
    given = RequestFactory().post(f"{URL}?a=%ff", content_type="application/json").environ
    return handler.get_response(handler.request_class({**given, "HTTP_AUTHORIZATION": "Bearer *", **environ}))


@pytest.mark.usefixtures("api")
def test_a_chunked_body_is_read_and_limited(problem: Any) -> None:
    def send(body: bytes, terminated: bool = True) -> Any:
        stream = {"wsgi.input": io.BytesIO(body), "wsgi.input_terminated": terminated}
        return answer(HTTP_TRANSFER_ENCODING="chunked", CONTENT_LENGTH="", **stream)

    assert send(b'{"name": "a"}').status_code == 201
    assert send(b'{"name": "' + b"x" * 1024 * 1024 + b'"}').status_code == 413
    assert send(b'{"name": "a"}', terminated=False).status_code == 400


@pytest.mark.usefixtures("api")
@pytest.mark.parametrize(
    ("environ", "status"),
    [
        ({"HTTP_AUTHORIZATION": ""}, 401),
        ({"PATH_INFO": "/api/v1/nothing"}, 404),
        ({"REQUEST_METHOD": "PUT"}, 405),
        ({"HTTP_HOST": "a b"}, 400),
        ({}, 400),
    ],
)
def test_no_early_answer_leaves_a_body_unread(environ: dict[str, str], status: int) -> None:
    body = io.BytesIO(b"x" * 1024 * 1024)
    response = answer(**{"wsgi.input": body, "CONTENT_LENGTH": str(1024 * 1024), **environ})
    assert (response.status_code, body.read()) == (status, b"")


@pytest.mark.usefixtures("api")
def test_a_body_over_the_limit_is_left_unread() -> None:
    body = io.BytesIO(b"x" * (1024 * 1024 + 1))
    assert answer(**{"wsgi.input": body, "CONTENT_LENGTH": str(1024 * 1024 + 1)}).status_code == 413
    assert body.tell() == 0


@pytest.mark.usefixtures("api")
@pytest.mark.parametrize(
    ("content_type", "status"),
    [
        ("application/json; charset=hex", 201),
        ("application/json; charset=utf-16", 201),
        ("application/json; charset*=no'x'y", 415),
        ("a;b*=no'x'y", 415),
    ],
)
def test_a_strange_charset_is_no_crash(content_type: str, status: int) -> None:
    body = b'{"name": "\xc3\xa4"}'
    given = {"wsgi.input": io.BytesIO(body), "CONTENT_LENGTH": str(len(body))}
    assert answer(CONTENT_TYPE=content_type, **given).status_code == status


def test_answers_of_the_api_are_not_cached(api: Any) -> None:
    assert api.get(URL)["Cache-Control"] == "no-store"

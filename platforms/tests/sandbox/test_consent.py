"""The consent pages of all platforms, and the codes they give."""

import pytest

from platforms.tests.sandbox.conftest import Client
from platforms.tests.sandbox.consenting import APP, BACK, EVERY, STATE, WAYS, Form, Walk, back_of, platform_of

every_way = pytest.mark.parametrize("key", EVERY)


@every_way
def test_the_page_shows_app_accounts_and_scopes_and_loads_nothing(client: Client, key: str) -> None:
    form = Walk(client, key).form()
    assert APP in form.text and "asks for access" in form.text
    assert [one.value for one in form.named("scope")] == [*WAYS[key].scopes]
    accounts = form.named("account")
    assert len(accounts) >= 2 and any(one.checked for one in accounts)
    assert {one.kind for one in accounts} == {"checkbox" if WAYS[key].several else "radio"}
    assert all(one.labelled for one in form.inputs)
    assert form.buttons == {"allow": "decision", "deny": "decision"}
    assert form.loads == ["data:,"]


@every_way
def test_what_the_app_says_is_shown_as_text(client: Client, key: str) -> None:
    answer = Walk(client, key, **{WAYS[key].client_field: '<script src="//evil">"\'$title'}).open()
    assert "<script" not in answer.text and "&lt;script" in answer.text and "$title" in Form(answer.text).text
    odd = Walk(client, key, account_id="<img>").form()
    assert "<img>" not in [one.value for one in odd.named("account")]


@every_way
def test_yes_becomes_a_code_that_works_once(client: Client, key: str) -> None:
    walk = Walk(client, key)
    back = walk.press("allow")
    assert back.address == BACK.partition("?")[0]
    assert back.query["state"] == STATE and back.fragment == WAYS[key].fragment
    answer = walk.exchange(back.query["code"])
    assert answer.status_code == 200 and answer.json()["access_token"]
    again = walk.exchange(back.query["code"])
    assert again.status_code == WAYS[key].refused and "access_token" not in again.text


@every_way
def test_no_is_said_in_the_platforms_words(client: Client, key: str) -> None:
    back = Walk(client, key).press("deny")
    assert back.query == {**WAYS[key].denial, "state": STATE} and back.fragment == WAYS[key].fragment
    client.switch(platform_of(key), faults=[{"kind": "denied", "times": 1}])
    assert Walk(client, key).press("allow").query["error"] == WAYS[key].denial["error"]
    assert Walk(client, key).press("allow").query["code"]


@every_way
def test_a_code_belongs_to_its_app_its_address_and_its_time(client: Client, key: str) -> None:
    walk = Walk(client, key)
    code = walk.allow()
    wrong = [
        walk.exchange(code, client_id="another"),
        walk.exchange(code, redirect_uri="https://app.example.com/other"),
        walk.exchange(code, redirect_uri=""),
        walk.exchange(code, secret=""),
        walk.exchange(code + "x"),
        walk.exchange("sandbox-1"),
    ]
    assert not any("access_token" in answer.text for answer in wrong)
    assert all(answer.status_code < 500 for answer in wrong)
    assert walk.exchange(code).json()["access_token"]
    client.switch(platform_of(key), faults=[{"kind": "expired_code", "times": 1}])
    late = walk.exchange(walk.allow())
    assert late.status_code == WAYS[key].refused and "access_token" not in late.text
    client.switch(platform_of(key), code_lifetime=-1)
    assert "access_token" not in walk.exchange(walk.allow()).text


@every_way
def test_a_bad_request_is_told_on_a_page_and_sends_nobody_anywhere(client: Client, key: str) -> None:
    for bad in ({WAYS[key].client_field: ""}, {"redirect_uri": ""}, {"redirect_uri": "javascript:alert(1)"}):
        answer = Walk(client, key, **bad).open()
        assert answer.status_code == 400 and "Something went wrong" in answer.text
        assert "Location" not in answer.headers


@pytest.mark.parametrize(
    "address",
    [
        "http://[x",
        "http://",
        "//x.example/",
        "http://x/#a",
        "http://x/\r\nSet-Cookie: a=b",
        "http://x/\0",
        "http://x/中",
    ],
)
def test_nobody_is_sent_to_what_is_no_address(client: Client, address: str) -> None:
    client.switch("x", consent="deny")
    answer = Walk(client, "x", redirect_uri=address).open()
    assert answer.status_code == 400 and "redirect_uri" in answer.text
    assert "Location" not in answer.headers and "Set-Cookie" not in answer.headers


def test_a_page_is_looked_at_or_answered_and_nothing_else(client: Client) -> None:
    walk = Walk(client, "x")
    for method, status in (("HEAD", 200), ("PUT", 405), ("DELETE", 405)):
        answer = client.http.request(method, f"{client.running.url}/{walk.way.authorize}", params=walk.query, timeout=5)
        assert answer.status_code == status


@pytest.mark.parametrize(
    ("key", "bad", "error"),
    [
        ("reddit", {"response_type": "token"}, "unsupported_response_type"),
        ("reddit", {"scope": "a;b"}, "invalid_scope"),
        ("linkedin", {"scope": "a;b"}, "unauthorized_scope_error"),
    ],
)
def test_some_errors_are_sent_back_to_the_app(client: Client, key: str, bad: dict[str, str], error: str) -> None:
    back = back_of(Walk(client, key, **bad).open())
    assert (back.query["error"], back.query["state"]) == (error, STATE)


@pytest.mark.parametrize("key", [key for key in EVERY if key not in ("reddit", "linkedin")])
def test_other_errors_are_told_on_a_page(client: Client, key: str) -> None:
    for bad in ({"response_type": "token"}, {"scope": ""}, {"scope": "a;b"}):
        assert Walk(client, key, **bad).open().status_code == 400


@pytest.mark.parametrize("key", ["tiktok", "pinterest"])
def test_scopes_are_separated_as_the_platform_says(client: Client, key: str) -> None:
    assert Walk(client, key, scope=" ".join(WAYS[key].scopes)).open().status_code == 400


@every_way
def test_scopes_are_unticked_only_where_the_platform_lets_people(client: Client, key: str) -> None:
    fixed = WAYS[key].fixed
    for one in Walk(client, key).form().named("scope"):
        assert one.disabled == (fixed is None or one.value in fixed)


@every_way
def test_an_automatic_answer_needs_no_page(client: Client, key: str) -> None:
    walk = Walk(client, key)
    client.switch(platform_of(key), consent="allow")
    assert walk.exchange(back_of(walk.open()).query["code"]).json()["access_token"]
    client.switch(platform_of(key), consent="deny")
    assert back_of(walk.open()).query == {**WAYS[key].denial, "state": STATE}


def test_the_account_that_the_address_names_is_offered_and_chosen(client: Client) -> None:
    form = Walk(client, "x", account_id="777").form()
    assert form.named("account")[0].value == "777"
    assert [one.value for one in form.named("account") if one.checked] == ["777"]
    (*_, last) = Walk(client, "youtube").form().named("account")
    hinted = Walk(client, "youtube", login_hint=last.value).form()
    assert [one.value for one in hinted.named("account") if one.checked] == [last.value]
    by_mail = Walk(client, "youtube", login_hint="jane@example.com").form()
    assert "jane@example.com" not in [one.value for one in by_mail.named("account")]


def test_an_account_that_was_not_offered_cannot_be_chosen(client: Client) -> None:
    walk = Walk(client, "x")
    for accounts in (["999"], [], [one.value for one in walk.form().named("account")]):
        sent = [("decision", "allow"), *(("account", one) for one in accounts)]
        answer = client.post(walk.way.authorize, params=walk.query, data=sent, allow_redirects=False)
        assert answer.status_code == 400


@pytest.mark.parametrize("key", ["x", "youtube"])
def test_a_code_wants_the_verifier_of_its_challenge(client: Client, key: str) -> None:
    walk = Walk(client, key)
    code = walk.allow()
    for verifier in ("", "another-" * 8):
        assert walk.exchange(code, code_verifier=verifier).status_code == 400
    assert walk.exchange(code).status_code == 200
    plain = Walk(client, key, code_challenge=walk.way.verifier, code_challenge_method="plain")
    assert plain.tokens()


def test_one_platform_requires_a_challenge_and_another_does_not(client: Client) -> None:
    assert Walk(client, "x", code_challenge="", code_challenge_method="").open().status_code == 400
    assert Walk(client, "x", code_challenge="short").open().status_code == 400
    without = Walk(client, "youtube", code_challenge="", code_challenge_method="")
    assert without.exchange(without.allow(), code_verifier="").status_code == 200


def test_a_code_of_one_platform_is_worth_nothing_on_another(client: Client) -> None:
    for first, second in (
        ("instagram", "threads"),
        ("instagram", "instagram_facebook"),
        ("facebook", "instagram"),
        ("tiktok", "youtube"),
        ("youtube", "pinterest"),
    ):
        code = Walk(client, first).allow()
        assert Walk(client, second).exchange(code).status_code == 400
        assert Walk(client, first).exchange(code).status_code == 200


def test_the_fault_of_a_page_waits_for_a_decision(client: Client) -> None:
    client.switch("tiktok", faults=[{"kind": "withheld", "scope": "video.list", "times": 1}])
    walk = Walk(client, "tiktok")
    walk.open()
    client.account("tiktok", "someone")
    back = walk.press("allow")
    assert back.query["scopes"] == "user.info.basic,user.info.stats"
    assert walk.exchange(back.query["code"]).json()["scope"] == back.query["scopes"]
    assert "video.list" in walk.press("allow").query["scopes"]


def test_calls_are_told_without_codes(client: Client) -> None:
    walk = Walk(client, "facebook")
    walk.exchange(walk.allow())
    calls = client.get("_control/calls/facebook").json()["calls"]
    assert [call["group"] for call in calls] == ["authorize", "authorize", "token"]
    assert "code" not in calls[-1]["query"] and "client_secret" not in calls[-1]["query"]

"""The addresses of consent dialogs, the forms of exchanges, and what a grant lacks."""

import base64
import hashlib
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from platforms import registry
from platforms.base import Account
from platforms.consent import Asked, Code, authorize_url, code_form, lacking, new_verifier
from platforms.dimensions import AccountDimension, Dimension
from platforms.errors import CodeRefused, Misconfigured, Unavailable
from platforms.grants import exchange, losses, scopes_of
from platforms.oauth import App
from platforms.tests.replay import APP, Answers, client_for, code_of, query_of

BACK = "https://app.example.com/callback?tenant=7"
VERIFIER = "verifier-" * 6
STATE = "state-&=#/é"
LOGINS: dict[str, dict[str, Any]] = {"instagram login": {"login": "instagram"}}
ADDRESSES = {
    "x": "https://x.com/i/oauth2/authorize",
    "linkedin": "https://www.linkedin.com/oauth/v2/authorization",
    "instagram": "https://www.facebook.com/v26.0/dialog/oauth",
    "instagram login": "https://www.instagram.com/oauth/authorize",
    "tiktok": "https://www.tiktok.com/v2/auth/authorize/",
    "facebook": "https://www.facebook.com/v26.0/dialog/oauth",
    "threads": "https://threads.net/oauth/authorize",
    "pinterest": "https://www.pinterest.com/oauth/",
    "reddit": "https://www.reddit.com/api/v1/authorize",
    "youtube": "https://accounts.google.com/o/oauth2/v2/auth",
    "google_business": "https://accounts.google.com/o/oauth2/v2/auth",
}
OFFLINE = {"access_type": "offline", "prompt": "consent"}
MORE: dict[str, dict[str, str]] = {
    "reddit": {"duration": "permanent"},
    "youtube": OFFLINE,
    "google_business": OFFLINE,
}
SPACED = {"x", "linkedin", "reddit", "youtube", "google_business"}
PKCE = {"x", "youtube", "google_business"}
OAUTH = sorted(key for key, platform in registry.PLATFORMS.items() if platform.consent is not None)


def grant(way: str, **extra: str) -> Account:
    return Account(id="grant", network_unique_id="", extra={**LOGINS.get(way, {}), **extra})


def key_of(way: str) -> str:
    return way.partition(" ")[0]


def test_every_platform_with_oauth_has_its_dialog_here() -> None:
    assert {key_of(way) for way in ADDRESSES} == set(OAUTH) == set(registry.PLATFORMS) - {"bluesky"}


@pytest.mark.parametrize("way", ADDRESSES)
def test_a_dialog_is_asked_as_its_documentation_says(way: str) -> None:
    platform, account = registry.get(key_of(way)), grant(way)
    consent = platform.consent_for(account)
    assert consent is not None and consent.pkce == (way in PKCE)
    scopes = scopes_of(platform, account)
    url = authorize_url(consent, APP, Asked(STATE, BACK, scopes, VERIFIER if consent.pkce else ""))
    query = {name: value for name, (value,) in parse_qs(urlsplit(url).query, strict_parsing=True).items()}
    expected = {
        "client_key" if way == "tiktok" else "client_id": APP.client_id,
        "redirect_uri": BACK,
        "response_type": "code",
        "scope": (" " if way in SPACED else ",").join(scopes),
        "state": STATE,
        **MORE.get(way, {}),
    }
    if consent.pkce:
        digest = hashlib.sha256(VERIFIER.encode()).digest()
        expected["code_challenge"] = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        expected["code_challenge_method"] = "S256"
    assert url.partition("?")[0] == ADDRESSES[way]
    assert query == expected


def test_the_two_logins_of_instagram_ask_for_their_own_scopes() -> None:
    instagram = registry.get("instagram")
    assert scopes_of(instagram, grant("instagram login")) == (
        "instagram_business_basic",
        "instagram_business_manage_insights",
    )
    assert "instagram_basic" in scopes_of(instagram, grant("instagram"))


@pytest.mark.parametrize("key", ["facebook", "instagram"])
def test_a_configuration_of_the_app_stands_for_the_scopes(key: str) -> None:
    consent = registry.get(key).consent_for(grant(key, config_id="77"))
    assert consent is not None
    query = parse_qs(urlsplit(authorize_url(consent, APP, Asked(STATE, BACK, ("a",)))).query)
    assert query["config_id"] == ["77"] and "scope" not in query


def test_verifiers_are_new_each_time_and_long_enough() -> None:
    found = {new_verifier() for _ in range(50)}
    assert len(found) == 50 and all(43 <= len(each) <= 128 for each in found)


@pytest.mark.parametrize("key", OAUTH)
def test_the_app_names_itself_by_basic_or_in_the_form_and_never_twice(key: str) -> None:
    platform, account = registry.get(key), grant(key)
    asked = Answers(lambda _: (400, {"error": "invalid_grant"}))
    with pytest.raises(CodeRefused):
        client_for(key, asked, account).run(exchange(platform, account, APP, code_of(platform)))
    (sent,) = asked.asked
    basic = str((sent.headers or {}).get("Authorization", "")).startswith("Basic ")
    assert basic == (key in ("x", "pinterest", "reddit"))
    assert ("client_secret" in query_of(sent)) == (not basic)
    assert sent.method == ("GET" if key in ("facebook", "instagram") else "POST")
    assert ("code_verifier" in query_of(sent)) == (key in PKCE)


@pytest.mark.parametrize("key", ["facebook", "instagram"])
def test_a_code_is_sent_to_facebook_with_what_is_documented_and_nothing_else(key: str) -> None:
    consent = registry.get(key).consent_for(grant(key))
    assert consent is not None
    sent = {"code": "abc", "redirect_uri": BACK, "client_id": APP.client_id, "client_secret": APP.client_secret}
    assert code_form(consent, APP, Code("abc", BACK)) == sent


def test_a_public_client_of_x_names_itself_in_the_form() -> None:
    x, account, app = registry.get("x"), grant("x"), App("1", "public-client")
    asked = Answers(lambda _: (200, {"access_token": "a", "expires_in": 7200, "refresh_token": "r"}))
    client_for("x", asked, account, app=app).run(exchange(x, account, app, Code("c", BACK, VERIFIER)))
    (sent,) = asked.asked
    assert "Authorization" not in (sent.headers or {})
    assert query_of(sent)["client_id"] == ["public-client"] and "client_secret" not in query_of(sent)


def test_instagrams_trailing_sign_is_cut_off_the_code() -> None:
    consent = registry.get("instagram").consent_for(grant("instagram login"))
    assert consent is not None
    assert code_form(consent, APP, Code("abc#_", BACK))["code"] == "abc"


@pytest.mark.parametrize("key", OAUTH)
@pytest.mark.parametrize(("status", "body"), [(500, {}), (503, b"<html>"), (502, b"")])
def test_a_platform_that_is_away_is_not_a_refusal(key: str, status: int, body: Any) -> None:
    platform, account = registry.get(key), grant(key)
    client = client_for(key, Answers(lambda _: (status, body)), account)
    with pytest.raises(Unavailable):
        client.run(exchange(platform, account, APP, code_of(platform)))


@pytest.mark.parametrize("key", OAUTH)
def test_an_app_that_is_refused_is_not_a_refused_code(key: str) -> None:
    platform, account = registry.get(key), grant(key)
    client = client_for(key, Answers(lambda _: (401, {"error": "invalid_client"})), account)
    with pytest.raises(Misconfigured):
        client.run(exchange(platform, account, APP, code_of(platform)))


# --- scopes ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ADDRESSES)
def test_nothing_is_lost_with_the_scopes_that_are_asked_for(way: str) -> None:
    platform, account = registry.get(key_of(way)), grant(way)
    assert losses(platform, account, scopes_of(platform, account)) == []


@pytest.mark.parametrize("way", ADDRESSES)
def test_each_scope_that_is_left_out_says_what_is_lost(way: str) -> None:
    platform, account = registry.get(key_of(way)), grant(way)
    wanted = scopes_of(platform, account)
    for scope in wanted:
        (loss,) = losses(platform, account, [each for each in wanted if each != scope])
        assert loss.scope == scope
        assert loss.detail.startswith(f"Without {scope}: ") and len(loss.detail) > len(f"Without {scope}: .")
        assert set(loss.posts) <= platform.dimensions() and set(loss.account) <= platform.account_dimensions()


def test_columns_are_lost_with_the_scope_they_hang_on() -> None:
    tiktok = registry.get("tiktok")
    (loss,) = losses(tiktok, grant("tiktok"), ["user.info.basic", "video.list"])
    assert (loss.scope, loss.posts) == ("user.info.stats", ())
    assert AccountDimension.FOLLOWERS in loss.account
    facebook = registry.get("facebook")
    (loss,) = losses(facebook, grant("facebook"), [each for each in facebook.scopes if each != "read_insights"])
    assert Dimension.IMPRESSIONS in loss.posts and Dimension.LIKES not in loss.posts


def test_a_scope_that_does_as_well_makes_up_for_another() -> None:
    youtube = registry.get("youtube")
    assert lacking(youtube.needs, youtube.scopes, ["https://www.googleapis.com/auth/youtube"]) == []


def test_a_scope_that_nobody_asked_for_is_not_missed() -> None:
    linkedin = registry.get("linkedin")
    assert lacking(linkedin.needs, ("r_basicprofile",), ["openid", "profile"]) == []
    assert lacking(linkedin.needs, linkedin.scopes, linkedin.scopes[1:]) == [linkedin.scopes[0]]


def test_a_refusal_says_nothing_of_the_secret() -> None:
    facebook, account = registry.get("facebook"), grant("facebook")
    told = {"error": {"message": f"Error validating client secret {APP.client_secret}", "code": 1}}
    client = client_for("facebook", Answers(lambda _: (400, told)), account)
    with pytest.raises(Misconfigured) as caught:
        client.run(exchange(facebook, account, APP, replace(code_of(facebook))))
    assert APP.client_secret not in f"{caught.value.detail} {caught.value.evidence} {caught.value}"

"""OAuth apps through the API."""

import uuid
from typing import Any

import pytest

from accounts.models import SocialNetwork
from accounts.services import crypto
from accounts.tests.consents import Walk
from accounts.tests.factories import SocialNetworkFactory
from platforms import registry

pytestmark = pytest.mark.django_db
URL = "/api/v1/social-networks"
X = {"platform": "x", "client_id": "client-1", "client_secret": "the-secret-of-x"}
FIELDS = [
    *("id", "platform", "display_name", "client_id", "has_secret", "redirect_uri", "scopes", "extra_config"),
    *("is_enabled", "warnings", "created_at", "updated_at"),
]


def errors(answer: Any) -> dict[str, str]:
    assert answer.status_code == 400, answer.content
    return {each["field"]: each["message"] for each in answer.json()["errors"]}


def test_an_app_is_entered_and_its_secret_told_to_nobody(api: Any, organization: Any, settings: Any) -> None:
    settings.PUBLIC_URL = "https://analytics.example.com"
    answer = api.post(URL, X)
    assert answer.status_code == 201
    body = answer.json()
    assert list(body) == FIELDS
    assert body == body | {
        "platform": "x",
        "client_id": "client-1",
        "display_name": None,
        "has_secret": True,
        "redirect_uri": "https://analytics.example.com/api/v1/connect/callback",
        "scopes": ["tweet.read", "users.read", "offline.access"],
        "warnings": [],
        "is_enabled": True,
    }
    stored = SocialNetwork.objects.get(pk=body["id"])
    assert (stored.organization, stored.mode) == (organization, "test")
    assert crypto.decrypt(stored.client_secret) == "the-secret-of-x"
    assert "the-secret" not in answer.content.decode() + stored.client_secret
    assert api.get(f"{URL}/{body['id']}").json() == body
    assert api.get(URL).json() == {"data": [body], "next_cursor": None}


def test_the_same_platform_again_changes_what_is_given_and_keeps_the_secret(api: Any) -> None:
    first = api.post(URL, {**X, "display_name": "Ours", "scopes": ["tweet.read", "users.read", "offline.access"]})
    second = api.post(URL, {"platform": "x", "client_id": "client-2", "is_enabled": False})
    assert (first.status_code, second.status_code) == (201, 200)
    body = second.json()
    assert (body["id"], body["client_id"], body["is_enabled"]) == (first.json()["id"], "client-2", False)
    assert (body["display_name"], body["has_secret"]) == ("Ours", True)
    assert crypto.decrypt(SocialNetwork.objects.get().client_secret) == "the-secret-of-x"
    api.post(URL, {**X, "client_secret": "another-secret"})
    assert crypto.decrypt(SocialNetwork.objects.get().client_secret) == "another-secret"


def test_scopes_that_lack_what_metrics_need_are_warned_of_with_the_columns_that_are_lost(api: Any) -> None:
    given = {"platform": "instagram", "client_id": "1", "client_secret": "s"}
    scopes = ["instagram_basic", "pages_read_engagement", "pages_show_list"]
    body = api.post(URL, {**given, "scopes": scopes}).json()
    assert body["scopes"] == scopes
    (warning,) = body["warnings"]
    assert warning["scope"] == "instagram_manage_insights"
    assert {"impressions", "reach", "saves"} <= set(warning["dimensions"])
    assert not {"likes", "comments"} & set(warning["dimensions"])
    assert warning["account_dimensions"] == ["impressions", "reach", "profile_views"]
    assert "impressions" in warning["detail"]
    assert api.post(URL, {**given, "scopes": []}).json()["warnings"] == []


def test_the_login_of_instagram_chooses_the_scopes(api: Any) -> None:
    given = {"platform": "instagram", "client_id": "1", "client_secret": "s", "extra_config": {"login": "instagram"}}
    body = api.post(URL, given).json()
    assert body["scopes"] == ["instagram_business_basic", "instagram_business_manage_insights"]


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ({"platform": "bluesky"}, "platform"),
        ({"platform": "myspace"}, "platform"),
        ({"client_id": ""}, "client_id"),
        ({"client_id": "é"}, "client_id"),
        ({"client_secret": "has blanks"}, "client_secret"),
        ({"client_secret": ""}, "client_secret"),
        ({"redirect_uri": "javascript:alert(1)"}, "redirect_uri"),
        ({"redirect_uri": "https://a.example/#x"}, "redirect_uri"),
        ({"redirect_uri": "https://a.example:99999/"}, "redirect_uri"),
        ({"scopes": ["a b"]}, "scopes.0"),
        ({"scopes": ["a,b"]}, "scopes.0"),
        ({"scopes": "tweet.read"}, "scopes"),
        ({"extra_config": {"login": "instagram"}}, "extra_config.login"),
        ({"platform": "instagram", "extra_config": {"login": "myspace"}}, "extra_config.login"),
        ({"platform": "facebook", "extra_config": {"config_id": 7}}, "extra_config.config_id"),
        ({"is_enabled": "perhaps"}, "is_enabled"),
        ({"secret": "x"}, "secret"),
    ],
)
def test_what_is_wrong_with_an_app_is_named(api: Any, more: dict[str, Any], field: str) -> None:
    assert field in errors(api.post(URL, {**X, **more}))
    assert not SocialNetwork.objects.exists()


def test_bluesky_says_how_its_accounts_are_connected(api: Any) -> None:
    assert "app password" in errors(api.post(URL, {**X, "platform": "bluesky"}))["platform"]


def test_a_secret_is_wanted_but_of_public_clients(api: Any) -> None:
    told = errors(api.post(URL, {"platform": "tiktok", "client_id": "key"}))
    assert "client_secret" in told
    assert api.post(URL, {"platform": "x", "client_id": "public"}).json()["has_secret"] is False
    assert api.post(URL, {**X, "client_secret": None}).json()["has_secret"] is False
    api.post(URL, {"platform": "tiktok", "client_id": "key", "client_secret": "s"})
    assert "client_secret" in errors(api.post(URL, {"platform": "tiktok", "client_id": "key", "client_secret": None}))


def test_an_app_is_one_of_an_organization_and_a_mode(api: Any, organization: Any, client_for: Any) -> None:
    theirs, live = SocialNetworkFactory(), SocialNetworkFactory(organization=organization, mode="live")
    for other in (theirs, live):
        assert api.get(f"{URL}/{other.pk}").status_code == 404
    assert api.get(f"{URL}/{uuid.uuid4()}").status_code == 404
    assert api.get(f"{URL}/x").status_code == 404
    assert api.get(URL).json()["data"] == []
    assert api.post(URL, X).status_code == 201
    assert client_for(organization, mode="live").get(URL).json()["data"][0]["id"] == str(live.pk)
    live.refresh_from_db()
    assert live.client_id == "a-client-id"


def test_a_key_without_the_scope_reads_and_does_not_write(organization: Any, client_for: Any) -> None:
    reader = client_for(organization, scopes=["posts:write"])
    network = SocialNetworkFactory(organization=organization)
    assert reader.get(f"{URL}/{network.pk}").status_code == 200
    assert reader.post(URL, X).status_code == 403
    assert reader.post(f"{URL}/x/auth-url", {}).status_code == 403


def test_apps_are_filtered_by_platform_and_listed_in_a_fixed_number_of_queries(
    api: Any, organization: Any, django_assert_max_num_queries: Any
) -> None:
    for platform in ("x", "tiktok", "reddit", "threads"):
        SocialNetworkFactory(organization=organization, platform=platform)
    with django_assert_max_num_queries(4):
        assert len(api.get(URL).json()["data"]) == 4
    (found,) = api.get(URL, {"platform": "reddit"}).json()["data"]
    assert found["platform"] == "reddit"
    assert "platform" in errors(api.get(URL, {"platform": "myspace"}))


def test_the_documentation_offers_the_platforms_that_have_a_consent(walk: Walk, organization: Any, client: Any) -> None:
    document = client.get("/api/v1/openapi.json").json()
    [platform] = document["paths"]["/api/v1/social-networks/{platform}/auth-url"]["post"]["parameters"]
    offered = platform["schema"]["enum"]
    assert {"x", "tiktok", "reddit"} <= set(offered)
    for key in registry.PLATFORMS:
        walk.begin(key, status=404 if key in offered else 400)

"""The admin of OAuth apps: it takes what the API takes, and says at the fields what is wrong."""

import json
from typing import Any

import pytest
from django.urls import reverse

from accounts.models import ConnectSession, SocialNetwork
from accounts.services import crypto
from accounts.tests.factories import (
    ConnectSessionFactory,
    OrganizationFactory,
    SocialAccountFactory,
    SocialNetworkFactory,
)
from accounts.tests.test_admin import form_of, listing, page, signed_in, staff  # noqa: F401

pytestmark = pytest.mark.django_db


def new_app(**changed: Any) -> dict[str, Any]:
    """What the form of a new app sends."""
    form = {"organization": OrganizationFactory().pk, "mode": "test", "platform": "x", "client_id": "an-app"}
    return {**form, "new_secret": "a-secret", "scopes": "[]", "extra_config": "{}", "is_enabled": "on", **changed}


def enter(client: Any, **changed: Any) -> Any:
    return client.post(reverse("admin:accounts_socialnetwork_add"), new_app(**changed))


@pytest.mark.parametrize("emptied", ["", "null"])
def test_emptied_scopes_and_configuration_have_their_defaults(staff: Any, emptied: str) -> None:  # noqa: F811
    assert enter(staff, scopes=emptied, extra_config=emptied).status_code == 302
    network = SocialNetwork.objects.get()
    assert (network.scopes, network.extra_config) == ([], {})
    SocialNetwork.objects.update(scopes=["tweet.read"], extra_config={"login": "x"})
    shown = {"initial-scopes": '["tweet.read"]', "initial-extra_config": '{"login": "x"}'}
    form = form_of(network, scopes=emptied, extra_config=emptied, **shown)
    assert staff.post(page(network), form).status_code == 302
    network.refresh_from_db()
    assert (network.scopes, network.extra_config) == ([], {})


@pytest.mark.parametrize(
    ("given", "field", "said"),
    [
        ({"scopes": '{"a": 1}'}, "scopes", "list"),
        ({"scopes": '"abc"'}, "scopes", "list"),
        ({"scopes": "[[1], {}]"}, "scopes", "0: Not a valid string."),
        ({"scopes": '["a b", "c,d"]'}, "scopes", "printable ASCII"),
        ({"extra_config": "[]"}, "extra_config", "dictionary"),
        ({"extra_config": '"x"'}, "extra_config", "dictionary"),
        ({"extra_config": '{"bogus": "x"}'}, "extra_config", "bogus: Unknown field."),
        ({"platform": "instagram", "extra_config": '{"login": "nope"}'}, "extra_config", "login: Expected one of"),
        ({"platform": "instagram", "extra_config": '{"login": ["x"]}'}, "extra_config", "login: Expected 1 to 255"),
        ({"redirect_uri": "javascript:alert(1)"}, "redirect_uri", "http(s) URL"),
        ({"redirect_uri": "not a url"}, "redirect_uri", "http(s) URL"),
        ({"client_id": "é"}, "client_id", "printable ASCII"),
        ({"client_id": ""}, "client_id", "required"),
        ({"platform": "tiktok", "new_secret": ""}, "new_secret", "have a secret"),
        ({"new_secret": "two words"}, "new_secret", "printable ASCII"),
        ({"platform": "bluesky"}, "platform", "app password"),
    ],
    ids=lambda value: json.dumps(value) if isinstance(value, dict) else None,
)
def test_what_the_api_refuses_is_refused_at_its_field(
    staff: Any,  # noqa: F811
    given: dict[str, Any],
    field: str,
    said: str,
) -> None:
    answer = enter(staff, **given)
    assert answer.status_code == 200
    assert not SocialNetwork.objects.exists()
    told = answer.context["adminform"].form.errors
    assert list(told) == [field]
    assert said in " ".join(told[field])


def test_each_wrong_scope_is_named(staff: Any) -> None:  # noqa: F811
    told = enter(staff, scopes='["a b", "good", "c,d"]').context["adminform"].form.errors["scopes"]
    assert [text.partition(":")[0] for text in told] == ["0", "2"]


def test_an_app_that_may_do_without_a_secret_is_entered_without_one(staff: Any) -> None:  # noqa: F811
    assert enter(staff, platform="x", new_secret="").status_code == 302
    assert SocialNetwork.objects.get().client_secret == ""


def test_a_changed_app_keeps_to_the_rules_of_its_platform(staff: Any) -> None:  # noqa: F811
    network = SocialNetworkFactory(platform="instagram", secret="kept")
    refused = staff.post(page(network), form_of(network, extra_config='{"login": "nope"}'))
    assert "login: Expected one of" in refused.content.decode()
    assert staff.post(page(network), form_of(network, extra_config='{"login": "instagram"}')).status_code == 302
    network.refresh_from_db()
    assert (network.extra_config, crypto.decrypt(network.client_secret)) == ({"login": "instagram"}, "kept")


def test_an_app_whose_platform_has_no_way_of_consent_is_refused_as_a_whole(staff: Any) -> None:  # noqa: F811
    network = SocialNetworkFactory(platform="bluesky")
    answer = staff.post(page(network), form_of(network))
    assert "app password" in " ".join(answer.context["adminform"].form.non_field_errors())


def test_what_is_saved_is_listed_by_the_api(staff: Any, api: Any, organization: Any) -> None:  # noqa: F811
    enter(staff, organization=organization.pk, scopes='["tweet.read"]', redirect_uri="https://app.example.com/back")
    [listed] = api.get("/api/v1/social-networks").json()["data"]
    assert (listed["scopes"], listed["redirect_uri"]) == (["tweet.read"], "https://app.example.com/back")


def test_an_app_is_deleted_along_with_the_consents_that_it_began(signed_in: Any) -> None:  # noqa: F811
    network, other = SocialNetworkFactory(), SocialNetworkFactory()
    account = SocialAccountFactory(organization=network.organization, social_network=network)
    for each in (network, other):
        ConnectSessionFactory(social_network=each)
    client = signed_in("view_socialnetwork", "delete_socialnetwork")
    assert b"Yes, I" in client.get(page(network, "delete")).content
    assert client.post(page(network, "delete"), {"post": "yes"}).status_code == 302
    assert list(SocialNetwork.objects.all()) == [other]
    assert ConnectSession.objects.get().social_network == other
    account.refresh_from_db()
    assert account.social_network is None
    ticked = {"action": "delete_selected", "_selected_action": [str(other.pk)], "post": "yes"}
    client.post(listing(SocialNetwork), ticked)
    assert not SocialNetwork.objects.exists()

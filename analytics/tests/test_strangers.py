"""Another organization's ids, and those of the other mode, name nothing: in every path of the API, body and filter."""

import json
from typing import Any

import pytest
from django.core.serializers.json import DjangoJSONEncoder
from django.forms.models import model_to_dict

from accounts.models import (
    Mode,
    Organization,
    SocialAccount,
    SocialNetwork,
    WebhookDelivery,
    WebhookEndpoint,
    WebhookEvent,
)
from accounts.tests.consents import Walk, answer, network, walk  # noqa: F401
from accounts.tests.factories import SocialNetworkFactory, WebhookEndpointFactory
from accounts.tests.fixtures import api, organization  # noqa: F401
from analytics.models import ImportJob, ImportSchedule, Post, Target
from analytics.services import imports
from analytics.tests.factories import TargetFactory

pytestmark = pytest.mark.django_db
OWNED = (SocialAccount, SocialNetwork, WebhookEndpoint, WebhookDelivery, ImportJob, ImportSchedule, Post, Target)
ROOT = "/api/v1"
BODIES: dict[str, Any] = {
    "/social-accounts/{id}": {"status": "disabled"},
    "/social-accounts/{id}/imports": {},
    "/social-accounts/{id}/imports/schedule": {"hourly": True},
    "/posts/{id}": {"content": "Changed"},
    "/posts/{id}/targets/{target_id}": {"status": "failed"},
    "/webhooks/{id}": {"description": "Changed"},
    "/social-accounts/pending/{token}/finalize": {"ids": ["1"]},
}


class Estate:
    """One of everything that an organization can own, and the ids that paths name them by."""

    def __init__(self, walk: Walk, organization: Organization) -> None:  # noqa: F811
        network(organization, "x")
        self.pending = walk.pending("x")
        self.organization = organization
        self.target = TargetFactory(platform="bluesky", post__organization=self.organization, post__mode=Mode.TEST)
        self.account = self.target.account
        self.network = SocialNetworkFactory(organization=organization, platform="tiktok")
        self.endpoint = WebhookEndpointFactory(organization=self.organization)
        event = WebhookEvent.objects.create(organization=self.organization, mode=Mode.TEST, type="post.error", data={})
        self.delivery = WebhookDelivery.objects.create(endpoint=self.endpoint, event=event)
        self.job = imports.start(self.account)

    def ids(self, path: str) -> dict[str, Any]:
        owners = {"social-accounts": self.account, "posts": self.target.post, "webhooks": self.endpoint}
        owners["social-networks"] = self.network
        return {
            "id": getattr(owners.get(path.split("/")[1]), "pk", ""),
            "target_id": self.target.pk,
            "import_id": self.job.pk,
            "delivery_id": self.delivery.pk,
            "token": self.pending,
        }


@pytest.fixture
def estate(walk: Walk, organization: Organization) -> Estate:  # noqa: F811
    return Estate(walk, organization)


def everything() -> str:
    rows = [[model_to_dict(row) for row in model.objects.order_by("pk")] for model in OWNED]
    return json.dumps(rows, cls=DjangoJSONEncoder, default=str)


def operations(client: Any) -> list[tuple[str, str]]:
    """Every operation of the served OpenAPI whose path names something that is owned."""
    paths = client.get(f"{ROOT}/openapi.json").json()["paths"]
    found = [(method, path.removeprefix(ROOT)) for path, known in paths.items() for method in known if "{" in path]
    return [(method, path) for method, path in found if method in api_methods and "{platform}" not in path]


api_methods = ("get", "post", "put", "patch", "delete")


@pytest.fixture(params=["another organization", "the other mode"])
def stranger(request: Any, estate: Estate, client_for: Any) -> Any:
    if request.param == "another organization":
        return client_for(TargetFactory().post.organization)
    return client_for(estate.organization, mode=Mode.LIVE)


def test_paths_name_nothing_of_strangers(estate: Estate, stranger: Any) -> None:
    asked = operations(stranger)
    assert len(asked) > 20
    before = everything()
    for method, path in asked:
        url = ROOT + path.format(**estate.ids(path))
        told = getattr(stranger, method)(url, *([BODIES.get(path, {})] if method != "get" else []))
        assert told.status_code == 404, (method, path, told.content)
        assert told.json()["code"] == "not_found", (method, path)
    assert everything() == before


def test_the_owner_finds_what_strangers_do_not(estate: Estate, client_for: Any) -> None:
    owner = client_for(estate.organization)
    for method, path in operations(owner):
        if method == "get" and "analytics" not in path and "metrics" not in path and "health" not in path:
            told = owner.get(ROOT + path.format(**estate.ids(path)))
            assert told.status_code == 200, (path, told.content)


def test_bodies_name_nothing_of_strangers(estate: Estate, stranger: Any) -> None:
    before = everything()
    account = str(estate.account.pk)
    told = stranger.post(f"{ROOT}/posts", {"targets": [{"account_id": account, "platform_post_id": "1"}]})
    assert (told.status_code, told.json()["code"]) == (422, "unknown_account")
    stranger.post(f"{ROOT}/social-networks", {"platform": "x", "client_id": "a", "client_secret": "b"})
    told = stranger.post(f"{ROOT}/social-networks/x/auth-url", {"account_id": account})
    assert told.status_code in (404, 422), told.content
    SocialNetwork.objects.exclude(organization=estate.organization, mode=Mode.TEST).delete()
    assert everything() == before


def test_filters_name_nothing_of_strangers(estate: Estate, stranger: Any) -> None:
    for path in (f"/posts?account_id={estate.account.pk}", f"/social-accounts?id={estate.account.pk}"):
        told = stranger.get(ROOT + path)
        assert (told.status_code, told.json()["data"]) == (200, [])

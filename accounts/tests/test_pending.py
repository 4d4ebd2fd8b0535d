"""What a consent found, and connecting what is chosen of it: once, by whom it is for, and again."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone
from rest_framework.test import APIClient

from accounts.models import ConnectSession, SocialAccount, WebhookEvent
from accounts.services import crypto, pending
from accounts.tests.consents import BACK, Walk, good, network, query_of
from accounts.tests.factories import ConnectSessionFactory, OrganizationFactory, SocialAccountFactory
from platforms.tests.replay import Replay

pytestmark = pytest.mark.django_db


def told(kind: str = "account.connected") -> int:
    return WebhookEvent.objects.filter(type=kind).count()


def test_what_is_chosen_is_connected_and_the_session_is_over(walk: Walk, organization: Any) -> None:
    network(organization, "youtube")
    token = walk.pending("youtube")
    walk.finalize(token, "UCacmeAnalyticsDemo00002")
    assert SocialAccount.objects.get().network_unique_id == "UCacmeAnalyticsDemo00002"
    assert "used" in walk.finalize(token, "UCacmeAnalyticsDemo00001", status=404)["detail"]
    assert "used already: 1 account was connected at" in walk.offered(token, 404)["detail"]
    assert SocialAccount.objects.count() == told() == 1
    assert ConnectSession.objects.get().payload == ""


def test_what_is_not_offered_connects_nothing_and_leaves_the_session(walk: Walk, organization: Any) -> None:
    network(organization, "youtube")
    token = walk.pending("youtube")
    for ids in (["UCacmeAnalyticsDemo00001", "UCsomebodyElse"], []):
        assert "ids" in walk.finalize(token, *ids, status=400)["detail"]
    assert not SocialAccount.objects.exists()
    walk.finalize(token, "UCacmeAnalyticsDemo00001", "UCacmeAnalyticsDemo00001")
    assert SocialAccount.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_of_two_who_finalize_at_once_one_connects(walk: Walk, organization: Any) -> None:
    network(organization, "x")
    token = walk.pending()

    def choose(_: int) -> int:
        try:
            return walk.api.post(
                f"/api/v1/social-accounts/pending/{token}/finalize", {"ids": ["2244994945"]}
            ).status_code
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(choose, range(4))) == [200, 404, 404, 404]
    assert SocialAccount.objects.count() == told() == 1


def test_an_expired_session_connects_nothing(walk: Walk, organization: Any) -> None:
    network(organization, "x")
    token = walk.pending()
    assert ConnectSession.objects.get().expires_at - timezone.now() <= timedelta(minutes=30)
    ConnectSession.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    assert "expired" in walk.finalize(token, "2244994945", status=404)["detail"]
    assert "expired" in walk.offered(token, 404)["detail"]
    assert not SocialAccount.objects.exists()


def test_a_failure_in_the_middle_connects_none_and_leaves_the_session(
    walk: Walk, organization: Any, monkeypatch: Any
) -> None:
    network(organization, "youtube")
    token = walk.pending("youtube")
    real = pending.connections.connect

    def connect(*args: Any, **more: Any) -> Any:
        if SocialAccount.objects.exists():
            raise RuntimeError("killed")
        return real(*args, **more)

    monkeypatch.setattr(pending.connections, "connect", connect)
    walk.finalize(token, "UCacmeAnalyticsDemo00001", "UCacmeAnalyticsDemo00002", status=500)
    assert not SocialAccount.objects.exists() and not WebhookEvent.objects.exists()
    monkeypatch.undo()
    assert len(walk.offered(token)["data"]) == 2


def test_a_pending_token_is_one_of_the_organization_and_mode_that_began(
    walk: Walk, organization: Any, client_for: Any
) -> None:
    network(organization, "x")
    token = walk.pending()
    for other in (client_for(OrganizationFactory()), client_for(organization, mode="live")):
        stranger = Walk(other, walk.answer)
        stranger.offered(token, 404)
        stranger.finalize(token, "2244994945", status=404)
    assert not SocialAccount.objects.exists()
    reader = client_for(organization, scopes=[])
    assert reader.get(f"/api/v1/social-accounts/pending/{token}").status_code == 200
    assert reader.post(f"/api/v1/social-accounts/pending/{token}/finalize", {"ids": ["1"]}).status_code == 403
    assert APIClient().get(f"/api/v1/social-accounts/pending/{token}").status_code == 401


@pytest.mark.parametrize("token", ["x", "a" * 43, "é", "00000000-0000-4000-8000-000000000001", "%00"])
def test_a_forged_pending_token_opens_nothing(walk: Walk, organization: Any, token: str) -> None:
    network(organization, "x")
    genuine = walk.pending()
    ConnectSessionFactory()  # one that has no token
    assert walk.api.get(f"/api/v1/social-accounts/pending/{token}").status_code in (400, 404)
    walk.offered(ConnectSession.objects.exclude(token_hash="").get().token_hash, 404)
    walk.offered(genuine)


# --- again -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", ["active", "token_expired", "revoked", "disabled"])
def test_the_same_account_again_is_updated_and_active(walk: Walk, organization: Any, status: str) -> None:
    app = network(organization, "x")
    account = SocialAccountFactory(
        organization=organization, network_unique_id="2244994945", status=status, tenant_id="kept", extra={"a": "b"}
    )
    token = walk.pending()
    assert walk.offered(token)["data"][0]["social_account_id"] == str(account.pk)
    assert walk.finalize(token, "2244994945") == {"account_ids": [str(account.pk)]}
    account.refresh_from_db()
    assert (account.status, account.tenant_id, account.social_network) == ("active", "kept", app)
    assert crypto.decrypt(account.access_token) == "access-1"
    assert told() == 1


def test_an_account_to_be_connected_again_must_come_back_as_itself(walk: Walk, organization: Any) -> None:
    network(organization, "youtube")
    ids = ["UCacmeAnalyticsDemo00002", "UCacmeAnalyticsDemo00009"]
    same, other = (
        SocialAccountFactory(organization=organization, platform="youtube", network_unique_id=each) for each in ids
    )
    token = walk.pending("youtube", account_id=str(same.pk))
    assert [each["id"] for each in walk.offered(token)["data"]] == [ids[0]]
    walk.finalize(token, "UCacmeAnalyticsDemo00001", status=400)
    walk.answer(Replay(good("youtube").turns))
    answer = walk.back(walk.state("youtube", redirect_url=BACK, account_id=str(other.pk)))
    assert query_of(answer["Location"])["error"] == "wrong_account"
    other.refresh_from_db()
    assert crypto.decrypt(other.access_token) != "access-1"


def test_what_ended_is_erased_and_later_forgotten(walk: Walk, organization: Any) -> None:
    network(organization, "x")
    walk.pending()
    ConnectSessionFactory(verifier=crypto.encrypt("v"))
    ConnectSession.objects.update(expires_at=timezone.now() - timedelta(minutes=1))
    assert pending.forget_old() == 0
    assert set(ConnectSession.objects.values_list("payload", "verifier")) == {("", "")}
    ConnectSession.objects.update(expires_at=timezone.now() - timedelta(days=2))
    assert pending.forget_old() == 2

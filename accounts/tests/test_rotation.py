from typing import Any

import pytest
from django.core.management import CommandError, call_command

from accounts.models import SocialAccount
from accounts.services import crypto, endpoints, rotation, signing
from accounts.tests.factories import (
    ConnectSessionFactory,
    SocialAccountFactory,
    SocialNetworkFactory,
    WebhookEndpointFactory,
)

pytestmark = pytest.mark.django_db
NEW = "MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTI="


def rotate(capsys: Any) -> str:
    call_command("rotate_token_keys")
    return capsys.readouterr().out.strip()


def test_every_secret_is_moved_to_the_newest_key(settings: Any, capsys: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(rotation, "CHUNK", 2)
    accounts = SocialAccountFactory.create_batch(5, access="an-access-token", refresh="a-refresh-token")
    bare = SocialAccountFactory(access="", refresh="")
    network = SocialNetworkFactory()
    consent = ConnectSessionFactory(social_network=network, payload=crypto.encrypt("what was found"))
    left = SocialAccountFactory(access="", refresh="", app_password=crypto.encrypt("a-password"))
    updated_at = accounts[0].updated_at
    settings.TOKEN_ENCRYPTION_KEYS = [NEW, *settings.TOKEN_ENCRYPTION_KEYS]
    assert rotate(capsys) == "13 values re-encrypted, 0 that no key opens"
    settings.TOKEN_ENCRYPTION_KEYS = [NEW]
    for row in [*accounts, bare, network, consent, left]:
        row.refresh_from_db()
    assert {crypto.decrypt(account.access_token) for account in accounts} == {"an-access-token"}
    assert {crypto.decrypt(account.refresh_token) for account in accounts} == {"a-refresh-token"}
    assert crypto.decrypt(network.client_secret) == "a-client-secret"
    assert crypto.decrypt(consent.payload) == "what was found"
    assert crypto.decrypt(left.app_password) == "a-password"
    assert (bare.access_token, accounts[0].updated_at) == ("", updated_at)


def test_rotating_twice_is_safe(settings: Any, capsys: Any) -> None:
    account = SocialAccountFactory(access="an-access-token")
    settings.TOKEN_ENCRYPTION_KEYS = [NEW, *settings.TOKEN_ENCRYPTION_KEYS]
    assert rotate(capsys) == rotate(capsys)
    account.refresh_from_db()
    assert crypto.decrypt(account.access_token) == "an-access-token"


def test_what_no_key_opens_stays_and_is_named(settings: Any, capsys: Any, caplog: Any) -> None:
    lost, known = SocialAccountFactory(refresh=""), SocialAccountFactory(refresh="")
    old = settings.TOKEN_ENCRYPTION_KEYS
    settings.TOKEN_ENCRYPTION_KEYS = [NEW]
    known.access_token = crypto.encrypt("an-access-token")
    known.save()
    with pytest.raises(CommandError, match="TOKEN_ENCRYPTION_KEYS"):
        call_command("rotate_token_keys")
    assert capsys.readouterr().out.strip() == "1 values re-encrypted, 1 that no key opens"
    assert str(lost.pk) in caplog.text and "access_token" in caplog.text
    assert SocialAccount.objects.get(pk=lost.pk).access_token == lost.access_token
    settings.TOKEN_ENCRYPTION_KEYS = [NEW, *old]
    assert rotate(capsys) == "2 values re-encrypted, 0 that no key opens"


def test_signing_secrets_are_moved_too(settings: Any, capsys: Any) -> None:
    endpoint, _ = endpoints.rotate_secret(WebhookEndpointFactory(), signing.new_secret())
    endpoint, _ = endpoints.rotate_secret(endpoint)
    all_three = endpoints.valid_secrets(endpoint)
    settings.TOKEN_ENCRYPTION_KEYS = [NEW, *settings.TOKEN_ENCRYPTION_KEYS]
    assert rotate(capsys) == "3 values re-encrypted, 0 that no key opens"
    settings.TOKEN_ENCRYPTION_KEYS = [NEW]
    endpoint.refresh_from_db()
    assert endpoints.valid_secrets(endpoint) == all_three and len(set(all_three)) == 3

"""Rows for tests: organizations, keys and connected accounts, all in test mode unless said otherwise."""

from datetime import timedelta
from typing import Any

import factory
from django.utils import timezone
from factory.django import DjangoModelFactory

from accounts.models import ApiKey, ConnectSession, Mode, Organization, SocialAccount, SocialNetwork, WebhookEndpoint
from accounts.services import crypto, keys, signing

ACCOUNT_IDS = {
    "x": lambda n: str(2_244_990_000 + n),
    "instagram": lambda n: str(17_841_400_000_000_000 + n),
    "bluesky": lambda n: f"did:plc:{'234567ab'[n % 8] * 12}{_letters(n)}",
    "facebook": lambda n: str(102_030_405_060_000 + n),
    "google_business": lambda n: str(1_234_567_000 + n),
    "linkedin": lambda n: f"urn:li:organization:{7_700_000 + n}",
    "pinterest": lambda n: str(2_783_136_121_146_000_000 + n),
    "reddit": lambda n: _letters(n)[:6],
    "threads": lambda n: str(26_000_000_000_000_000 + n),
    "tiktok": lambda n: f"723f24d7-e717-40f8-a2b6-{n:012d}",
    "youtube": lambda n: f"UCacmeAnalyticsDemo{n:05d}",
}
SECRET = signing.new_secret()
_LETTERS = "234567abcdefghijklmnopqrstuvwxyz"


def _letters(number: int) -> str:
    """Twelve letters of a DID that tell numbers apart."""
    return "".join(_LETTERS[number // 32**place % 32] for place in range(12))


class OrganizationFactory(DjangoModelFactory[Organization]):
    class Meta:
        model = Organization

    name = factory.Sequence(lambda n: f"Organization {n}")


class SocialNetworkFactory(DjangoModelFactory[SocialNetwork]):
    """`secret` is the client secret in the clear."""

    class Meta:
        model = SocialNetwork

    class Params:
        secret = "a-client-secret"

    organization = factory.SubFactory(OrganizationFactory)
    mode = Mode.TEST
    platform = "x"
    client_id = "a-client-id"
    client_secret = factory.LazyAttribute(lambda network: crypto.encrypt(network.secret))


class ConnectSessionFactory(DjangoModelFactory[ConnectSession]):
    """Begun and not answered."""

    class Meta:
        model = ConnectSession

    social_network = factory.SubFactory(SocialNetworkFactory)
    organization = factory.SelfAttribute("social_network.organization")
    mode = factory.SelfAttribute("social_network.mode")
    redirect_uri = "https://app.example.com/callback"
    scopes = factory.LazyFunction(lambda: ["tweet.read", "users.read", "offline.access"])
    expires_at = factory.LazyFunction(lambda: timezone.now() + timedelta(minutes=10))


class SocialAccountFactory(DjangoModelFactory[SocialAccount]):
    """`access` and `refresh` are the tokens in the clear."""

    class Meta:
        model = SocialAccount

    class Params:
        access = factory.Sequence(lambda n: f"access-token-{n:08d}")
        refresh = factory.Sequence(lambda n: f"refresh-token-{n:08d}")

    organization = factory.SubFactory(OrganizationFactory)
    mode = Mode.TEST
    platform = "x"
    network_unique_id = factory.LazyAttributeSequence(lambda account, n: ACCOUNT_IDS[account.platform](n))
    username = factory.Sequence(lambda n: f"user_{n}")
    access_token = factory.LazyAttribute(lambda account: crypto.encrypt(account.access))
    refresh_token = factory.LazyAttribute(lambda account: crypto.encrypt(account.refresh))
    token_expires_at = factory.LazyFunction(lambda: timezone.now() + timedelta(hours=1))
    token_obtained_at = factory.LazyFunction(timezone.now)


class WebhookEndpointFactory(DjangoModelFactory[WebhookEndpoint]):
    """Subscribed to everything; `signing_secret` is the secret in the clear, which is that of all of them."""

    class Meta:
        model = WebhookEndpoint

    class Params:
        signing_secret = SECRET

    organization = factory.SubFactory(OrganizationFactory)
    mode = Mode.TEST
    url = "https://receiver.example/hook"
    events = factory.LazyFunction(lambda: ["*"])
    secret = factory.LazyAttribute(lambda endpoint: crypto.encrypt(endpoint.signing_secret))


def make_key(organization: Organization | None = None, mode: str = Mode.TEST, **more: Any) -> tuple[ApiKey, str]:
    """A key and its text; `scopes` are all unless given."""
    return keys.create_key(organization or OrganizationFactory(), mode=mode, **more)

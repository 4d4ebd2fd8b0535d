"""How OAuth apps, pending sessions and what connects accounts look in the API."""

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from accounts.models import SocialNetwork
from accounts.serializers import TextField, TokenField
from accounts.services import networks, redirects
from platforms import registry
from postfuze.api.ids import IdField
from postfuze.api.serializers import UNKNOWN, StrictSerializer
from postfuze.api.times import TimeField

_SCOPE = re.compile(r"[\x21\x23-\x2b\x2d-\x5b\x5d-\x7e]+")
_SCOPE_LIMITS: dict[str, Any] = {"max_length": 100}


class ScopeField(serializers.CharField):
    """One scope, of the characters that scopes have, without the comma that separates them on some platforms.

    https://www.rfc-editor.org/rfc/rfc6749#section-3.3
    """

    def to_internal_value(self, data: Any) -> str:
        value: str = super().to_internal_value(data)
        if not _SCOPE.fullmatch(value):
            raise serializers.ValidationError("A scope is printable ASCII without blanks, commas and quotes.")
        return value


class LossSerializer(serializers.Serializer[Any]):
    """A scope that is lacking, and the columns that stay null without it."""

    scope = serializers.CharField()
    detail = serializers.CharField()
    dimensions = serializers.ListField(child=serializers.CharField(), source="posts")
    account_dimensions = serializers.ListField(child=serializers.CharField(), source="account")


class SocialNetworkSerializer(serializers.ModelSerializer[SocialNetwork]):
    """An organization's OAuth app. Its secret is never in it."""

    display_name = TextField()
    has_secret = serializers.SerializerMethodField()
    redirect_uri = serializers.SerializerMethodField(help_text="What the app must have as its redirect URI.")
    scopes = serializers.SerializerMethodField(help_text="What people are asked for.")
    extra_config = serializers.DictField()
    warnings = serializers.SerializerMethodField(help_text="What stays null for lack of a scope.")
    created_at = TimeField()
    updated_at = TimeField()

    class Meta:
        model = SocialNetwork
        fields = (
            "id",
            "platform",
            "display_name",
            "client_id",
            "has_secret",
            "redirect_uri",
            "scopes",
            "extra_config",
            "is_enabled",
            "warnings",
            "created_at",
            "updated_at",
        )
        read_only_fields = fields

    def get_has_secret(self, network: SocialNetwork) -> bool:
        return bool(network.client_secret)

    def get_redirect_uri(self, network: SocialNetwork) -> str:
        return networks.redirect_uri_of(network)

    def get_scopes(self, network: SocialNetwork) -> list[str]:
        return list(networks.asked_scopes(network))

    @extend_schema_field(LossSerializer(many=True))
    def get_warnings(self, network: SocialNetwork) -> Any:
        return LossSerializer(networks.lost(network), many=True).data


class SocialNetworkUpsert(StrictSerializer):
    """An OAuth app. What is left out stays as it was."""

    platform = serializers.ChoiceField(choices=registry.choices())
    display_name = TextField(max_length=200)
    client_id = serializers.CharField(max_length=500)
    client_secret = TokenField(required=False, allow_null=True)
    redirect_uri = TextField(max_length=2000)
    scopes = serializers.ListField(child=ScopeField(max_length=255), required=False, **_SCOPE_LIMITS)
    extra_config = serializers.DictField(required=False)
    is_enabled = serializers.BooleanField(required=False)

    def validate_client_id(self, value: str) -> str:
        if not re.fullmatch(r"[\x20-\x7e]+", value):
            raise serializers.ValidationError("A client id is printable ASCII.")
        return value

    def validate_redirect_uri(self, value: str) -> str:
        return _redirect_uri(value) if value else ""

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        platform = registry.get(attrs["platform"])
        if "extra_config" in attrs:
            attrs["extra_config"] = _checked_config(attrs["extra_config"], platform.app_config)
        if networks.consent_of(platform.key, attrs.get("extra_config", {})) is None:
            raise serializers.ValidationError({"platform": platform.no_consent})
        return attrs


def _redirect_uri(value: str) -> str:
    try:
        parts = urlsplit(value)
        good = parts.scheme in ("http", "https") and parts.hostname and not parts.username and parts.port != 0
    except ValueError:
        good = False
    if not good or parts.fragment or not re.fullmatch(r"[\x21-\x5b\x5d-\x7e]+", value):
        raise serializers.ValidationError("Expected an http(s) URL without fragment.")
    return value


def _checked_config(given: Mapping[str, Any], known: Mapping[str, tuple[str, ...] | None]) -> dict[str, str]:
    checked: dict[str, str] = {}
    for name, value in given.items():
        allowed = known.get(name)
        if name not in known:
            raise serializers.ValidationError({"extra_config": {name: UNKNOWN}})
        if not isinstance(value, str) or not 0 < len(value) <= 255:
            raise serializers.ValidationError({"extra_config": {name: "Expected 1 to 255 characters."}})
        if allowed is not None and value not in allowed:
            raise serializers.ValidationError({"extra_config": {name: f"Expected one of {', '.join(allowed)}."}})
        checked[name] = value
    return checked


class AuthUrlCreate(StrictSerializer):
    """How a consent is begun."""

    redirect_url = TextField(max_length=2000, help_text="Where the person ends; else on a page of this service.")
    tenant_id = TextField()
    account_id = IdField(required=False, allow_null=True, help_text="An account to be connected again.")

    def validate_redirect_url(self, value: str) -> str:
        try:
            return redirects.check_redirect_url(value) if value else ""
        except ValueError as error:
            raise serializers.ValidationError(f"It {error}.") from error


class AuthUrlSerializer(serializers.Serializer[Any]):
    auth_url = serializers.CharField()


class OfferSerializer(serializers.Serializer[Any]):
    """An account that can be connected; `social_account_id` is the one that it is already."""

    id = serializers.CharField(help_text="What it is chosen by.")
    network_unique_id = serializers.CharField(source="given.network_unique_id")
    username = TextField(source="given.username")
    display_name = TextField(source="given.display_name")
    profile_image_url = TextField(source="given.profile_image_url")
    account_type = TextField(source="given.account_type")
    social_account_id = serializers.UUIDField(source="account_id", allow_null=True)


class PendingSerializer(serializers.Serializer[Any]):
    """A pending session: what a consent can connect. Tokens are not in it."""

    platform = serializers.ChoiceField(choices=registry.choices(), source="session.social_network.platform")
    tenant_id = TextField(source="session.tenant_id")
    expires_at = TimeField(source="session.expires_at")
    missing_scopes = serializers.ListField(child=serializers.CharField(), help_text="Asked for and not granted.")
    warnings = LossSerializer(many=True)
    data = OfferSerializer(many=True)


class FinalizeCreate(StrictSerializer):
    ids = serializers.ListField(child=serializers.CharField(max_length=255), allow_empty=False, max_length=5000)


class FinalizedSerializer(serializers.Serializer[Any]):
    account_ids = serializers.ListField(child=serializers.UUIDField(), help_text="In the order of `ids`.")


class AppPasswordConnect(StrictSerializer):
    """Connecting by handle and app password."""

    handle = serializers.CharField(max_length=255, help_text="Such as jane.bsky.social, or a DID.")
    app_password = TokenField()
    tenant_id = TextField()
    keep_password = serializers.BooleanField(
        required=False,
        default=False,
        help_text="Keep it, encrypted, and sign in again by it when the session has ended.",
    )

    def validate_handle(self, value: str) -> str:
        return value.removeprefix("@")

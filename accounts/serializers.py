"""How accounts look in the API."""

import re
from typing import Any

from django.conf import settings
from rest_framework import serializers

from accounts.models import SocialAccount, Status
from platforms import registry
from postfuze.api.addresses import WebAddressField
from postfuze.api.serializers import StrictSerializer
from postfuze.api.times import TimeField

_TOKEN = re.compile(r"[\x21-\x7e]+")

STATUS_HELP = (
    "`active` enables a disabled account: it is again what it was before, also `token_expired` or `revoked`, which only"
    " new tokens cure. The answer has the status that it has now."
)


class TextField(serializers.CharField):
    """Optional text: what is not set is null, here and in answers."""

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("max_length", 255)
        super().__init__(required=False, allow_null=True, allow_blank=True, **kwargs)

    def run_validation(self, data: Any = serializers.empty) -> Any:
        value = super().run_validation(data)
        return "" if value is None else value

    def to_representation(self, value: Any) -> str | None:
        return str(value) or None


class TokenField(serializers.CharField):
    """A token as platforms hand them out: printable ASCII without blanks."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(max_length=16000, write_only=True, trim_whitespace=False, **kwargs)

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        value: str = super().to_internal_value(data)
        if not _TOKEN.fullmatch(value):
            raise serializers.ValidationError("A token is printable ASCII without blanks.")
        return value


class SocialAccountSerializer(serializers.ModelSerializer[SocialAccount]):
    """A connected account. Tokens are never in it."""

    username = TextField(read_only=False)
    display_name = TextField()
    profile_image_url = TextField(max_length=2000)
    account_type = TextField()
    tenant_id = TextField()
    scopes = serializers.ListField(child=serializers.CharField())
    token_expires_at = TimeField(allow_null=True)
    last_synced_at = TimeField(allow_null=True)
    created_at = TimeField()
    updated_at = TimeField()
    social_network_id = serializers.UUIDField(allow_null=True)

    class Meta:
        model = SocialAccount
        fields = (
            "id",
            "platform",
            "tenant_id",
            "social_network_id",
            "network_unique_id",
            "username",
            "display_name",
            "profile_image_url",
            "account_type",
            "status",
            "scopes",
            "token_expires_at",
            "last_synced_at",
            "created_at",
            "updated_at",
        )
        read_only_fields = fields


class SocialAccountCreate(StrictSerializer):
    """Connecting an account with tokens that the caller holds."""

    platform = serializers.ChoiceField(choices=registry.choices())
    network_unique_id = serializers.CharField(max_length=255)
    username = TextField()
    display_name = TextField()
    profile_image_url = WebAddressField()
    account_type = TextField(max_length=64)
    tenant_id = TextField()
    access_token = TokenField()
    refresh_token = TokenField(required=False, allow_null=True)
    token_expires_at = TimeField(required=False, allow_null=True)
    scopes = serializers.ListField(child=serializers.CharField(max_length=255), required=False, max_length=100)
    extra = serializers.DictField(required=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        platform = registry.get(attrs["platform"])
        try:
            attrs["network_unique_id"] = platform.normalize_account_id(attrs["network_unique_id"])
        except ValueError as error:
            raise serializers.ValidationError({"network_unique_id": str(error)}) from error
        if "extra" in attrs:
            attrs["extra"] = _checked_extra(attrs["platform"], attrs["extra"])
        return attrs


def _checked_extra(key: str, extra: dict[str, Any]) -> dict[str, str]:
    platform = registry.get(key)
    checked: dict[str, str] = {}
    for name, value in extra.items():
        if name not in platform.extra:
            raise serializers.ValidationError({"extra": {name: "Unknown field."}})
        try:
            checked[name] = platform.check_extra(name, value, mapped=settings.PLATFORM_HOST_MAP)
        except ValueError as error:
            raise serializers.ValidationError({"extra": {name: str(error)}}) from error
    return checked


class SocialAccountPatch(StrictSerializer):
    """What may be changed of a connected account."""

    status = serializers.ChoiceField(choices=[Status.ACTIVE, Status.DISABLED], required=False, help_text=STATUS_HELP)
    tenant_id = TextField()
    access_token = TokenField(required=False)
    refresh_token = TokenField(required=False, allow_null=True)
    token_expires_at = TimeField(required=False, allow_null=True)


class PlatformSerializer(serializers.Serializer[Any]):
    """What a platform offers."""

    key = serializers.CharField()
    label = serializers.CharField()
    dimensions = serializers.ListField(child=serializers.CharField())
    account_dimensions = serializers.ListField(child=serializers.CharField())
    batch_size = serializers.IntegerField()
    has_post_metrics = serializers.BooleanField()
    has_probe = serializers.BooleanField()
    has_refresh = serializers.BooleanField()
    has_listing = serializers.BooleanField()
    scopes = serializers.ListField(child=serializers.CharField())


class PlatformsSerializer(serializers.Serializer[Any]):
    data = PlatformSerializer(many=True)


class HealthSerializer(serializers.Serializer[Any]):
    """Whether an account can be measured. `network` is the platform."""

    id = serializers.UUIDField(source="account.id")
    network = serializers.CharField(source="account.platform")
    healthy = serializers.BooleanField()
    status = serializers.ChoiceField(choices=Status.choices, source="account.status")
    error_code = serializers.CharField(allow_null=True)
    token_expires_at = TimeField(source="account.token_expires_at", allow_null=True)
    checked_live = serializers.BooleanField()
    checked_at = TimeField()

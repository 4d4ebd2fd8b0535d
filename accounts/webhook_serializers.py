"""How webhook endpoints and deliveries look in the API."""

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from accounts.models import DeliveryStatus, DisabledReason, EventType, WebhookDelivery, WebhookEndpoint
from accounts.serializers import TextField
from accounts.services import endpoints, signing
from postfuze.api.serializers import StrictSerializer
from postfuze.api.times import TimeField

SUBSCRIBABLE = [endpoints.ALL, *EventType.values]
EVENTS_HELP = "Names of events, or `*` for all but `analytics.captured`."


class UrlField(serializers.CharField):
    """Where an endpoint is: an https URL that leads to a public address."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(max_length=2000, **kwargs)

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        return _checked(endpoints.check_url, super().to_internal_value(data))


class SecretField(serializers.CharField):
    """A signing secret that the caller chose."""

    def __init__(self, **kwargs: Any) -> None:
        help_text = "`whsec_` and the base64 of 24 to 64 bytes; made here if none is given."
        super().__init__(max_length=100, required=False, allow_null=True, help_text=help_text, **kwargs)

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        return _checked(signing.check_secret, super().to_internal_value(data))


def _checked(check: Any, value: str) -> str:
    try:
        checked: str = check(value)
    except ValueError as error:
        raise serializers.ValidationError(f"It {error}.") from error
    return checked


class EventsField(serializers.ListField):
    """What an endpoint is told of, each kind once."""

    def __init__(self, **kwargs: Any) -> None:
        child = serializers.ChoiceField(choices=SUBSCRIBABLE)
        super().__init__(child=child, allow_empty=False, max_length=50, help_text=EVENTS_HELP, **kwargs)

    def run_validation(self, data: Any = serializers.empty) -> list[str]:
        return list(dict.fromkeys(super().run_validation(data)))


class WebhookSerializer(serializers.ModelSerializer[WebhookEndpoint]):
    """A webhook endpoint. Its secret is not in it."""

    events = serializers.ListField(child=serializers.CharField(), help_text=EVENTS_HELP)
    description = TextField()
    disabled_at = TimeField(allow_null=True)
    disabled_reason = serializers.SerializerMethodField(
        help_text="`owner`, `gone` (it answered 410) or `failing` (nothing but failure for five days)."
    )
    failing_since = TimeField(allow_null=True)
    last_delivered_at = TimeField(allow_null=True)
    previous_secret_expires_at = TimeField(allow_null=True)
    created_at = TimeField()
    updated_at = TimeField()

    class Meta:
        model = WebhookEndpoint
        fields = (
            "id",
            "url",
            "events",
            "description",
            "is_enabled",
            "disabled_at",
            "disabled_reason",
            "failing_since",
            "last_delivered_at",
            "previous_secret_expires_at",
            "created_at",
            "updated_at",
        )
        read_only_fields = fields

    def get_disabled_reason(self, endpoint: WebhookEndpoint) -> str | None:
        return DisabledReason(endpoint.disabled_reason).value if endpoint.disabled_reason else None


class WebhookWithSecretSerializer(WebhookSerializer):
    """The one answer that has the secret."""

    signing_secret = serializers.SerializerMethodField(help_text="Shown in this answer and never again.")

    class Meta(WebhookSerializer.Meta):
        fields = (*WebhookSerializer.Meta.fields, "signing_secret")
        read_only_fields = fields

    def get_signing_secret(self, endpoint: WebhookEndpoint) -> str:
        return str(self.context["secret"])


class WebhookCreate(StrictSerializer):
    """A new endpoint."""

    url = UrlField()
    events = EventsField()
    description = TextField()
    signing_secret = SecretField()
    is_enabled = serializers.BooleanField(required=False)


class WebhookPatch(StrictSerializer):
    """What may be changed. A new secret is valid along with the old one for a day; the same again changes nothing."""

    url = UrlField(required=False)
    events = EventsField(required=False)
    description = TextField()
    signing_secret = SecretField()
    is_enabled = serializers.BooleanField(required=False)


class WebhookRotate(StrictSerializer):
    """The new secret, if it is not to be made here."""

    signing_secret = SecretField()


class AttemptSerializer(serializers.Serializer[Any]):
    attempted_at = TimeField()
    duration_ms = serializers.IntegerField()
    response_status = serializers.IntegerField(allow_null=True)
    error = serializers.CharField(allow_null=True)


class DeliverySerializer(serializers.ModelSerializer[WebhookDelivery]):
    """An event on its way to an endpoint. The answer is that of the last attempt."""

    event_id = serializers.UUIDField(help_text="The `webhook-id`, the same in every attempt.")
    event_type = serializers.CharField(source="event.type")
    status = serializers.ChoiceField(choices=DeliveryStatus.choices)
    next_attempt_at = TimeField(allow_null=True)
    last_attempt_at = TimeField(allow_null=True)
    response_body = TextField(max_length=1024, help_text="The first 1,024 characters.")
    error = TextField()
    history = serializers.SerializerMethodField(help_text="The last 20 attempts, the oldest first.")
    created_at = TimeField()

    class Meta:
        model = WebhookDelivery
        fields = (
            "id",
            "event_id",
            "event_type",
            "status",
            "attempts",
            "next_attempt_at",
            "last_attempt_at",
            "response_status",
            "response_body",
            "duration_ms",
            "error",
            "history",
            "created_at",
        )
        read_only_fields = fields

    @extend_schema_field(AttemptSerializer(many=True))
    def get_history(self, delivery: WebhookDelivery) -> list[dict[str, Any]]:
        return delivery.history

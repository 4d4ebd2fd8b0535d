"""How posts look in the API, and what answers about them hold."""

import re
from datetime import date
from typing import Any

from rest_framework import serializers

from accounts.models import SocialAccount
from accounts.services import access
from analytics.models import LONGEST_POST_ID, ImportJob, Post, Target, TargetStatus
from analytics.rows import ACCOUNT_DIMENSIONS, DIMENSIONS
from platforms import registry
from postfuze.api.addresses import WebAddressField
from postfuze.api.ids import IdField
from postfuze.api.serializers import StrictSerializer
from postfuze.api.times import TimeField

_DAY = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)


class DayField(serializers.DateField):
    """A whole day, from 1970 to 2100."""

    def to_internal_value(self, data: Any) -> date:
        if not isinstance(data, str) or not _DAY.fullmatch(data.strip()):
            raise serializers.ValidationError("Expected a day such as 2026-06-10.")
        day: date = super().to_internal_value(data.strip())
        if not 1970 <= day.year <= 2100:
            raise serializers.ValidationError("Out of range: expected a day from 1970 to 2100.")
        return day


class TargetSerializer(serializers.ModelSerializer[Target]):
    account_id = serializers.UUIDField()
    platform_post_url = WebAddressField()
    published_at = TimeField(allow_null=True)

    class Meta:
        model = Target
        fields = ("id", "account_id", "platform", "status", "platform_post_id", "platform_post_url", "published_at")
        read_only_fields = fields


class PostSerializer(serializers.ModelSerializer[Post]):
    scheduled_at = TimeField(allow_null=True)
    published_at = TimeField(allow_null=True)
    created_at = TimeField()
    updated_at = TimeField()
    targets = TargetSerializer(many=True)

    class Meta:
        model = Post
        fields = (
            "id",
            "content",
            "external_ref",
            "status",
            "is_draft",
            "scheduled_at",
            "published_at",
            "targets",
            "created_at",
            "updated_at",
        )
        read_only_fields = fields


class ReferenceField(serializers.CharField):
    """A caller's own name for a post."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(max_length=255, required=False, allow_null=True, trim_whitespace=False, **kwargs)


class TargetCreate(StrictSerializer):
    account_id = IdField()
    platform_post_id = serializers.CharField(max_length=1000, required=False, allow_null=True)
    platform_post_url = WebAddressField()
    published_at = TimeField(required=False, allow_null=True)


class PostCreate(StrictSerializer):
    content = serializers.CharField(
        max_length=100_000, required=False, allow_null=True, allow_blank=True, trim_whitespace=False
    )
    external_ref = ReferenceField()
    scheduled_at = TimeField(required=False, allow_null=True)
    is_draft = serializers.BooleanField(required=False)
    published_at = TimeField(required=False, allow_null=True)
    targets = TargetCreate(many=True, allow_empty=False, max_length=50)

    def validate_content(self, value: str | None) -> str:
        return value or ""

    def validate_targets(self, targets: list[dict[str, Any]]) -> list[dict[str, Any]]:
        seen: set[Any] = set()
        errors: list[dict[str, Any]] = [{} for _ in targets]
        for index, target in enumerate(targets):
            if target["account_id"] in seen:
                errors[index] = {"account_id": "A post has one target for each account."}
            seen.add(target["account_id"])
        if any(errors):
            raise serializers.ValidationError(errors)
        return targets


class PostPatch(StrictSerializer):
    content = serializers.CharField(
        max_length=100_000, required=False, allow_null=True, allow_blank=True, trim_whitespace=False
    )
    external_ref = ReferenceField()
    scheduled_at = TimeField(required=False, allow_null=True)
    is_draft = serializers.BooleanField(required=False)

    def validate_content(self, value: str | None) -> str:
        return value or ""


class TargetPatch(StrictSerializer):
    """`context["target"]` is the target to be changed."""

    platform_post_id = serializers.CharField(max_length=1000, required=False, allow_null=True)
    platform_post_url = WebAddressField()
    published_at = TimeField(required=False, allow_null=True)
    status = serializers.ChoiceField(choices=TargetStatus.choices, required=False)

    def validate_platform_post_id(self, value: str | None) -> str | None:
        return normalized_post_id(value, self.context["target"].account) if value else None

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        target: Target = self.context["target"]
        post_id = attrs.get("platform_post_id", target.platform_post_id)
        status = attrs.get("status") or (TargetStatus.PUBLISHED if attrs.get("platform_post_id") else target.status)
        if status == TargetStatus.PUBLISHED and not post_id:
            raise serializers.ValidationError({"platform_post_id": "A published target needs its platform's post id."})
        return attrs


def normalized_post_id(value: str, account: SocialAccount) -> str:
    """The platform's canonical form of a post id; a validation error that shows the expected form."""
    try:
        own = registry.get(account.platform).normalize_post_id(value.strip(), access.as_platform_account(account))
    except ValueError as error:
        raise serializers.ValidationError(str(error)) from error
    if len(own) > LONGEST_POST_ID:
        raise serializers.ValidationError(
            f"Ensure that its canonical form has no more than {LONGEST_POST_ID} characters."
        )
    return own


# --- imports ------------------------------------------------


class ImportCreate(StrictSerializer):
    """Which of an account's published posts to bring in: whole days in UTC, both included."""

    from_date = DayField(required=False, allow_null=True)
    to_date = DayField(required=False, allow_null=True)
    limit = serializers.IntegerField(min_value=1, max_value=1000, required=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        first, last = attrs.get("from_date"), attrs.get("to_date")
        if first and last and first > last:
            raise serializers.ValidationError({"to_date": "It is before from_date."})
        return attrs


class ImportJobSerializer(serializers.ModelSerializer[ImportJob]):
    social_account_id = serializers.UUIDField(source="account_id")
    error_message = serializers.SerializerMethodField()
    started_at = TimeField(allow_null=True)
    finished_at = TimeField(allow_null=True)
    created_at = TimeField()

    class Meta:
        model = ImportJob
        fields = (
            "id",
            "social_account_id",
            "status",
            "from_date",
            "to_date",
            "imported_count",
            "error_message",
            "started_at",
            "finished_at",
            "created_at",
        )
        read_only_fields = fields

    def get_error_message(self, job: ImportJob) -> str | None:
        return job.error_message or None


class ImportScheduleSerializer(StrictSerializer):
    """Whether an account's new posts are brought in by themselves, and when they are looked for again."""

    hourly = serializers.BooleanField()
    next_at = TimeField(read_only=True, allow_null=True)


# --- answers, as the OpenAPI document describes them ------------------------------------------------


def _counts(names: tuple[str, ...]) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
    return {name: serializers.IntegerField(allow_null=True) for name in names}


class SkippedSerializer(serializers.Serializer[Any]):
    target_id = serializers.UUIDField()
    platform = serializers.ChoiceField(choices=registry.choices())
    code = serializers.CharField()
    detail = serializers.CharField()
    retryable = serializers.BooleanField()
    retry_after = serializers.IntegerField(allow_null=True)
    last_captured_at = TimeField(allow_null=True)


class CoverageSerializer(serializers.Serializer[Any]):
    targets = serializers.IntegerField()
    live = serializers.IntegerField()
    snapshot = serializers.IntegerField()
    missing = serializers.IntegerField()


def _row(name: str, **more: serializers.Field[Any, Any, Any, Any]) -> type[serializers.Serializer[Any]]:
    fields = {
        "target_id": serializers.UUIDField(),
        "platform": serializers.ChoiceField(choices=registry.choices()),
        **_counts(DIMENSIONS),
        "engagement_rate": serializers.FloatField(allow_null=True),
        "captured_at": TimeField(),
        **more,
        "unavailable": serializers.DictField(child=serializers.CharField()),
    }
    return type(name, (serializers.Serializer,), fields)


HistoryRowSerializer = _row("HistoryRow")
AnalyticsRowSerializer = _row("AnalyticsRow", source=serializers.ChoiceField(choices=["live", "snapshot"]))
TotalsSerializer = type(
    "Totals", (serializers.Serializer,), {f"total_{name}": serializers.IntegerField() for name in DIMENSIONS}
)


class AnalyticsSerializer(serializers.Serializer[Any]):
    post_id = serializers.UUIDField()
    metrics_by_account = AnalyticsRowSerializer(many=True)
    aggregated_metrics = TotalsSerializer()
    coverage = CoverageSerializer()
    skipped = SkippedSerializer(many=True)


class HistorySerializer(serializers.Serializer[Any]):
    post_id = serializers.UUIDField()
    since = TimeField(allow_null=True)
    until = TimeField(allow_null=True)
    interval = serializers.CharField(allow_null=True)
    data = HistoryRowSerializer(many=True)
    next_cursor = serializers.CharField(allow_null=True)


class LiveErrorSerializer(serializers.Serializer[Any]):
    code = serializers.CharField()
    detail = serializers.CharField()
    retryable = serializers.BooleanField()
    retry_after = serializers.IntegerField(allow_null=True)


AccountMetricsSerializer = type(
    "AccountMetrics",
    (serializers.Serializer,),
    {
        "__doc__": "The newest numbers, or with a range the series in `data`.",
        "social_account_id": serializers.UUIDField(),
        "network": serializers.ChoiceField(choices=registry.choices(), required=False),
        "source": serializers.ChoiceField(choices=["live", "snapshot"], required=False),
        "captured_at": TimeField(required=False),
        **{name: serializers.IntegerField(allow_null=True, required=False) for name in ACCOUNT_DIMENSIONS},
        "raw": serializers.DictField(required=False, allow_null=True),
        "unavailable": serializers.DictField(child=serializers.CharField(), required=False),
        "live_error": LiveErrorSerializer(required=False, allow_null=True),
        "metrics": serializers.DictField(required=False, allow_null=True),
        "message": serializers.CharField(required=False),
        "since": TimeField(required=False, allow_null=True),
        "until": TimeField(required=False, allow_null=True),
        "interval": serializers.CharField(required=False, allow_null=True),
        "data": serializers.ListField(child=serializers.DictField(), required=False),
        "next_cursor": serializers.CharField(required=False, allow_null=True),
    },
)

"""Snapshots and when collecting last ran: machine-written, so only to be looked at, and quick at any number of rows."""

from typing import Any

from django.conf import settings
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.template.loader import render_to_string
from django.utils import timezone
from django.utils.safestring import SafeString
from django.utils.timesince import timesince
from unfold.decorators import display

from analytics import staff
from analytics.admin.words import (
    NAMED_ACCOUNTS,
    NAMED_TARGETS,
    account_name,
    label_of,
    reason_in_words,
    target_name,
    words,
)
from analytics.models import AccountMetrics, Heartbeat, PostAnalytics
from analytics.rows import ACCOUNT_DIMENSIONS, DIMENSIONS, account_row, post_row
from platforms import registry
from platforms.base import Platform
from postfuze.admin import DaysFilter, ReadOnlyAdmin, link_to, number, row_url

ANSWER = ("The platform's answer", {"fields": ("raw",)})
EMPTIED = ("The platform's answer", {"fields": ("emptied",)})


class SnapshotAdmin(ReadOnlyAdmin):
    """Each way to search or filter is one that an index answers in the order of the list."""

    ordering = ("-captured_at", "-id")
    sortable_by = ()
    list_filter = ("platform", ("captured_at", DaysFilter))
    list_display_links = ("captured_at",)
    list_fullwidth = True
    dimensions: tuple[str, ...]
    account_link = link_to("account")
    account_column = link_to("account", text=account_name)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).defer("raw")

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        fieldsets = super().get_fieldsets(request, obj)
        gone = obj is not None and obj.raw is None
        return tuple(EMPTIED if gone and each is ANSWER else each for each in fieldsets)

    @display(description="raw")
    def emptied(self, row: Any) -> str:
        """Every snapshot had an answer; where there is none, it was taken out."""
        kept = settings.RAW_RETENTION.get(row.platform)
        now = timezone.now()
        why = f": answers of {label_of(row.platform)} are kept for {timesince(now - kept, now)}" if kept else ""
        return f"Emptied{why}. The numbers stay."

    @display(description="numbers")
    def numbers(self, row: Any) -> SafeString:
        """Each number with the one before, where in the answer it was read, or why there is none."""
        before = staff.snapshot_before(row)
        read_from, reasons = self.read_from(registry.PLATFORMS.get(row.platform)), self.reasons(row)
        lines = [
            {
                "name": words(name),
                "value": _grouped(getattr(row, name)),
                "before": _grouped(getattr(before, name, None)),
                "change": _change(getattr(row, name), getattr(before, name, None)),
                "read_from": _path(read_from.get(name)),
                "reason": reason_in_words(reasons[name], row.platform) if name in reasons else "",
            }
            for name in self.dimensions
        ]
        context = {"lines": lines, "before": before, "before_url": row_url(before) if before else ""}
        return render_to_string("admin/analytics/numbers.html", context)

    def read_from(self, platform: Platform | None) -> dict[Any, Any]:
        raise NotImplementedError

    def reasons(self, row: Any) -> dict[str, str]:
        raise NotImplementedError


def _grouped(value: int | None) -> str:
    return "-" if value is None else f"{value:,}"


def _change(value: int | None, before: int | None) -> str:
    return "" if value is None or before is None or value == before else f"{value - before:+,}"


def _path(path: Any) -> str:
    return ".".join(path) if isinstance(path, tuple) else path or ""


@admin.register(PostAnalytics)
class PostAnalyticsAdmin(SnapshotAdmin):
    dimensions = DIMENSIONS
    list_display = (
        "captured_at",
        "platform",
        "target_column",
        "account_column",
        *(number(name) for name in DIMENSIONS),
        "engagement",
    )
    list_prefetch = (NAMED_TARGETS, NAMED_ACCOUNTS)
    search_fields = ("target",)
    search_help_text = "Exact id of a post, target or account, ours or the platform's; or an external_ref"
    fieldsets = (
        (
            None,
            {
                "fields": (
                    ("captured_at", "platform"),
                    ("target_link", "post_link"),
                    ("account_link", "engagement"),
                    "mapping_version",
                )
            },
        ),
        (None, {"fields": ("numbers",)}),
        ANSWER,
    )
    target_link = link_to("target")
    target_column = link_to("target", text=target_name)
    post_link = link_to("target__post", "post")

    def find(self, queryset: QuerySet[Any], term: str) -> QuerySet[Any]:
        if targets := staff.target_ids(term):
            return queryset.filter(target_id__in=targets)
        return queryset.filter(account_id__in=staff.account_ids(term))

    @display(description="engagement")
    def engagement(self, row: PostAnalytics) -> str | None:
        return None if row.engagement_rate is None else f"{row.engagement_rate:.2%}"

    def read_from(self, platform: Platform | None) -> dict[Any, Any]:
        return {} if platform is None else dict(platform.fields)

    def reasons(self, row: PostAnalytics) -> dict[str, str]:
        return dict(post_row(vars(row))["unavailable"]) if row.platform in registry.PLATFORMS else row.unavailable


@admin.register(AccountMetrics)
class AccountMetricsAdmin(SnapshotAdmin):
    dimensions = ACCOUNT_DIMENSIONS
    list_display = ("captured_at", "platform", "account_column", *(number(name) for name in ACCOUNT_DIMENSIONS))
    list_prefetch = (NAMED_ACCOUNTS,)
    search_fields = ("account",)
    search_help_text = "Exact id of an account, ours or the platform's"
    fieldsets = (
        (None, {"fields": (("captured_at", "platform"), ("account_link", "mapping_version"))}),
        (None, {"fields": ("numbers",)}),
        ANSWER,
    )

    def find(self, queryset: QuerySet[Any], term: str) -> QuerySet[Any]:
        return queryset.filter(account_id__in=staff.account_ids(term))

    def read_from(self, platform: Platform | None) -> dict[Any, Any]:
        return {} if platform is None else dict(platform.account_fields)

    def reasons(self, row: AccountMetrics) -> dict[str, str]:
        return dict(account_row(vars(row))["unavailable"]) if row.platform in registry.PLATFORMS else row.unavailable


@admin.register(Heartbeat)
class HeartbeatAdmin(ReadOnlyAdmin):
    """When each recurring piece of work last ran."""

    list_display = ("name", "at", "ago", "detail")
    ordering = ("name",)
    sortable_by = ()
    fields = ("name", "at", "ago", "detail")

    @display(description="ago")
    def ago(self, row: Heartbeat) -> str:
        return timesince(row.at, timezone.now())

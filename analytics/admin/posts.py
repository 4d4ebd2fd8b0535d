"""Posts and their targets: what was sent where, and how collecting it goes."""

from typing import Any

from django.contrib import admin, messages
from django.db.models import Q, QuerySet
from django.db.models.functions import Now
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.defaultfilters import truncatechars
from django.utils import timezone
from unfold.admin import TabularInline
from unfold.contrib.filters.admin import AutocompleteSelectFilter, DropdownFilter
from unfold.decorators import action, display

from accounts.admin.accounts import DeletedFilter, ErrorFilter
from accounts.services.health import UNCALLABLE
from analytics import staff
from analytics.admin.charts import line_chart
from analytics.admin.words import NAMED_ACCOUNTS, NAMED_POSTS, account_name, target_name
from analytics.models import Post, PostAnalytics, Target
from analytics.rows import DIMENSIONS
from analytics.services import collect
from postfuze.admin import DaysFilter, ReadOnlyAdmin, link, link_to, list_url, row_url, short

COLLECTING_COLOURS = {
    "due": "info",
    "collecting": "info",
    "gone": "danger",
    "missing": "warning",
    "paused": "warning",
    "scheduled": "success",
}
NOTHING_DUE = {
    "account": "an account that is deleted, disabled or revoked is not called.",
    "target": "no published target that is not deleted, of an account that is called.",
}
STATUS_COLOURS = {
    "published": "success",
    "partial": "warning",
    "failed": "danger",
    "publishing": "info",
    "queued": "info",
    "scheduled": "info",
}


class CollectAdmin(ReadOnlyAdmin):
    """Rows that can be made due at once."""

    actions = ("collect_selected",)
    actions_detail = ("snapshots", "collect_now")

    def has_collect_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return bool(request.user.has_perm("analytics.change_target"))

    def targets(self, row: Any) -> QuerySet[Target]:
        raise NotImplementedError

    @admin.action(description="Collect now", permissions=["collect"])
    def collect_selected(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        self._collect(request, queryset)

    @action(description="Collect now", url_path="collect", permissions=["collect"], icon="sync")
    def collect_now(self, request: HttpRequest, object_id: str) -> HttpResponse:
        row = self.one(request, object_id)
        if request.method != "POST":
            text = "It becomes due at once, and the next pass reads it; also if it was found gone before."
            return self.confirm(request, row, title="Collect now?", text=text, button="Collect now")
        self._collect(request, self.model._default_manager.filter(pk=row.pk))
        return self.back_to(row)

    def _collect(self, request: HttpRequest, rows: QuerySet[Any]) -> None:
        due = {row: collect.collect_now(targets=self.targets(row)) for row in rows}
        for row, number in due.items():
            if number:
                self.log_change(request, row, "Made due.")
        tell_due(request, sum(due.values()), "target")

    @action(description="Snapshots", url_path="snapshots", permissions=["view"], icon="history")
    def snapshots(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return HttpResponseRedirect(list_url(PostAnalytics, q=self.one(request, object_id).pk))


def tell_due(request: HttpRequest, due: int, noun: str) -> None:
    """Say what became of "collect now"."""
    if due:
        messages.success(request, f"{due} {noun}{'' if due == 1 else 's'} due now; the next pass collects.")
    else:
        messages.warning(request, f"Nothing to collect: {NOTHING_DUE[noun]}")


class TargetInline(TabularInline):
    model = Target
    extra = 0
    hide_title = True
    fields = readonly_fields = (
        "name",
        "platform",
        "account_link",
        "status_label",
        "next_collect_at",
        "gone_at",
        "last_error_code",
    )
    can_delete = False
    account_link = link_to("account", text=account_name)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Target]:
        return super().get_queryset(request).prefetch_related(NAMED_ACCOUNTS)

    def has_add_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False

    @display(description="target")
    def name(self, row: Target) -> str:
        return link(row_url(row), row.platform_post_id or row.pk)

    @display(description="status", label=STATUS_COLOURS)
    def status_label(self, row: Target) -> str:
        return row.status


@admin.register(Post)
class PostAdmin(CollectAdmin):
    list_display = (
        "name",
        "organization_link",
        "mode",
        "status_label",
        "excerpt",
        "published_at",
        "created_at",
        "deleted_at",
    )
    list_select_related = ("organization",)
    list_filter = (
        "status",
        "mode",
        ("organization", AutocompleteSelectFilter),
        ("created_at", DaysFilter),
        ("deleted_at", DeletedFilter),
    )
    sortable_by = ()
    search_fields = ("external_ref",)
    search_help_text = "Exact id of a post or target, ours or the platform's; or an external_ref"
    fieldsets = (
        (
            None,
            {
                "fields": (
                    ("id", "organization_link"),
                    ("external_ref", "mode"),
                    ("status_label", "deleted_at"),
                    ("published_at", "scheduled_at"),
                    ("created_at", "updated_at"),
                    "content",
                )
            },
        ),
    )
    inlines = (TargetInline,)
    organization_link = link_to("organization")

    def targets(self, row: Post) -> QuerySet[Target]:
        return Target.objects.filter(post=row)

    def find(self, queryset: QuerySet[Any], term: str) -> QuerySet[Any]:
        return queryset.filter(pk__in=staff.post_ids(term))

    @display(description="post")
    def name(self, row: Post) -> str:
        return short(str(row), 36)

    @display(description="status", label=STATUS_COLOURS)
    def status_label(self, row: Post) -> str:
        return row.status

    @display(description="content")
    def excerpt(self, row: Post) -> str:
        return truncatechars(row.content, 40)


class StateFilter(DropdownFilter):
    """How collecting goes."""

    title = "collecting"
    parameter_name = "state"
    states = {
        "due": ("due", Q(next_collect_at__lte=Now(), deleted_at=None)),
        "claimed": ("being collected", Q(claimed_until__gt=Now())),
        "gone": ("gone from its platform", Q(gone_at__isnull=False)),
        "missing": ("missing in the last answers", Q(missing_count__gt=0, gone_at=None)),
        "never": ("never again", Q(next_collect_at=None)),
    }

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(key, label) for key, (label, _) in self.states.items()]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        found = self.states.get(self.value() or "")
        return queryset.filter(found[1]) if found else queryset


@admin.register(Target)
class TargetAdmin(CollectAdmin):
    list_display = (
        "name",
        "platform",
        "post_column",
        "account_column",
        "status_label",
        "collecting",
        "next_collect_at",
        "last_error_code",
        "last_error_at",
        "published_at",
    )
    list_prefetch = (NAMED_POSTS, NAMED_ACCOUNTS)
    list_filter = (
        "platform",
        "status",
        StateFilter,
        ErrorFilter,
        ("account", AutocompleteSelectFilter),
        ("deleted_at", DeletedFilter),
    )
    ordering = ("-created_at", "-id")
    sortable_by = ()
    search_fields = ("platform_post_id",)
    search_help_text = "Exact id of a target, post or account, ours or the platform's; or an external_ref"
    fieldsets = (
        (
            None,
            {
                "fields": (
                    ("id", "platform"),
                    ("post_link", "account_link"),
                    "platform_post_id",
                    "platform_post_url",
                    ("status_label", "published_at"),
                    ("created_at", "deleted_at"),
                )
            },
        ),
        (
            "Collecting",
            {
                "fields": (
                    ("collecting", "next_collect_at"),
                    ("claim", "claimed_until"),
                    ("gone_at", "missing_count"),
                    ("last_error_code", "last_error_at"),
                    "last_error_detail",
                    ("failures", "lane"),
                )
            },
        ),
    )
    change_form_outer_after_template = "admin/analytics/series.html"
    post_link = link_to("post")
    post_column = link_to("post", text=lambda post: short(str(post), 16))
    account_link = link_to("account")
    account_column = link_to("account", text=account_name)

    def targets(self, row: Target) -> QuerySet[Target]:
        return Target.objects.filter(pk=row.pk)

    def find(self, queryset: QuerySet[Any], term: str) -> QuerySet[Any]:
        if targets := staff.target_ids(term):
            return queryset.filter(pk__in=targets)
        return queryset.filter(account_id__in=staff.account_ids(term))

    @display(description="target")
    def name(self, row: Target) -> str:
        return target_name(row)

    @display(description="collecting", label=COLLECTING_COLOURS)
    def collecting(self, row: Target) -> str:
        now = timezone.now()
        if row.gone_at is not None:
            return "gone"
        if row.next_collect_at is None or row.account.deleted_at is not None:
            return "never"
        if row.account.status in UNCALLABLE:
            return "paused"
        if row.claimed_until is not None and row.claimed_until > now:
            return "collecting"
        if row.missing_count:
            return "missing"
        return "due" if row.next_collect_at <= now else "scheduled"

    @display(description="status", label=STATUS_COLOURS)
    def status_label(self, row: Target) -> str:
        return row.status

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        row = self.one(request, object_id)
        series = staff.newest_of_series(PostAnalytics.objects.filter(target=row))
        more = {"chart": line_chart(series, DIMENSIONS), "shown": len(series)}
        return super().change_view(request, object_id, form_url, {**(extra_context or {}), **more})

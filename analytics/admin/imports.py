"""Imports: what was brought in, and which accounts bring in new posts by themselves."""

from django.contrib import admin
from django.db.models import QuerySet
from unfold.decorators import display

from accounts.selectors import as_uuid
from analytics.admin.words import NAMED_ACCOUNTS, account_name, label_of
from analytics.models import ImportJob, ImportSchedule
from postfuze.admin import DaysFilter, ReadOnlyAdmin, link_to

COLOURS = {"completed": "success", "failed": "danger", "running": "info", "pending": "info"}


class OfAccountAdmin(ReadOnlyAdmin):
    """What belongs to an account: it is named along with its platform, as names repeat across platforms."""

    list_prefetch = (NAMED_ACCOUNTS,)
    account_link = link_to("account", text=account_name)

    @display(description="platform")
    def platform(self, row: ImportJob | ImportSchedule) -> str:
        return label_of(row.account.platform)


@admin.register(ImportJob)
class ImportJobAdmin(OfAccountAdmin):
    """Runs through accounts' listings."""

    list_display = (
        "created_at",
        "platform",
        "account_link",
        "status_label",
        "from_date",
        "to_date",
        "imported_count",
        "seen_count",
        "error_code",
        "finished_at",
    )
    list_filter = ("status", "is_discovery", ("created_at", DaysFilter))
    sortable_by = ()
    search_fields = ("id",)
    search_help_text = "Exact id of an import or of an account"
    fields = (
        "id",
        ("platform", "account_link"),
        "status_label",
        "is_discovery",
        ("from_date", "to_date", "limit"),
        ("pages", "seen_count", "imported_count"),
        ("error_code", "error_message", "failures"),
        ("created_at", "started_at", "finished_at", "next_attempt_at"),
    )

    def find(self, queryset: QuerySet[ImportJob], term: str) -> QuerySet[ImportJob]:
        pk = as_uuid(term)
        return queryset.none() if pk is None else queryset.filter(pk=pk) | queryset.filter(account_id=pk)

    @display(description="status", label=COLOURS)
    def status_label(self, job: ImportJob) -> str:
        return job.status


@admin.register(ImportSchedule)
class ImportScheduleAdmin(OfAccountAdmin):
    """Accounts whose new posts are looked for every hour."""

    list_display = ("platform", "account_link", "next_at", "created_at")
    sortable_by = ("next_at",)
    fields = ("platform", "account_link", "next_at", "created_at")

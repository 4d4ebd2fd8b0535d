"""What is measured of an account, on the page of the account."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.html import format_html_join
from unfold.decorators import action, display

from accounts.admin import SocialAccountAdmin
from accounts.models import SocialAccount
from analytics import staff
from analytics.admin.charts import line_chart
from analytics.admin.posts import tell_due
from analytics.models import AccountMetrics, PostAnalytics, Target
from analytics.rows import ACCOUNT_DIMENSIONS
from analytics.services import collect
from postfuze.admin import link, list_url

HISTORY = ((AccountMetrics, "Account metrics"), (PostAnalytics, "Snapshots of its posts"), (Target, "Targets"))

admin.site.unregister(SocialAccount)


@admin.register(SocialAccount)
class MeasuredAccountAdmin(SocialAccountAdmin):
    actions = ("collect_selected", *SocialAccountAdmin.actions)
    actions_detail = ("collect_now", *SocialAccountAdmin.actions_detail)
    fieldsets = ((None, {"fields": ("history",)}), *SocialAccountAdmin.fieldsets)
    change_form_outer_after_template = "admin/analytics/series.html"

    @admin.action(description="Collect now", permissions=["change"])
    def collect_selected(self, request: HttpRequest, queryset: QuerySet[SocialAccount]) -> None:
        self._collect(request, queryset)

    @action(description="Collect now", url_path="collect", permissions=["change"], icon="sync")
    def collect_now(self, request: HttpRequest, object_id: str) -> HttpResponse:
        account = self.one(request, object_id)
        if request.method != "POST":
            text = (
                "The account's own numbers become due at once, and the next pass reads them. Its posts are not "
                "touched. A disabled or revoked account is not called."
            )
            return self.confirm(request, account, title="Collect now?", text=text, button="Collect now")
        self._collect(request, SocialAccount.objects.filter(pk=account.pk))
        return self.back_to(account)

    def _collect(self, request: HttpRequest, accounts: QuerySet[SocialAccount]) -> None:
        due = [row for row in accounts if collect.collect_now(accounts=SocialAccount.objects.filter(pk=row.pk))]
        for account in due:
            self.log_change(request, account, "Made due.")
        tell_due(request, len(due), "account")

    @display(description="History")
    def history(self, account: SocialAccount) -> str:
        links = (link(list_url(model, q=account.pk), text) for model, text in HISTORY)
        return format_html_join(" · ", "{}", ([each] for each in links))

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        account = self.one(request, object_id)
        series = staff.newest_of_series(AccountMetrics.objects.filter(account=account))
        more = {"chart": line_chart(series, ACCOUNT_DIMENSIONS), "shown": len(series)}
        return super().change_view(request, object_id, form_url, {**(extra_context or {}), **more})

"""The ways of consents: who is connecting what, and why some led nowhere. Nothing that is secret is shown."""

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from unfold.contrib.filters.admin import AutocompleteSelectFilter
from unfold.decorators import display

from accounts.models import ConnectSession
from accounts.selectors import as_uuid
from postfuze.admin import DaysFilter, ReadOnlyAdmin, link_to


@admin.register(ConnectSession)
class ConnectSessionAdmin(ReadOnlyAdmin):
    list_display = ("id", "social_network", "organization_link", "mode", "state", "failure", "created_at", "expires_at")
    list_select_related = ("organization", "social_network")
    list_filter = (
        ("created_at", DaysFilter),
        "social_network__platform",
        "mode",
        ("organization", AutocompleteSelectFilter),
    )
    sortable_by = ("created_at", "expires_at")
    search_fields = ("tenant_id",)
    search_help_text = "Exact tenant, or id of the consent, its organization or the account to be connected again"
    fields = (
        ("id", "organization_link"),
        ("social_network", "mode"),
        ("state", "failure"),
        ("account", "tenant_id"),
        ("redirect_url", "redirect_uri"),
        "scopes",
        ("created_at", "expires_at"),
        ("answered_at", "finalized_at"),
        "chosen",
    )
    organization_link = link_to("organization")

    def get_queryset(self, request: HttpRequest) -> QuerySet[ConnectSession]:
        return super().get_queryset(request).defer("verifier", "payload", "token_hash", "chosen")

    def find(self, queryset: QuerySet[ConnectSession], term: str) -> QuerySet[ConnectSession]:
        if (pk := as_uuid(term)) is not None:
            return queryset.filter(Q(pk=pk) | Q(organization_id=pk) | Q(account_id=pk))
        return queryset.filter(tenant_id=term)

    @display(
        description="state",
        label={"connected": "success", "failed": "danger", "pending": "info", "asked": "info", "expired": "warning"},
    )
    def state(self, session: ConnectSession) -> str:
        if session.finalized_at is not None:
            return "connected"
        if session.failure:
            return "failed"
        if session.expires_at <= timezone.now():
            return "expired"
        return "pending" if session.answered_at is not None else "asked"

"""What the service notes while it works: closed gates, withdrawn metrics, calls under way, events."""

from datetime import datetime
from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from unfold.contrib.filters.admin import AutocompleteSelectFilter
from unfold.decorators import action, display

from accounts.models import Flight, Gate, RetiredMetric, WebhookDelivery, WebhookEvent
from accounts.selectors import as_uuid
from accounts.services import gates
from postfuze.admin import DaysFilter, ReadOnlyAdmin, link, link_to, list_url


@admin.register(Gate)
class GateAdmin(ReadOnlyAdmin):
    """What is parked, and until when."""

    list_display = ("key", "platform", "state", "not_before", "left", "reason", "updated_at")
    list_filter = (("not_before", DaysFilter),)
    sortable_by = ("key", "not_before", "updated_at")
    search_fields = ("key",)
    search_help_text = "Any part of platform:scope:owner:group"
    fields = ("key", "platform", "state", "not_before", "left", "reason", "updated_at")
    actions = ("open_selected",)
    actions_detail = ("open_gate",)

    @display(description="state", label={"closed": "danger", "open": "success"})
    def state(self, gate: Gate) -> str:
        return "closed" if gate.not_before > timezone.now() else "open"

    @display(description="opens in")
    def left(self, gate: Gate) -> str | None:
        return until(gate.not_before)

    def has_open_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return bool(request.user.has_perm("accounts.change_gate"))

    @admin.action(description="Open", permissions=["open"])
    def open_selected(self, request: HttpRequest, queryset: QuerySet[Gate]) -> None:
        opened = self._open(request, list(queryset))
        messages.success(request, f"Opened: {opened}.")

    @action(description="Open", url_path="open", permissions=["open"], icon="lock_open")
    def open_gate(self, request: HttpRequest, object_id: str) -> HttpResponse:
        gate = self.one(request, object_id)
        if request.method != "POST":
            text = (
                "Calls go out again at once. The platform asked for this pause, or refused too often: if it still "
                "does, the gate closes again, and some platforms lengthen the pause of whoever does not wait."
            )
            return self.confirm(request, gate, title="Open this gate?", text=text, button="Open")
        messages.success(request, f"{gate} is open." if self._open(request, [gate]) else f"{gate} was open.")
        return self.back_to(gate)

    def _open(self, request: HttpRequest, chosen: list[Gate]) -> int:
        opened = [gate for gate in chosen if gates.open_now([gate.pk])]
        for gate in opened:
            self.log_change(request, gate, "Opened.")
        return len(opened)


def until(instant: datetime) -> str | None:
    """How long it is until an instant, to the second; None if it has passed."""
    left = instant - timezone.now()
    return None if left.total_seconds() <= 0 else str(left).partition(".")[0]


@admin.register(RetiredMetric)
class RetiredMetricAdmin(ReadOnlyAdmin):
    """What platforms have withdrawn, and when each is asked for again."""

    list_display = (
        "metric",
        "platform",
        "subject",
        "api_version",
        "mode",
        "first_seen_at",
        "last_seen_at",
        "next_try_at",
    )
    list_filter = ("platform", "subject", "mode", ("first_seen_at", DaysFilter))
    sortable_by = ("first_seen_at", "last_seen_at", "next_try_at")
    search_fields = ("metric",)
    search_help_text = "Any part of the platform's own name"
    fields = (
        ("metric", "subject"),
        ("platform", "mode"),
        "api_version",
        ("first_seen_at", "last_seen_at"),
        "next_try_at",
    )


@admin.register(Flight)
class FlightAdmin(ReadOnlyAdmin):
    """Live calls under way, and how those of the last day ended."""

    list_display = ("key", "state", "in_flight_until", "finished_at", "ended_with")
    ordering = ("-finished_at", "-key")
    sortable_by = ()
    search_fields = ("key",)
    search_help_text = "Key: probe:<account id>, account:<account id> or target:<target id>"
    fields = ("key", "state", "in_flight_until", "finished_at", "holder", "outcome")

    def find(self, queryset: QuerySet[Any], term: str) -> QuerySet[Any]:
        return queryset.filter(key=term)

    @display(description="state", label={"under way": "info", "landed": "success", "failed": "warning"})
    def state(self, flight: Flight) -> str:
        if flight.finished_at is None:
            return "under way" if flight.in_flight_until > timezone.now() else "failed"
        return "failed" if flight.outcome else "landed"

    @display(description="ended with")
    def ended_with(self, flight: Flight) -> str | None:
        return flight.outcome.get("code") if flight.outcome else None


@admin.register(WebhookEvent)
class WebhookEventAdmin(ReadOnlyAdmin):
    """The outbox: what organizations are told."""

    list_display = ("created_at", "type", "organization_link", "mode", "subject", "reason")
    list_select_related = ("organization",)
    list_filter = ("mode", ("created_at", DaysFilter), ("organization", AutocompleteSelectFilter))
    sortable_by = ()
    search_fields = ("type",)
    search_help_text = "Exact type such as account.token_expired, or id of the event or its organization"
    fields = ("id", "type", "organization_link", "mode", "created_at", "dispatched_at", "sent", "data")
    organization_link = link_to("organization")

    def find(self, queryset: QuerySet[Any], term: str) -> QuerySet[Any]:
        if (pk := as_uuid(term)) is not None:
            return queryset.filter(pk=pk) | queryset.filter(organization_id=pk)
        return queryset.filter(type=term)

    @display(description="deliveries")
    def sent(self, event: WebhookEvent) -> str:
        return link(list_url(WebhookDelivery, q=event.pk), "Deliveries")

    @display(description="about")
    def subject(self, event: WebhookEvent) -> str | None:
        return event.data.get("id") if isinstance(event.data, dict) else None

    @display(description="reason")
    def reason(self, event: WebhookEvent) -> str | None:
        return event.data.get("reason") if isinstance(event.data, dict) else None

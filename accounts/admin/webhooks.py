"""Webhook endpoints and what was sent to them. Signing secrets are never shown."""

from typing import Any

from django.contrib import admin, messages
from django.db.models import Prefetch, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from unfold.contrib.filters.admin import AutocompleteSelectFilter
from unfold.decorators import action, display

from accounts.models import (
    DeliveryStatus,
    DisabledReason,
    WebhookDelivery,
    WebhookEndpoint,
    WebhookEvent,
    WebhookMark,
)
from accounts.selectors import as_uuid
from accounts.services import endpoints, redelivery
from postfuze.admin import DaysFilter, ReadOnlyAdmin, link, link_to, list_url, short

SECRETS = ("secret", "previous_secret", "older_secrets")


@admin.register(WebhookEndpoint)
class WebhookEndpointAdmin(ReadOnlyAdmin):
    list_display = (
        "name",
        "organization_link",
        "mode",
        "state",
        "event_list",
        "failing_since",
        "last_delivered_at",
        "sent",
        "created_at",
    )
    list_select_related = ("organization",)
    list_filter = ("is_enabled", "disabled_reason", "mode", ("organization", AutocompleteSelectFilter))
    sortable_by = ("failing_since", "last_delivered_at", "created_at")
    search_fields = ("url",)
    search_help_text = "Part of a URL, or id of the endpoint or its organization"
    fields = (
        ("id", "organization_link"),
        ("url", "mode"),
        ("state", "description"),
        ("disabled_at", "why"),
        ("failing_since", "last_failed_at"),
        ("last_delivered_at", "sent"),
        ("event_list", "previous_secret_expires_at"),
        ("created_at", "updated_at"),
    )
    actions_detail = ("send_test", "enable", "disable")
    organization_link = link_to("organization")

    def get_queryset(self, request: HttpRequest) -> QuerySet[WebhookEndpoint]:
        return super().get_queryset(request).defer(*SECRETS)

    def find(self, queryset: QuerySet[Any], term: str) -> QuerySet[Any]:
        if (pk := as_uuid(term)) is not None:
            return queryset.filter(Q(pk=pk) | Q(organization_id=pk))
        return queryset.filter(url__icontains=term)

    @display(description="endpoint")
    def name(self, endpoint: WebhookEndpoint) -> str:
        return short(endpoint.url, 48)

    @display(
        description="state", label={"enabled": "success", "failing": "warning", "disabled": "danger", "off": "info"}
    )
    def state(self, endpoint: WebhookEndpoint) -> str:
        if endpoint.is_enabled:
            return "failing" if endpoint.failing_since is not None else "enabled"
        return "off" if endpoint.disabled_reason == DisabledReason.OWNER else "disabled"

    @display(description="disabled")
    def why(self, endpoint: WebhookEndpoint) -> str | None:
        return endpoint.get_disabled_reason_display() or None

    @display(description="events")
    def event_list(self, endpoint: WebhookEndpoint) -> str:
        return ", ".join(endpoint.events)

    @display(description="deliveries")
    def sent(self, endpoint: WebhookEndpoint) -> str:
        return link(list_url(WebhookDelivery, endpoint__id__exact=endpoint.pk), "Deliveries")

    def has_switch_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return bool(request.user.has_perm("accounts.change_webhookendpoint"))

    @action(description="Send test", url_path="test", permissions=["switch"], icon="send")
    def send_test(self, request: HttpRequest, object_id: str) -> HttpResponse:
        endpoint = self.one(request, object_id)
        if request.method != "POST":
            text = "It is sent a webhook.test event now, once."
            return self.confirm(request, endpoint, title="Send a test?", text=text, button="Send")
        try:
            delivery = redelivery.send_test(endpoint)
        except redelivery.Disabled as error:
            messages.warning(request, str(error))
            return self.back_to(endpoint)
        self.log_change(request, endpoint, "Sent a test.")
        if delivery.status == DeliveryStatus.PENDING:
            messages.info(request, "Something else is being delivered to it; the test follows.")
            return self.back_to(delivery)
        said = delivery.error or f"It answered {delivery.response_status}."
        (messages.success if delivery.status == DeliveryStatus.DELIVERED else messages.warning)(request, said)
        return self.back_to(delivery)

    @action(description="Enable", url_path="enable", permissions=["switch"], icon="check_circle")
    def enable(self, request: HttpRequest, object_id: str) -> HttpResponse:
        text = "What waits for it is sent at once."
        return self._switch(request, object_id, on=True, title="Enable this endpoint?", text=text)

    @action(description="Disable", url_path="disable", permissions=["switch"], icon="block")
    def disable(self, request: HttpRequest, object_id: str) -> HttpResponse:
        text = "Nothing is sent to it any more. What happens meanwhile is not kept for it."
        return self._switch(request, object_id, on=False, title="Disable this endpoint?", text=text)

    def _switch(self, request: HttpRequest, object_id: str, *, on: bool, title: str, text: str) -> HttpResponse:
        endpoint = self.one(request, object_id)
        verb = "Enable" if on else "Disable"
        if request.method != "POST":
            return self.confirm(request, endpoint, title=title, text=text, button=verb)
        if endpoint.is_enabled == on:
            messages.success(request, f"{endpoint} was {verb.lower()}d.")
            return self.back_to(endpoint)
        endpoints.update(endpoint, {"is_enabled": on})
        self.log_change(request, endpoint, f"{verb}d.")
        messages.success(request, f"{endpoint} is {verb.lower()}d.")
        return self.back_to(endpoint)


@admin.register(WebhookDelivery)
class WebhookDeliveryAdmin(ReadOnlyAdmin):
    """Each event on its way to each endpoint."""

    list_display = (
        "created_at",
        "event_link",
        "endpoint_column",
        "status_label",
        "attempts",
        "response_status",
        "duration_ms",
        "next_attempt_at",
        "error",
    )
    list_prefetch = ("endpoint", Prefetch("event", WebhookEvent.objects.defer("data")))
    list_filter = ("status", ("endpoint", AutocompleteSelectFilter), ("created_at", DaysFilter))
    sortable_by = ()
    search_fields = ("id",)
    search_help_text = "Exact id of a delivery, its event (the webhook-id), its endpoint or its organization"
    fields = (
        ("id", "status_label"),
        ("event_link", "endpoint_link"),
        "url",
        ("attempts", "next_attempt_at"),
        ("last_attempt_at", "duration_ms"),
        ("response_status", "error"),
        "response_body",
        "history",
        "created_at",
    )
    actions = ("redeliver_selected",)
    actions_detail = ("redeliver",)
    event_link = link_to("event")
    endpoint_link = link_to("endpoint")
    endpoint_column = link_to("endpoint", text=lambda endpoint: short(endpoint.url, 32))

    def get_queryset(self, request: HttpRequest) -> QuerySet[WebhookDelivery]:
        return super().get_queryset(request).defer("response_body", "history")

    def find(self, queryset: QuerySet[Any], term: str) -> QuerySet[Any]:
        pk = as_uuid(term)
        if pk is None:
            return queryset.none()
        owned = WebhookEndpoint.objects.filter(Q(pk=pk) | Q(organization_id=pk)).values_list("pk", flat=True)
        return queryset.filter(Q(pk=pk) | Q(event_id=pk) | Q(endpoint_id__in=list(owned)))

    @display(description="status", label={"delivered": "success", "pending": "info", "failed": "danger"})
    def status_label(self, delivery: WebhookDelivery) -> str:
        return delivery.status

    def has_redeliver_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return bool(request.user.has_perm("accounts.change_webhookdelivery"))

    @admin.action(description="Redeliver", permissions=["redeliver"])
    def redeliver_selected(self, request: HttpRequest, queryset: QuerySet[WebhookDelivery]) -> None:
        self._redeliver(request, queryset)

    @action(description="Redeliver", url_path="redeliver", permissions=["redeliver"], icon="replay")
    def redeliver(self, request: HttpRequest, object_id: str) -> HttpResponse:
        delivery = self.one(request, object_id)
        if request.method != "POST":
            text = "It is sent again under the same webhook-id; if that fails, on the usual schedule."
            return self.confirm(request, delivery, title="Redeliver?", text=text, button="Redeliver")
        self._redeliver(request, WebhookDelivery.objects.filter(pk=delivery.pk))
        return self.back_to(delivery)

    def _redeliver(self, request: HttpRequest, chosen: QuerySet[WebhookDelivery]) -> None:
        due = [row for row in chosen if redelivery.redeliver_later(WebhookDelivery.objects.filter(pk=row.pk))]
        for row in due:
            self.log_change(request, row, "Redelivered.")
        if due:
            messages.success(request, f"On {'its' if len(due) == 1 else 'their'} way: {len(due)}.")
        else:
            messages.warning(request, "Nothing is sent to a disabled endpoint.")


@admin.register(WebhookMark)
class WebhookMarkAdmin(ReadOnlyAdmin):
    """New snapshots that are still to be told."""

    list_display = ("created_at", "organization_link", "mode", "snapshots")
    list_select_related = ("organization",)
    list_filter = ("mode", ("organization", AutocompleteSelectFilter))
    sortable_by = ()
    fields = ("created_at", "organization_link", "mode", "snapshots")
    organization_link = link_to("organization")

    @display(description="snapshots")
    def snapshots(self, mark: WebhookMark) -> int:
        return len(mark.snapshot_ids)

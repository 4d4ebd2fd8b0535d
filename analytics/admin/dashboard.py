"""The first page: which accounts need help, what is parked, and whether collecting runs."""

from typing import Any

from django.http import HttpRequest
from django.utils import timezone

from accounts.models import Gate, SocialAccount, Status, WebhookEndpoint
from analytics import staff
from analytics.models import Heartbeat
from postfuze.admin import list_url

SHOWN = 10


def dashboard(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """What the signed-in person may see of it."""
    may = request.user.has_perm
    if may("accounts.view_socialaccount"):
        numbers = staff.account_numbers()
        context["statuses"] = [
            {"label": status.label, "number": numbers.get(status, 0), "url": _accounts(status__exact=status.value)}
            for status in Status
        ]
        context["needing_help"] = staff.accounts_needing_help(SHOWN + 1)
        context["ending_until"] = timezone.now() + staff.ENDS_SOON
        context["failing_url"] = _accounts(error="any")
    if may("accounts.view_webhookendpoint"):
        context["endpoints_disabled"] = staff.endpoints_disabled(SHOWN + 1)
        context["endpoints_url"] = list_url(WebhookEndpoint, is_enabled__exact=0)
    if may("accounts.view_gate"):
        context["gates"] = staff.closed_gates(SHOWN + 1)
        context["gates_url"] = list_url(Gate)
    if may("analytics.view_heartbeat"):
        context["heartbeats"] = staff.heartbeats()
        context["heartbeats_url"] = list_url(Heartbeat)
    return context | {"shown": SHOWN}


def _accounts(**query: object) -> str:
    """The list of those that are not deleted."""
    return list_url(SocialAccount, **query, deleted_at__isempty=1)

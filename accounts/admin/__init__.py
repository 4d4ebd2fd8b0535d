"""The admin of organizations, keys, accounts and what the service notes about them."""

from accounts.admin.accounts import SocialAccountAdmin, SocialNetworkAdmin
from accounts.admin.audit import AuditEntryAdmin
from accounts.admin.connect import ConnectSessionAdmin
from accounts.admin.journal import FlightAdmin, GateAdmin, RetiredMetricAdmin, WebhookEventAdmin
from accounts.admin.organizations import ApiKeyAdmin, OrganizationAdmin
from accounts.admin.staff import GroupAdmin, StaffEntryAdmin, UserAdmin
from accounts.admin.webhooks import WebhookDeliveryAdmin, WebhookEndpointAdmin, WebhookMarkAdmin

__all__ = [
    "ApiKeyAdmin",
    "AuditEntryAdmin",
    "ConnectSessionAdmin",
    "FlightAdmin",
    "GateAdmin",
    "GroupAdmin",
    "OrganizationAdmin",
    "RetiredMetricAdmin",
    "SocialAccountAdmin",
    "SocialNetworkAdmin",
    "StaffEntryAdmin",
    "UserAdmin",
    "WebhookDeliveryAdmin",
    "WebhookEndpointAdmin",
    "WebhookEventAdmin",
    "WebhookMarkAdmin",
]

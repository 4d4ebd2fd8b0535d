"""Who owns what, and through which connection it is measured."""

from accounts.models.api_key import ApiKey
from accounts.models.audit_entry import Actor, AuditEntry
from accounts.models.connect_session import ConnectSession
from accounts.models.flight import Flight
from accounts.models.gate import Gate
from accounts.models.modes import Mode
from accounts.models.organization import Organization
from accounts.models.retired_metric import RetiredMetric, Subject
from accounts.models.social_account import SocialAccount, Status
from accounts.models.social_network import SocialNetwork
from accounts.models.webhook_delivery import DeliveryStatus, WebhookDelivery
from accounts.models.webhook_endpoint import DisabledReason, WebhookEndpoint
from accounts.models.webhook_event import EventType, WebhookEvent
from accounts.models.webhook_mark import WebhookMark

__all__ = [
    "Actor",
    "ApiKey",
    "AuditEntry",
    "ConnectSession",
    "DeliveryStatus",
    "DisabledReason",
    "EventType",
    "Flight",
    "Gate",
    "Mode",
    "Organization",
    "RetiredMetric",
    "SocialAccount",
    "SocialNetwork",
    "Status",
    "Subject",
    "WebhookDelivery",
    "WebhookEndpoint",
    "WebhookEvent",
    "WebhookMark",
]

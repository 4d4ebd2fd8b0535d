"""Who owns what, and through which connection it is measured."""

from accounts.models.api_key import ApiKey
from accounts.models.flight import Flight
from accounts.models.gate import Gate
from accounts.models.modes import Mode
from accounts.models.organization import Organization
from accounts.models.retired_metric import RetiredMetric, Subject
from accounts.models.social_account import SocialAccount, Status
from accounts.models.social_network import SocialNetwork
from accounts.models.webhook_event import WebhookEvent

__all__ = [
    "ApiKey",
    "Flight",
    "Gate",
    "Mode",
    "Organization",
    "RetiredMetric",
    "SocialAccount",
    "SocialNetwork",
    "Status",
    "Subject",
    "WebhookEvent",
]

"""Filters of the listings of accounts and webhooks."""

from django_filters import rest_framework as filters

from accounts.models import DeliveryStatus, SocialAccount, SocialNetwork, Status
from platforms import registry
from postfuze.api.filters import StrictFilterSet
from postfuze.api.ids import IdFilter


class SocialAccountFilter(StrictFilterSet):
    id = IdFilter()
    tenant_id = filters.CharFilter()
    platform = filters.ChoiceFilter(choices=registry.choices)
    status = filters.ChoiceFilter(choices=Status.choices)

    class Meta:
        model = SocialAccount
        fields = ("id", "tenant_id", "platform", "status")


class SocialNetworkFilter(StrictFilterSet):
    platform = filters.ChoiceFilter(choices=registry.choices)

    class Meta:
        model = SocialNetwork
        fields = ("platform",)


class DeliveryFilter(StrictFilterSet):
    """Of no model, because the viewset's own is another."""

    status = filters.ChoiceFilter(choices=DeliveryStatus.choices)
    event_type = filters.CharFilter(field_name="event__type")
    event_id = IdFilter(field_name="event")

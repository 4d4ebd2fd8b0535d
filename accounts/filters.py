"""Filters of the account listing."""

from django_filters import rest_framework as filters

from accounts.models import SocialAccount, Status
from platforms import registry
from postfuze.api.filters import StrictFilterSet


class SocialAccountFilter(StrictFilterSet):
    id = filters.UUIDFilter()
    tenant_id = filters.CharFilter()
    platform = filters.ChoiceFilter(choices=registry.choices)
    status = filters.ChoiceFilter(choices=Status.choices)

    class Meta:
        model = SocialAccount
        fields = ("id", "tenant_id", "platform", "status")

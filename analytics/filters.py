"""Filters of the post listing."""

from typing import Any

from django.db.models import Exists, OuterRef, QuerySet
from django_filters import rest_framework as filters

from analytics.models import Post, PostStatus, Target
from platforms import registry
from postfuze.api.filters import StrictFilterSet
from postfuze.api.ids import IdFilter
from postfuze.api.times import TimeFilter


class PostFilter(StrictFilterSet):
    status = filters.ChoiceFilter(choices=PostStatus.choices)
    account_id = IdFilter(method="of_target")
    platform = filters.ChoiceFilter(choices=registry.choices, method="of_target")
    external_ref = filters.CharFilter(strip=False)
    since = TimeFilter(field_name="created_at", lookup_expr="gte")
    until = TimeFilter(field_name="created_at", lookup_expr="lt")

    class Meta:
        model = Post
        fields = ("status", "account_id", "platform", "external_ref", "since", "until")

    def of_target(self, queryset: QuerySet[Post], name: str, value: Any) -> QuerySet[Post]:
        return queryset.filter(Exists(Target.objects.filter(post=OuterRef("pk"), **{name: value})))

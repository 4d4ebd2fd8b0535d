"""A key that lets everybody in, and the views the tests of `postfuze.api` ask."""

import uuid
from dataclasses import dataclass, field
from typing import Any

from django.contrib.auth.models import User
from django.db import IntegrityError, OperationalError
from django.http import Http404, HttpResponse
from django.urls import include, path
from rest_framework import serializers
from rest_framework.authentication import BaseAuthentication
from rest_framework.response import Response
from rest_framework.routers import SimpleRouter

from postfuze.api.filters import StrictFilterSet
from postfuze.api.ids import IdField, IdFilter
from postfuze.api.pagination import KeysetPagination
from postfuze.api.problems import Problem
from postfuze.api.serializers import StrictModelSerializer, StrictSerializer
from postfuze.api.times import TimeField, TimeFilter
from postfuze.api.viewsets import OrganizationViewSet

ORGANIZATION = uuid.UUID("00000000-0000-4000-8000-000000000001")


@dataclass
class Key:
    organization_id: uuid.UUID = ORGANIZATION
    mode: str = "live"
    scopes: list[str] = field(default_factory=lambda: ["*"])
    is_authenticated: bool = True


class StubAuthentication(BaseAuthentication):
    """`Authorization: Bearer <scopes> <organization>`; `*` unless said otherwise."""

    def authenticate(self, request: Any) -> tuple[Key, Key] | None:
        words = request.headers.get("Authorization", "").split()
        if not words:
            return None
        organization = uuid.UUID(words[2]) if len(words) > 2 else ORGANIZATION
        key = Key(organization, scopes=words[1].split(","))
        return key, key

    def authenticate_header(self, request: Any) -> str:
        return "Bearer"


class TargetSerializer(StrictSerializer):
    account_id = IdField()


class ThingSerializer(StrictSerializer):
    id = serializers.UUIDField(read_only=True)
    name = serializers.CharField(max_length=10)
    at = TimeField(required=False)
    targets = TargetSerializer(many=True, required=False)


class ThingViewSet(OrganizationViewSet):
    authentication_classes = [StubAuthentication]
    queryset = User.objects.none()
    serializer_class = ThingSerializer
    write_scope = "posts:write"
    throttle_bucket = "posts"

    def list(self, request: Any) -> Response:
        return Response({"data": []})

    def create(self, request: Any) -> Response:
        serializer = self.get_serializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        return Response(serializer.validated_data, status=201)

    def retrieve(self, request: Any, id: uuid.UUID) -> Response:
        match request.query_params.get("raise"):
            case "404":
                raise Http404("secret name of a table")
            case "conflict":
                raise Problem("conflict", "Taken.", extra={"post_id": str(id)})
            case "integrity":
                raise IntegrityError("duplicate key")
            case "database":
                raise OperationalError("connection refused")
            case "bug":
                raise RuntimeError("a bug with sk_live_secret")
        return Response({"id": id, "type": type(id).__name__})


class UserSerializer(StrictModelSerializer):
    class Meta:
        model = User
        fields = ["id", "username", "date_joined"]


class UserFilterSet(StrictFilterSet):
    token = IdFilter(field_name="username")
    since = TimeFilter(field_name="date_joined", lookup_expr="gte")

    class Meta:
        model = User
        fields = ["token", "since"]


class UserPagination(KeysetPagination):
    order = ("-date_joined", "-id")


class UserViewSet(OrganizationViewSet):
    authentication_classes = [StubAuthentication]
    queryset = User.objects.all()
    serializer_class = UserSerializer
    filterset_class = UserFilterSet
    pagination_class = UserPagination

    def list(self, request: Any) -> Response:
        page = self.paginate_queryset(self.filter_queryset(self.get_queryset()))
        return self.get_paginated_response(self.get_serializer(page, many=True).data)


class SeriesPagination(KeysetPagination):
    order = ("date_joined", "username")
    default_limit = 500
    max_limit = 5000


class SeriesViewSet(UserViewSet):
    pagination_class = SeriesPagination


class ValuesViewSet(UserViewSet):
    queryset = User.objects.values("id", "username", "date_joined")


def crash(request: Any) -> HttpResponse:
    raise RuntimeError("a bug outside of DRF")


router = SimpleRouter(trailing_slash=False)
router.register("things", ThingViewSet, basename="thing")
router.register("users", UserViewSet, basename="user")
router.register("series", SeriesViewSet, basename="series")
router.register("values", ValuesViewSet, basename="value")

urlpatterns = [
    path("api/v1/", include(router.urls)),
    path("api/v1/crash", crash),
    path("", include("postfuze.urls")),
]

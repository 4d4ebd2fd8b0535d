"""The API of connected accounts."""

import time
from typing import Any

from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from drf_spectacular.utils import extend_schema
from rest_framework import mixins
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from accounts import selectors
from accounts.filters import SocialAccountFilter
from accounts.models import SocialAccount
from accounts.serializers import (
    HealthSerializer,
    PlatformsSerializer,
    SocialAccountCreate,
    SocialAccountPatch,
    SocialAccountSerializer,
)
from accounts.services import connections, health
from platforms.facts import facts
from postfuze.api import params
from postfuze.api.problems import Problem
from postfuze.api.viewsets import OrganizationViewSet


class PlatformViewSet(OrganizationViewSet):
    """What each platform offers."""

    serializer_class = PlatformsSerializer
    pagination_class = None
    filter_backends = ()

    @extend_schema(responses=PlatformsSerializer)
    def overview(self, request: Request) -> Response:
        """All platforms: the dimensions each reports, its batches, and what it can be asked."""
        return Response({"data": facts()})


class SocialAccountViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, OrganizationViewSet):
    """Connected accounts."""

    queryset = SocialAccount.objects.none()
    serializer_class = SocialAccountSerializer
    filterset_class = SocialAccountFilter
    write_scope = "accounts:write"
    throttle_bucket = "social_accounts"

    def initialize_request(self, request: Any, *args: Any, **kwargs: Any) -> Request:
        self.since = time.monotonic()
        return super().initialize_request(request, *args, **kwargs)

    def get_queryset(self) -> QuerySet[SocialAccount]:
        if getattr(self, "swagger_fake_view", False):
            return SocialAccount.objects.none()
        return selectors.social_accounts(self.organization_id, self.mode)

    @extend_schema(request=SocialAccountCreate, responses={201: SocialAccountSerializer, 200: SocialAccountSerializer})
    def create(self, request: Request) -> Response:
        """Connect an account with tokens that you hold; the same account again is updated (200)."""
        given = SocialAccountCreate(data=request.data)
        given.is_valid(raise_exception=True)
        account, is_new = connections.connect(self.organization_id, self.mode, given.validated_data)
        return Response(SocialAccountSerializer(account).data, status=201 if is_new else 200)

    @extend_schema(request=SocialAccountPatch, responses=SocialAccountSerializer)
    def partial_update(self, request: Request, id: Any) -> Response:
        """Disable or enable an account, move it to another tenant, or give it new tokens."""
        account = self.get_object()
        given = SocialAccountPatch(data=request.data)
        given.is_valid(raise_exception=True)
        try:
            account = connections.update(account, given.validated_data)
        except connections.Conflict as error:
            raise Problem("conflict", str(error)) from error
        except SocialAccount.DoesNotExist as error:
            raise Problem("not_found") from error
        return Response(SocialAccountSerializer(account).data)

    @extend_schema(request=None, responses={204: None})
    def destroy(self, request: Request, id: Any) -> Response:
        """Disconnect an account: its tokens are erased, its snapshots kept."""
        connections.disconnect(self.get_object())
        return Response(status=204)

    @extend_schema(parameters=[params.DEADLINE_MS], responses=HealthSerializer)
    @action(detail=True, methods=["get"], filterset_class=None, pagination_class=None)
    def health(self, request: Request, id: Any) -> Response:
        """Whether the account can be measured, asked of the platform itself where it can be."""
        deadline = self.since + params.deadline_ms(request) / 1000
        account = get_object_or_404(self.get_queryset(), pk=self.kwargs["id"])
        found = health.check(account, since=self.since, deadline=deadline)
        if found.account.deleted_at is not None:
            raise Problem("not_found")
        return Response(HealthSerializer(found).data)

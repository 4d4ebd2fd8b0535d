"""The API of webhook endpoints and their deliveries."""

from collections.abc import Callable
from typing import Any, TypeVar

from django.core.exceptions import ObjectDoesNotExist
from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from drf_spectacular.utils import extend_schema
from rest_framework import mixins
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from accounts import selectors
from accounts.filters import DeliveryFilter
from accounts.models import WebhookEndpoint
from accounts.services import endpoints, redelivery
from accounts.webhook_serializers import (
    DeliverySerializer,
    WebhookCreate,
    WebhookPatch,
    WebhookRotate,
    WebhookSerializer,
    WebhookWithSecretSerializer,
)
from postfuze.api.problems import Problem
from postfuze.api.viewsets import OrganizationViewSet

T = TypeVar("T")


class WebhookViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, OrganizationViewSet):
    """Where events are sent."""

    queryset = WebhookEndpoint.objects.none()
    serializer_class = WebhookSerializer
    filterset_class: Any = None
    write_scope = "webhooks:write"
    throttle_bucket = "webhooks"
    uuid_kwargs = (*OrganizationViewSet.uuid_kwargs, "delivery_id")

    def get_queryset(self) -> QuerySet[WebhookEndpoint]:
        if getattr(self, "swagger_fake_view", False):
            return WebhookEndpoint.objects.none()
        return selectors.webhook_endpoints(self.organization_id, self.mode)

    def _endpoint(self) -> WebhookEndpoint:
        return get_object_or_404(self.get_queryset(), pk=self.kwargs["id"])

    @extend_schema(request=WebhookCreate, responses={201: WebhookWithSecretSerializer})
    def create(self, request: Request) -> Response:
        """Have events sent to a URL. The answer has the signing secret, once."""
        given = WebhookCreate(data=request.data)
        given.is_valid(raise_exception=True)
        endpoint, secret = endpoints.create(self.organization_id, self.mode, given.validated_data)
        return Response(WebhookWithSecretSerializer(endpoint, context={"secret": secret}).data, status=201)

    @extend_schema(request=WebhookPatch, responses=WebhookSerializer)
    def partial_update(self, request: Request, id: Any) -> Response:
        """Change where an endpoint is or what it is told of; turn it off or on; give it another secret."""
        endpoint = self._endpoint()
        given = WebhookPatch(data=request.data)
        given.is_valid(raise_exception=True)
        return Response(WebhookSerializer(_or_problem(lambda: endpoints.update(endpoint, given.validated_data))).data)

    @extend_schema(request=None, responses={204: None})
    def destroy(self, request: Request, id: Any) -> Response:
        """Delete an endpoint, with the list of its deliveries."""
        endpoints.delete(self._endpoint())
        return Response(status=204)

    @extend_schema(request=WebhookRotate, responses=WebhookWithSecretSerializer)
    @action(detail=True, methods=["post"], url_path="rotate-secret")
    def rotate_secret(self, request: Request, id: Any) -> Response:
        """A new signing secret. For a day messages bear a signature by the old one, too."""
        endpoint = self._endpoint()
        given = WebhookRotate(data=request.data)
        given.is_valid(raise_exception=True)
        chosen = given.validated_data.get("signing_secret")
        endpoint, secret = _or_problem(lambda: endpoints.rotate_secret(endpoint, chosen))
        return Response(WebhookWithSecretSerializer(endpoint, context={"secret": secret}).data)

    @extend_schema(request=None, responses=DeliverySerializer)
    @action(detail=True, methods=["post"])
    def test(self, request: Request, id: Any) -> Response:
        """Send a `webhook.test` event now, once, and say what came of it."""
        endpoint = self._endpoint()
        return Response(DeliverySerializer(_or_problem(lambda: redelivery.send_test(endpoint))).data)

    @extend_schema(responses=DeliverySerializer(many=True))
    @action(detail=True, methods=["get"], filterset_class=DeliveryFilter)
    def deliveries(self, request: Request, id: Any) -> Response:
        """What was sent and what came of it, the newest first."""
        rows = self.filter_queryset(selectors.webhook_deliveries(self._endpoint()))
        page = self.paginate_queryset(rows)
        return self.get_paginated_response(DeliverySerializer(page, many=True).data)

    @extend_schema(request=None, responses=DeliverySerializer)
    @action(detail=True, methods=["post"], url_path="deliveries/(?P<delivery_id>[^/]+)/redeliver", filterset_class=None)
    def redeliver(self, request: Request, id: Any, delivery_id: Any) -> Response:
        """Send a delivery again now, under the same `webhook-id`; if that fails, on the same schedule."""
        rows = selectors.webhook_deliveries(self._endpoint())
        delivery = get_object_or_404(rows.select_related("endpoint"), pk=self.kwargs["delivery_id"])
        return Response(DeliverySerializer(_or_problem(lambda: redelivery.redeliver(delivery))).data)


def _or_problem(work: Callable[[], T]) -> T:
    """What a service answers; its refusals as problems."""
    try:
        return work()
    except (redelivery.Disabled, endpoints.TooManySecrets) as error:
        raise Problem("conflict", str(error)) from error
    except ObjectDoesNotExist as error:  # deleted by another request in the meantime
        raise Problem("not_found") from error

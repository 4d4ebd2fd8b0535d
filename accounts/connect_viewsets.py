"""The API of OAuth apps, and of connecting accounts by consent or by app password."""

import math
from typing import Any

from django.db.models import QuerySet
from django.http import HttpResponse, HttpResponseRedirect
from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import mixins
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts import selectors
from accounts.connect_serializers import (
    AppPasswordConnect,
    AuthUrlCreate,
    AuthUrlSerializer,
    FinalizeCreate,
    FinalizedSerializer,
    PendingSerializer,
    SocialNetworkSerializer,
    SocialNetworkUpsert,
)
from accounts.filters import SocialNetworkFilter
from accounts.models import ConnectSession, SocialAccount, SocialNetwork
from accounts.serializers import SocialAccountSerializer
from accounts.services import app_passwords, consent, networks, pending, redirects
from accounts.services.pending import ConsentFailed
from platforms import registry
from platforms.errors import AccountNotFound, PlatformError, TokenExpired
from postfuze.api.problems import Problem, invalid
from postfuze.api.viewsets import OrganizationViewSet


class ConnectViewSet(OrganizationViewSet):
    """What all that leads to connected accounts has in common."""

    write_scope = "accounts:write"
    throttle_bucket = "social_accounts"


class SocialNetworkViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, ConnectViewSet):
    """The organization's own OAuth apps."""

    queryset = SocialNetwork.objects.none()
    serializer_class = SocialNetworkSerializer
    filterset_class: Any = SocialNetworkFilter

    def get_queryset(self) -> QuerySet[SocialNetwork]:
        if getattr(self, "swagger_fake_view", False):
            return SocialNetwork.objects.none()
        return selectors.social_networks(self.organization_id, self.mode)

    @extend_schema(request=SocialNetworkUpsert, responses={201: SocialNetworkSerializer, 200: SocialNetworkSerializer})
    def create(self, request: Request) -> Response:
        """Enter the OAuth app of a platform, or change it (200): there is one per platform and mode."""
        given = SocialNetworkUpsert(data=request.data)
        given.is_valid(raise_exception=True)
        try:
            network, is_new = networks.upsert(self.organization_id, self.mode, given.validated_data)
        except networks.SecretMissing as error:
            raise invalid("client_secret", str(error)) from error
        return Response(SocialNetworkSerializer(network).data, status=201 if is_new else 200)


class AuthUrlViewSet(ConnectViewSet):
    """The beginning of a consent."""

    queryset = SocialNetwork.objects.none()
    serializer_class = AuthUrlSerializer
    pagination_class = None
    filter_backends = ()

    @extend_schema(
        request=AuthUrlCreate,
        responses={200: AuthUrlSerializer},
        parameters=[OpenApiParameter("platform", str, OpenApiParameter.PATH, enum=networks.with_consent())],
    )
    def create(self, request: Request, platform: str) -> Response:
        """The address of the platform's consent dialog, to send a person to within ten minutes."""
        given = AuthUrlCreate(data=request.data)
        given.is_valid(raise_exception=True)
        network = self._network(platform)
        url = consent.begin(
            network,
            redirect_url=given.validated_data.get("redirect_url", ""),
            tenant_id=given.validated_data.get("tenant_id", ""),
            account=self._account(network, given.validated_data.get("account_id")),
        )
        return Response({"auth_url": url})

    def _network(self, platform: str) -> SocialNetwork:
        if platform not in registry.PLATFORMS:
            raise Problem("not_found")
        if networks.consent_of(platform, {}) is None:
            raise invalid("platform", registry.get(platform).no_consent)
        network = selectors.social_networks(self.organization_id, self.mode).filter(platform=platform).first()
        if network is None:
            raise Problem("not_found", "There is no OAuth app for this platform: enter it by POST /social-networks.")
        if not network.is_enabled:
            raise Problem("conflict", "The OAuth app for this platform is disabled.")
        return network

    def _account(self, network: SocialNetwork, account_id: Any) -> SocialAccount | None:
        if account_id is None:
            return None
        accounts = selectors.social_accounts(self.organization_id, self.mode).filter(platform=network.platform)
        account = accounts.filter(pk=account_id).first()
        if account is None:
            raise Problem("unknown_account")
        return account


class PendingViewSet(ConnectViewSet):
    """Pending sessions of the organization."""

    queryset = ConnectSession.objects.none()
    serializer_class = PendingSerializer
    pagination_class = None
    filter_backends = ()

    def _session(self) -> ConnectSession:
        session = pending.find(self.kwargs["token"], organization_id=self.organization_id, mode=self.mode)
        if session is None:
            raise Problem("not_found", "There is no such pending session.")
        return session

    @extend_schema(responses=PendingSerializer)
    def retrieve(self, request: Request, token: str) -> Response:
        """The accounts that a consent can connect."""
        try:
            return Response(PendingSerializer(pending.view(self._session())).data)
        except pending.Ended as error:
            raise Problem("not_found", str(error)) from error

    @extend_schema(request=FinalizeCreate, responses={200: FinalizedSerializer})
    def finalize(self, request: Request, token: str) -> Response:
        """Connect those that were chosen, all or none. The pending session is used by it."""
        session = self._session()
        given = FinalizeCreate(data=request.data)
        given.is_valid(raise_exception=True)
        try:
            accounts = pending.finalize(session, given.validated_data["ids"])
        except pending.Ended as error:
            raise Problem("not_found", str(error)) from error
        except pending.Unoffered as error:
            raise invalid("ids", f"The pending session does not offer {error}.") from error
        return Response({"account_ids": [account.pk for account in accounts]})


class AppPasswordViewSet(ConnectViewSet):
    """Connecting by handle and app password; `platform` comes with the address."""

    queryset = SocialAccount.objects.none()
    serializer_class = SocialAccountSerializer
    pagination_class = None
    filter_backends = ()
    platform = ""

    @extend_schema(request=AppPasswordConnect, responses={201: SocialAccountSerializer, 200: SocialAccountSerializer})
    def create(self, request: Request) -> Response:
        """Connect an account by handle and app password; the same account again is updated (200)."""
        given = AppPasswordConnect(data=request.data)
        given.is_valid(raise_exception=True)
        data = dict(given.validated_data)
        named = {"name": data.pop("handle"), "password": data.pop("app_password"), "keep": data.pop("keep_password")}
        try:
            account, is_new = app_passwords.connect(self.platform, self.organization_id, self.mode, more=data, **named)
        except AccountNotFound as error:
            raise invalid("handle", error.detail) from error
        except TokenExpired as error:
            raise invalid("app_password", error.detail) from error
        except PlatformError as error:
            raise _unavailable(error) from error
        return Response(SocialAccountSerializer(account).data, status=201 if is_new else 200)


def _unavailable(error: PlatformError) -> Problem:
    headers = {}
    if error.retry_at is not None:
        wait = (error.retry_at - timezone.now()).total_seconds()
        headers["Retry-After"] = str(max(1, math.ceil(wait)))
    return Problem("unavailable", error.detail, headers=headers)


class AnyAccept(DefaultContentNegotiation):
    """People come here by their browsers, which ask for HTML."""

    def select_renderer(self, request: Any, renderers: Any, format_suffix: Any = None) -> Any:
        return renderers[0], renderers[0].media_type


def _text(name: str, description: str) -> OpenApiParameter:
    return OpenApiParameter(name, str, description=description)


class CallbackView(APIView):
    """Where platforms send people back to."""

    authentication_classes = ()
    permission_classes = ()
    content_negotiation_class = AnyAccept
    http_method_names = ("get", "options")  # a HEAD would use the state up

    @extend_schema(
        auth=[],
        parameters=[
            _text("state", "What the dialog was given."),
            _text("code", "What the platform grants."),
            _text("error", "Why it does not."),
        ],
        responses={302: None},
    )
    def get(self, request: Request) -> HttpResponse:
        """Take the answer of a consent dialog, and send the person on: with `pending`, or with `error`."""
        try:
            session, token = consent.receive(request.query_params.dict())
        except ConsentFailed as failure:
            return self._failed(request, failure)
        if not session.redirect_url:
            return _go(redirects.page("connect"), pending=token)
        if not redirects.is_allowed(session.redirect_url):
            return _go(redirects.page("connect-failed"), error="redirect_refused")
        missing = ",".join(pending.missing_scopes(session))
        return _go(session.redirect_url, pending=token, **({"missing_scopes": missing} if missing else {}))

    def _failed(self, request: Request, failure: ConsentFailed) -> HttpResponse:
        """To where the caller waits, else to a page for people; who takes no page is answered a problem."""
        url = failure.session.redirect_url if failure.session else ""
        if url and redirects.is_allowed(url):
            return _go(url, error=failure.code, error_description=failure.detail)
        if "text/html" in request.headers.get("Accept", ""):
            # whoever bears the state may know what came of it
            state = {"state": request.query_params["state"]} if failure.code == "state_used" else {}
            return _go(redirects.page("connect-failed"), error=failure.code, **state)
        if failure.retryable:
            raise Problem("unavailable", failure.detail, extra={"error": failure.code})
        raise Problem("validation_failed", failure.detail, extra={"error": failure.code})


def _go(url: str, **more: str) -> HttpResponse:
    return HttpResponseRedirect(redirects.with_query(url, **more), headers={"Referrer-Policy": "no-referrer"})

"""Addresses of the accounts API."""

from django.urls import path
from rest_framework.routers import SimpleRouter

from accounts.connect_viewsets import (
    AppPasswordViewSet,
    AuthUrlViewSet,
    CallbackView,
    PendingViewSet,
    SocialNetworkViewSet,
)
from accounts.viewsets import PlatformViewSet, SocialAccountViewSet
from accounts.webhook_viewsets import WebhookViewSet

router = SimpleRouter(trailing_slash=False)
router.register("social-accounts", SocialAccountViewSet, basename="social-account")
router.register("social-networks", SocialNetworkViewSet, basename="social-network")
router.register("webhooks", WebhookViewSet, basename="webhook")

urlpatterns = [
    path("platforms", PlatformViewSet.as_view({"get": "overview"}), name="platforms"),
    path("connect/callback", CallbackView.as_view(), name="connect-callback"),
    path("social-networks/<str:platform>/auth-url", AuthUrlViewSet.as_view({"post": "create"})),
    path("social-accounts/pending/<str:token>", PendingViewSet.as_view({"get": "retrieve"})),
    path("social-accounts/pending/<str:token>/finalize", PendingViewSet.as_view({"post": "finalize"})),
    path("social-accounts/bluesky/connect", AppPasswordViewSet.as_view({"post": "create"}, platform="bluesky")),
    *router.urls,
]

"""Addresses of the accounts API."""

from django.urls import path
from rest_framework.routers import SimpleRouter

from accounts.viewsets import PlatformViewSet, SocialAccountViewSet
from accounts.webhook_viewsets import WebhookViewSet

router = SimpleRouter(trailing_slash=False)
router.register("social-accounts", SocialAccountViewSet, basename="social-account")
router.register("webhooks", WebhookViewSet, basename="webhook")

urlpatterns = [
    path("platforms", PlatformViewSet.as_view({"get": "overview"}), name="platforms"),
    *router.urls,
]

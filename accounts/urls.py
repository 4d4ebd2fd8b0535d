"""Addresses of the accounts API."""

from django.urls import path
from rest_framework.routers import SimpleRouter

from accounts.viewsets import PlatformViewSet, SocialAccountViewSet

router = SimpleRouter(trailing_slash=False)
router.register("social-accounts", SocialAccountViewSet, basename="social-account")

urlpatterns = [
    path("platforms", PlatformViewSet.as_view({"get": "overview"}), name="platforms"),
    *router.urls,
]

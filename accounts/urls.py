"""Addresses of the accounts API."""

from rest_framework.routers import SimpleRouter

from accounts.viewsets import PlatformViewSet, SocialAccountViewSet

router = SimpleRouter(trailing_slash=False)
router.register("platforms", PlatformViewSet, basename="platform")
router.register("social-accounts", SocialAccountViewSet, basename="social-account")

urlpatterns = router.urls

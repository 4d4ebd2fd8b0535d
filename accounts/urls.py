"""Addresses of the accounts API."""

from rest_framework.routers import SimpleRouter

from accounts.viewsets import SocialAccountViewSet

router = SimpleRouter(trailing_slash=False)
router.register("social-accounts", SocialAccountViewSet, basename="social-account")

urlpatterns = router.urls

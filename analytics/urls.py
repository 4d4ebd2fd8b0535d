"""Addresses of the analytics API."""

from django.urls import path
from rest_framework.routers import SimpleRouter

from analytics.viewsets import AccountMetricsViewSet, PostViewSet

router = SimpleRouter(trailing_slash=False)
router.register("posts", PostViewSet, basename="post")

urlpatterns = [
    path(
        "social-accounts/<str:id>/metrics", AccountMetricsViewSet.as_view({"get": "retrieve"}), name="account-metrics"
    ),
    *router.urls,
]

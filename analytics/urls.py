"""Addresses of the analytics API."""

from django.urls import path
from rest_framework.routers import SimpleRouter

from analytics.viewsets import AccountMetricsViewSet, ImportViewSet, PostViewSet

router = SimpleRouter(trailing_slash=False)
router.register("posts", PostViewSet, basename="post")

IMPORTS = "social-accounts/<str:id>/imports"

urlpatterns = [
    path(
        "social-accounts/<str:id>/metrics", AccountMetricsViewSet.as_view({"get": "retrieve"}), name="account-metrics"
    ),
    path(IMPORTS, ImportViewSet.as_view({"get": "list", "post": "create"}), name="imports"),
    path(
        f"{IMPORTS}/schedule",
        ImportViewSet.as_view({"get": "schedule", "put": "set_schedule"}, pagination_class=None),
        name="import-schedule",
    ),
    path(f"{IMPORTS}/<str:import_id>", ImportViewSet.as_view({"get": "retrieve"}), name="import"),
    *router.urls,
]

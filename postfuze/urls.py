"""Addresses."""

from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView

from postfuze.admin import password_change
from postfuze.api.docs import docs
from postfuze.api.schema import OpenApiView
from postfuze.health import HealthView, ReadyView

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="docs")),
    path("docs", docs, name="docs"),
    path("connect", include("accounts.connect_urls")),
    path("admin/password_change/", admin.site.admin_view(password_change, cacheable=True)),
    path("admin/", admin.site.urls),
    path("api/v1/health", HealthView.as_view(), name="health"),
    path("api/v1/ready", ReadyView.as_view(), name="ready"),
    path("api/v1/openapi.json", OpenApiView.as_view(), name="openapi"),
    path("api/v1/", include("accounts.urls")),
    path("api/v1/", include("analytics.urls")),
]

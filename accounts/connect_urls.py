"""Addresses of the pages that people connect accounts on."""

from django.urls import path

from accounts.connect_pages import choose, failed

urlpatterns = [
    path("", choose, name="connect"),
    path("/failed", failed, name="connect-failed"),
]

"""Makes the management commands of `platforms` known to Django; there are no models here."""

from django.apps import AppConfig


class PlatformsConfig(AppConfig):
    name = "platforms"
    verbose_name = "Platforms"

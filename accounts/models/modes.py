"""Live rows and test rows never see each other."""

from django.db import models


class Mode(models.TextChoices):
    LIVE = "live", "Live"
    TEST = "test", "Test"

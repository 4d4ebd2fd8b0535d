"""The web process. Run by itself it only tells whether that can start: Gunicorn fails on some variables before us."""

import os
import sys

import django
from django.core.exceptions import ImproperlyConfigured

from postfuze.api.requests import Handler

GUNICORN_GIVES_UP = 3  # with any other exit status it starts the worker again, for ever

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "postfuze.settings")
os.environ["POSTFUZE_PROCESS"] = os.environ.get("POSTFUZE_PROCESS", "").strip() or "web"

try:
    django.setup(set_prefix=False)
    application = Handler()
except ImproperlyConfigured as error:
    print(f"PostFuze cannot start: {error}", file=sys.stderr)  # noqa: T201 - logging is not set up yet
    sys.exit(GUNICORN_GIVES_UP)

"""Wiring: settings, Celery, addresses, logs, and what all of the API shares."""

from postfuze.celery import app as celery_app

__all__ = ["celery_app"]

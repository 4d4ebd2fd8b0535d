"""Wiring: settings, Celery, addresses, logs, and what all of the API shares."""

import gc

from postfuze.celery import app as celery_app

__all__ = ["celery_app"]

# Rows and answers come by the thousand, and hardly any of them are part of a cycle: those are looked for less often.
gc.set_threshold(50_000, 20, 20)

#!/usr/bin/env python
"""Runs the management commands; a wrong environment variable ends as one line."""

import os
import sys

from django.core.exceptions import ImproperlyConfigured
from django.core.management import execute_from_command_line


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "postfuze.settings")
    try:
        execute_from_command_line(sys.argv)
    except ImproperlyConfigured as error:
        sys.exit(f"PostFuze cannot start: {error}")


if __name__ == "__main__":
    main()

"""Serve the sandbox."""

from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from platforms.sandbox.server import RunningSandbox, serve


class Command(BaseCommand):
    help = "Serve the sandbox, which plays the platforms, on loopback until stopped."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--port", type=int, help="default: the port of SANDBOX_URL")

    def handle(self, *args: Any, port: int | None, **options: Any) -> None:
        if port is not None and not 0 <= port <= 65535:
            raise CommandError("--port must be from 0 to 65535; 0 is any that is free.")
        wanted = port if port is not None else urlsplit(settings.SANDBOX_URL).port or 8001

        def ready(running: RunningSandbox) -> None:
            self.stdout.write(f"sandbox: {running.url}, control: {running.url}/_control")

        try:
            serve(wanted, on_ready=ready)
        except OSError as error:
            raise CommandError(str(error)) from error

"""Create an organization."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts.models import Organization


class Command(BaseCommand):
    help = "Create an organization and print its id."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name")

    def handle(self, *args: Any, name: str, **options: Any) -> None:
        if not 0 < len(name.strip()) <= 200:
            raise CommandError("NAME must have 1 to 200 characters.")
        self.stdout.write(str(Organization.objects.create(name=name.strip()).id))

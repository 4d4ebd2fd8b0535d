"""Create an organization."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction

from accounts.models import Organization
from accounts.services import audit


class Command(BaseCommand):
    help = "Create an organization and print its id."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name")

    def handle(self, *args: Any, name: str, **options: Any) -> None:
        if not 0 < len(name.strip()) <= 200:
            raise CommandError("NAME must have 1 to 200 characters.")
        try:
            with transaction.atomic():
                organization = Organization.objects.create(name=name.strip())
                audit.record_command("create_org", organization)
        except UnicodeEncodeError as error:
            raise CommandError("NAME is not valid UTF-8.") from error
        self.stdout.write(str(organization.pk))

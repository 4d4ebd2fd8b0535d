"""Create an API key."""

import uuid
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts.models import Mode, Organization
from accounts.services import keys


class Command(BaseCommand):
    help = "Create an API key and print it, once."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("org", help="the organization's id")
        parser.add_argument("--test", action="store_true", help="a key that sees test rows only")
        parser.add_argument(
            "--scopes", nargs="*", default=["*"], help=f"* or some of {', '.join(keys.SCOPES)}; none: read only"
        )
        parser.add_argument("--name", default="")

    def handle(self, *args: Any, org: str, test: bool, scopes: list[str], name: str, **options: Any) -> None:
        try:
            organization = Organization.objects.get(pk=uuid.UUID(org))
        except (ValueError, Organization.DoesNotExist) as error:
            raise CommandError(f"There is no organization {org}.") from error
        wanted = [scope for given in scopes for scope in given.replace(",", " ").split()]
        try:
            _, text = keys.create_key(organization, mode=Mode.TEST if test else Mode.LIVE, scopes=wanted, name=name)
        except ValueError as error:
            raise CommandError(str(error)) from error
        self.stdout.write(text)

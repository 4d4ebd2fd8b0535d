"""Create an API key."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction

from accounts.management.organizations import organization_named
from accounts.models import Mode
from accounts.services import audit, keys


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
        organization, mode = organization_named(org), Mode.TEST if test else Mode.LIVE
        wanted = [scope for given in scopes for scope in given.replace(",", " ").split()]
        try:
            with transaction.atomic():
                key, text = keys.create_key(organization, mode=mode, scopes=wanted, name=name)
                audit.record_command("create_api_key", key)
        except ValueError as error:
            raise CommandError(str(error)) from error
        self.stdout.write(text)

"""End an API key."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction

from accounts import selectors
from accounts.services import audit, keys


class Command(BaseCommand):
    help = "End a key for good. Whoever uses it is refused from now on."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("key", help="its id, or its text up to the secret: sk_live_ and twelve characters")

    def handle(self, *args: Any, key: str, **options: Any) -> None:
        found = selectors.key_named(key)
        if found is None:
            raise CommandError(f"There is no key {key[:20]}.")
        with transaction.atomic():
            keys.revoke_key(found)
            audit.record_command("revoke_api_key", found)
        self.stdout.write(f"{found} of {found.organization} is revoked.")

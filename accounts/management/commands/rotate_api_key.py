"""Replace an API key."""

from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction

from accounts import selectors
from accounts.services import audit, keys
from postfuze.api.durations import duration

LONGEST = timedelta(days=365)


class Command(BaseCommand):
    help = "Make a key that may do the same as another, and print it, once. The old one works on for a while."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("key", help="its id, or its text up to the secret: sk_live_ and twelve characters")
        parser.add_argument("--keep-old-for", default="24h", help="as 30m, 24h, 7d; 0 ends the old key at once")

    def handle(self, *args: Any, key: str, keep_old_for: str, **options: Any) -> None:
        old = selectors.key_named(key)
        if old is None:
            raise CommandError(f"There is no key {key[:20]}.")
        try:
            kept = timedelta(0) if keep_old_for == "0" else duration(keep_old_for)
            if kept > LONGEST:
                raise ValueError("expected at most 365d")
            with transaction.atomic():
                new, text = keys.rotate_key(old, keep_old_for=kept)
                audit.record_command("rotate_api_key", old, f"Replaced by {new}.")
                audit.record_command("rotate_api_key", new, f"Replaces {old}.")
        except ValueError as error:
            raise CommandError(str(error)) from error
        self.stdout.write(text)

"""Re-encrypt everything encrypted under the newest key."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from accounts.services import rotation


class Command(BaseCommand):
    help = "Re-encrypt tokens and client secrets under the newest of TOKEN_ENCRYPTION_KEYS. Safe to run again."

    def handle(self, *args: Any, **options: Any) -> None:
        done = rotation.rotate_all()
        self.stdout.write(f"{done.rotated} values re-encrypted, {done.failed} that no key opens")
        if done.failed:
            raise CommandError("Some values stay as they are: add the key that opens them to TOKEN_ENCRYPTION_KEYS.")

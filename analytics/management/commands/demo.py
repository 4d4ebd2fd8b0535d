"""Make something to look at."""

import json
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser

from analytics.services import demo


class Command(BaseCommand):
    help = "Create or find the demo organization: accounts on the sandbox, posts with history, and a key."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="print one JSON document")

    def handle(self, *args: Any, **options: Any) -> None:
        made = demo.create_or_find()
        address = settings.PUBLIC_URL
        if options["json"]:
            self.stdout.write(json.dumps(_document(made, address)))
            return
        first = made.posts[0].pk
        self.stdout.write(f"Address:  {address}   (docs: {address}/docs)")
        password = made.password or "the password you chose"
        self.stdout.write(f"Admin:    {address}/admin/   (user {made.username}, password {password})")
        self.stdout.write(f"API key:  {made.key}")
        self.stdout.write("Try:")
        self.stdout.write(f"  curl -H 'Authorization: Bearer {made.key}' {address}/api/v1/posts/{first}/analytics")


def _document(made: demo.Demo, address: str) -> dict[str, Any]:
    return {
        "address": address,
        "key": made.key,
        "admin": {"username": made.username, "password": made.password},
        "organization_id": str(made.organization.pk),
        "accounts": [{"id": str(account.pk), "platform": account.platform} for account in made.accounts],
        "posts": [str(post.pk) for post in made.posts],
    }

"""Show an organization's API keys."""

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from rich.console import Console
from rich.table import Table

from accounts import selectors
from accounts.management.organizations import organization_named
from accounts.models import ApiKey
from accounts.services import keys
from postfuze.api.times import render

COLUMNS = ("id", "key", "name", "mode", "scopes", "state", "last_used_at", "expires_at", "created_at")


class Command(BaseCommand):
    help = "List an organization's keys: what each may write, whether it is valid, and when it was last used."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("org", help="the organization's id")
        parser.add_argument("--json", action="store_true", help="print one JSON document")

    def handle(self, *args: Any, org: str, **options: Any) -> None:
        rows = [_row(key) for key in selectors.keys_of(organization_named(org))]
        if options["json"]:
            self.stdout.write(json.dumps(rows))
            return
        table = Table(*(name.replace("_", " ") for name in COLUMNS))
        for row in rows:
            told = row | {"scopes": ", ".join(row["scopes"]) or "reading only"}
            table.add_row(*(str(told[name] or "-") for name in COLUMNS))
        Console(file=self.stdout, width=240).print(table)


def _row(key: ApiKey) -> dict[str, Any]:
    times = {name: getattr(key, name) for name in ("last_used_at", "expires_at", "created_at")}
    told = {"id": str(key.pk), "key": str(key), "name": key.name, "mode": key.mode, "scopes": key.scopes}
    instants = {name: None if at is None else render(at) for name, at in times.items()}
    return {**told, "state": keys.state_of(key), **instants}

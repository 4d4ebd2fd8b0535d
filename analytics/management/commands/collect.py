"""Run one due pass."""

import json
import sys
import time
import uuid
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from accounts.models import SocialAccount
from analytics.management.progress import progress_bar
from analytics.management.stopping import Stop, stoppable
from analytics.services import collect, due
from platforms import registry

FOREVER = 10.0**9
STOPPING = "Stopping when the calls under way are stored. Once more ends it at once."


class Command(BaseCommand):
    help = (
        "Collect everything that is due, in the foreground. Exits with 0 also when some targets failed. "
        "Ctrl-C or SIGTERM stop it between batches (exit status 130 or 143), a second one at once."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--platform", choices=sorted(registry.PLATFORMS))
        parser.add_argument("--account", help="the id of one account")
        parser.add_argument("--limit", type=int, help="at most this many targets and accounts")
        parser.add_argument("--json", action="store_true", help="print the summary as one JSON document")

    def handle(self, *args: Any, **options: Any) -> None:
        scope = due.Scope(options["platform"], _account_id(options["account"]))
        limit = options["limit"]
        if limit is not None and limit < 1:
            raise CommandError("--limit must be 1 or more.")
        bar = progress_bar(is_quiet=bool(options["json"]))
        with stoppable(on_first=lambda: bar.console.print(STOPPING), on_second=bar.stop) as stop:
            self._collect(scope, limit, bar, stop, as_json=bool(options["json"]))
        if stop.is_set():
            sys.exit(stop.exit_code)

    def _collect(self, scope: due.Scope, limit: int | None, bar: Progress, stop: Stop, *, as_json: bool) -> None:
        started = time.monotonic()
        with bar:
            waiting = due.count_due(scope)
            task = bar.add_task("collecting", total=waiting if limit is None else min(limit, waiting))
            summary = collect.run_pass(
                until=time.monotonic() + FOREVER,
                scope=scope,
                limit=limit,
                on_progress=lambda so_far: bar.update(task, completed=so_far.targets + so_far.accounts),
                stop=stop,
            )
        seconds = round(time.monotonic() - started, 3)
        if as_json:
            self.stdout.write(json.dumps({**summary.as_dict(), "seconds": seconds}))
        else:
            self._print(summary, seconds)

    def _print(self, summary: collect.Summary, seconds: float) -> None:
        table = Table("platform", "targets", "accounts", "calls", "snapshots", "failures")
        for platform, numbers in sorted(summary.platforms.items()):
            names = ("targets", "accounts", "calls", "snapshots", "failures")
            table.add_row(platform, *(str(numbers[name]) for name in names))
        console = Console(file=self.stdout, width=100)
        if summary.platforms:
            console.print(table)
        console.print(
            f"{summary.targets} targets and {summary.accounts} accounts: {summary.calls} calls, "
            f"{summary.snapshots} snapshots, {sum(summary.failures.values())} failures in {seconds} s"
        )
        for code, number in summary.failures.most_common():
            console.print(f"  {code}: {number}")


def _account_id(text: str | None) -> uuid.UUID | None:
    if text is None:
        return None
    try:
        account = SocialAccount.objects.filter(deleted_at=None).get(pk=uuid.UUID(text))
    except (ValueError, SocialAccount.DoesNotExist) as error:
        raise CommandError(f"There is no account {text}.") from error
    return account.pk

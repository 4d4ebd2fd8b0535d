"""Derive columns again from stored raw answers."""

import json
import time
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from rich.console import Console
from rich.table import Table

from analytics.management.progress import progress_bar
from analytics.services import remap
from platforms import registry


class Command(BaseCommand):
    help = "Derive the columns of snapshots again from their raw answers; rows whose raw answer is gone are left alone."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--platform", choices=sorted(registry.PLATFORMS))
        parser.add_argument("--dry-run", action="store_true", help="tell what would change, and write nothing")
        parser.add_argument("--restart", action="store_true", help="begin anew after a run that was cut off")
        parser.add_argument("--json", action="store_true", help="print the summary as one JSON document")

    def handle(self, *args: Any, **options: Any) -> None:
        platforms = [options["platform"]] if options["platform"] else list(registry.PLATFORMS)
        dry_run = bool(options["dry_run"])
        if options["restart"] and not dry_run:
            remap.begin_anew()
        started = time.monotonic()
        with progress_bar(is_quiet=bool(options["json"])) as bar:
            task = bar.add_task("reading again", total=remap.count_rows(platforms, dry_run=dry_run))
            report = remap.remap(platforms, dry_run=dry_run, on_page=lambda rows: bar.advance(task, rows))
        seconds = round(time.monotonic() - started, 3)
        if options["json"]:
            tables = {
                table: {key: tally.as_dict() for key, tally in tallies.items()} for table, tallies in report.items()
            }
            self.stdout.write(json.dumps({"dry_run": dry_run, **tables, "seconds": seconds}))
        else:
            self._print(report, dry_run, seconds)

    def _print(self, report: remap.Report, dry_run: bool, seconds: float) -> None:
        console = Console(file=self.stdout, width=110)
        tallies = [(table, key, tally) for table, found in report.items() for key, tally in found.items()]
        if tallies:
            console.print(_numbers(tallies), _columns(tallies))
        for table, key, tally in tallies:
            for each in tally.examples:
                name, old, new = each["column"], each["old"], each["new"]
                console.print(f"  {key}: {table} {each['id']}: {name} {old} -> {new}", highlight=False)
        verb = "would change" if dry_run else "changed"
        rows, changed = (sum(getattr(tally, name) for *_, tally in tallies) for name in ("rows", "changed"))
        console.print(f"{rows} rows read, {changed} {verb}, in {seconds} s")


def _numbers(tallies: list[tuple[str, str, remap.Tally]]) -> Table:
    table = Table("table", "platform", *(name.replace("_", " ") for name in remap.COUNTED))
    for name, key, tally in tallies:
        table.add_row(name, key, *(str(getattr(tally, counted)) for counted in remap.COUNTED))
    return table


def _columns(tallies: list[tuple[str, str, remap.Tally]]) -> Table | str:
    table = Table("platform", "column", "null to value", "value to null", "other value")
    for _, key, tally in tallies:
        for column, kinds in tally.columns.items():
            table.add_row(key, column, *(str(kinds[kind]) for kind in ("from_null", "to_null", "other_value")))
    return table if table.row_count else ""

"""All benchmarks on one database. Run by `run.py`."""

import os
import sys
import time
from pathlib import Path

import django
from rich.console import Console
from rich.table import Table

from postfuze.tests.e2e.stage import Stage


def main() -> None:
    folder, url, targets, snapshots, seconds, *names = sys.argv[1:]
    stage = Stage(Path(folder), url, name="bench", DJANGO_SETTINGS_MODULE="benchmarks.settings", BENCH_FOLDER=folder)
    os.environ.update(stage.environment)
    django.setup()
    from benchmarks import parts  # needs the settings

    console = Console(width=110)
    load = ", ".join(f"{number:.1f}" for number in os.getloadavg())
    console.print(f"\n[bold]{stage.database}[/bold], {os.cpu_count()} processors, load {load} before the start")
    with stage.playing():
        play = parts.Play(stage, targets=int(targets), snapshots=int(snapshots), seconds=float(seconds))
        for name in names:
            begun = time.monotonic()
            table = Table("", "measured", "bar", title=getattr(parts, name).__doc__, title_justify="left", width=108)
            for row in getattr(parts, name)(play):
                table.add_row(*row)
            console.print(table)
            console.print(f"{name}: {time.monotonic() - begun:.0f} s\n", style="dim")


if __name__ == "__main__":
    main()

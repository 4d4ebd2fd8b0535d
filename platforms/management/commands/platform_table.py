"""The README's platform table, from the adapters' own facts."""

import re
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from platforms.facts import table

BETWEEN = re.compile(r"(?<=<!-- platforms -->\n).*?(?=<!-- /platforms -->)", re.DOTALL)


class Command(BaseCommand):
    help = "Write the platform table into a Markdown file, between its platforms markers."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path)
        parser.add_argument("--check", action="store_true", help="change nothing; fail if it is not up to date")

    def handle(self, *args: Any, file: Path, check: bool, **options: Any) -> None:
        try:
            self._write(file, check)
        except (OSError, UnicodeDecodeError) as error:
            raise CommandError(f"{file} cannot be read or written: {error}") from error

    def _write(self, file: Path, check: bool) -> None:
        text = file.read_text()
        if not BETWEEN.search(text):
            raise CommandError(f"{file} has no <!-- platforms --> … <!-- /platforms --> markers.")
        fresh = BETWEEN.sub(lambda _: table() + "\n", text)
        if check and fresh != text:
            raise CommandError(f"{file} is not up to date: run manage.py platform_table {file}")
        if not check:
            file.write_text(fresh)

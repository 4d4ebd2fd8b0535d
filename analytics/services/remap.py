"""Columns derived again from stored raw answers, by the function that derived them first."""

import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db import connection, transaction

from analytics.services import snapshots, walks
from analytics.services.walks import TABLES
from platforms.dimensions import AccountDimension, Dimension

logger = logging.getLogger(__name__)

WORK = "remap-snapshots"
PAGE = 1000
EXAMPLES = 5
COUNTED = ("rows", "changed", "restamped", "without_raw", "unreadable")
DERIVE = {"post_analytics": snapshots.post_columns, "account_metrics": snapshots.account_columns}
DERIVED = {
    "post_analytics": (*(each.value for each in Dimension), "engagement_rate"),
    "account_metrics": tuple(each.value for each in AccountDimension),
}
Columns = dict[str, Any]
Changes = dict[int, tuple[Columns, Columns]]
"""By row: all derived columns, and those that are other than before."""


@dataclass
class Tally:
    """What became, or would become, of one platform's rows of one table. `restamped`: all but the version was right."""

    rows: int = 0
    changed: int = 0
    restamped: int = 0
    without_raw: int = 0
    unreadable: int = 0
    columns: dict[str, Counter[str]] = field(default_factory=dict)
    examples: list[dict[str, Any]] = field(default_factory=list)

    def note(self, row: Mapping[str, Any], new: Columns, *, is_stale: bool) -> None:
        """Count a row, and the columns that it gets other values in."""
        self.changed += bool(new)
        self.restamped += is_stale and not new
        for name, value in new.items():
            old = row[name]
            kind = "from_null" if old is None else "to_null" if value is None else "other_value"
            self.columns.setdefault(name, Counter())[kind] += 1
            if len(self.examples) < EXAMPLES:
                self.examples.append({"id": row["id"], "column": name, "old": old, "new": value})

    def as_dict(self) -> dict[str, Any]:
        counted = {name: getattr(self, name) for name in COUNTED}
        return counted | {"columns": {n: dict(each) for n, each in self.columns.items()}, "examples": self.examples}


Report = dict[str, dict[str, Tally]]
"""By table and platform."""


def count_rows(platforms: Sequence[str], *, dry_run: bool) -> int:
    """How many rows a run has before it."""
    left = {} if dry_run else _places()
    return sum(
        walks.beyond(TABLES[table]._default_manager.filter(platform=key), left.get(f"{table}/{key}")).count()
        for table in TABLES
        for key in platforms
    )


def begin_anew() -> None:
    """Forget how far a run that was cut off had come."""
    for stream in walks.places(WORK):
        walks.note(WORK, stream)


def remap(platforms: Sequence[str], *, dry_run: bool, on_page: Callable[[int], None] | None = None) -> Report:
    """Derive the columns of all rows that still have their raw answer; those without are left alone.

    Page by page: a run that was cut off goes on where it stopped, unless the mapping has another version by now.
    A dry run writes nothing and begins with the first row.
    """
    report: Report = {table: {} for table in TABLES}
    streams = [(table, key) for table in TABLES for key in platforms]
    if not dry_run and not _is_of_this_mapping():
        begin_anew()  # else the places of streams that this run leaves out would pass for this mapping's
    left = {} if dry_run else _places()
    for table, key in streams:
        tally = Tally()
        _remap_stream(table, key, tally, left.get(f"{table}/{key}"), dry_run=dry_run, on_page=on_page)
        if tally.rows:
            report[table][key] = tally
    if not dry_run:
        for table, key in streams:
            walks.note(WORK, f"{table}/{key}", mapping_version=snapshots.MAPPING_VERSION)
    return report


def _places() -> dict[str, walks.Place]:
    return walks.places(WORK) if _is_of_this_mapping() else {}


def _is_of_this_mapping() -> bool:
    """Whether what is noted of a run that was cut off is of the mapping that there is now."""
    return bool(walks.told(WORK).get("mapping_version") == snapshots.MAPPING_VERSION)


def _remap_stream(
    table: str,
    platform: str,
    tally: Tally,
    place: walks.Place | None,
    *,
    dry_run: bool,
    on_page: Callable[[int], None] | None,
) -> None:
    columns = ("id", "captured_at", "raw", "unavailable", "mapping_version", *DERIVED[table])
    rows = TABLES[table]._default_manager.filter(platform=platform).values(*columns)
    for page in walks.pages(rows, size=PAGE, place=place):
        changes, stale = _changes(table, platform, page, tally)
        if not dry_run:
            _write(table, changes, stale, f"{table}/{platform}", walks.place_of(page[-1]))
        if on_page is not None:
            on_page(len(page))


def _changes(table: str, platform: str, page: list[dict[str, Any]], tally: Tally) -> tuple[Changes, list[int]]:
    """What changes, and the rows that bear the version of another mapping."""
    changes: Changes = {}
    stale: list[int] = []
    for row in page:
        tally.rows += 1
        if row["raw"] is None:
            tally.without_raw += 1
            continue
        try:
            columns = _derived(table, platform, row)
        except Exception:  # one answer that cannot be read stops nobody else's
            logger.exception("row %s of %s cannot be read again", row["id"], table)
            tally.unreadable += 1
            continue
        is_stale = row["mapping_version"] != snapshots.MAPPING_VERSION
        new = {name: value for name, value in columns.items() if row[name] != value}
        stale += [row["id"]] if is_stale else []
        tally.note(row, new, is_stale=is_stale)
        if new:
            changes[row["id"]] = columns, new
    return changes, stale


def _derived(table: str, platform: str, row: Mapping[str, Any]) -> Columns:
    """What the raw answer says, and the reasons of the nulls that are left."""
    if not isinstance(row["raw"], dict):
        raise TypeError("expected an object")
    columns = DERIVE[table](platform, row["raw"])
    return columns | {"unavailable": snapshots.reasons_left(row["unavailable"], columns)}


def _write(table: str, changes: Changes, stale: list[int], stream: str, place: walks.Place) -> None:
    rows = TABLES[table]._default_manager
    with transaction.atomic():
        _update_numbers(table, changes)
        for pk, (columns, new) in changes.items():
            if "unavailable" in new:
                rows.filter(pk=pk).update(unavailable=columns["unavailable"])
        rows.filter(pk__in=stale).update(mapping_version=snapshots.MAPPING_VERSION)
        walks.note(WORK, stream, place, mapping_version=snapshots.MAPPING_VERSION)


def _update_numbers(table: str, changes: Changes) -> None:
    """A page in one statement: `bulk_update` takes ten times as long."""
    names = sorted({name for _, new in changes.values() for name in new} - {"unavailable"})
    if not names:
        return
    types = {name: TABLES[table]._meta.get_field(name).db_type(connection) for name in names}
    values = [(pk, *(columns[name] for name in names)) for pk, (columns, _) in changes.items()]
    places = ", ".join([f"({', '.join(['%s'] * (len(names) + 1))})"] * len(values))
    settings = ", ".join(f"{name} = CAST(new.{name} AS {types[name]})" for name in names)
    sql = f"WITH new (id, {', '.join(names)}) AS (VALUES {places}) UPDATE {table} SET {settings} FROM new"
    with connection.cursor() as cursor:
        cursor.execute(f"{sql} WHERE {table}.id = new.id", [each for row in values for each in row])

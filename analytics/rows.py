"""Snapshots as the API shows them: columns in, plain dicts out. For long series, so no model and no serializer."""

from collections.abc import Mapping
from functools import cache
from typing import Any

from platforms import registry
from platforms.dimensions import AccountDimension, Dimension, Reason
from postfuze.api.times import render

DIMENSIONS = tuple(dimension.value for dimension in Dimension)
ROW_COLUMNS = ("id", "target_id", "platform", *DIMENSIONS, "engagement_rate", "captured_at", "unavailable")
ACCOUNT_DIMENSIONS = tuple(dimension.value for dimension in AccountDimension)
ACCOUNT_COLUMNS = ("id", "captured_at", *ACCOUNT_DIMENSIONS)


def post_row(row: Mapping[str, Any], *, source: str | None = None) -> dict[str, Any]:
    """One snapshot of a target, with a reason for each null dimension and for no other; and where it is from."""
    values = {name: row[name] for name in DIMENSIONS}
    return {
        "target_id": str(row["target_id"]),
        "platform": row["platform"],
        **values,
        "engagement_rate": row["engagement_rate"],
        "captured_at": render(row["captured_at"]),
        **({} if source is None else {"source": source}),
        "unavailable": _reasons(values, row["unavailable"], _reported(row["platform"])),
    }


def account_row(row: Mapping[str, Any]) -> dict[str, Any]:
    """One snapshot of an account, with the platform's answer and a reason for each number that is null."""
    values = {name: row[name] for name in ACCOUNT_DIMENSIONS}
    reasons = _reasons(values, row["unavailable"], _reported_of_account(row["platform"]))
    return {**values, "raw": row.get("raw"), "unavailable": reasons}


@cache
def _reported(platform: str) -> frozenset[str]:
    return registry.get(platform).dimensions()


@cache
def _reported_of_account(platform: str) -> frozenset[str]:
    return registry.get(platform).account_dimensions()


def _reasons(values: Mapping[str, Any], stored: Mapping[str, str], reported: frozenset[str]) -> dict[str, str]:
    return {
        name: stored.get(name) or str(Reason.NOT_REPORTED if name in reported else Reason.UNSUPPORTED)
        for name, value in values.items()
        if value is None
    }

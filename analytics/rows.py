"""Snapshots as the API shows them. Pure: rows in, plain dicts out; for long series, so no serializer a row."""

from collections.abc import Mapping
from typing import Any

from analytics.models import AccountMetrics, PostAnalytics
from platforms import registry
from platforms.dimensions import AccountDimension, Dimension, Reason
from postfuze.api.times import render

DIMENSIONS = tuple(dimension.value for dimension in Dimension)
ACCOUNT_DIMENSIONS = tuple(dimension.value for dimension in AccountDimension)


def post_row(row: PostAnalytics) -> dict[str, Any]:
    """One snapshot of a target, with a reason for each null dimension and for no other."""
    values = {name: getattr(row, name) for name in DIMENSIONS}
    return {
        "target_id": str(row.target_id),
        "platform": row.platform,
        **values,
        "engagement_rate": row.engagement_rate,
        "captured_at": render(row.captured_at),
        "unavailable": _reasons(values, row.unavailable, registry.get(row.platform).dimensions()),
    }


def account_row(row: AccountMetrics) -> dict[str, Any]:
    """One snapshot of an account."""
    values = {name: getattr(row, name) for name in ACCOUNT_DIMENSIONS}
    reported = registry.get(row.platform).account_dimensions()
    return {**values, "unavailable": _reasons(values, row.unavailable, reported)}


def _reasons(values: Mapping[str, Any], stored: Mapping[str, str], reported: frozenset[Any]) -> dict[str, str]:
    return {
        name: stored.get(name) or str(Reason.NOT_REPORTED if name in reported else Reason.UNSUPPORTED)
        for name, value in values.items()
        if value is None
    }

"""The bodies of analytics answers, from what services report."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from accounts.models import SocialAccount
from accounts.services.flights import Failure
from analytics.formulas import totals
from analytics.models import Post
from analytics.ranges import Range
from analytics.rows import ACCOUNT_DIMENSIONS, account_row, post_row
from analytics.services.live import AccountReport, TargetReport
from postfuze.api.times import render

Columns = Mapping[str, Any]
NOTHING_YET = "No metrics have been collected for this account yet."


def post_analytics(post_id: UUID, reports: Sequence[TargetReport]) -> dict[str, Any]:
    """The newest snapshot of each target, totals, and what is missing and why."""
    rows = [post_row(vars(each.row), source=_source(each)) for each in reports if each.row is not None]
    live = sum(each.is_live for each in reports)
    return {
        "post_id": str(post_id),
        "metrics_by_account": rows,
        "aggregated_metrics": totals(rows),
        "coverage": {
            "targets": len(reports),
            "live": live,
            "snapshot": len(rows) - live,
            "missing": len(reports) - len(rows),
        },
        "skipped": [_skipped(each, each.failure) for each in reports if each.failure is not None],
    }


def _source(report: TargetReport | AccountReport) -> str:
    return "live" if report.is_live else "snapshot"


def _skipped(report: TargetReport, failure: Failure) -> dict[str, Any]:
    return {
        "target_id": str(report.target.pk),
        "platform": report.target.platform,
        **_failure(failure),
        "last_captured_at": _time(report.row.captured_at if report.row else None),
    }


def _failure(failure: Failure) -> dict[str, Any]:
    return {
        "code": failure.code,
        "detail": failure.detail,
        "retryable": failure.retryable,
        "retry_after": failure.retry_after,
    }


def _time(instant: datetime | None) -> str | None:
    return None if instant is None else render(instant)


def post_history(post: Post, wanted: Range, rows: Sequence[Columns], next_cursor: str | None) -> dict[str, Any]:
    """The stored series of a post's targets."""
    return {"post_id": str(post.pk), **_range(wanted), "data": list(map(post_row, rows)), "next_cursor": next_cursor}


def _range(wanted: Range) -> dict[str, Any]:
    return {"since": _time(wanted.since), "until": _time(wanted.until), "interval": wanted.interval}


def account_metrics(report: AccountReport) -> dict[str, Any]:
    """An account's newest numbers, or that there are none yet."""
    account_id = str(report.account.pk)
    error = {"live_error": _failure(report.failure)} if report.failure is not None else {}
    row = report.row
    if row is None:
        return {"social_account_id": account_id, "metrics": None, "message": NOTHING_YET, **error}
    return {
        "social_account_id": account_id,
        "network": report.account.platform,
        "source": _source(report),
        "captured_at": render(row.captured_at),
        **account_row(vars(row)),
        **error,
    }


def account_series(
    account: SocialAccount,
    wanted: Range,
    rows: Sequence[Columns],
    next_cursor: str | None,
    *,
    with_raw: bool,
) -> dict[str, Any]:
    """An account's stored series."""
    names = (*ACCOUNT_DIMENSIONS, "raw") if with_raw else ACCOUNT_DIMENSIONS
    data = [{"captured_at": render(row["captured_at"]), **{name: row[name] for name in names}} for row in rows]
    return {
        "social_account_id": str(account.pk),
        "network": account.platform,
        **_range(wanted),
        "data": data,
        "next_cursor": next_cursor,
    }

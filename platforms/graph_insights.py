"""What Meta's Graph APIs share in reading: metrics that are refused, pages, and the form of insights."""

from collections.abc import Callable, Sequence
from typing import Any

from platforms.base import Call, Raw, Request, objects, pick
from platforms.graph_errors import MetricRefused
from platforms.payloads import to_count


def sift(
    metrics: tuple[str, ...], refusal: MetricRefused, request: Callable[[tuple[str, ...]], Request]
) -> Call[tuple[str, ...]]:
    """The metrics that are left after a refusal: each is asked for by itself where it does not say what it refuses."""
    left = refusal.left(metrics)
    if left == metrics:
        answers = yield tuple(request((name,)) for name in metrics)
        told = dict(zip(metrics, answers, strict=True))
        left = tuple(name for name in metrics if not isinstance(told[name], MetricRefused))
    return left


def rows_by_id(page: Raw) -> dict[str, Raw]:
    """A page's objects by id, in its order. What bears none is passed over; TypeError if nothing bears one."""
    rows = objects(page["data"])
    found = {text_id(row): row for row in rows if text_id(row)}
    if page["data"] and not found:
        raise TypeError("expected objects with ids")
    return found


def text_at(node: Raw, name: str) -> str:
    """The text at a key; empty if there is none."""
    value = node.get(name)
    return value if isinstance(value, str) else ""


def text_id(node: Raw, name: str = "id") -> str:
    """An object's id as text, whether it came as text or as a number; empty if it has none."""
    value = node.get(name)
    return str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""


def next_cursor(page: Raw, cursor: str, *, linked: bool) -> str:
    """Where the next page begins; empty if this one is the last. `linked`: only a link says that there is a next."""
    paging = page.get("paging") or {}
    after = str((paging.get("cursors") or {}).get("after") or "")
    more = page["data"] and after != cursor and ("next" in paging or not linked)
    return after if more else ""


def insight_values(insights: Raw) -> Raw:
    """Insights without titles and descriptions, and without paging links, which bear the token."""
    return {"data": [_without_text(entry) for entry in objects(insights["data"])]}


def _without_text(entry: Raw) -> Raw:
    kept = pick(entry, ("name", "period"))
    if "total_value" in entry:
        kept["total_value"] = pick(entry["total_value"], ("value",))
    if isinstance(entry.get("values"), list):
        kept["values"] = [pick(each, ("value", "end_time")) for each in entry["values"]]
    return kept


def insights_by_name(insights: Any) -> dict[str, Any]:
    """Each metric's value: its first, else its total. Empty where `insights` are none."""
    found: dict[str, Any] = {}
    for name, entry in _entries(insights, "lifetime").items():
        values = entry.get("values")
        first = values[0] if isinstance(values, list) and values else None
        told = [each.get("value") for each in (first, entry.get("total_value")) if isinstance(each, dict)]
        found[name] = next((value for value in told if value is not None), None)
    return found


def metric_values(insights: Any) -> dict[str, list[Any]]:
    """Each metric's values, oldest first; its total where it has no others. Empty where `insights` are none."""
    found: dict[str, list[Any]] = {}
    for name, entry in _entries(insights, "day").items():
        values = entry.get("values")
        told = values if isinstance(values, list) and values else [entry.get("total_value")]
        found[name] = [each.get("value") if isinstance(each, dict) else None for each in told]
    return found


def _entries(insights: Any, period: str) -> dict[str, Raw]:
    """Each metric's entry: that of the period, where a metric comes once for each of several."""
    entries = insights.get("data") if isinstance(insights, dict) else None
    found: dict[str, Raw] = {}
    for entry in entries if isinstance(entries, list) else ():
        if isinstance(entry, dict) and (str(entry.get("name")) not in found or entry.get("period") == period):
            found[str(entry.get("name"))] = entry
    return found


def summed(values: Sequence[Any] | None, name: str = "") -> int | None:
    """The sum of a metric's values, each a count or counts by kind; None where there are none, or one is no count."""
    split = [(*value.values(),) or (None,) if isinstance(value, dict) else (value,) for value in values or ()]
    counts = [None if str(part).startswith("-") else to_count(part, name) for parts in split for part in parts]
    known = [number for number in counts if number is not None]
    return sum(known) if known and len(known) == len(counts) else None

"""Series as the admin's line charts."""

import json
from collections.abc import Sequence
from typing import Any

from analytics.admin.words import words

COLOURS = (
    "var(--color-primary-600)",
    "oklch(62% .19 250)",
    "oklch(64% .17 150)",
    "oklch(70% .17 60)",
    "oklch(60% .22 20)",
    "oklch(60% .12 200)",
    "oklch(55% .03 264)",
    "oklch(75% .15 100)",
)
OPTIONS = json.dumps(
    {
        "animation": False,
        "maintainAspectRatio": False,
        "interaction": {"mode": "index", "intersect": False},
        "plugins": {"legend": {"display": True, "align": "end", "labels": {"usePointStyle": True, "boxHeight": 5}}},
        "scales": {
            "x": {"grid": {"display": False}, "ticks": {"maxTicksLimit": 10, "maxRotation": 0}},
            "y": {"beginAtZero": False, "ticks": {"maxTicksLimit": 6}},
        },
        "elements": {"point": {"radius": 0, "hitRadius": 8}, "line": {"borderWidth": 2}},
    }
)


def line_chart(rows: Sequence[Any], names: Sequence[str]) -> dict[str, str] | None:
    """What the chart component takes; None if there is too little to draw a line of."""
    reported = [name for name in names if any(getattr(row, name) is not None for row in rows)]
    if len(rows) < 2 or not reported:
        return None
    data = {
        "labels": [f"{row.captured_at:%Y-%m-%d %H:%M}" for row in rows],
        "datasets": [
            {
                "label": words(name),
                "data": [getattr(row, name) for row in rows],
                "borderColor": COLOURS[names.index(name) % len(COLOURS)],
                "spanGaps": False,
            }
            for name in reported
        ],
    }
    return {"data": json.dumps(data), "options": OPTIONS}

"""What reads are measured against: views behind the same authentication that do the least possible."""

import json
from datetime import UTC
from functools import cache
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import connection
from django.http import HttpResponse
from django.urls import include, path
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

SERIES = """
    SELECT captured_at, followers, following, posts_count, impressions, reach, profile_views FROM account_metrics
    WHERE account_id = %s AND captured_at >= %s ORDER BY captured_at LIMIT 501
"""


class SameBytesView(APIView):
    """A stored answer, as a dict that is given away again."""

    def get(self, request: Request) -> Response:
        return Response(stored_answer())


class BareSeriesView(APIView):
    """One SELECT and one `json.dumps`."""

    def get(self, request: Request, account_id: str) -> HttpResponse:
        return HttpResponse(bare_series(account_id, request.GET["since"]), content_type="application/json")


@cache
def stored_answer() -> Any:
    return json.loads((Path(settings.BENCH_FOLDER) / "answer.json").read_text())


def bare_series(account_id: str, since: str) -> str:
    """The rows of a series as JSON text."""
    if connection.vendor == "sqlite":
        account_id, since = account_id.replace("-", ""), since.replace("T", " ").rstrip("Z")
    with connection.cursor() as cursor:
        cursor.execute(SERIES, [account_id, since])
        names = [column[0] for column in cursor.description]
        rows = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
    for row in rows[:500]:
        row["captured_at"] = _text(row["captured_at"])
    return json.dumps({"data": rows[:500]})


def _text(captured_at: Any) -> str:
    if isinstance(captured_at, str):
        return f"{captured_at[:10]}T{captured_at[11:23]}Z"
    return f"{captured_at.astimezone(UTC).replace(tzinfo=None).isoformat(timespec='milliseconds')}Z"


urlpatterns = [
    path("api/v1/bench/same-bytes", SameBytesView.as_view()),
    path("api/v1/bench/series/<str:account_id>", BareSeriesView.as_view()),
    path("", include("postfuze.urls")),
]

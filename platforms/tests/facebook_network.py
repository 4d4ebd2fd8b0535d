"""A small Facebook to hold conversations with."""

import json
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qs, urlsplit

from platforms import registry
from platforms.base import Account
from platforms.dimensions import Dimension
from platforms.facebook_metrics import METRICS, STORY_METRICS
from platforms.tests.replay import Answers, account_of, client_for, query_of, raw_of
from platforms.transport import Exchange

FACEBOOK = registry.get("facebook")
PAGE = "102030405060708"
UNKNOWN = "(#100) The value must be a valid insights metric"
COMMENTS_GATE = "(#10) This endpoint requires the 'pages_read_user_content' permission"


def failure(code: int, message: str = "", subcode: int = 0, status: int = 400) -> tuple[int, Any]:
    return status, {"error": {"code": code, "message": message, "error_subcode": subcode, "type": "OAuthException"}}


GONE = failure(100, "Unsupported get request. Object with ID '1' does not exist", 33)


class Network:
    """A small Facebook: a listing, newest first, batches, and whatever each test wants refused."""

    def __init__(self, size: int) -> None:
        self.ids = [f"{PAGE}_{500_000 - n}" for n in range(size)]
        self.listed = list(self.ids)
        self.nodes: dict[str, dict[str, Any]] = {
            i: {
                "id": i,
                "created_time": "2026-11-20T09:00:00+0000",
                "status_type": "added_photos",
                "attachments": {"data": [{"media_type": "photo", "type": "photo", "title": "free text"}]},
                "shares": {"count": 2},
                "message": "free text",
            }
            for i in self.ids
        }
        self.values: dict[str, Any] = {name: n for n, name in enumerate((*METRICS, *STORY_METRICS), 10)}
        self.values |= {"post_reactions_by_type_total": {"like": 40, "love": 9}}
        self.values |= {"post_activity_by_action_type": {"like": 44, "comment": 8, "share": 5}}
        self.refuse: Callable[[str, list[str]], Any] = lambda post_id, metrics: None
        self.refuse_counts: Callable[[str], Any] = lambda post_id: None
        self.refuse_page: Callable[[list[str], Mapping[str, str]], Any] = lambda ids, query: None
        self.gone: set[str] = set()
        self.page_gone = False
        self.late: set[str] = set()
        self.transport = Answers(self.answer)

    def fetch(self, *ids: str, account: Account | None = None, **more: Any) -> dict[str, Any]:
        account = account or account_of("facebook", {})
        client = client_for("facebook", self.transport, account, **more)
        found: dict[str, Any] = client.run(FACEBOOK.fetch_posts(ids, account))
        return found

    @property
    def calls(self) -> int:
        return len(self.transport.asked)

    def answer(self, exchange: Exchange) -> Any:
        query = {name: values[0] for name, values in query_of(exchange).items()}
        path = urlsplit(exchange.url).path.removeprefix("/v26.0/")
        if exchange.method == "POST":
            parts = json.loads(query["batch"])
            assert len(parts) <= 50
            return 200, [self.part(part["relative_url"]) for part in parts]
        return self.read(path, query)

    def part(self, relative_url: str) -> Any:
        url = urlsplit(relative_url)
        if any(i in self.late for i in url.path.split("/")):
            self.late -= set(url.path.split("/"))
            return None
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        status, body = self.read(url.path.removeprefix("v26.0/"), query)
        return {"code": status, "body": json.dumps(body)}

    def read(self, path: str, query: Mapping[str, str]) -> Any:
        if path == f"{PAGE}/published_posts":
            return self.page(query)
        if path in (PAGE, "me"):
            return GONE if self.page_gone else (200, {"id": PAGE})
        post_id, _, edge = path.partition("/")
        if post_id in self.gone or post_id not in self.nodes or self.page_gone:
            return GONE
        if edge:
            metrics = query["metric"].split(",")
            return self.refuse(post_id, metrics) or (200, self.insights(metrics))
        return self.node(post_id, query["fields"])

    def node(self, post_id: str, fields: str) -> Any:
        if "comments" not in fields:
            return 200, self.nodes[post_id]
        counts = {name: {"data": [], "summary": {"total_count": n}} for name, n in (("comments", 6), ("reactions", 44))}
        return self.refuse_counts(post_id) or (200, {"id": post_id, **counts})

    def insights(self, metrics: list[str]) -> dict[str, Any]:
        data = [{"name": name, "values": [{"value": self.values[name]}], "title": name} for name in metrics]
        return {"data": data, "paging": {"next": "https://graph.facebook.com/x?access_token=paging"}}

    def page(self, query: Mapping[str, str]) -> Any:
        start, size = int(query.get("after", "0")), int(query["limit"])
        assert size <= 100
        ids = [] if self.page_gone else self.listed[start : start + size]
        refused = self.refuse_page(ids, query)
        if refused is not None:
            return refused
        _, _, rest = query["fields"].partition("insights.metric(")
        rows = []
        for i in ids:
            status, row = self.node(i, query["fields"])
            metrics = rest.partition(")")[0].split(",")
            refusal = (status, row) if status != 200 else self.refuse(i, metrics) if rest else None
            if refusal is not None:
                return refusal
            rows.append(row | ({"insights": self.insights(metrics)} if rest else {}))
        paging: dict[str, Any] = {"cursors": {"before": str(start), "after": str(start + size)}}
        if start + size < len(self.listed):
            paging["next"] = "https://graph.facebook.com/next?access_token=paging"
        return 200, {"data": rows, "paging": paging}


def numbers(item: Any) -> dict[Dimension, int | None]:
    return FACEBOOK.metrics(raw_of(item))


def values_of(item: Any) -> list[int | None]:
    found = numbers(item)
    return [found[dimension] for dimension in sorted(found)]


# clicks, comments, impressions, likes, reach, shares, video_views
WHOLE = [12, 6, 10, 44, 11, 2, 15]

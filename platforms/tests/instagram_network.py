"""A small Instagram to hold conversations with."""

import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

from platforms import registry
from platforms.base import Account, Listed, Listing
from platforms.dimensions import Dimension
from platforms.instagram_metrics import METRICS
from platforms.tests.replay import NOW, Answers, account_of, client_for, query_of, raw_of
from platforms.transport import Exchange

INSTAGRAM = registry.get("instagram")
ME = "17841400000000001"


def failure(code: int, message: str = "", subcode: int = 0, status: int = 400) -> tuple[int, Any]:
    return status, {"error": {"code": code, "message": message, "error_subcode": subcode, "type": "OAuthException"}}


POISON = failure(100, "Media posted before business account conversion", 2108006)


class Network:
    """A small Instagram: a listing, newest first, and whatever each test wants refused."""

    def __init__(self, size: int) -> None:
        self.ids = [f"17900000000{n:06d}" for n in range(size)]
        self.media: dict[str, dict[str, Any]] = {}
        for n, media_id in enumerate(self.ids):
            stamp = (NOW - timedelta(hours=n)).strftime("%Y-%m-%dT%H:%M:%S+0000")
            self.media[media_id] = {
                "id": media_id,
                "media_type": "IMAGE",
                "media_product_type": "FEED",
                "timestamp": stamp,
                "like_count": 7,
                "comments_count": 3,
                "caption": "free text",
                "permalink": f"https://www.instagram.com/p/S{n}/",
            }
        self.values = {name: n for n, name in enumerate((*METRICS, "replies", "link_clicks"), 10)}
        self.listed = list(self.ids)
        self.refuse: Callable[[str, list[str]], tuple[int, Any] | None] = lambda media_id, metrics: None
        self.refuse_page: Callable[[list[str], dict[str, Any]], Any] = lambda ids, query: None
        self.gone: set[str] = set()
        self.account_gone = False
        self.transport = Answers(self.answer)

    def fetch(self, *ids: str, account: Account | None = None, **more: Any) -> dict[str, Any]:
        account = account or account_of("instagram", {})
        client = client_for("instagram", self.transport, account, **more)
        found: dict[str, Any] = client.run(INSTAGRAM.fetch_posts(ids, account))
        return found

    def list_page(self, cursor: str = "", account: Account | None = None) -> Listing:
        account = account or account_of("instagram", {})
        found: Listing = client_for("instagram", self.transport, account).run(
            INSTAGRAM.list_posts(account, cursor=cursor)
        )
        return found

    def walk(self, account: Account) -> Iterator[Listed]:
        """All of the listing, page by page."""
        page = self.list_page(account=account)
        yield from page.posts
        while page.cursor:
            page = self.list_page(page.cursor, account)
            yield from page.posts

    @property
    def calls(self) -> int:
        return len(self.transport.asked)

    def answer(self, exchange: Exchange) -> Any:
        query = {name: values[0] for name, values in query_of(exchange).items()}
        if exchange.method == "POST":
            assert urlsplit(exchange.url).netloc == "graph.facebook.com"
            return 200, [self.part(part["relative_url"]) for part in json.loads(query["batch"])]
        return self.read(urlsplit(exchange.url).path.removeprefix("/v26.0/"), query)

    def part(self, relative_url: str) -> Any:
        url = urlsplit(relative_url)
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        status, body = self.read(url.path.removeprefix("v26.0/"), query)
        return {"code": status, "body": json.dumps(body)}

    def read(self, path: str, query: dict[str, str]) -> Any:
        if path == f"{ME}/media":
            return self.page(query)
        if path in (ME, "me"):
            return failure(100, "does not exist", 33) if self.account_gone else (200, {"id": ME, "user_id": ME})
        media_id, _, insights = path.partition("/")
        if media_id in self.gone or media_id not in self.media or self.account_gone:
            return failure(100, "does not exist", 33)
        if not insights:
            return 200, self.media[media_id]
        metrics = query["metric"].split(",")
        return self.refuse(media_id, metrics) or (200, self.insights(metrics))

    def insights(self, metrics: list[str]) -> dict[str, Any]:
        return {"data": [{"name": name, "values": [{"value": self.values[name]}], "title": name} for name in metrics]}

    def page(self, query: dict[str, str]) -> Any:
        start, size = int(query.get("after", "0").replace("same", "0")), int(query["limit"])
        ids = self.listed[start : start + size]
        refused = self.refuse_page(ids, query)
        if refused is not None:
            return refused
        media = [dict(self.media[i]) for i in ids]
        _, _, metrics = query["fields"].partition("insights.metric(")
        for item in media if metrics else ():
            refusal = self.refuse(item["id"], metrics.strip(")").split(","))
            if refusal is not None:
                return refusal
            item["insights"] = self.insights(metrics.strip(")").split(","))
        paging: dict[str, Any] = {"cursors": {"before": str(start), "after": str(start + size)}}
        if start + size < len(self.listed):
            paging["next"] = "https://graph.facebook.com/next?access_token=paging"
        return 200, {"data": media, "paging": paging}


def numbers(item: Any) -> dict[Dimension, int | None]:
    return INSTAGRAM.metrics(raw_of(item))

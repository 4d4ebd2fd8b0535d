"""What a person does on the network, through the network's own XRPC API."""

import itertools
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Self

import requests

WRITES_PER_CALL = 200  # com.atproto.repo.applyWrites refuses more
TIMEOUT_SECONDS = 60
TID_ALPHABET = "234567abcdefghijklmnopqrstuvwxyz"

_session = requests.Session()
_clock = itertools.count(time.time_ns() // 1000)


@dataclass(frozen=True)
class Ref:
    """A record's address: enough to like it, answer it or delete it."""

    uri: str
    cid: str

    def as_json(self) -> dict[str, str]:
        return {"uri": self.uri, "cid": self.cid}


def call(
    base: str,
    method: str,
    *,
    params: Mapping[str, str | list[str]] | None = None,
    body: Mapping[str, Any] | None = None,
    token: str = "",
    post: bool = False,
    check: bool = True,
) -> requests.Response:
    """One XRPC call: a procedure when there is a body or `post` says so, else a query."""
    answer = _session.request(
        "POST" if post or body is not None else "GET",
        f"{base}/xrpc/{method}",
        params=params,
        json=body,
        headers={"Authorization": f"Bearer {token}"} if token else {},
        timeout=TIMEOUT_SECONDS,
    )
    if check and not answer.ok:
        raise RuntimeError(f"{method} answered {answer.status_code}: {answer.text[:500]}")
    return answer


@dataclass(frozen=True)
class DevAccount:
    """One signed-in account on the network's PDS."""

    pds_url: str
    did: str
    handle: str
    access_token: str
    refresh_token: str

    @classmethod
    def from_session(cls, pds_url: str, session: Mapping[str, Any]) -> Self:
        return cls(
            pds_url=pds_url,
            did=session["did"],
            handle=session["handle"],
            access_token=session["accessJwt"],
            refresh_token=session["refreshJwt"],
        )

    def create_app_password(self, name: str) -> str:
        answer = self._call("com.atproto.server.createAppPassword", {"name": name}).json()
        return str(answer["password"])

    def revoke_app_password(self, name: str) -> None:
        self._call("com.atproto.server.revokeAppPassword", {"name": name})

    def sign_in(self, password: str) -> Self:
        """A further session of the same account, with the account's own or an app password."""
        body = {"identifier": self.did, "password": password}
        return self.from_session(self.pds_url, call(self.pds_url, "com.atproto.server.createSession", body=body).json())

    def post(self, text: str, *, reply_to: Ref | None = None, quote: Ref | None = None) -> Ref:
        return self._create("app.bsky.feed.post", _post_record(text, reply_to=reply_to, quote=quote))

    def post_many(self, count: int, *, text: str = "Post") -> list[Ref]:
        """Many posts, in as few calls as the PDS allows."""
        writes: list[dict[str, Any]] = [
            {
                "$type": "com.atproto.repo.applyWrites#create",
                "collection": "app.bsky.feed.post",
                "rkey": next_tid(),
                "value": _post_record(f"{text} {number}"),
            }
            for number in range(count)
        ]
        return [ref for chunk in _chunks(writes, WRITES_PER_CALL) for ref in self._apply(chunk)]

    def like(self, subject: Ref) -> Ref:
        return self._create("app.bsky.feed.like", {"subject": subject.as_json()})

    def repost(self, subject: Ref) -> Ref:
        return self._create("app.bsky.feed.repost", {"subject": subject.as_json()})

    def follow(self, did: str) -> Ref:
        return self._create("app.bsky.graph.follow", {"subject": did})

    def bookmark(self, subject: Ref) -> None:
        self._call("app.bsky.bookmark.createBookmark", subject.as_json())

    def delete(self, ref: Ref) -> None:
        repo, collection, rkey = ref.uri.removeprefix("at://").split("/")
        self._call("com.atproto.repo.deleteRecord", {"repo": repo, "collection": collection, "rkey": rkey})

    def _create(self, collection: str, record: Mapping[str, Any]) -> Ref:
        dated = {"$type": collection, "createdAt": _now(), **record}
        body = {"repo": self.did, "collection": collection, "record": dated}
        answer = self._call("com.atproto.repo.createRecord", body).json()
        return Ref(uri=answer["uri"], cid=answer["cid"])

    def _apply(self, writes: list[dict[str, Any]]) -> list[Ref]:
        answer = self._call("com.atproto.repo.applyWrites", {"repo": self.did, "writes": writes}).json()
        return [Ref(uri=result["uri"], cid=result["cid"]) for result in answer["results"]]

    def _call(self, method: str, body: Mapping[str, Any]) -> requests.Response:
        return call(self.pds_url, method, body=body, token=self.access_token)


def next_tid() -> str:
    """A record key as the protocol makes them: 53 bits of microseconds and 10 of clock id, in base 32."""
    value = next(_clock) << 10
    return "".join(TID_ALPHABET[value >> shift & 31] for shift in range(60, -1, -5))


def _post_record(text: str, *, reply_to: Ref | None = None, quote: Ref | None = None) -> dict[str, Any]:
    record: dict[str, Any] = {"$type": "app.bsky.feed.post", "text": text, "createdAt": _now()}
    if reply_to:
        record["reply"] = {"root": reply_to.as_json(), "parent": reply_to.as_json()}
    if quote:
        record["embed"] = {"$type": "app.bsky.embed.record", "record": quote.as_json()}
    return record


def _chunks(items: list[dict[str, Any]], size: int) -> Iterator[list[dict[str, Any]]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")

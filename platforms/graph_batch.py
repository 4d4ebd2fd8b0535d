"""The Graph API's batch requests: up to 50 reads in one call, each with an answer of its own."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode, urlsplit

from platforms.base import Account, Call, Request
from platforms.errors import MalformedPayload, PlatformError, RateLimited, Rejected, Unavailable
from platforms.graph import GraphPlatform
from platforms.payloads import decode, to_count

# https://developers.facebook.com/docs/graph-api/batch-requests
SIZE = 50
FEW = 6
"""Up to this many reads go out by themselves, side by side: each has its own HTTP status and headers then."""


def ask(parts: Sequence[Request], platform: GraphPlatform, account: Account) -> Call[list[Any]]:
    """The answer or the failure of each read, in order. What timed out within a batch is asked for once more."""
    if len(parts) <= FEW:
        return list((yield tuple(parts))) if parts else []
    answers = yield from _ask_in_batches(parts, platform, account)
    late = [n for n, answer in enumerate(answers) if answer is None]
    again = (yield from _ask_in_batches([parts[n] for n in late], platform, account)) if late else []
    for n, answer in zip(late, again, strict=True):
        answers[n] = Unavailable("The platform did not answer this read in time.") if answer is None else answer
    return answers


def _ask_in_batches(parts: Sequence[Request], platform: GraphPlatform, account: Account) -> Call[list[Any]]:
    groups = [parts[start : start + SIZE] for start in range(0, len(parts), SIZE)]
    version = urlsplit(platform.base_url_for(account)).path.strip("/")
    replies = yield tuple(_batch(group, version) for group in groups)
    return [
        answer for group, reply in zip(groups, replies, strict=True) for answer in _unpack(reply, len(group), platform)
    ]


def _batch(parts: Sequence[Request], version: str) -> Request:
    reads = [{"method": "GET", "relative_url": f"{version}/{part.path}?{_query(part)}"} for part in parts]
    form = {"include_headers": "false", "batch": json.dumps(reads, separators=(",", ":"))}
    return Request("", method="POST", form=form, group="batch")


def _query(part: Request) -> str:
    return urlencode(part.params, doseq=True, safe=",().")


def _unpack(reply: Any, size: int, platform: GraphPlatform) -> list[Any]:
    """A batch's answers; None for each that timed out."""
    if isinstance(reply, PlatformError):
        return [reply] * size
    if not isinstance(reply, list) or len(reply) != size:
        return [MalformedPayload("The batch's answer is no list of as many answers as there were reads.")] * size
    return [None if item is None else _judge(item, platform) for item in reply]


def _judge(item: Any, platform: GraphPlatform) -> Any:
    """The payload of a good answer, or the failure that it tells of."""
    status = to_count(item.get("code"), "code") if isinstance(item, dict) else None
    if status is None or not isinstance(item.get("body"), str):
        return MalformedPayload("An answer of the batch has no code and body.")
    payload, unreadable = None, None
    try:
        payload = decode(item["body"].encode("utf-8", "replace"))
    except MalformedPayload as error:
        unreadable = error
    failure = platform.classify(status, {}, payload)
    if isinstance(failure, RateLimited):
        failure.retry_at = datetime.now(UTC) + timedelta(seconds=platform.backoff)
        failure.scope = failure.scope or platform.gate_scope
    if failure is None and status >= 300:
        failure = (Unavailable if status >= 500 else Rejected)(platform.error_detail(payload)[:300])
    return failure or unreadable or payload

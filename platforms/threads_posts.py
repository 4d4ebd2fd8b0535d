"""Threads posts: one call for each, with fewer metrics where some are refused or a read keeps failing."""

from collections.abc import Mapping, Sequence
from typing import Any

from platforms.base import Account, Call, Item, Raw, Reading, Request
from platforms.dimensions import Dimension, Reason
from platforms.errors import MalformedPayload, NeedsOwner, PlatformError, ScopeMissing, TryLater
from platforms.graph_errors import MetricRefused, Unexplained
from platforms.graph_insights import insight_values, insights_by_name, sift, summed
from platforms.payloads import to_count

# https://developers.facebook.com/docs/threads/insights
METRICS = ("views", "likes", "replies", "reposts", "quotes", "shares")
SHARES = ("reposts", "quotes")
FIELDS: Mapping[Dimension, str | tuple[str, ...]] = {
    Dimension.IMPRESSIONS: "views",
    Dimension.LIKES: "likes",
    Dimension.COMMENTS: "replies",
    Dimension.SHARES: SHARES,
}
INSIGHTS_SCOPE = "threads_manage_insights"
IN_TURN = 32
TRIES = 3
"""A read that failed this often without a reason is made with one metric."""
REMEMBERED = 200


def read_posts(ids: Sequence[str], account: Account) -> Call[dict[str, Item]]:
    """Raw answers by media id. Stops where a whole turn fails in a way that the next would too."""
    found: dict[str, Item] = {}
    rest, failure = list(ids), None
    while rest and failure is None:
        turn, rest = rest[:IN_TURN], rest[IN_TURN:]
        answers = yield from _read(turn, account)
        read = {i: _item(i, answer, account) for i, answer in answers.items()}
        found |= read
        failed = [item for item in read.values() if isinstance(item, TryLater | NeedsOwner)]
        failure = failed[0] if len(failed) == len(turn) else None
    if failure is not None and all(isinstance(item, PlatformError) for item in found.values()):
        raise failure
    return found | dict.fromkeys(rest, failure) if failure is not None else found


def _read(ids: Sequence[str], account: Account) -> Call[dict[str, Any]]:
    metrics = account.unretired(METRICS)
    answers = yield from _ask(ids, metrics)
    refused = [i for i in ids if isinstance(answers[i], MetricRefused)]
    if refused:
        first = refused[0]
        left = yield from sift(metrics, answers[first], lambda names: _insights(first, names))
        if left:  # posts of every kind have the same metrics
            account.retired.update(set(metrics) - set(left))
            answers |= yield from _ask(refused, left)
    stubborn = [i for i in ids if _keeps_failing(i, answers[i], account)]
    for i, answer in (yield from _ask(stubborn, METRICS[:1])).items():
        unscoped = isinstance(answer, PlatformError) and bool(account.scopes) and INSIGHTS_SCOPE not in account.scopes
        answers[i] = ScopeMissing(f"The grant lacks {INSIGHTS_SCOPE}.") if unscoped else answer
    return answers


def _ask(ids: Sequence[str], metrics: tuple[str, ...]) -> Call[dict[str, Any]]:
    """Side by side."""
    answers = (yield tuple(_insights(i, metrics) for i in ids)) if ids else ()
    return dict(zip(ids, answers, strict=True))


def _insights(post_id: str, metrics: tuple[str, ...]) -> Request:
    return Request(f"{post_id}/insights", params={"metric": ",".join(metrics)}, group="insights")


def _keeps_failing(post_id: str, answer: Any, account: Account) -> bool:
    """Count the failures without a reason: a wrong metric and a missing permission look like a passing fault."""
    known = {i: n for i, n in dict(account.memory.get("failures") or {}).items() if i != post_id}
    tries = int(dict(account.memory.get("failures") or {}).get(post_id, 0)) + 1
    if isinstance(answer, Unexplained):
        known[post_id] = min(tries, TRIES)
    elif isinstance(answer, TryLater) and tries > 1:
        known[post_id] = tries - 1
    if known != (account.memory.get("failures") or {}):
        account.memory["failures"] = dict(list(known.items())[-REMEMBERED:])
    return isinstance(answer, Unexplained) and tries >= TRIES


def _item(post_id: str, answer: Any, account: Account) -> Item:
    """A raw answer, without titles, and with the reasons for its nulls that it cannot show by itself."""
    if isinstance(answer, PlatformError):
        return answer
    if not isinstance(answer, dict) or not isinstance(answer.get("data"), list):
        return MalformedPayload("The insights are no list of metrics.")
    raw: Raw = {"id": post_id, "insights": insight_values(answer)}
    names = {dimension: (path,) if isinstance(path, str) else path for dimension, path in FIELDS.items()}
    values = post_metrics(raw)
    retired = [each for each in values if values[each] is None and account.retired & set(names[each])]
    return Reading(raw, dict.fromkeys(retired, Reason.RETIRED)) if retired else raw


def post_metrics(raw: Raw) -> dict[Dimension, int | None]:
    """Our columns from one post's raw answer."""
    insights = insights_by_name(raw.get("insights"))
    values = {each: to_count(insights.get(name), name) for each, name in FIELDS.items() if isinstance(name, str)}
    return {**values, Dimension.SHARES: summed([insights.get(name) for name in SHARES], "reposts and quotes")}

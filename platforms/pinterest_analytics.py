"""Pinterest analytics: what pins did within the window that Pinterest tells of, in as few calls as an app may make."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from platforms.base import Account, Call, Raw, Request, pick
from platforms.errors import (
    AccountNotFound,
    MalformedPayload,
    PlatformError,
    Rejected,
    Revoked,
    ScopeMissing,
    TokenExpired,
    TryLater,
)
from platforms.payloads import instant, lookup, to_count

METRICS = ("IMPRESSION", "PIN_CLICK", "OUTBOUND_CLICK", "SAVE")
VIDEO_METRIC = "VIDEO_MRC_VIEW"
DAYS = timedelta(days=89)
"""One day less than allowed, for calls around midnight."""
BATCH = 100
FEW = 2
"""Up to this many pins are asked for one by one."""
IN_TURN = 10
PATIENCE = timedelta(days=7)
"""After this long an app that was refused the batch call asks for it again."""
COUNTED = frozenset({"READY", "ESTIMATE", "PROCESSING", "BEFORE_PIN_CREATED"})
"""Days that a total holds as far as they are known. Of others, such as BEFORE_BUSINESS_CREATED, it holds nothing."""


class BadRequest(Rejected):
    """Pinterest does not accept the request as it was made."""


class NotFound(Rejected):
    """There is no such thing at Pinterest, or it is not the account's."""


class NotYours(Rejected):
    """The pin belongs neither to the account nor to a board shared with it."""


class Forbidden(Rejected):
    """Pinterest does not let this account or app see that."""


def dates() -> dict[str, str]:
    """The first and last day of the longest window, in UTC."""
    today = datetime.now(UTC).date()
    return {"start_date": str(today - DAYS), "end_date": str(today)}


def window(answer: Any, days: Mapping[str, str], *, since: str = "") -> Raw:
    """One analytics answer: totals, and how many days from `since` on were of which status."""
    rows = lookup(answer, ("all", "daily_metrics"))
    told = [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []
    own = [row for row in told if str(row.get("date")) >= since] or told
    counted = Counter(str(row.get("data_status"))[:40] for row in own)
    totals = pick(lookup(answer, "all"), ("summary_metrics", "lifetime_metrics"))
    return {**days, **totals, "data_status": dict(counted)}


def total(analytics: Any, name: str) -> int | None:
    """A window's total. A zero of days that are not ready is none."""
    value = to_count(lookup(analytics, ("summary_metrics", name)), name)
    return None if value == 0 and lookup(analytics, ("data_status", "READY")) is None else value


def covers(analytics: Any, created_on: str) -> bool:
    """Whether a window holds the whole life of a pin, so that its totals are lifetime ones."""
    start, told = lookup(analytics, "start_date"), lookup(analytics, "data_status")
    complete = isinstance(told, dict) and bool(told) and told.keys() <= COUNTED
    return complete and isinstance(start, str) and start <= created_on


def one_window(pin_id: str, account: Account, *, video: bool) -> Request:
    return Request(f"pins/{pin_id}/analytics", params=_params(account, video=video), group="org_analytics")


def _params(account: Account, *, video: bool) -> dict[str, str]:
    return {**dates(), "metric_types": ",".join(_asked(account, video=video))}


def _asked(account: Account, *, video: bool) -> list[str]:
    return list(account.unretired((*METRICS, *([VIDEO_METRIC] if video else []))))


def read_windows(ids: Sequence[str], account: Account, *, video: bool) -> Call[dict[str, Any]]:
    """Analytics answers or refusals by pin id. A pin for which there was no call left is left out."""
    found: dict[str, Any] = {}
    if len(ids) > FEW and not _refused_lately(account):
        found = yield from _in_batches(ids, account, video=video)
    rest = [pin_id for pin_id in ids if pin_id not in found]
    while rest:
        turn, rest = rest[:IN_TURN], rest[IN_TURN:]
        answers = yield tuple(one_window(pin_id, account, video=video) for pin_id in turn)
        found |= zip(turn, answers, strict=True)
        _raise_dead(answers)
        if retire(answers, account, video=video):
            rest = [pin_id for pin_id in turn if isinstance(found[pin_id], BadRequest)] + rest
        elif all(isinstance(answer, ScopeMissing | Forbidden) for answer in answers):
            return found | dict.fromkeys(rest, answers[0])
        elif all(isinstance(answer, TryLater) for answer in answers):
            break
    return found


def _raise_dead(answers: Iterable[Any]) -> None:
    for answer in answers:
        if isinstance(answer, TokenExpired | Revoked | AccountNotFound):
            raise answer


def retire(answers: Iterable[Any], account: Account, *, video: bool) -> bool:
    """Whether a refusal names some of the metrics that pins were asked for: those are withdrawn."""
    return retire_named(answers, set(_asked(account, video=video)), account)


def retire_named(answers: Iterable[Any], asked: set[str], account: Account) -> bool:
    """The same of any metrics that were asked for."""
    refused: set[str] = set()
    for answer in answers:
        if isinstance(answer, BadRequest):
            refused |= {
                name for name in asked if re.search(rf"\b{name}\b", answer.detail.partition(" is not one of")[0])
            }
    if refused >= asked:  # a list of all there are
        return False
    account.retired.update(refused)
    return bool(refused)


# https://developers.pinterest.com/docs/api/v5/multi_pins-analytics: in beta, and not for all apps
def _batch(ids: Sequence[str], account: Account, *, video: bool) -> Request:
    named: str | Sequence[str] = ids if account.memory.get("pin_ids") == "repeated" else ",".join(ids)
    return Request("pins/analytics", params={"pin_ids": named, **_params(account, video=video)}, group="org_analytics")


def _in_batches(ids: Sequence[str], account: Account, *, video: bool) -> Call[dict[str, Any]]:
    """What batches tell. One that is refused is halved, until it is clear that all are."""
    found, refused = yield from _send([ids[n : n + BATCH] for n in range(0, len(ids), BATCH)], account, video=video)
    if refused and not found and all(isinstance(error, BadRequest) for _, error in refused):
        account.memory["pin_ids"] = "repeated"  # which of the two spellings is meant, the specification leaves open
        found, refused = yield from _send([chunk for chunk, _ in refused], account, video=video)
        if not found:
            account.memory.pop("pin_ids")
    while refused:
        closed = any(isinstance(error, Forbidden | ScopeMissing) for _, error in refused)
        if closed or (not found and len(refused) > 1):
            account.memory["batch_refused_on"] = str(datetime.now(UTC).date())
            break
        halves = [half for chunk, _ in refused for half in (chunk[: len(chunk) // 2], chunk[len(chunk) // 2 :])]
        more, refused = yield from _send([half for half in halves if len(half) > FEW], account, video=video)
        found |= more
    return found


Refusals = list[tuple[Sequence[str], PlatformError]]


def _send(work: list[Sequence[str]], account: Account, *, video: bool) -> Call[tuple[dict[str, Any], Refusals]]:
    """What batches side by side tell, and those that were refused. Withdrawn metrics are left out and asked no more."""
    found: dict[str, Any] = {}
    refused: Refusals = []
    while work:
        answers = yield tuple(_batch(chunk, account, video=video) for chunk in work)
        _raise_dead(answers)
        refused = []
        for chunk, answer in zip(work, answers, strict=True):
            if isinstance(answer, TryLater):
                found |= dict.fromkeys(chunk, answer)
            elif isinstance(answer, dict):
                found |= {pin_id: answer[pin_id] for pin_id in chunk if pin_id in answer}
            else:
                refused.append((chunk, answer if isinstance(answer, PlatformError) else MalformedPayload()))
        work = [chunk for chunk, _ in refused] if retire(answers, account, video=video) else []
    return found, refused


def _refused_lately(account: Account) -> bool:
    told = instant(account.memory.get("batch_refused_on"))
    return told is not None and datetime.now(UTC) - told < PATIENCE

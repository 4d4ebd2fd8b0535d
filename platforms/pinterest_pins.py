"""Pinterest pins: the listing that carries lifetime counts, and single pins beside it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from platforms.base import Account, Call, Item, Raw, Reading, Request, objects, unread
from platforms.dimensions import Dimension, Reason
from platforms.errors import Gone, MalformedPayload, NeedsOwner, PlatformError, Rejected, ScopeMissing, TryLater
from platforms.pinterest_analytics import (
    FEW,
    IN_TURN,
    VIDEO_METRIC,
    BadRequest,
    NotFound,
    dates,
    one_window,
    read_windows,
    retire,
    window,
)
from platforms.pinterest_metrics import FIELDS, WINDOWED, created_on, is_video, pin_metrics, pin_raw

PAGE = 250
IDLE_PAGES = 20
"""After this many pages without a wanted pin the rest is read one by one."""
REMEMBERED = 500


def pin_page(cursor: str = "", **more: str) -> Request:
    """A page of the account's own pins with their lifetime counts."""
    params = {"pin_metrics": "true", "page_size": str(PAGE), **more} | ({"bookmark": cursor} if cursor else {})
    return Request("pins", params=params, group="org_read")


def _single(pin_id: str) -> Request:
    return Request(f"pins/{pin_id}", params={"pin_metrics": "true"}, group="org_read", vital=True)


@dataclass
class _Seen:
    """What was found of the pins that are wanted: pins, failures, and what analytics said of them."""

    wanted: tuple[str, ...]
    pins: dict[str, Raw | PlatformError] = field(default_factory=dict)
    windows: dict[str, Any] = field(default_factory=dict)
    failure: PlatformError | None = None
    ended: bool = False

    @property
    def left(self) -> list[str]:
        return [pin_id for pin_id in self.wanted if pin_id not in self.pins]


def read_pins(ids: Sequence[str], account: Account) -> Call[dict[str, Item]]:
    """Raw answers by pin id: many from the listing, few and what it does not show one by one; then their saves."""
    unlisted = frozenset(account.memory.get("unlisted", ()))
    seen = _Seen(tuple(ids))
    listed = frozenset(ids) - unlisted
    if len(listed) > FEW:
        yield from _walk(seen, listed)
    yield from _read_singly(seen, account)
    if seen.failure is not None and all(isinstance(pin, PlatformError) for pin in seen.pins.values()):
        raise seen.failure
    yield from _read_analytics(seen, account)
    failed = dict.fromkeys(seen.left, seen.failure) if seen.failure is not None else {}
    return failed | {pin_id: _item(pin, seen.windows.get(pin_id), account) for pin_id, pin in seen.pins.items()}


def _walk(seen: _Seen, listed: frozenset[str]) -> Call[None]:
    """Pins of the listing, while another page may still save calls: one by one, each pin costs one."""
    cursor, idle = "", 0
    while not seen.ended and idle < min(IDLE_PAGES, len(listed) - len(seen.pins)):
        try:
            page = yield pin_page(cursor)
        except TryLater as error:
            seen.failure = error  # what was found is kept
            return
        except Rejected:
            if not cursor:
                raise
            return  # a bookmark that is too old
        pins = [pin for pin in objects(page["items"]) if isinstance(pin.get("id"), str)]
        hits = {pin["id"]: pin_raw(pin) for pin in pins if pin["id"] in listed}
        idle = 0 if hits.keys() - seen.pins.keys() else idle + 1
        seen.pins |= hits
        after = str(page.get("bookmark") or "")
        seen.ended = after in ("", cursor)
        cursor = after


def _read_singly(seen: _Seen, account: Account) -> Call[None]:
    """What is left, pin by pin; with analytics beside, where there are few."""
    beside = len(seen.wanted) <= FEW
    while seen.left and seen.failure is None:
        turn = seen.left[:IN_TURN]
        videos = account.memory.get("videos", ())
        asked = [one_window(pin_id, account, video=pin_id in videos) for pin_id in turn] if beside else []
        answers = yield (*map(_single, turn), *asked)
        read = [_about(pin_id, answer) for pin_id, answer in zip(turn, answers, strict=False)]
        seen.pins |= zip(turn, read, strict=True)
        seen.windows |= zip(turn, answers[len(turn) :], strict=False)
        failed = [pin for pin in read if isinstance(pin, TryLater | NeedsOwner | MalformedPayload)]
        seen.failure = failed[0] if len(failed) == len(turn) else None
        if seen.ended:
            _remember(account, "unlisted", [i for i, pin in zip(turn, read, strict=True) if isinstance(pin, dict)])


def _about(pin_id: str, answer: Any) -> Raw | PlatformError:
    if isinstance(answer, PlatformError):
        return Gone(answer.detail) if isinstance(answer, NotFound) else answer
    try:
        raw = pin_raw(answer)
    except (LookupError, TypeError):
        raw = {}
    if raw.get("id") != pin_id:  # or about another pin than the one asked for
        return unread(answer)
    return raw


def _read_analytics(seen: _Seen, account: Account) -> Call[None]:
    """Analytics of the pins that the window holds from their first day: of older ones no column can come of it."""
    start, known, late = dates()["start_date"], account.memory.get("videos", ()), account.memory.get("late", ())
    again = retire(seen.windows.values(), account, video=True)
    young = {i: pin for i, pin in seen.pins.items() if isinstance(pin, dict) and start <= created_on(pin)}
    videos = [i for i, pin in young.items() if is_video(pin)]
    wanting = [i for i in videos if i not in known and VIDEO_METRIC not in account.retired]
    for video in (False, True):
        missing = [i for i in young if (i in videos) is video and i not in seen.windows]
        refused = [i for i in young if isinstance(seen.windows.get(i), BadRequest)]
        missing += [i for i in refused if again or (i in known and not video)]
        missing += [i for i in wanting if video and isinstance(seen.windows.get(i), dict)]
        missing.sort(key=lambda i: i not in late)
        found = yield from read_windows(missing, account, video=video)
        refused = [i for i, answer in found.items() if video and isinstance(answer, BadRequest)]
        found |= yield from read_windows([i for i in refused if i not in seen.windows], account, video=False)
        seen.windows |= {
            i: told for i, told in found.items() if not isinstance(seen.windows.get(i), dict) or isinstance(told, dict)
        }
    _remember(account, "videos", videos)
    _note_late(account, [i for i in young if isinstance(seen.windows.get(i), TryLater | None)], seen.wanted)


def _note_late(account: Account, left: Sequence[str], asked: Sequence[str]) -> None:
    """Pins for whose analytics no call was left go first the next time."""
    late = [i for i in account.memory.get("late", ()) if i not in set(asked)] + list(left)
    account.memory.pop("late", None)
    if late:
        account.memory["late"] = late[-REMEMBERED:]


def _item(pin: Raw | PlatformError, answer: Any, account: Account) -> Item:
    """A pin's raw answer with its window, and the reasons for its nulls that they cannot show by themselves."""
    if isinstance(pin, PlatformError):
        return pin
    raw: Raw = {"pin": pin}
    reasons = account.lost(FIELDS)
    if isinstance(answer, ScopeMissing):
        reasons |= dict.fromkeys(_only_windowed(pin), Reason.SCOPE_MISSING)
    if answer is not None and not isinstance(answer, PlatformError):
        raw["analytics"] = window(answer, dates(), since=created_on(pin))
    return Reading(raw, reasons) if reasons else raw


def _only_windowed(pin: Raw) -> list[Dimension]:
    """The columns of a pin that only analytics could fill."""
    windowed = [name for name in WINDOWED if name is not Dimension.VIDEO_VIEWS or is_video(pin)]
    counted = pin_metrics({"pin": pin})
    return [name for name in windowed if counted[name] is None]


def _remember(account: Account, name: str, ids: Sequence[str]) -> None:
    known = [i for i in account.memory.get(name, ()) if i not in ids]
    if ids:
        account.memory[name] = [*known, *ids][-REMEMBERED:]

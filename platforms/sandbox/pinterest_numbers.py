"""Pinterest API v5: how pins are written down, and the windows that analytics tell of."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

from platforms.sandbox.pinterest_oauth import error
from platforms.sandbox.wire import Call, Refused
from platforms.sandbox.world import DAY, Numbers, activity, mix, numbers, owner_bits

ANY_PIN = ("IMPRESSION", "OUTBOUND_CLICK", "PIN_CLICK", "SAVE", "SAVE_RATE", "TOTAL_COMMENTS", "TOTAL_REACTIONS")
NO_VIDEO = ("USER_FOLLOW", "PROFILE_VISIT")
VIDEO = ("VIDEO_MRC_VIEW", "VIDEO_10S_VIEW", "QUARTILE_95_PERCENT_VIEW", "VIDEO_START")
ACCOUNT = ("ENGAGEMENT", "IMPRESSION", "OUTBOUND_CLICK", "PIN_CLICK", "SAVE")
LIFETIME = ("TOTAL_COMMENTS", "TOTAL_REACTIONS")


def made_at(pin_id: str) -> float:
    """When a pin was made, from its id."""
    return (int(pin_id) >> 29) + (int(pin_id) & 0x7F) / 128


def owned(pin_id: str, account_id: str) -> bool:
    """Whether a pin is the account's own."""
    return int(pin_id) >> 7 & 0x3FFFFF == owner_bits(account_id, 22)


def _is_video(pin_id: str) -> bool:
    return mix(f"kind:{pin_id}") & 3 == 0


def pin(call: Call, pin_id: str, *, is_owner: bool = True) -> dict[str, Any]:
    """A pin; its counts only if they are asked for, and only for its owner."""
    video = _is_video(pin_id)
    item: dict[str, Any] = {
        "id": pin_id,
        "created_at": datetime.fromtimestamp(int(made_at(pin_id)), UTC).strftime("%Y-%m-%dT%H:%M:%S"),
        "title": f"Sandbox pin {pin_id[-6:]}",
        "description": "",
        "link": "https://example.com/",
        "board_id": str(540000000000000000 + mix(pin_id)),
        "creative_type": "VIDEO" if video else "REGULAR",
        "media": {"media_type": "video" if video else "image"},
        "is_owner": is_owner,
    }
    if call.state.switches["repins"] and mix(f"repin:{pin_id}") & 7 == 0:
        item["parent_pin_id"] = str(int(pin_id) - 1)
    if call.request.first("pin_metrics") == "true":
        item["pin_metrics"] = _pin_metrics(call, pin_id) if is_owner else None
    return item


def _pin_metrics(call: Call, pin_id: str) -> dict[str, Any]:
    age = call.now - made_at(pin_id)
    now, before = numbers(pin_id, age), numbers(pin_id, age - 90 * DAY)
    lifetime = {
        "impression": now.impressions,
        "pin_click": now.clicks,
        "clickthrough": now.clicks // 2,
        "reaction": now.likes,
        "comment": now.comments,
    }
    recent = {
        "impression": now.impressions - before.impressions,
        "pin_click": now.clicks - before.clicks,
        "clickthrough": now.clicks // 2 - before.clicks // 2,
    }
    shown = call.state.switches["lifetime_metrics"]
    withdrawn = call.withdrawn()
    lifetime = {name: value for name, value in lifetime.items() if name not in withdrawn}
    return {"90d": recent, "lifetime_metrics": lifetime} if shown else {"90d": recent}


def asked(call: Call, *, videos: list[str]) -> list[str]:
    """The metrics asked for, if all the pins have them."""
    only_videos = all(_is_video(one) for one in videos)
    known = ANY_PIN + (VIDEO if only_videos else NO_VIDEO)
    return _checked(call, known)


def _checked(call: Call, known: tuple[str, ...]) -> list[str]:
    allowed = [name for name in known if name not in call.withdrawn()]
    named = call.request.listed("metric_types")
    wrong = next((name for name in named if name not in allowed), None)
    if wrong or not named:
        raise Refused(error(400, 1, f"metric_types: '{wrong}' is not one of {allowed}"))
    return named


def _window(call: Call) -> tuple[date, date]:
    """The first and last day asked for, within the last 90."""
    today = datetime.fromtimestamp(call.now, UTC).date()
    try:
        start, end = (date.fromisoformat(call.request.first(name)) for name in ("start_date", "end_date"))
    except ValueError:
        raise Refused(error(400, 1, "start_date and end_date must be YYYY-MM-DD")) from None
    if start < today - timedelta(days=90) or not timedelta() <= end - start <= timedelta(days=90):
        raise Refused(error(400, 1, "start_date cannot be more than 90 days back, end_date 90 days after it"))
    return start, end


def _midnight(day: date) -> float:
    return datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()


def pin_totals(call: Call, pin_id: str, metrics: list[str]) -> dict[str, Any]:
    """A pin's totals of the window and of its days. What is not told by the day is a lifetime count."""
    start, end = _window(call)
    made, until = made_at(pin_id), min(call.now, _midnight(end) + DAY)
    period = [name for name in metrics if name not in LIFETIME]
    summary = _difference(pin_id, period, _midnight(start) - made, until - made)
    days = []
    for day in (start + timedelta(days=n) for n in range((end - start).days + 1)):
        row: dict[str, Any] = {"date": day.isoformat(), "data_status": _status(call, day, made)}
        if row["data_status"] == "READY":
            begin = _midnight(day) - made
            row["metrics"] = _difference(pin_id, period, begin, begin + DAY) | dict.fromkeys(
                set(metrics) & set(LIFETIME), 0
            )
        days.append(row)
    counts = numbers(pin_id, call.now - made)
    ever = {"TOTAL_COMMENTS": counts.comments, "TOTAL_REACTIONS": counts.likes}
    lifetime = {name: ever[name] for name in metrics if name in LIFETIME}
    return {"all": {"summary_metrics": summary, "daily_metrics": days, "lifetime_metrics": lifetime}}


def _status(call: Call, day: date, made: float) -> str:
    if _midnight(day) + DAY <= made:
        return "BEFORE_PIN_CREATED"
    return "READY" if _midnight(day) + DAY <= call.now else "PROCESSING"


def _difference(pin_id: str, metrics: list[str], begin: float, end: float) -> dict[str, float]:
    """What was counted between two ages."""
    before, after = _named(numbers(pin_id, begin)), _named(numbers(pin_id, end))
    found: dict[str, float] = {name: after[name] - before[name] for name in metrics if name in after}
    if "SAVE_RATE" in metrics:
        seen = after["IMPRESSION"] - before["IMPRESSION"]
        found["SAVE_RATE"] = (after["SAVE"] - before["SAVE"]) / seen if seen else 0.0
    return found


def _named(counts: Numbers) -> dict[str, int]:
    return {
        "IMPRESSION": counts.impressions,
        "PIN_CLICK": counts.clicks,
        "OUTBOUND_CLICK": counts.clicks // 2,
        "SAVE": counts.saves,
        "USER_FOLLOW": counts.follows,
        "PROFILE_VISIT": counts.profile_clicks,
        "VIDEO_MRC_VIEW": counts.video_views,
        "VIDEO_10S_VIEW": counts.video_views // 2,
        "QUARTILE_95_PERCENT_VIEW": counts.video_views // 4,
        "VIDEO_START": counts.video_views,
    }


def account_totals(call: Call, account_id: str) -> dict[str, Any]:
    """An account's totals of the window; paid ones too, unless only organic ones are asked for."""
    metrics = _checked(call, ACCOUNT)
    start, end = _window(call)
    paid = 1.0 if call.request.first("content_type", "ALL") == "ORGANIC" else 1.2
    until = min(call.now, _midnight(end) + DAY)
    totals = {name: int(paid * activity(account_id, name, since=_midnight(start), until=until)) for name in metrics}
    days = [
        {"date": day.isoformat(), "data_status": "READY", "metrics": dict.fromkeys(metrics, 0)}
        for day in (start + timedelta(days=n) for n in range((end - start).days + 1))
        if _midnight(day) + DAY <= call.now
    ]
    return {"all": {"summary_metrics": totals, "daily_metrics": days}}

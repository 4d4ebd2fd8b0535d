"""TikTok videos: their counts, the listing, and the videos that publish ids became."""

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from platforms.base import Account, Call, Item, Listed, Listing, Raw, Reading, Request, by_ids, objects, pick
from platforms.dimensions import Dimension
from platforms.errors import Gone, NeedsOwner, PlatformError, Rejected, ScopeMissing, Unavailable
from platforms.payloads import epoch, lookup

FIELDS = {
    Dimension.IMPRESSIONS: "view_count",
    Dimension.LIKES: "like_count",
    Dimension.COMMENTS: "comment_count",
    Dimension.SHARES: "share_count",
    Dimension.VIDEO_VIEWS: "view_count",
}
METRICS = tuple(dict.fromkeys(FIELDS.values()))
NODE = ("id", "create_time")
PAGE = 20
REMEMBERED = 200


def read_videos(ids: Sequence[str], account: Account) -> Call[dict[str, Item]]:
    """Videos by the ids asked for. A publish id stands for the video that it became, once TikTok says which."""
    known: dict[str, str] = account.memory.get("published", {})
    named = {post_id: post_id if post_id.isdecimal() else known.get(post_id, "") for post_id in ids}
    unnamed = [post_id for post_id, video_id in named.items() if not video_id]
    videos = [video_id for video_id in named.values() if video_id]
    answers = yield (*([_query(videos, account)] if videos else []), *map(_status, unnamed))
    read = (yield from _read(answers[0], videos, account)) if videos else {}
    outcomes = dict(zip(unnamed, map(_published, answers[1 if videos else 0 :]), strict=True))
    became = {post_id: video_id for post_id, video_id in outcomes.items() if isinstance(video_id, str)}
    if became:
        account.memory["published"] = dict([*known.items(), *became.items()][-REMEMBERED:])
    wanted = [video_id for video_id in became.values() if video_id not in read]
    if wanted:
        (answer,) = yield (_query(wanted, account),)
        read |= yield from _read(answer, wanted, account)
    found: dict[str, Item] = {p: error for p, error in outcomes.items() if isinstance(error, PlatformError)}
    for post_id, video_id in (named | became).items():
        if video_id in read:
            video = read[video_id]
            found[post_id] = _reading(post_id, video_id, video, account) if isinstance(video, dict) else video
    return found


def list_videos(account: Account, cursor: str) -> Call[Listing]:
    """A page of the public videos. It may be short, or empty, while there is more."""
    answer = yield from ask(lambda: _page(account, cursor), METRICS, account)
    lost = account.lost(FIELDS)
    posts = [
        Listed(video_id, _url(video), epoch(str(video.get("create_time"))), pick(video, NODE + METRICS), lost)
        for video_id, video in dict(map(_video, objects(_videos(answer)))).items()
    ]
    after = str(int(answer["data"]["cursor"])) if answer["data"].get("has_more") is True else ""
    return Listing(tuple(posts), "" if after == cursor else after)


# https://developers.tiktok.com/doc/tiktok-api-v2-video-query
def _query(video_ids: Iterable[str], account: Account) -> Request:
    body = {"filters": {"video_ids": list(dict.fromkeys(video_ids))}}
    return Request("video/query/", "POST", params=_fields(account), json=body, group="video/query")


# https://developers.tiktok.com/doc/tiktok-api-v2-video-list
def _page(account: Account, cursor: str) -> Request:
    body = {"max_count": PAGE} | ({"cursor": int(cursor)} if cursor else {})
    return Request("video/list/", "POST", params=_fields(account, "share_url"), json=body, group="video/list")


# https://developers.tiktok.com/doc/content-posting-api-reference-get-video-status
def _status(publish_id: str) -> Request:
    return Request("post/publish/status/fetch/", "POST", json={"publish_id": publish_id}, group="publish/status")


def _fields(account: Account, *more: str) -> dict[str, str]:
    return {"fields": ",".join((*NODE, *more, *(name for name in METRICS if name not in account.retired)))}


def _read(answer: Any, video_ids: Sequence[str], account: Account) -> Call[dict[str, Item]]:
    """The videos of a query's answer; asked again where it refuses a metric."""
    if isinstance(answer, Rejected) and _retire(answer, METRICS, account):
        answer = yield from ask(lambda: _query(video_ids, account), METRICS, account)
    if isinstance(answer, PlatformError):
        raise answer
    return by_ids(_videos(answer), video_ids, _counted)


def ask(request: Callable[[], Request], metrics: Iterable[str], account: Account) -> Call[Any]:
    """An answer. A metric that is refused by name is left out of the next question."""
    while True:
        try:
            return (yield request())
        except Rejected as error:
            if not _retire(error, metrics, account):
                raise


def _retire(error: Rejected, metrics: Iterable[str], account: Account) -> bool:
    """Whether a refusal names some of the metrics that were asked for: those are withdrawn."""
    asked = {name for name in metrics if name not in account.retired}
    refused = {name for name in asked if re.search(rf"\b{name}\b", error.detail)}
    if refused == asked:  # a list of all there are
        return False
    account.retired.update(refused)
    return bool(refused)


def _reading(asked: str, video_id: str, raw: Raw, account: Account) -> Reading:
    return Reading(raw, account.lost(FIELDS), id="" if video_id == asked else video_id)


def _published(answer: Any) -> str | PlatformError:
    """The id of the video that a publish id became, or why there is none."""
    if isinstance(answer, NeedsOwner) and not isinstance(answer, ScopeMissing):
        raise answer
    if isinstance(answer, PlatformError):
        return answer
    if lookup(answer, ("data", "status")) == "FAILED":
        return Gone("TikTok did not publish this post.")
    found = lookup(answer, ("data", "publicaly_available_post_id"))
    ids = {str(each) for each in found} if isinstance(found, list) else set()
    if len(ids) == 1 and re.fullmatch("[0-9]{1,20}", only := ids.pop()):
        return only
    return Unavailable("TikTok does not say yet which video this publish id became.")


def _videos(answer: Any) -> Any:
    videos = answer["data"]["videos"]
    return [] if videos is None else videos


def _video(video: Any) -> tuple[str, Raw]:
    """A video with its id. One that is none must not pass for a video that was left out."""
    if not re.fullmatch("[0-9]{1,20}", str(video["id"])):
        raise TypeError("expected video ids of digits")
    return str(video["id"]), video


def _counted(video: Any) -> tuple[str, Raw]:
    return _video(video)[0], pick(video, NODE + METRICS)


def _url(video: Raw) -> str:
    url = video.get("share_url")
    return url.partition("?")[0] if isinstance(url, str) else ""

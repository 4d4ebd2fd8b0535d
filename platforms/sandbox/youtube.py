"""YouTube, Data API v3: videos, channels and playlists, with a daily quota of each bucket."""

import base64
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from platforms.sandbox import google, google_consent
from platforms.sandbox.state import Fault
from platforms.sandbox.tokens import Claims
from platforms.sandbox.wire import Answer, Call, Refused, SandboxRequest, Wire, listed
from platforms.sandbox.world import followers, mix, numbers, owner_bits, posts_count

HOSTS = ("www.googleapis.com", "youtube.googleapis.com")
SCOPE = "https://www.googleapis.com/auth/youtube.readonly"
SCOPES = (SCOPE, "https://www.googleapis.com/auth/youtube", "https://www.googleapis.com/auth/youtube.force-ssl")
TERMS = google_consent.terms(
    "youtube",
    "YouTube",
    ("UCsbxAda0000000000000001", "UCsbxBen0000000000000002", "UCsbxCleo000000000000003"),
    name=lambda channel: f"Channel @sandbox-{channel[-4:].lower()}",
)
PACIFIC = ZoneInfo("America/Los_Angeles")
MAX_IDS = 50
_GROUPS = {
    "/youtube/v3/videos": "videos",
    "/youtube/v3/videos:batchGetStats": "batch_get_stats",
    "/youtube/v3/channels": "channels",
    "/youtube/v3/playlistItems": "playlist_items",
}
_PARTS = {
    "videos": {"id", "snippet", "statistics", "status", "contentDetails"},
    "batch_get_stats": {"id", "snippet", "statistics", "contentDetails"},
    "channels": {"id", "snippet", "statistics", "status", "contentDetails"},
    "playlist_items": {"id", "snippet", "status", "contentDetails"},
}
_KNOWN = {
    "videos": {"part", "id", "maxResults", "pageToken", "key"},
    "batch_get_stats": {"part", "id", "key"},
    "channels": {"part", "id", "mine", "maxResults", "pageToken", "key"},
    "playlist_items": {"part", "playlistId", "maxResults", "pageToken", "key"},
}
# An id is a number of 64 bits in 11 letters: when, whose and a check, well mixed.
_MIX, _BITS = 0x9E3779B97F4A7C15, 1 << 64
_UNMIX = pow(_MIX, -1, _BITS)


def encode(account_id: str, at: float) -> str:
    """The id of an account's video of that second."""
    plain = int(at) << 32 | owner_bits(account_id, 24) << 8
    mixed = (plain | mix(str(plain)) & 0xFF) * _MIX % _BITS
    return base64.urlsafe_b64encode(mixed.to_bytes(8, "big")).decode().rstrip("=")


def decode(video_id: str) -> tuple[int, int] | None:
    """When a video was published and its owner's bits; None if there was never such a video."""
    try:
        mixed = int.from_bytes(base64.b64decode(video_id + "=", altchars=b"-_", validate=True), "big")
    except ValueError:
        return None
    number = mixed * _UNMIX % _BITS
    plain = number >> 8 << 8
    good = len(video_id) == 11 and mixed < _BITS and number & 0xFF == mix(str(plain)) & 0xFF
    return (number >> 32, number >> 8 & 0xFFFFFF) if good else None


class YouTube(Wire):
    """The Data API and its token endpoint."""

    key = "youtube"
    hosts = (*HOSTS, google.TOKEN_HOST, google_consent.HOST)
    switches = {
        "quota": {"batch_get_stats": 10000, "general": 10000},  # units a day, in each bucket
        "rate_limits": True,
        "private": [],  # ids of videos that only their owner sees
        "unlisted": [],
        "likes_hidden": [],  # ids of videos whose owner hides the likes
        "comments_off": [],
        "hidden_subscribers": False,
        "no_channel": False,
        "summary": True,  # whether batchGetStats adds its `summary`
        **google.SWITCHES,
    }
    token_groups = frozenset({"token", "authorize"})
    own_faults = frozenset({"user_rate_limited", "account_suspended", "not_enabled", "forbidden"})

    def group(self, request: SandboxRequest) -> str:
        if request.host in (google.TOKEN_HOST, google_consent.HOST):
            return google_consent.group(request)
        return _GROUPS.get(request.path, "other") if request.method == "GET" else "other"

    def serves(self, request: SandboxRequest) -> bool:
        if request.host == google.TOKEN_HOST:
            return not google.family_of(request, "google_business") and not google_consent.is_business(request)
        if request.host == google_consent.HOST:
            return not google_consent.is_business(request)
        return request.host in self.hosts

    def answer(self, call: Call) -> Answer:
        if call.group in self.token_groups:
            return google_consent.answer(call, TERMS, SCOPE)
        if call.group == "other":
            return google.error(404, "Not Found", "notFound")
        self._spend(call)
        claims = self._claims(call)
        parts = _parts(call)
        if call.group == "channels":
            return _channels(call, parts, claims)
        if call.group == "playlist_items":
            return _playlist(self, call, parts, claims)
        return _videos(call, parts, claims)

    def _claims(self, call: Call) -> Claims | None:
        """Whose token it is; None for a call with an API key, which sees what is public."""
        if call.request.first("key") and not call.request.bearer():
            return None
        return google.authenticate(call, self.key, _unauthorized(), _unscoped(), scopes=SCOPES)

    def _spend(self, call: Call) -> None:
        """Every call costs a unit of its bucket, a bad one as well; buckets fill at midnight on the Pacific coast."""
        if not call.state.switches["rate_limits"]:
            return
        bucket = call.group if call.group == "batch_get_stats" else "general"
        today = datetime.fromtimestamp(call.now, PACIFIC).date()
        limit = call.state.switches["quota"][bucket]
        if call.state.spend(f"{bucket}:{today}", limit=limit, seconds=2 * 86400, now=call.now)[0] < 0:
            raise Refused(_quota())

    def refusal(self, call: Call, fault: Fault) -> Answer:
        if fault.kind == "rate_limited" and fault.retry_after is not None:
            answer = _slow_down("rateLimitExceeded")
            answer.headers["Retry-After"] = str(int(fault.retry_after))
            return answer
        return _REFUSALS[fault.kind]()

    def post_id(self, account_id: str, at: float) -> str:
        return encode(account_id, at)

    def tokens(self, account_id: str, now: float, lifetime: float | None, **extra: Any) -> dict[str, Any]:
        return google.grant(self.key, account_id, now, lifetime)


def _unauthorized() -> Answer:
    return google.error(401, "Invalid Credentials", "authError")


def _unscoped() -> Answer:
    return google.error(403, "Request had insufficient authentication scopes.", "insufficientPermissions")


def _quota() -> Answer:
    link = '<a href="/youtube/v3/getting-started#quota">quota</a>'
    message = f"The request cannot be completed because you have exceeded your {link}."
    return google.error(403, message, "quotaExceeded", domain="youtube.quota")


def _slow_down(reason: str) -> Answer:
    return google.error(403, "Rate Limit Exceeded", reason, domain="usageLimits")


_REFUSALS: Mapping[str, Callable[[], Answer]] = {
    "server_error": lambda: google.error(503, "Backend Error", "backendError"),
    "token_expired": _unauthorized,
    "scope_missing": _unscoped,
    "refuse_refresh": google.invalid_grant,
    "rate_limited": _quota,
    "user_rate_limited": lambda: _slow_down("userRateLimitExceeded"),
    "account_suspended": lambda: google.error(
        403, "The authenticated user's account is suspended.", "authenticatedUserAccountSuspended", domain="youtube"
    ),
    "not_enabled": lambda: google.error(
        403, "YouTube Data API v3 has not been used in project 1.", "accessNotConfigured", domain="usageLimits"
    ),
    "forbidden": lambda: google.error(403, "Forbidden", "forbidden"),
}


def _parts(call: Call) -> set[str]:
    if unknown := set(call.request.query) - _KNOWN[call.group]:
        raise Refused(google.error(400, f"Unexpected parameter {sorted(unknown)[0]}", "unexpectedParameter"))
    parts = set(call.request.listed("part"))
    if not parts:
        raise Refused(google.error(400, "No part selected", "missingRequiredParameter"))
    if unknown := parts - _PARTS[call.group]:
        raise Refused(google.error(400, f"'{sorted(unknown)[0]}' is no part", "unexpectedParameter"))
    return parts


def _ids(call: Call) -> list[str]:
    ids = list(dict.fromkeys(call.request.listed("id")))
    if not ids:
        raise Refused(google.error(400, "No filter selected. Expected one of: id", "missingRequiredParameter"))
    if call.request.first("maxResults") or call.request.first("pageToken"):
        raise Refused(google.error(400, "The request combines id and paging.", "incompatibleParameters"))
    if len(ids) > MAX_IDS:
        raise Refused(google.error(400, f"The request names more than {MAX_IDS} ids.", "invalidParameter"))
    return ids


def _videos(call: Call, parts: set[str], claims: Claims | None) -> Answer:
    """Those that exist and that the caller may see; nothing is said of the others."""
    ids = _ids(call)
    found = {video_id: video for video_id in ids if (video := _video(call, video_id, parts, claims))}
    if call.group == "videos":
        page = {"totalResults": len(found), "resultsPerPage": len(found)}
        return Answer({"kind": "youtube#videoListResponse", "etag": "x", "items": [*found.values()], "pageInfo": page})
    answer: dict[str, Any] = {"kind": "youtube#batchGetStatsResponse", "etag": "x", "items": [*found.values()]}
    if call.state.switches["summary"]:
        failed = [video_id for video_id in ids if video_id not in found]
        told = {"requestedVideoCount": len(ids), "succeededVideoCount": len(found), "failedVideoCount": len(failed)}
        answer["summary"] = {**told, "failedVideoIds": failed}
    return Answer(answer)


def _video(call: Call, video_id: str, parts: set[str], claims: Claims | None) -> dict[str, Any] | None:
    known = decode(video_id)
    if known is None or known[0] > call.now or video_id in call.state.deleted:
        return None
    at, owner = known
    own = claims is not None and owner_bits(claims.account_id, 24) == owner
    if video_id in call.state.switches["private"] and not own:
        return None
    batch = call.group == "batch_get_stats"
    video: dict[str, Any] = {"kind": "youtube#videoStats" if batch else "youtube#video", "etag": "x", "id": video_id}
    if "snippet" in parts:
        video["snippet"] = {"publishTime": iso(at)} if batch else {"publishedAt": iso(at), "title": "Sandbox video"}
    if "statistics" in parts:
        video["statistics"] = _statistics(call, video_id, at, batch=batch)
    if "contentDetails" in parts:
        seconds = 15 + mix(f"duration:{video_id}") % 900
        video["contentDetails"] = {"duration": f"{seconds}s" if batch else f"PT{seconds}S"}
    if "status" in parts:
        video["status"] = {"privacyStatus": privacy(call, video_id), "uploadStatus": "processed"}
    return video


def _statistics(call: Call, video_id: str, at: float, *, batch: bool) -> dict[str, str]:
    """Counts are text; one that the owner hides is left out."""
    counts, switches = numbers(video_id, call.now - at), call.state.switches
    told = {"viewCount": counts.impressions, "likeCount": counts.likes, "commentCount": counts.comments}
    if not batch:
        told["favoriteCount"] = 0
    hidden = {"likeCount": video_id in switches["likes_hidden"], "commentCount": video_id in switches["comments_off"]}
    gone = call.withdrawn()
    return {name: str(value) for name, value in told.items() if not hidden.get(name) and name not in gone}


def privacy(call: Call, video_id: str) -> str:
    """Who may see a video."""
    return next((kind for kind in ("private", "unlisted") if video_id in call.state.switches[kind]), "public")


def iso(at: float) -> str:
    """An instant as YouTube writes it."""
    return datetime.fromtimestamp(int(at), UTC).isoformat().replace("+00:00", "Z")


def _channels(call: Call, parts: set[str], claims: Claims | None) -> Answer:
    answer: dict[str, Any] = {"kind": "youtube#channelListResponse", "etag": "x"}
    if call.request.first("mine") == "true":
        if claims is None:
            raise Refused(_unauthorized())
        ids = [] if call.state.switches["no_channel"] else [claims.account_id]
    else:
        ids = _ids(call)
    answer["pageInfo"] = {"totalResults": len(ids), "resultsPerPage": 5}
    if ids:
        answer["items"] = [_channel(call, account_id, parts) for account_id in ids]
    return Answer(answer)


def _channel(call: Call, account_id: str, parts: set[str]) -> dict[str, Any]:
    account, hidden = call.state.account(account_id), call.state.switches["hidden_subscribers"]
    channel: dict[str, Any] = {"kind": "youtube#channel", "etag": "x", "id": account_id}
    if "snippet" in parts:
        channel["snippet"] = {"title": "Sandbox channel", "customUrl": f"@sandbox-{account_id[-4:].lower()}"}
    if "contentDetails" in parts:
        channel["contentDetails"] = {"relatedPlaylists": {"likes": "LL", "uploads": uploads_of(account_id)}}
    if "statistics" in parts:
        made = posts_count(account_id, call.now, posts=account.posts, span_days=account.span_days)
        channel["statistics"] = {
            "viewCount": str(made * (900 + mix(f"views:{account_id}") % 1000)),
            "subscriberCount": "0" if hidden else str(_rounded(followers(account_id, call.now))),
            "hiddenSubscriberCount": hidden,
            "videoCount": str(made),
        }
    return channel


def _rounded(subscribers: int) -> int:
    """Down to three figures, above a thousand."""
    step = int(10 ** max(0, len(str(subscribers)) - 3))
    return subscribers // step * step


def uploads_of(account_id: str) -> str:
    """The playlist of an account's uploads."""
    return "UU" + account_id.removeprefix("UC")


def _playlist(wire: YouTube, call: Call, parts: set[str], claims: Claims | None) -> Answer:
    """A page of a channel's uploads, newest first; the owner sees what is not public as well."""
    request, playlist = call.request, call.request.first("playlistId")
    account_id = "UC" + playlist.removeprefix("UU")
    if not playlist.startswith("UU") or call.state.account(account_id).posts == 0:
        raise Refused(google.error(404, "The playlist cannot be found.", "playlistNotFound", domain="youtube"))
    size, token = request.first("maxResults", "5"), request.first("pageToken")
    if not size.isdecimal() or int(size) > MAX_IDS:
        raise Refused(google.error(400, "maxResults is not between 0 and 50.", "invalidParameter"))
    if token and (not token.startswith("P") or decode(token[1:]) is None):
        raise Refused(google.error(400, "The page token is not valid.", "invalidPageToken", domain="youtube"))
    ids = listed(wire, call.state, account_id, call.now)
    own = claims is not None and claims.account_id == account_id
    ids = [video_id for video_id in ids if own or privacy(call, video_id) == "public"]
    start = _page_start(ids, token)
    page = ids[start : start + int(size)]
    answer: dict[str, Any] = {"kind": "youtube#playlistItemListResponse", "etag": "x"}
    if ids[start + len(page) :]:
        answer["nextPageToken"] = f"P{ids[start + len(page)]}"
    answer["items"] = [_playlist_item(call, one, playlist, parts) for one in page]
    answer["pageInfo"] = {"totalResults": len(ids), "resultsPerPage": int(size)}
    return Answer(answer)


def _page_start(ids: list[str], token: str) -> int:
    """Where a page begins: at the video that its token names, or the next older one if that has been deleted since."""
    begin = decode(token[1:]) if token else None
    if begin is None:
        return 0
    return next((n for n, video_id in enumerate(ids) if (decode(video_id) or begin)[0] <= begin[0]), len(ids))


def _playlist_item(call: Call, video_id: str, playlist: str, parts: set[str]) -> dict[str, Any]:
    at = (decode(video_id) or (0, 0))[0]
    item: dict[str, Any] = {"kind": "youtube#playlistItem", "etag": "x", "id": f"{playlist}.{video_id}"}
    kind = privacy(call, video_id)
    every: Mapping[str, dict[str, Any]] = {
        "snippet": {"publishedAt": iso(at), "title": "Sandbox video", "playlistId": playlist},
        "status": {"privacyStatus": kind},
        "contentDetails": {"videoId": video_id} | ({} if kind == "private" else {"videoPublishedAt": iso(at)}),
    }
    return item | {part: value for part, value in every.items() if part in parts}

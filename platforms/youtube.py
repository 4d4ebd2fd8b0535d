"""YouTube, Data API v3."""

import re
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from platforms.base import (
    Account,
    Call,
    Item,
    Listing,
    Raw,
    Reading,
    Request,
    listed,
    objects,
    pick,
    same_account,
)
from platforms.dimensions import AccountDimension, Dimension
from platforms.errors import (
    AccountNotFound,
    DeadlineExceeded,
    MalformedPayload,
    Misconfigured,
    PlatformError,
    RateLimited,
    Rejected,
    ScopeMissing,
    TokenExpired,
    Unavailable,
)
from platforms.google import ERRORS, details
from platforms.payloads import lookup, page_after
from platforms.rates import Limit, next_midnight
from platforms.youtube_channels import YouTubeChannels
from platforms.youtube_videos import VIDEO, by_id, upload

PACIFIC = "America/Los_Angeles"
CHANNEL_COUNTS = ("viewCount", "subscriberCount", "hiddenSubscriberCount", "videoCount")
DAILY = ("quotaExceeded", "dailyLimitExceeded")
LINK = re.compile(
    rf"{VIDEO}|https?://(?:(?:www|m|music)\.)?youtube\.com/"
    rf"(?:watch\?(?:[^#\s]*&)?v={VIDEO}(?:[&#]\S*)?|(?:shorts|live|embed|v)/{VIDEO}/?(?:[?#]\S*)?)"
    rf"|https?://youtu\.be/{VIDEO}/?(?:[?#]\S*)?"
)
CHANNEL = re.compile(r"(?:https?://(?:(?:www|m)\.)?youtube\.com/channel/)?(UC[A-Za-z0-9_-]{1,62})")


class NoPlaylist(Rejected):
    """There is no such playlist."""


class YouTube(YouTubeChannels):
    key = "youtube"
    label = "YouTube"
    base_url = "https://www.googleapis.com/youtube/v3/"
    scopes = ("https://www.googleapis.com/auth/youtube.readonly",)
    batch_size = 50
    shares_calls = True
    has_listing = True

    # https://developers.google.com/youtube/v3/determine_quota_cost
    limits = (
        Limit(10000, zone=PACIFIC, scope="app", group="batchGetStats"),
        Limit(10000, zone=PACIFIC, scope="app", group="general"),
    )
    fields = {
        Dimension.IMPRESSIONS: ("statistics", "viewCount"),
        Dimension.LIKES: ("statistics", "likeCount"),
        Dimension.COMMENTS: ("statistics", "commentCount"),
        Dimension.VIDEO_VIEWS: ("statistics", "viewCount"),
    }
    account_fields = {
        AccountDimension.FOLLOWERS: ("statistics", "subscriberCount"),
        AccountDimension.POSTS_COUNT: ("statistics", "videoCount"),
    }
    # https://developers.google.com/youtube/v3/docs/errors
    error_codes = {
        **ERRORS,
        "authError": TokenExpired,
        "insufficientPermissions": ScopeMissing,
        "accessNotConfigured": Misconfigured,
        "forbidden": Rejected,
        "youtubeSignupRequired": AccountNotFound,  # 401, but no refresh makes a channel
        "authenticatedUserAccountClosed": AccountNotFound,
        "authenticatedUserAccountSuspended": AccountNotFound,
        "quotaExceeded": RateLimited,
        "dailyLimitExceeded": RateLimited,
        "rateLimitExceeded": RateLimited,
        "userRateLimitExceeded": RateLimited,
        "playlistNotFound": NoPlaylist,
        "invalidPageToken": Rejected,
        "missingRequiredParameter": Rejected,
        "unexpectedParameter": Rejected,
        "incompatibleParameters": Rejected,
        "backendError": Unavailable,
    }

    def normalize_post_id(self, value: str, account: Account) -> str:
        found = LINK.fullmatch(value)
        if not found:
            raise ValueError("expected a video id of 11 characters, or https://www.youtube.com/watch?v=<id>")
        return next(group for group in found.groups() if group)

    def normalize_account_id(self, value: str) -> str:
        found = CHANNEL.fullmatch(value)
        if not found:
            raise ValueError("expected the channel id, such as UC and 22 more characters")
        return found[1]

    def fetch_posts(self, ids: Sequence[str], account: Account) -> Call[dict[str, Item]]:
        params = {"part": "id,statistics", "id": ",".join(dict.fromkeys(ids))}
        today, refused = str(datetime.now(UTC).date()), False
        if account.memory.get("stats_refused_on") != today:
            try:
                # https://developers.google.com/youtube/v3/docs/videos/batchGetStats
                answer = yield Request("./videos:batchGetStats", params=params, group="batchGetStats")
                return by_id(answer, ids)
            except DeadlineExceeded:
                raise
            except (Rejected, Unavailable, MalformedPayload, AttributeError, LookupError, TypeError) as error:
                if getattr(error, "scope", None) == "account":  # its token: the other method wants one, too
                    raise
                refused = not isinstance(error, Unavailable)
        found = by_id((yield Request("videos", params=params, group="general")), ids)
        if refused:
            account.memory["stats_refused_on"] = today
        return found

    def list_posts(self, account: Account, *, cursor: str = "") -> Call[Listing]:
        uploads, _, after = cursor.partition(":")
        if not uploads:
            channel = yield from self._channel("contentDetails", account)
            uploads = channel["contentDetails"]["relatedPlaylists"]["uploads"]
            if not re.fullmatch(r"[\w-]+", uploads):
                raise ValueError("expected the id of a playlist")
        params = {"part": "contentDetails,status", "playlistId": uploads, "maxResults": "50"}
        if after:
            params["pageToken"] = after
        try:
            page = yield Request("playlistItems", params=params, group="general")
        except NoPlaylist:  # of a channel without uploads
            return Listing(())
        posts = tuple(post for post in map(upload, objects(page["items"])) if post)
        following = page_after(page.get("nextPageToken"), after)
        return Listing(posts, f"{uploads}:{following}" if following else "")

    def fetch_account(self, account: Account) -> Call[Raw | Reading]:
        channel = yield from self._channel("id,statistics", account)
        return {"id": channel["id"], "statistics": pick(channel.get("statistics"), CHANNEL_COUNTS)}

    def probe(self, account: Account) -> Call[None]:
        yield from self._channel("id", account)

    @staticmethod
    def _channel(part: str, account: Account) -> Call[Raw]:
        """The channel that the token speaks for, where it is this account's."""
        channels = listed((yield Request("channels", params={"part": part, "mine": "true"}, group="general")), "items")
        if not channels:
            raise AccountNotFound("The Google account has no YouTube channel.")
        own = next((each for each in channels if each.get("id") == account.network_unique_id), channels[0])
        same_account(account.network_unique_id, own["id"])
        return own

    def account_metrics(self, raw: Raw) -> dict[AccountDimension, int | None]:
        """Hidden subscribers count as 0: a zero is believed only where it is said not to be one of those."""
        values, hidden = super().account_metrics(raw), lookup(raw, ("statistics", "hiddenSubscriberCount"))
        if hidden is True or (hidden is not False and values[AccountDimension.FOLLOWERS] == 0):
            values[AccountDimension.FOLLOWERS] = None
        return values

    def classify(self, status: int, headers: Mapping[str, str], payload: Any) -> PlatformError | None:
        code = self.error_code(payload) if status >= 300 else ""
        if code in DAILY or _is_daily(
            payload["error"] if code else None
        ):  # of one bucket of the project, until midnight on the Pacific coast
            return RateLimited("The project's daily quota is used up.", retry_at=next_midnight(PACIFIC, time.time()))
        if code == "userRateLimitExceeded":
            return RateLimited(self.error_detail(payload)[:300], scope="account")
        return None


# https://cloud.google.com/docs/quotas/troubleshoot
def _is_daily(error: Any) -> bool:
    """Whether it is a day's quota that is spent, in the words of the newer quota service."""
    return any(str(lookup(each, ("metadata", "quota_unit"))).startswith("1/d") for each in details(error))

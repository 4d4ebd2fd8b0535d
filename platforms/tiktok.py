"""TikTok, Display API v2."""

import re
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from platforms import ownership
from platforms.base import Account, Call, Item, Listing, Raw, Reading, Request, pick
from platforms.dimensions import AccountDimension
from platforms.errors import PlatformError, RateLimited, Rejected, ScopeMissing, TokenExpired, Unavailable
from platforms.oauth import Refresh
from platforms.rates import Limit
from platforms.tiktok_consent import TikTokConsent
from platforms.tiktok_videos import FIELDS, PAGE, ask, list_videos, read_videos

ACCOUNT_METRICS = ("follower_count", "following_count", "likes_count", "video_count")
VIDEO = re.compile(
    r"0*([0-9]{1,20})"
    r"|https?://(?:[a-z]+\.)?tiktok\.com/(?:@[^/\s?#]+/(?:video|photo)|v)/0*([0-9]{1,20})(?:\.html)?/?(?:[?#]\S*)?"
)
PUBLISH_ID = re.compile(r"[a-z]_(?:pub|inbox)_[A-Za-z0-9_.~-]{1,120}")


class TikTok(TikTokConsent):
    key = "tiktok"
    label = "TikTok"
    base_url = "https://open.tiktokapis.com/v2/"
    scopes = ("user.info.basic", "user.info.stats", "video.list")
    batch_size = PAGE
    has_listing = True
    gate_scope = "app"
    backoff = 60

    # https://developers.tiktok.com/doc/oauth-user-access-token-management
    refresh = Refresh(
        "https://open.tiktokapis.com/v2/oauth/token/",
        client_param="client_key",
        rotates=True,
        early=timedelta(hours=1),
    )
    # https://developers.tiktok.com/doc/tiktok-api-v2-rate-limit
    limits = (
        Limit(600, 60, scope="app", group="video/query"),
        Limit(600, 60, scope="app", group="video/list"),
        Limit(600, 60, scope="app", group="user/info"),
        Limit(30, 60, group="publish/status"),
    )
    fields = FIELDS
    account_fields = {
        AccountDimension.FOLLOWERS: "follower_count",
        AccountDimension.FOLLOWING: "following_count",
        AccountDimension.POSTS_COUNT: "video_count",
    }
    # https://developers.tiktok.com/doc/tiktok-api-v2-error-handling, /oauth-error-handling
    error_codes = {
        "access_token_invalid": TokenExpired,
        "scope_not_authorized": ScopeMissing,  # 401 as well, but no refresh cures it
        "scope_permission_missed": ScopeMissing,
        "invalid_params": Rejected,
        "invalid_param": Rejected,
        "invalid_publish_id": Rejected,
        "rate_limit_exceeded": RateLimited,
        "internal_error": Unavailable,
        "invalid_request": Rejected,
        "server_error": Unavailable,
        "temporarily_unavailable": Unavailable,
    }

    def normalize_post_id(self, value: str, account: Account) -> str:
        found = VIDEO.fullmatch(value)
        if found:
            return found[1] or found[2]
        if not PUBLISH_ID.fullmatch(value):
            raise ValueError(
                "expected a video id of digits, https://www.tiktok.com/@<user>/video/<id>, or a publish id"
            )
        return value

    def normalize_account_id(self, value: str) -> str:
        if not re.fullmatch(r"[A-Za-z0-9_-]{3,128}", value):
            raise ValueError("expected the account's open_id, such as 723f24d7-e717-40f8-a2b6-cb8464cd23b4")
        return value

    def fetch_posts(self, ids: Sequence[str], account: Account) -> Call[dict[str, Item]]:
        found = yield from read_videos(ids, account)
        if not found and not ownership.is_known(account):  # another user's token is shown none of them
            yield from self._identify(account)
        return found

    def list_posts(self, account: Account, *, cursor: str = "") -> Call[Listing]:
        if not ownership.is_known(account):  # a listing does not say whose it is
            yield from self._identify(account)
        return (yield from list_videos(account, cursor))

    def fetch_account(self, account: Account) -> Call[Raw | Reading]:
        answer = yield from ask(lambda: self._user(account), ACCOUNT_METRICS, account)
        ownership.confirm(account, answer["data"]["user"]["open_id"])
        raw = pick(answer["data"]["user"], ("open_id", *ACCOUNT_METRICS))
        return Reading(raw, account.lost(self.account_fields))

    @staticmethod
    def _user(account: Account) -> Request:
        names = ("open_id", *(name for name in ACCOUNT_METRICS if name not in account.retired))
        return Request("user/info/", params={"fields": ",".join(names)}, group="user/info")

    @staticmethod
    def _identify(account: Account) -> Call[None]:
        answer = yield Request("user/info/", params={"fields": "open_id"}, group="user/info")
        ownership.confirm(account, answer["data"]["user"]["open_id"])

    def probe(self, account: Account) -> Call[None]:
        yield from self._identify(account)
        missing = [scope for scope in self.scopes if account.scopes and scope not in account.scopes]
        if missing:
            raise ScopeMissing(f"The owner did not grant {', '.join(missing)}.")

    def refreshed_id(self, answer: Mapping[str, Any]) -> str | None:
        open_id = answer.get("open_id")
        return open_id if isinstance(open_id, str) and open_id else None

    def error_code(self, payload: Any) -> str:
        error = payload["error"]  # of a token endpoint it is the code itself
        return str(error["code"] if isinstance(error, dict) else error)

    def error_detail(self, payload: Any) -> str:
        error = payload["error"]
        told = error.get("message") if isinstance(error, dict) else payload.get("error_description")
        return str(told or self.error_code(payload))

    def classify(self, status: int, headers: Mapping[str, str], payload: Any) -> PlatformError | None:
        code = self.error_code(payload)
        if status >= 300 or code in ("ok", ""):
            return None
        return self.error_codes.get(code, Rejected)(self.error_detail(payload)[:300])

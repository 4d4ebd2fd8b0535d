"""X, API v2."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from platforms.base import Account, Call, Found, Item, Listing, Raw, Reading, Request, listed, pick, same_account
from platforms.dimensions import AccountDimension, Dimension
from platforms.errors import AccountNotFound, Gone
from platforms.numerals import numeral
from platforms.oauth import Refresh
from platforms.payloads import count
from platforms.rates import Limit
from platforms.wanted import Wanted
from platforms.x_consent import XConsent
from platforms.x_errors import XErrors
from platforms.x_metrics import FIELDS, post_metrics
from platforms.x_posts import lacks_private, list_timeline, read_own, read_posts


class X(XConsent, XErrors):
    key = "x"
    label = "X"
    base_url = "https://api.x.com/2/"
    scopes = ("tweet.read", "users.read", "offline.access")
    extra = {"client_id": None}
    batch_size = 100
    shares_calls = True
    has_listing = True
    backoff = 900

    # https://docs.x.com/fundamentals/authentication/oauth-2-0/user-access-token
    refresh = Refresh(
        "https://api.x.com/2/oauth2/token",
        client="basic",
        rotates=True,
        refused={"invalid_grant": "", "invalid_request": "token was invalid"},
    )
    # https://docs.x.com/x-api/fundamentals/rate-limits
    limits = (
        Limit(3500, 900, scope="app", group="tweets"),
        Limit(5000, 900, group="tweets"),
        Limit(10000, 900, scope="app", group="users/tweets"),
        Limit(900, 900, group="users/tweets"),
        Limit(75, 900, group="users/me"),
    )
    fields = FIELDS
    account_fields = {
        AccountDimension.FOLLOWERS: ("public_metrics", "followers_count"),
        AccountDimension.FOLLOWING: ("public_metrics", "following_count"),
        AccountDimension.POSTS_COUNT: ("public_metrics", "post_count"),
    }

    def normalize_post_id(self, value: str, account: Account) -> str:
        found = re.fullmatch(
            r"(?:https?://(?:\w+\.)?(?:x|twitter)\.com/[^/\s]+(?:/\w+)?/status/)?0*([0-9]{1,19})(?:[/?#].*)?", value
        )
        if not found or (value[0].isdigit() and not value.isdigit()):
            raise ValueError("expected a post id of 1 to 19 digits, or https://x.com/<user>/status/<id>")
        return found[1]

    def normalize_account_id(self, value: str) -> str:
        number = numeral(value)
        if not re.fullmatch(r"[0-9]{1,19}", number):
            raise ValueError("expected the numeric user id, 1 to 19 digits")
        return number

    def fetch_posts(self, ids: Sequence[str], account: Account) -> Call[dict[str, Item]]:
        return (yield from read_posts(ids, self, account))

    def no_listing(self, account: Account) -> str:
        # https://docs.x.com/x-api/getting-started/pricing
        allowed = account.settings.get("imports")
        return "" if allowed else "X bills every post of a listing; the setting X_IMPORTS allows imports."

    def list_posts(self, account: Account, *, cursor: str = "") -> Call[Listing]:
        return (yield from list_timeline(self, account, Wanted(), cursor))

    def list_wanted(self, account: Account, wanted: Wanted, *, cursor: str = "") -> Call[Listing]:
        return (yield from list_timeline(self, account, wanted, cursor))

    def fetch_shared(self, ids: Sequence[str], account: Account) -> Call[dict[str, Item]]:
        return (yield from read_posts(ids, self, account, private=False))

    def wants_owner(self, post_id: str, found: Found) -> bool:
        return lacks_private(post_id, found) if isinstance(found, Reading) else super().wants_owner(post_id, found)

    def fetch_own(self, shared: Mapping[str, Found], account: Account) -> Call[dict[str, Item]]:
        return (yield from read_own(shared, self, account))

    def fetch_account(self, account: Account) -> Call[Raw | Reading]:
        answer = yield Request("users/me", params={"user.fields": "public_metrics"}, group="users/me")
        return pick(self._me(answer, account), ("id", "public_metrics"))

    def probe(self, account: Account) -> Call[None]:
        answer = yield Request("users/me", group="users/me")
        self._me(answer, account)

    def _me(self, answer: Any, account: Account) -> Raw:
        if "data" not in answer and listed(answer, "errors"):
            error = self.item_error(answer["errors"][0])
            raise AccountNotFound(error.detail) if isinstance(error, Gone) else error
        user: Raw = answer["data"]
        same_account(account.network_unique_id, user["id"])
        return user

    def metrics(self, raw: Raw) -> dict[Dimension, int | None]:
        return post_metrics(raw)

    def account_metrics(self, raw: Raw) -> dict[AccountDimension, int | None]:
        values = super().account_metrics(raw)
        if values[AccountDimension.POSTS_COUNT] is None:
            values[AccountDimension.POSTS_COUNT] = count(raw, ("public_metrics", "tweet_count"))
        return values

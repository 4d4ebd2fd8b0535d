"""Pinterest, API v5."""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from platforms.base import (
    Account,
    Call,
    Item,
    Listed,
    Listing,
    Raw,
    Reading,
    Request,
    objects,
    pick,
    same_account,
)
from platforms.dimensions import AccountDimension, Dimension, Reason
from platforms.errors import (
    AccountNotFound,
    Misconfigured,
    PlatformError,
    RateLimited,
    Scope,
    ScopeMissing,
    TokenExpired,
)
from platforms.numerals import numeral
from platforms.oauth import App, Credentials, Refresh, TokenSet
from platforms.payloads import epoch, instant, page_after
from platforms.pinterest_analytics import BadRequest, Forbidden, NotFound, NotYours, retire_named, total, window
from platforms.pinterest_consent import PinterestConsent
from platforms.pinterest_metrics import FIELDS, pin_metrics, pin_raw
from platforms.pinterest_pins import pin_page, read_pins
from platforms.rates import Limit

MONTH = timedelta(days=28)
ACCOUNT_METRICS = ("IMPRESSION", "ENGAGEMENT", "PIN_CLICK", "OUTBOUND_CLICK", "SAVE")
USER = ("id", "account_type", "follower_count", "following_count", "pin_count", "board_count", "monthly_views")
PIN = re.compile(
    r"0*([0-9]{1,19})"
    r"|https?://(?:[a-z-]+\.)?pinterest(?:\.[a-z]{2,3}){1,2}/pin/(?:[^/?#\s]*--)?0*([0-9]{1,19})/?(?:[?#]\S*)?"
)


class Pinterest(PinterestConsent):
    key = "pinterest"
    label = "Pinterest"
    base_url = "https://api.pinterest.com/v5/"
    scopes = ("user_accounts:read", "pins:read", "boards:read")
    batch_size = 1000  # one walk through the listing serves them all
    has_listing = True
    backoff = 60

    # https://developers.pinterest.com/docs/getting-started/set-up-authentication-and-authorization/
    refresh = Refresh(
        "https://api.pinterest.com/v5/oauth/token",
        client="basic",
        also={"continuous_refresh": "true"},
        rotates=True,
        early=timedelta(days=7),
    )
    # https://developers.pinterest.com/docs/reference/rate-limits/
    limits = (Limit(1000, 60, group="org_read"), Limit(300, 60, group="org_analytics"), Limit(100, 1))
    fields = FIELDS
    account_fields = {
        AccountDimension.FOLLOWERS: ("user", "follower_count"),
        AccountDimension.FOLLOWING: ("user", "following_count"),
        AccountDimension.POSTS_COUNT: ("user", "pin_count"),
        AccountDimension.IMPRESSIONS: ("analytics", "summary_metrics", "IMPRESSION"),
    }

    def normalize_post_id(self, value: str, account: Account) -> str:
        found = PIN.fullmatch(value)
        if not found:
            raise ValueError("expected a pin id of 1 to 19 digits, or https://www.pinterest.com/pin/<id>/")
        return found[1] or found[2]

    def normalize_account_id(self, value: str) -> str:
        number = numeral(value)
        if not re.fullmatch(r"[0-9]{1,19}", number):
            raise ValueError("expected the numeric user account id, 1 to 19 digits")
        return number

    def fetch_posts(self, ids: Sequence[str], account: Account) -> Call[dict[str, Item]]:
        return (yield from read_pins(ids, account))

    def metrics(self, raw: Raw) -> dict[Dimension, int | None]:
        return pin_metrics(raw)

    def list_posts(self, account: Account, *, cursor: str = "") -> Call[Listing]:
        page = yield pin_page(cursor, pin_filter="exclude_repins")
        posts = [
            Listed(
                id=raw["id"],
                url=f"https://www.pinterest.com/pin/{raw['id']}/",
                published_at=instant(raw.get("created_at")),
                raw={"pin": raw},
            )
            for raw in map(pin_raw, objects(page["items"]))
            if not raw.get("parent_pin_id") and raw.get("is_owner") is not False
        ]
        return Listing(tuple(posts), page_after(page.get("bookmark"), cursor))

    def fetch_account(self, account: Account) -> Call[Raw | Reading]:
        yesterday = datetime.now(UTC).date() - timedelta(days=1)
        dates = {"start_date": str(yesterday - MONTH + timedelta(days=1)), "end_date": str(yesterday)}
        asked = account.unretired(ACCOUNT_METRICS)
        user, answer = yield (Request("user_account", group="org_read", vital=True), self._analytics(dates, asked))
        self._check(user, account)
        if retire_named((answer,), set(asked), account):
            (answer,) = yield (self._analytics(dates, account.unretired(ACCOUNT_METRICS)),)
        raw: Raw = {"user": pick(user, USER)}
        if not isinstance(answer, PlatformError):
            raw["analytics"] = window(answer, dates)
        reasons = account.lost({AccountDimension.IMPRESSIONS: "IMPRESSION"})
        if isinstance(answer, ScopeMissing):
            reasons[AccountDimension.IMPRESSIONS] = Reason.SCOPE_MISSING
        return Reading(raw, reasons)

    @staticmethod
    def _analytics(dates: Mapping[str, str], metrics: Sequence[str]) -> Request:
        # Paid impressions count unless they are left out; those of pins never do.
        params = {**dates, "metric_types": ",".join(metrics), "content_type": "ORGANIC"}
        return Request("user_account/analytics", params=params, group="org_analytics")

    def account_metrics(self, raw: Raw) -> dict[AccountDimension, int | None]:
        return super().account_metrics(raw) | {
            AccountDimension.IMPRESSIONS: total(raw.get("analytics"), "IMPRESSION"),
        }

    def probe(self, account: Account) -> Call[None]:
        (user,) = yield (Request("user_account", group="org_read"),)
        self._check(user, account)

    @staticmethod
    def _check(user: Any, account: Account) -> None:
        if isinstance(user, PlatformError):
            raise AccountNotFound(user.detail) if isinstance(user, NotFound) else user
        same_account(account.network_unique_id, user["id"])

    def renew(self, account: Account, credentials: Credentials, app: App) -> Call[TokenSet]:
        try:
            return (yield from super().renew(account, credentials, app))
        except BadRequest as error:
            raise TokenExpired(f"The refresh was refused: {error.detail}") from error
        except (NotFound, ScopeMissing) as error:  # which tells of the app, and of no account
            raise Misconfigured(error.detail) from error

    def error_detail(self, payload: Any) -> str:
        return str(payload.get("message") or "") if isinstance(payload, dict) else ""

    # https://developers.pinterest.com/docs/reference/error-codes/: the status decides, then the inner code
    def classify(self, status: int, headers: Mapping[str, str], payload: Any) -> PlatformError | None:
        if not isinstance(payload, dict) or "code" not in payload:
            return None
        code = str(payload["code"])
        kinds: dict[int, type[PlatformError]] = {
            400: BadRequest,
            401: {"7": NotYours, "3": ScopeMissing}.get(code, TokenExpired),
            403: {"3": ScopeMissing}.get(code, Forbidden),
            404: NotFound,
            429: RateLimited,
        }
        return kinds[status](self.error_detail(payload)[:300]) if status in kinds else None

    def spent(self, headers: Mapping[str, str], now: datetime) -> tuple[Scope, datetime] | None:
        reset = epoch(headers.get("x-ratelimit-reset"))
        if headers.get("x-ratelimit-remaining") != "0" or reset is None:
            return None
        return "account", reset if reset.year > 2000 else now + timedelta(seconds=reset.timestamp())

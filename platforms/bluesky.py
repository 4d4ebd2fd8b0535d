"""Bluesky, AT Protocol XRPC."""

import re
from collections.abc import Container, Mapping, Sequence
from datetime import datetime
from typing import Any

from platforms.base import TOKEN_GROUP, Account, Call, Item, Listing, Raw, Reading, Request, pick, same_account
from platforms.bluesky_identity import DID, SESSION_GROUP, BlueskyIdentity, limited_scope
from platforms.bluesky_posts import POST, list_feed, read_posts, read_public
from platforms.dimensions import AccountDimension, Dimension
from platforms.errors import AccountNotFound, PlatformError, RateLimited, Rejected, Scope, TokenExpired, Unavailable
from platforms.hosts import check_public_origin
from platforms.oauth import Refresh
from platforms.payloads import epoch
from platforms.rates import Limit

UNKNOWN_ACCOUNT = ("Profile not found", "Could not find user info for account")


class Bluesky(BlueskyIdentity):
    key = "bluesky"
    label = "Bluesky"
    base_url = "https://bsky.social/xrpc/"
    extra = {"pds_host": None}
    batch_size = 25
    shares_calls = True
    public_reads = True
    has_listing = True
    gate_scope = "host"
    gates_by_group = ("account",)  # one that may begin no further session can still be read

    # https://docs.bsky.app/docs/api/com-atproto-server-refresh-session
    refresh = Refresh(
        "com.atproto.server.refreshSession",
        bearer=True,
        rotates=True,
        grace=True,
        access_field="accessJwt",
        refresh_field="refreshJwt",
        refused={"ExpiredToken": "", "InvalidToken": ""},
        revoked={"AccountTakedown": "", "AccountNotFound": "", "InvalidRequest": "Could not find user info"},
        foreign=True,
    )
    # https://docs.bsky.app/docs/advanced-guides/rate-limits
    limits = (
        *(Limit(3000, 300, scope="host", group=group) for group in ("pds", TOKEN_GROUP, SESSION_GROUP)),
        Limit(30, 300, group=SESSION_GROUP),
    )
    fields = {
        Dimension.LIKES: "likeCount",
        Dimension.COMMENTS: "replyCount",
        Dimension.SHARES: "repostCount",
        Dimension.SAVES: "bookmarkCount",
    }
    account_fields = {
        AccountDimension.FOLLOWERS: "followersCount",
        AccountDimension.FOLLOWING: "followsCount",
        AccountDimension.POSTS_COUNT: "postsCount",
    }
    error_codes = {
        "ExpiredToken": TokenExpired,  # HTTP 400
        "InvalidToken": TokenExpired,
        "AuthMissing": TokenExpired,
        "AuthenticationRequired": TokenExpired,
        "AuthFactorTokenRequired": TokenExpired,
        "AccountTakedown": AccountNotFound,
        "AccountDeactivated": AccountNotFound,
        "AccountNotFound": AccountNotFound,
        "BlockedActor": Rejected,
        "BlockedByActor": Rejected,
        "InvalidRequest": Rejected,
        "MethodNotImplemented": Rejected,
        "XRPCNotSupported": Rejected,
        "RateLimitExceeded": RateLimited,
        "NotEnoughResources": Unavailable,
        "UpstreamFailure": Unavailable,
        "UpstreamTimeout": Unavailable,
    }

    def normalize_post_id(self, value: str, account: Account) -> str:
        found = POST.fullmatch(value)
        who, rkey = (found[1] or found[3], found[2] or found[4]) if found else ("", "")
        if who and not re.fullmatch(DID, who):
            own = not account.username or who.lower() == account.username.lower().removeprefix("@")
            who = account.network_unique_id if own else ""
        if not who:
            raise ValueError("expected at://<did>/app.bsky.feed.post/<rkey>, or the bsky.app URL of the account's post")
        return f"at://{who}/app.bsky.feed.post/{rkey}"

    def normalize_account_id(self, value: str) -> str:
        if not re.fullmatch(DID, value):
            raise ValueError("expected the account's DID, such as did:plc:abcdefghijklmnopqrstuvwx")
        return value

    def check_extra(self, key: str, value: Any, *, mapped: Container[str] = ()) -> str:
        return check_public_origin(super().check_extra(key, value), mapped=mapped)

    def base_url_for(self, account: Account) -> str:
        return f"{account.extra['pds_host']}/xrpc/" if account.extra.get("pds_host") else self.base_url

    def fetch_posts(self, ids: Sequence[str], account: Account) -> Call[dict[str, Item]]:
        return (yield from read_posts(ids))

    def list_posts(self, account: Account, *, cursor: str = "") -> Call[Listing]:
        return (yield from list_feed(account.network_unique_id, cursor))

    def fetch_account(self, account: Account) -> Call[Raw | Reading]:
        profile = yield from read_public("app.bsky.actor.getProfile", {"actor": account.network_unique_id})
        same_account(account.network_unique_id, profile["did"])
        return pick(profile, ("did", "followersCount", "followsCount", "postsCount", "createdAt", "indexedAt"))

    def probe(self, account: Account) -> Call[None]:
        session = yield Request("com.atproto.server.getSession", group="pds", foreign=True)
        same_account(account.network_unique_id, session["did"])
        if session.get("active") is False:
            raise AccountNotFound(f"The account is {session.get('status') or 'not active'}.")

    def refreshed_id(self, answer: Mapping[str, Any]) -> str | None:
        return answer.get("did")

    def error_code(self, payload: Any) -> str:
        return str(payload.get("error") or "") if isinstance(payload, dict) else ""

    def error_detail(self, payload: Any) -> str:
        return str(payload.get("message") or payload.get("error") or "") if isinstance(payload, dict) else ""

    def classify(self, status: int, headers: Mapping[str, str], payload: Any) -> PlatformError | None:
        if status >= 400 and self.error_detail(payload).startswith(UNKNOWN_ACCOUNT):
            return AccountNotFound("Bluesky does not know this account.")
        return RateLimited(scope=limited_scope(headers)) if status == 429 else None

    def spent(self, headers: Mapping[str, str], now: datetime) -> tuple[Scope, datetime] | None:
        reset, scope = epoch(headers.get("ratelimit-reset")), limited_scope(headers)
        return (scope, reset) if headers.get("ratelimit-remaining") == "0" and reset is not None else None

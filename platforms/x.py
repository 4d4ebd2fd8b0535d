"""X, API v2."""

import re
from collections.abc import Container, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from platforms.base import Account, Call, Item, Raw, Reading, Request, by_key, instant, listed, pick, same_account
from platforms.dimensions import AccountDimension, Dimension, Reason
from platforms.errors import AccountNotFound, Gone, MalformedPayload, PlatformError, ScopeMissing
from platforms.oauth import Refresh
from platforms.payloads import count, lookup, to_count
from platforms.rates import Limit
from platforms.x_errors import VOCABULARIES, VocabularyRefused, XErrors

PRIVATE_DAYS = timedelta(days=30)
SNOWFLAKE_EPOCH_MS = 1288834974657


class X(XErrors):
    key = "x"
    label = "X"
    base_url = "https://api.x.com/2/"
    scopes = ("tweet.read", "users.read", "offline.access")
    extra = {"client_id": None}
    batch_size = 100
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
        Limit(75, 900, group="users/me"),
    )
    fields = {
        Dimension.IMPRESSIONS: ("post", "public_metrics", "impression_count"),
        Dimension.LIKES: ("post", "public_metrics", "like_count"),
        Dimension.COMMENTS: ("post", "public_metrics", "reply_count"),
        Dimension.SHARES: ("post", "public_metrics", "repost_count"),
        Dimension.SAVES: ("post", "public_metrics", "bookmark_count"),
        Dimension.CLICKS: ("private", "non_public_metrics", "url_link_clicks"),
        Dimension.VIDEO_VIEWS: "media",
    }
    account_fields = {
        AccountDimension.FOLLOWERS: ("public_metrics", "followers_count"),
        AccountDimension.FOLLOWING: ("public_metrics", "following_count"),
        AccountDimension.POSTS_COUNT: ("public_metrics", "post_count"),
    }

    def normalize_post_id(self, value: str, account: Account) -> str:
        found = re.fullmatch(
            r"(?:https?://(?:\w+\.)?(?:x|twitter)\.com/[^/\s]+(?:/\w+)?/status/)?([0-9]{1,19})(?:[/?#].*)?", value
        )
        if not found or (value[0].isdigit() and not value.isdigit()):
            raise ValueError("expected a post id of 1 to 19 digits, or https://x.com/<user>/status/<id>")
        return str(int(found[1]))

    def normalize_account_id(self, value: str) -> str:
        if not re.fullmatch(r"[0-9]{1,19}", value):
            raise ValueError("expected the numeric user id, 1 to 19 digits")
        return value

    def fetch_posts(self, ids: Sequence[str], account: Account) -> Call[dict[str, Item]]:
        preferred = account.memory.get("vocabulary") or account.settings.get("vocabulary", "tweet")
        refusal: PlatformError = MalformedPayload("Posts came back without public_metrics under either field name.")
        for vocabulary in sorted(VOCABULARIES, key=lambda name: name != preferred):
            try:
                found = yield from self._lookup(ids, VOCABULARIES[vocabulary])
            except VocabularyRefused as error:
                refusal = error
                continue
            if found is not None:
                if vocabulary != preferred:
                    account.memory["vocabulary"] = vocabulary
                return found
        raise refusal

    def _lookup(self, ids: Sequence[str], name: str) -> Call[dict[str, Item] | None]:
        """None if this vocabulary was ignored. Public numbers of all posts, private ones of those under 30 days."""
        young = [post_id for post_id in ids if _is_young(created_at(post_id))]
        answer, *more = yield (self._public(ids, name), *([self._private(young, name)] if young else []))
        if isinstance(answer, PlatformError):
            raise answer
        failed = {str(each.get("resource_id") or each.get("value")): each for each in listed(answer, "errors")}
        posts = [post for post in listed(answer, "data") if str(post.get("id")) not in failed]
        if posts and not any(isinstance(post.get("public_metrics"), dict) for post in posts):
            return None
        told = [post.get("id") for post in posts if _is_young(instant(post.get("created_at")))]
        younger = [post_id for post_id in ids if post_id in told and post_id not in young]
        if younger:  # an id that does not tell its post's age
            more += yield (self._private(younger, name),)
        found: dict[str, Item] = {post_id: self.item_error(failed[post_id]) for post_id in ids if post_id in failed}
        return found | self._readings(ids, answer, more, failed)

    @staticmethod
    def _public(ids: Sequence[str], name: str) -> Request:
        params = {
            "ids": ",".join(ids),
            name: "created_at,public_metrics,attachments",
            "expansions": "attachments.media_keys",
            "media.fields": "type,public_metrics",
        }
        return Request("tweets", params=params, group="tweets")

    @staticmethod
    def _private(ids: Sequence[str], name: str) -> Request:
        params = {"ids": ",".join(ids), name: "non_public_metrics,organic_metrics"}
        return Request("tweets", params=params, group="tweets")

    @staticmethod
    def _readings(ids: Sequence[str], answer: Any, private: Sequence[Any], failed: Container[str]) -> dict[str, Item]:
        found: dict[str, Item] = {}
        media = by_key(lookup(answer, ("includes", "media")), "media_key")
        own = {post_id: post for reply in private for post_id, post in by_key(lookup(reply, "data"), "id").items()}
        refused = any(isinstance(reply, ScopeMissing) for reply in private)
        for post in listed(answer, "data"):
            post_id = post.get("id")  # an object with default values, but no id, stands beside a field error
            if not isinstance(post_id, str | None):
                raise TypeError("expected ids to be text")
            if post_id is None or post_id not in ids or (post_id in failed and "public_metrics" not in post):
                continue
            raw: Raw = {"post": pick(post, ("id", "created_at", "public_metrics", "attachments"))}
            keys = _media_keys(raw)
            if keys:
                raw["media"] = [pick(media[k], ("media_key", "type", "public_metrics")) for k in keys if k in media]
            if post_id in own:
                raw["private"] = pick(own[post_id], ("non_public_metrics", "organic_metrics"))
            found[post_id] = Reading(raw, {Dimension.CLICKS: Reason.SCOPE_MISSING} if refused else {})
        return found

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
        values: dict[Dimension, int | None] = {
            dim: count(raw, path) for dim, path in self.fields.items() if dim is not Dimension.VIDEO_VIEWS
        }
        if values[Dimension.SHARES] is None:
            values[Dimension.SHARES] = count(raw, ("post", "public_metrics", "retweet_count"))
        values[Dimension.VIDEO_VIEWS] = self._video_views(raw)
        return values

    @staticmethod
    def _video_views(raw: Raw) -> int | None:
        """Of the first video: a count belongs to the media. 0 where the answer shows that there is none."""
        keys = _media_keys(raw)
        media = by_key(raw.get("media"), "media_key")
        for item in media.values():
            if item.get("type") == "video":
                return to_count(lookup(item, ("public_metrics", "view_count")), "view_count")
        told = keys is not None and all(isinstance(item.get("type"), str) for item in media.values())
        return 0 if told and keys is not None and len(media) == len(keys) else None

    def account_metrics(self, raw: Raw) -> dict[AccountDimension, int | None]:
        values = super().account_metrics(raw)
        if values[AccountDimension.POSTS_COUNT] is None:
            values[AccountDimension.POSTS_COUNT] = count(raw, ("public_metrics", "tweet_count"))
        return values


def _media_keys(raw: Raw) -> list[str] | None:
    """The keys of a post's media; None where the answer is too odd to tell."""
    post = raw.get("post")
    if not isinstance(post, dict) or "id" not in post:
        return None
    attachments = post.get("attachments")
    keys = attachments.get("media_keys") if isinstance(attachments, dict) else attachments
    if keys is None:
        return []
    return keys if isinstance(keys, list) and all(isinstance(key, str) for key in keys) else None


def created_at(post_id: str) -> datetime:
    """When a post was made: ids are snowflakes. Ids from before them count as old."""
    return datetime.fromtimestamp(((int(post_id) >> 22) + SNOWFLAKE_EPOCH_MS) / 1000, UTC)


def _is_young(made_at: datetime | None) -> bool:
    return made_at is not None and datetime.now(UTC) - made_at < PRIVATE_DAYS

"""Reddit, the OAuth Data API."""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from platforms.base import (
    Account,
    Call,
    Item,
    Listed,
    Listing,
    Raw,
    Reading,
    Request,
    by_ids,
    objects,
    pick,
    same_account,
)
from platforms.dimensions import AccountDimension, Dimension
from platforms.errors import AccountNotFound, Gone, NotOpen, Rejected
from platforms.oauth import Refresh
from platforms.payloads import count, page_after
from platforms.rates import Limit
from platforms.reddit_consent import RedditConsent
from platforms.reddit_errors import NotFound, OutOfReach, RedditErrors

# `likes` is the caller's own vote, `downs` is always 0, and the rest is text and names.
POST = ("id", "created_utc", "ups", "score", "upvote_ratio", "num_comments", "num_crossposts", "view_count")
STATE = ("hide_score", "removed_by_category", "is_self", "total_awards_received")
USER = ("id", "created_utc", "link_karma", "comment_karma", "total_karma", "is_suspended")
PERMALINK = re.compile(
    r"(?:t3_)?([0-9A-Za-z]{1,13})"
    r"|https?://(?:[a-z]+\.)?reddit\.com/(?:(?:r|u|user)/[^/\s?#]+/)?(?:comments|gallery)/([0-9A-Za-z]{1,13})"
    r"(?:/[^/\s?#]*)?/?(?:[?#]\S*)?"
    r"|https?://redd\.it/([0-9A-Za-z]{1,13})/?(?:[?#]\S*)?"
)
USER_AGENT = "web:com.postfuze.analytics:v1.0 (by /u/postfuze)"


class Reddit(RedditConsent, RedditErrors):
    key = "reddit"
    label = "Reddit"
    base_url = "https://oauth.reddit.com/"
    scopes = ("identity", "read", "history")
    batch_size = 100  # more is answered with an empty list, as if every post were gone
    shares_calls = True
    has_listing = True
    # https://support.reddithelp.com/hc/en-us/articles/16160319875092: what is deleted there is deleted here
    kept_of_removed = POST + STATE
    gate_scope = "app"
    gates_by_group = ()

    # https://github.com/reddit-archive/reddit/wiki/OAuth2#refreshing-the-token
    # A dead refresh token is HTTP 400: `invalid_request`, or no code of OAuth's at all.
    refresh = Refresh(
        "https://www.reddit.com/api/v1/access_token",
        client="basic",
        refused={"invalid_grant": "", "invalid_request": ""},
        refused_statuses=frozenset({400}),
    )
    # https://support.reddithelp.com/hc/en-us/articles/16160319875092: 100 a minute, averaged over ten
    limits = (Limit(1000, 600, scope="app"),)
    fields = {
        Dimension.IMPRESSIONS: "view_count",
        Dimension.LIKES: "ups",
        Dimension.COMMENTS: "num_comments",
    }
    account_fields = {AccountDimension.FOLLOWERS: ("subreddit", "subscribers")}

    def normalize_post_id(self, value: str, account: Account) -> str:
        found = PERMALINK.fullmatch(value)
        if not found:
            raise ValueError("expected t3_<id>, or https://www.reddit.com/r/<subreddit>/comments/<id>/")
        return f"t3_{found[1] or found[2] or found[3]}".lower()

    def normalize_account_id(self, value: str) -> str:
        found = re.fullmatch(r"(?:t2_)?([0-9A-Za-z]{1,13})", value)
        if not found:
            raise ValueError("expected the user's id without its prefix, such as a2gghybr")
        return found[1].lower()

    def headers_for(self, account: Account) -> Mapping[str, str]:
        return {"User-Agent": str(account.settings.get("user_agent") or USER_AGENT)}

    def fetch_posts(self, ids: Sequence[str], account: Account) -> Call[dict[str, Item]]:
        try:
            answer = yield Request("api/info", params={"id": ",".join(ids), "raw_json": "1"}, group="info")
        except (OutOfReach, Gone) as error:
            if len(ids) > 1:  # to be asked for in smaller batches
                raise Rejected(error.detail) from error
            return {ids[0]: error if isinstance(error, Gone) else NotOpen(error.detail)}
        return by_ids(answer["data"]["children"], ids, _found)

    def list_posts(self, account: Account, *, cursor: str = "") -> Call[Listing]:
        name = account.username.removeprefix("/").removeprefix("u/")
        if not name:
            name = str((yield from self._me(account))["name"])
        params = {"sort": "new", "limit": "100", "raw_json": "1"} | ({"after": cursor} if cursor else {})
        try:
            answer = yield Request(f"user/{quote(name, safe='')}/submitted", params=params, group="submitted")
        except NotFound as error:
            raise AccountNotFound("Reddit does not know this user name.") from error
        posts = map(_post, objects(answer["data"]["children"]))
        listed = tuple(_listed(post) for post in posts if not _is_removed(post))
        return Listing(listed, page_after(answer["data"].get("after"), cursor))

    def fetch_account(self, account: Account) -> Call[Raw | Reading]:
        user = yield from self._me(account)
        return pick(user, USER) | {"subreddit": pick(user.get("subreddit"), ("subscribers",))}

    def probe(self, account: Account) -> Call[None]:
        user = yield from self._me(account)
        if user.get("is_suspended") is True:
            raise AccountNotFound("The account is suspended.")

    @staticmethod
    def _me(account: Account) -> Call[Raw]:
        user: Raw = yield Request("api/v1/me", params={"raw_json": "1"}, group="me")
        same_account(account.network_unique_id, user["id"])
        return user

    def metrics(self, raw: Raw) -> dict[Dimension, int | None]:
        values = super().metrics(raw)
        if values[Dimension.LIKES] is None:
            values[Dimension.LIKES] = count(raw, "score")
        if raw.get("hide_score") is True:
            values[Dimension.LIKES] = None
        return values


def _post(child: Any) -> Raw:
    post: Raw = child["data"]
    if not re.fullmatch("t3_[0-9a-z]+", post["name"]):
        raise ValueError("expected names of posts")
    return post


def _found(child: Any) -> tuple[str, Item]:
    post = _post(child)
    if _is_removed(post):
        return post["name"], Gone(f"The post was removed ({post['removed_by_category'][:40]}).")
    return post["name"], pick(post, POST + STATE)


def _is_removed(post: Raw) -> bool:
    category = post.get("removed_by_category")
    return isinstance(category, str) and bool(category)


def _listed(post: Raw) -> Listed:
    made = post["created_utc"]
    at = datetime.fromtimestamp(made, UTC) if type(made) in (int, float) and 0 <= made < 2**33 else None
    return Listed(post["name"], f"https://www.reddit.com/comments/{post['id']}/", at, pick(post, POST + STATE))

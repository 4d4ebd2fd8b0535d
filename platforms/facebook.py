"""Facebook Pages."""

import re
from collections.abc import Sequence
from typing import Any

from platforms.base import Account, Call, Item, Listed, Listing, Raw, Reading, Request, pick, same_account
from platforms.dimensions import AccountDimension, Dimension, Reason
from platforms.errors import AccountNotFound, Gone, NeedsOwner, PlatformError, ScopeMissing, TryLater
from platforms.facebook_metrics import FIELDS, post_metrics
from platforms.facebook_pages import FacebookPages
from platforms.facebook_posts import read_posts
from platforms.facebook_videos import Resolved, read_videos, resolve
from platforms.graph_errors import MetricRefused
from platforms.graph_insights import insight_values, metric_values, next_cursor, rows_by_id, summed, text_at
from platforms.numerals import numeral
from platforms.payloads import count, instant, lookup, to_count

ACCOUNT_METRICS = ("page_media_view", "page_total_media_view_unique", "page_views_total", "page_follows")
LISTED = "id,created_time,permalink_url"
HOST = r"https?://(?:[a-z]+\.)?facebook\.com"
POST_URLS = (
    rf"{HOST}/[^/?#\s]+/posts/(?:[^/?#\s]+/)?([0-9]{{1,25}})/?(?:[?#]\S*)?",
    rf"{HOST}/(?:permalink|story)\.php\?(?:\S*&)?story_fbid=([0-9]{{1,25}})(?:&\S*)?",
)
VIDEO_URLS = (
    rf"{HOST}/(?:reel|[^/?#\s]+/videos(?:/[^/?#\s]+)?)/([0-9]{{1,25}})/?(?:[?#]\S*)?",
    rf"{HOST}/watch/?\?(?:\S*&)?v=([0-9]{{1,25}})(?:&\S*)?",
)


class Facebook(FacebookPages):
    key = "facebook"
    label = "Facebook"
    base_url = "https://graph.facebook.com/"
    api_version = "v26.0"
    scopes = ("pages_show_list", "pages_read_engagement", "read_insights", "pages_read_user_content")
    batch_size = 1000  # one walk through the listing serves them all
    has_listing = True
    # A Page's token has no end; what kills it, only its owner can cure.
    # https://developers.facebook.com/docs/facebook-login/guides/access-tokens/get-long-lived
    refresh = None
    fields = FIELDS
    account_fields = {
        AccountDimension.FOLLOWERS: ("node", "followers_count"),
        AccountDimension.POSTS_COUNT: ("posts", "total_count"),
        AccountDimension.IMPRESSIONS: "page_media_view",
        AccountDimension.REACH: "page_total_media_view_unique",
        AccountDimension.PROFILE_VIEWS: "page_views_total",
    }

    def normalize_post_id(self, value: str, account: Account) -> str:
        page = account.network_unique_id
        if re.fullmatch(r"[0-9]{1,25}(?:_[0-9]{1,25})?", value):
            return "_".join(map(numeral, value.split("_")))
        for url in POST_URLS:
            if found := re.fullmatch(url, value):
                return f"{page}_{numeral(found[1])}"
        for url in VIDEO_URLS:
            if found := re.fullmatch(url, value):
                return numeral(found[1])
        raise ValueError(
            "expected <page id>_<post id>, a video's number, or a facebook.com URL with the number in it (not pfbid…)"
        )

    def normalize_account_id(self, value: str) -> str:
        number = numeral(value)
        if not re.fullmatch(r"[0-9]{1,25}", number):
            raise ValueError("expected the numeric Page id, such as 102030405060708")
        return number

    def base_url_for(self, account: Account) -> str:
        return f"{self.base_url}{self.version_for(account)}/"

    def fetch_posts(self, ids: Sequence[str], account: Account) -> Call[dict[str, Item]]:
        numbers = [each for each in ids if "_" not in each]
        known = (yield from resolve(numbers, self, account)) if numbers else Resolved()
        posts = list(dict.fromkeys(known.posts.get(each, each) for each in ids if each not in known.items))
        told = (yield from read_posts(posts, self, account)) if posts else {}
        found = known.items | {
            each: self._own(told[post_id], each, known)
            for each in ids
            if (post_id := known.posts.get(each, each)) in told
        }
        hidden = {each: node for each, node in known.videos.items() if isinstance(found.get(each), Gone)}
        found |= (yield from read_videos(hidden, self, account)) if hidden else {}
        failed = [item for item in found.values() if isinstance(item, TryLater | NeedsOwner)]
        if failed and len(failed) == len(found):
            raise failed[0]
        if any(isinstance(item, Gone) for item in found.values()) and not any(map(_is_read, found.values())):
            yield from self.probe(account)  # a Page out of reach looks like a post that is gone
        return found

    @staticmethod
    def _own(item: Item, asked: str, known: Resolved) -> Item:
        """A post's item under the number that was asked for."""
        if isinstance(item, Gone) and asked in known.unsure:
            return known.unsure[asked]
        if asked not in known.posts or isinstance(item, PlatformError):
            return item
        reading = item if isinstance(item, Reading) else Reading(item)
        return Reading(reading.raw, reading.unavailable, id=known.posts[asked])

    def metrics(self, raw: Raw) -> dict[Dimension, int | None]:
        return post_metrics(raw)

    def list_posts(self, account: Account, *, cursor: str = "") -> Call[Listing]:
        params = {"limit": "100", "fields": LISTED} | ({"after": cursor} if cursor else {})
        page = yield Request(f"{account.network_unique_id}/published_posts", params=params, group="listing")
        posts = [
            Listed(post_id, text_at(row, "permalink_url"), instant(row.get("created_time")))
            for post_id, row in rows_by_id(page).items()
        ]
        return Listing(tuple(posts), next_cursor(page, cursor, linked=True))

    def fetch_account(self, account: Account) -> Call[Raw | Reading]:
        page = account.network_unique_id
        metrics = tuple(name for name in ACCOUNT_METRICS if name not in account.retired) or ACCOUNT_METRICS
        node, posts, insights = yield (
            Request(page, params={"fields": "id,followers_count"}, group="me"),
            Request(page, params={"fields": "id,published_posts.limit(0).summary(true)"}, group="me"),
            self._insights(account, metrics),
        )
        if isinstance(node, PlatformError):
            raise AccountNotFound(node.detail) if isinstance(node, Gone) else node
        same_account(page, node["id"])
        answers = [insights]
        if isinstance(insights, MetricRefused | ScopeMissing):
            answers = list((yield tuple(self._insights(account, (name,)) for name in metrics)))
            refused = {name for name, answer in zip(metrics, answers, strict=True) if isinstance(answer, MetricRefused)}
            account.retired.update(refused if isinstance(insights, MetricRefused) and insights.general else ())
        raw: Raw = {"node": pick(node, ("id", "followers_count"))}
        if not isinstance(posts, PlatformError):
            raw["posts"] = pick(lookup(posts, ("published_posts", "summary")), ("total_count",))
        told = [answer for answer in answers if not isinstance(answer, PlatformError)]
        raw["insights"] = {"data": [entry for answer in told for entry in insight_values(answer)["data"]]}
        return Reading(raw, self._reasons(raw, answers, account))

    @staticmethod
    def _insights(account: Account, metrics: Sequence[str]) -> Request:
        path = f"{account.network_unique_id}/insights"
        return Request(path, params={"metric": ",".join(metrics), "period": "day"}, group="insights")

    def _reasons(self, raw: Raw, answers: Sequence[Any], account: Account) -> dict[str, Reason]:
        denied = any(isinstance(answer, ScopeMissing) for answer in answers) and not raw["insights"]["data"]
        names = {dimension: path for dimension, path in self.account_fields.items() if isinstance(path, str)}
        reasons: dict[str, Reason] = dict.fromkeys(names, Reason.SCOPE_MISSING) if denied else {}
        return reasons | account.lost(names)

    def account_metrics(self, raw: Raw) -> dict[AccountDimension, int | None]:
        values = {name: count(raw, path) for name, path in self.account_fields.items() if isinstance(path, tuple)}
        days = metric_values(raw.get("insights"))
        values[AccountDimension.IMPRESSIONS] = summed(days.get("page_media_view"))
        values[AccountDimension.PROFILE_VIEWS] = summed(days.get("page_views_total"))
        # Unique viewers must not be summed, nor a running total: the last day's.
        reach, follows = ((days.get(name) or [None])[-1] for name in ("page_total_media_view_unique", "page_follows"))
        values[AccountDimension.REACH] = to_count(reach, "page_total_media_view_unique")
        if values[AccountDimension.FOLLOWERS] is None:
            values[AccountDimension.FOLLOWERS] = to_count(follows, "page_follows")
        return values

    def probe(self, account: Account) -> Call[None]:
        try:
            node = yield Request("me", params={"fields": "id"}, group="me")
        except Gone as error:
            raise AccountNotFound(error.detail) from error
        same_account(account.network_unique_id, node["id"])


def _is_read(item: Item) -> bool:
    return not isinstance(item, PlatformError)

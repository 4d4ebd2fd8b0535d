"""Threads."""

import re
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from platforms.base import Account, Call, Item, Listed, Listing, Raw, Reading, Request, objects, pick, same_account
from platforms.dimensions import AccountDimension, Dimension
from platforms.errors import AccountNotFound, Gone, Rejected, ScopeMissing, TokenExpired
from platforms.graph import LIFETIME
from platforms.graph_errors import TOO_YOUNG, MetricRefused
from platforms.graph_insights import insight_values, metric_values, next_cursor, rows_by_id, sift, summed, text_at
from platforms.numerals import numeral
from platforms.oauth import App, Credentials, Refresh, TokenSet
from platforms.payloads import instant, to_count
from platforms.rates import Limit
from platforms.threads_consent import ThreadsConsent
from platforms.threads_posts import FIELDS, post_metrics, read_posts

ACCOUNT_METRICS = ("views", "likes", "replies", "reposts", "quotes", "clicks", "followers_count")


class Threads(ThreadsConsent):
    key = "threads"
    label = "Threads"
    base_url = "https://graph.threads.net/v1.0/"
    scopes = ("threads_basic", "threads_manage_insights")
    batch_size = 100  # one call each
    has_listing = True

    # https://developers.facebook.com/docs/threads/get-started/long-lived-tokens
    refresh = Refresh(
        "https://graph.threads.net/refresh_access_token",
        method="GET",
        grant_type="th_refresh_token",
        sends="access_token",
        client="none",
        revives=False,
        early=timedelta(days=7),
        min_age=timedelta(hours=24),
        lifetime=LIFETIME,
    )
    # 4800 x impressions, counted as at least 10. https://developers.facebook.com/docs/graph-api/overview/rate-limiting
    limits = (Limit(48000, 86400),)
    fields = FIELDS
    account_fields = {AccountDimension.FOLLOWERS: "followers_count", AccountDimension.IMPRESSIONS: "views"}

    def normalize_post_id(self, value: str, account: Account) -> str:
        number = numeral(value)
        if not re.fullmatch(r"[0-9]{5,25}", number):
            raise ValueError("expected the numeric media id, such as 18000000000000001 (a permalink does not hold it)")
        return number

    def normalize_account_id(self, value: str) -> str:
        number = numeral(value)
        if not re.fullmatch(r"[0-9]{5,25}", number):
            raise ValueError("expected the numeric Threads user id, such as 26000000000000001")
        return number

    def fetch_posts(self, ids: Sequence[str], account: Account) -> Call[dict[str, Item]]:
        found = yield from read_posts(ids, account)
        if found and all(isinstance(item, Gone) or type(item) is Rejected for item in found.values()):
            yield from self.probe(account)  # with a dead token posts look gone, or as if there were no such thing
        return found

    def metrics(self, raw: Raw) -> dict[Dimension, int | None]:
        return post_metrics(raw)

    def list_posts(self, account: Account, *, cursor: str = "") -> Call[Listing]:
        params = {"fields": "id,media_type,permalink,timestamp", "limit": "50"} | ({"after": cursor} if cursor else {})
        try:
            page = yield Request("me/threads", params=params, group="listing")
        except (Rejected, Gone):
            yield from self.probe(account)  # a dead token may answer that there is no such resource
            raise
        posts = [
            Listed(post_id, text_at(row, "permalink"), instant(row.get("timestamp")))
            for post_id, row in rows_by_id(page).items()
            if row.get("media_type") != "REPOST_FACADE"  # another's post
        ]
        return Listing(tuple(posts), next_cursor(page, cursor, linked=False))

    # --- the account ---------------------------------------------------------------------------------------------

    def fetch_account(self, account: Account) -> Call[Raw | Reading]:
        metrics = account.unretired(ACCOUNT_METRICS)
        try:
            answer = yield self._insights(account, metrics)
        except MetricRefused as refusal:
            left = yield from sift(metrics, refusal, lambda names: self._insights(account, names))
            if not left:
                raise
            account.retired.update(set(metrics) - set(left))
            answer = yield self._insights(account, left)
        except (Rejected, Gone) as error:
            yield from self.probe(account)  # a dead token may answer that there is no such resource
            if isinstance(error, Gone):
                raise AccountNotFound(error.detail) from error
            raise
        raw = {"views_are": account.settings.get("account_views", "impressions"), "insights": _values(answer)}
        return Reading(raw, account.lost(self.account_fields))

    @staticmethod
    def _insights(account: Account, metrics: Sequence[str]) -> Request:
        path = f"{account.network_unique_id}/threads_insights"
        return Request(path, params={"metric": ",".join(metrics)}, group="threads_insights")

    def account_metrics(self, raw: Raw) -> dict[AccountDimension, int | None]:
        insights = metric_values(raw.get("insights"))
        followers = (insights.get("followers_count") or [None])[-1]
        # Documented as profile views, measured as the views of all content.
        visits = raw.get("views_are") == "profile_views"
        views = AccountDimension.PROFILE_VIEWS if visits else AccountDimension.IMPRESSIONS
        return {
            AccountDimension.FOLLOWERS: to_count(followers, "followers_count"),
            AccountDimension.IMPRESSIONS: None,
            views: summed(insights.get("views"), "views"),
        }

    def probe(self, account: Account) -> Call[None]:
        try:
            node = yield Request("me", params={"fields": "id"}, group="me")
        except (Rejected, Gone) as error:  # a dead token may answer that there is no such resource
            raise TokenExpired(error.detail) from error
        same_account(account.network_unique_id, node["id"])

    def renew(self, account: Account, credentials: Credentials, app: App) -> Call[TokenSet]:
        try:
            return (yield from super().renew(account, credentials, app))
        except (Rejected, Gone, ScopeMissing) as error:
            if TOO_YOUNG in error.detail:
                raise
            raise TokenExpired(f"The refresh was refused: {error.detail}") from error


def _values(answer: Any) -> Raw:
    """Insights without titles, and without the links that were clicked."""
    kept = insight_values(answer)
    for entry, told in zip(kept["data"], objects(answer["data"]), strict=True):
        if isinstance(told.get("link_total_values"), list):
            entry["values"] = [pick(each, ("value",)) for each in told["link_total_values"]]
    return kept

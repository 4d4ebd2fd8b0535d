"""Instagram, by Instagram Login or Facebook Login."""

import re
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from platforms.base import Account, Call, Item, Listing, Raw, Reading, Request, pick, same_account
from platforms.dimensions import AccountDimension, Dimension, Reason
from platforms.errors import AccountNotFound, Gone, PlatformError, ScopeMissing
from platforms.graph import LIFETIME
from platforms.graph_batch import ask as ask_in_batches
from platforms.graph_errors import MetricRefused
from platforms.graph_insights import insight_values, insights_by_name
from platforms.instagram_consent import InstagramConsent, by_instagram
from platforms.instagram_listing import list_media
from platforms.instagram_media import read_media
from platforms.instagram_metrics import FIELDS, media_metrics
from platforms.numerals import numeral
from platforms.oauth import Refresh
from platforms.payloads import count, to_count

# Profile views are not in the reference any more, and still answered: asked apart.
ACCOUNT_METRICS = (("reach", "views"), ("profile_views",))
DAY = {"period": "day", "metric_type": "total_value"}


class Instagram(InstagramConsent):
    key = "instagram"
    label = "Instagram"
    base_url = "https://graph.facebook.com/"
    api_version = "v26.0"
    hosts = ("graph.instagram.com",)
    scopes = ("instagram_basic", "instagram_manage_insights", "pages_read_engagement", "pages_show_list")
    extra = {"login": ("facebook", "instagram")}
    batch_size = 1000  # one walk through the listing serves them all
    has_listing = True

    # https://developers.facebook.com/docs/instagram-platform/reference/refresh_access_token
    refresh = Refresh(
        "https://graph.instagram.com/refresh_access_token",
        method="GET",
        grant_type="ig_refresh_token",
        sends="access_token",
        client="none",
        revives=False,
        early=timedelta(days=7),
        min_age=timedelta(hours=24),
        lifetime=LIFETIME,
    )
    facebook_refresh = Refresh(
        "oauth/access_token",
        method="GET",
        grant_type="fb_exchange_token",
        sends="access_token",
        param="fb_exchange_token",
        revives=False,
        early=timedelta(days=7),
        min_age=timedelta(hours=24),
        lifetime=LIFETIME,
    )
    fields = FIELDS
    account_fields = {
        AccountDimension.FOLLOWERS: ("node", "followers_count"),
        AccountDimension.FOLLOWING: ("node", "follows_count"),
        AccountDimension.POSTS_COUNT: ("node", "media_count"),
        AccountDimension.IMPRESSIONS: "views",
        AccountDimension.REACH: "reach",
        AccountDimension.PROFILE_VIEWS: "profile_views",
    }

    def normalize_post_id(self, value: str, account: Account) -> str:
        number = numeral(value)
        if not re.fullmatch(r"[0-9]{5,25}", number):
            raise ValueError(
                "expected the numeric media id, such as 17900000000000001 (a permalink's shortcode is not one)"
            )
        return number

    def normalize_account_id(self, value: str) -> str:
        number = numeral(value)
        if not re.fullmatch(r"[0-9]{5,25}", number):
            raise ValueError("expected the numeric professional account id, such as 17841400000000001")
        return number

    def base_url_for(self, account: Account) -> str:
        host = "graph.instagram.com" if by_instagram(account) else "graph.facebook.com"
        return f"https://{host}/{super().version_for(account)}/"

    def version_for(self, account: Account) -> str:
        """The two hosts have metrics of their own."""
        version = super().version_for(account)
        return f"{version} by Instagram login" if by_instagram(account) else version

    def refresh_for(self, account: Account) -> Refresh | None:
        return self.refresh if by_instagram(account) else self.facebook_refresh

    def fetch_posts(self, ids: Sequence[str], account: Account) -> Call[dict[str, Item]]:
        def ask(reads: Sequence[Request]) -> Call[list[Any]]:
            if by_instagram(account):  # batches are documented for the other host only
                return list((yield tuple(reads)))
            return (yield from ask_in_batches(reads, self, account))

        return (yield from read_media(ids, account, ask=ask, probe=lambda: self.probe(account)))

    def list_posts(self, account: Account, *, cursor: str = "") -> Call[Listing]:
        return (yield from list_media(account, cursor))

    def metrics(self, raw: Raw) -> dict[Dimension, int | None]:
        return media_metrics(raw)

    def fetch_account(self, account: Account) -> Call[Raw | Reading]:
        groups = (tuple(each for each in names if each not in account.retired) for names in ACCOUNT_METRICS)
        asked = [names for names in groups if names]
        node, *told = yield (
            self._node(account, "followers_count,follows_count,media_count"),
            *(self._totals(account, names) for names in asked),
        )
        if isinstance(node, PlatformError):
            raise AccountNotFound(node.detail) if isinstance(node, Gone) else node
        self._check(node, account)
        answers = dict(zip(asked, told, strict=True))
        # What a metric refuses is not always said: each by itself, then.
        apart = [(name,) for names in asked if isinstance(answers[names], MetricRefused) for name in names]
        apart = [names for names in apart if names not in answers]
        if apart:
            answers |= zip(apart, (yield tuple(self._totals(account, names) for names in apart)), strict=True)
        return self._reading(node, answers, account)

    def _reading(self, node: Raw, answers: Mapping[tuple[str, ...], Any], account: Account) -> Reading:
        refused = {names: answer for names, answer in answers.items() if isinstance(answer, MetricRefused)}
        account.retired.update(n[0] for n, answer in refused.items() if len(n) == 1 and answer.general)
        denied = {name for names, answer in answers.items() if isinstance(answer, ScopeMissing) for name in names}
        told = [answer for answer in answers.values() if not isinstance(answer, PlatformError)]
        raw: Raw = {"node": pick(node, ("id", "user_id", "followers_count", "follows_count", "media_count"))}
        raw["insights"] = {"data": [entry for answer in told for entry in insight_values(answer)["data"]]}
        names = {dimension: path for dimension, path in self.account_fields.items() if isinstance(path, str)}
        reasons: dict[str, Reason] = {each: Reason.SCOPE_MISSING for each, name in names.items() if name in denied}
        return Reading(raw, reasons | account.lost(self.account_fields))

    def account_metrics(self, raw: Raw) -> dict[AccountDimension, int | None]:
        insights = insights_by_name(raw.get("insights"))
        return {
            dimension: count(raw, path) if isinstance(path, tuple) else to_count(insights.get(path), path)
            for dimension, path in self.account_fields.items()
        }

    def probe(self, account: Account) -> Call[None]:
        try:
            node = yield self._node(account, "")
        except Gone as error:
            raise AccountNotFound(error.detail) from error
        self._check(node, account)

    def _node(self, account: Account, fields: str) -> Request:
        own_login = by_instagram(account)
        name = "user_id" if own_login else "id"
        path = "me" if own_login else account.network_unique_id
        return Request(path, params={"fields": ",".join(filter(None, (name, fields)))}, group="me")

    @staticmethod
    def _totals(account: Account, metrics: Sequence[str]) -> Request:
        path = f"{account.network_unique_id}/insights"
        return Request(path, params={"metric": ",".join(metrics), **DAY}, group="insights")

    def _check(self, node: Raw, account: Account) -> None:
        same_account(account.network_unique_id, node["user_id"] if by_instagram(account) else node["id"])

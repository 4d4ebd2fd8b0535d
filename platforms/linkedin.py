"""LinkedIn, the versioned REST API: members and organization pages."""

from collections.abc import Mapping, Sequence

from platforms import linkedin_member_account as member_account
from platforms import linkedin_members as members
from platforms import linkedin_page_posts as page_posts
from platforms import linkedin_pages as pages
from platforms.base import Account, Call, Item, Listing, Raw, Reading, Request, same_account
from platforms.dimensions import AccountDimension, Dimension
from platforms.errors import Rejected, ScopeMissing
from platforms.linkedin_consent import USERINFO, LinkedInConsent, member_urn, who
from platforms.linkedin_errors import LinkedInErrors
from platforms.linkedin_urns import account_urn, is_page, post_urn
from platforms.oauth import Refresh
from platforms.payloads import count
from platforms.rates import Limit

VERSION = "202609"


class LinkedIn(LinkedInConsent, LinkedInErrors):
    key = "linkedin"
    label = "LinkedIn"
    base_url = "https://api.linkedin.com/rest/"
    api_version = VERSION
    scopes = (
        "r_basicprofile",
        "r_member_postAnalytics",
        "r_member_profileAnalytics",
        "r_organization_social",
        "rw_organization_admin",
    )
    batch_size = 50  # as many URNs as the query has room for
    has_listing = True

    # https://learn.microsoft.com/en-us/linkedin/shared/authentication/programmatic-refresh-tokens
    refresh = Refresh(
        "https://www.linkedin.com/oauth/v2/accessToken",
        refused={"invalid_grant": "", "invalid_request": "invalid, expired or revoked"},
    )
    # https://learn.microsoft.com/en-us/linkedin/marketing/increasing-access: what the Development tier may do.
    # The Standard tier's numbers are not published; its quotas are known when they are spent.
    limits = (Limit(500, zone="UTC", scope="app"), Limit(100, zone="UTC", scope="account"))
    fields = members.FIELDS
    account_fields = pages.ACCOUNT_FIELDS

    def normalize_post_id(self, value: str, account: Account) -> str:
        return post_urn(value)

    def normalize_account_id(self, value: str) -> str:
        return account_urn(value)

    def headers_for(self, account: Account) -> Mapping[str, str]:
        return {"LinkedIn-Version": self.version_for(account), "X-Restli-Protocol-Version": "2.0.0"}

    def limits_for(self, account: Account) -> tuple[Limit, ...]:
        return self.limits if account.settings.get("tier") == "development" else ()

    def fetch_posts(self, ids: Sequence[str], account: Account) -> Call[dict[str, Item]]:
        read = page_posts.read_posts if is_page(account) else members.read_posts
        return (yield from read(ids, account))

    def no_listing(self, account: Account) -> str:
        return "" if is_page(account) else "LinkedIn lists the posts of organization pages, not those of members."

    def list_posts(self, account: Account, *, cursor: str = "") -> Call[Listing]:
        if not is_page(account):
            raise Rejected("LinkedIn does not list the posts of members.")
        return (yield from pages.list_posts(account, cursor))

    def fetch_account(self, account: Account) -> Call[Raw | Reading]:
        read = pages.read_account if is_page(account) else member_account.read_account
        return (yield from read(account))

    def probe(self, account: Account) -> Call[None]:
        if is_page(account):
            yield from pages.check_role(account)
            return
        # https://learn.microsoft.com/en-us/linkedin/consumer/integrations/self-serve/sign-in-with-linkedin-v2
        try:
            me = yield who(account)
        except ScopeMissing:
            if account.scopes:
                raise
            me = yield Request(USERINFO, group="userinfo")  # of what kind the app is was not told
        same_account(account.network_unique_id, member_urn(me))

    def metrics(self, raw: Raw) -> dict[Dimension, int | None]:
        if raw.get("kind") != "organization":
            return super().metrics(raw)
        if raw.get("noActivity") is True:
            return {dimension: 0 for dimension in page_posts.FIELDS if dimension is not Dimension.VIDEO_VIEWS}
        return {dimension: count(raw, path) for dimension, path in page_posts.FIELDS.items()}

    def account_metrics(self, raw: Raw) -> dict[AccountDimension, int | None]:
        if raw.get("kind") != "organization":
            return {dimension: count(raw, path) for dimension, path in member_account.ACCOUNT_FIELDS.items()}
        return super().account_metrics(raw)

"""How Instagram accounts are connected: behind Facebook Pages, or by Instagram's own login."""

from datetime import timedelta

from platforms.base import Account, Call, Raw, Request
from platforms.consent import Candidate, Consent, Need
from platforms.dimensions import AccountDimension, Dimension
from platforms.facebook_pages import APP_CONFIG, facebook_consent, inspector_of, pages
from platforms.graph import GraphPlatform
from platforms.graph_grants import granted_scopes
from platforms.oauth import App, Refresh, TokenSet
from platforms.payloads import lookup

# https://developers.facebook.com/docs/instagram-platform/instagram-api-with-instagram-login/business-login
CONSENT = Consent(
    "https://www.instagram.com/oauth/authorize",
    "https://api.instagram.com/oauth/access_token",
    scopes=("instagram_business_basic", "instagram_business_manage_insights"),
    separator=",",
    wrapped=True,
    scopes_field="permissions",
    extension=Refresh(
        "https://graph.instagram.com/access_token",
        method="GET",
        grant_type="ig_exchange_token",
        sends="access_token",
        client="secret",
    ),
    lifetime=timedelta(days=60),
    app_words=("client_secret", "client secret", "platform app", "redirect_uri"),
)
COUNTED = (Dimension.LIKES, Dimension.COMMENTS)
"""What the nodes themselves tell."""
INSIGHTS = Need(
    tuple(each for each in Dimension if each not in COUNTED),
    (AccountDimension.IMPRESSIONS, AccountDimension.REACH, AccountDimension.PROFILE_VIEWS),
)


class InstagramConsent(GraphPlatform):
    """The login is the app's: `extra_config.login`, and stays the account's `extra.login`."""

    consent = CONSENT
    app_config = {"login": ("facebook", "instagram"), **APP_CONFIG}
    needs = {
        "instagram_manage_insights": INSIGHTS,
        "instagram_business_manage_insights": INSIGHTS,
        "pages_show_list": Need(why="accounts behind Pages cannot be found"),
    }

    def consent_for(self, account: Account) -> Consent | None:
        return CONSENT if by_instagram(account) else facebook_consent(account)

    def granted(self, account: Account, app: App, tokens: TokenSet) -> Call[tuple[str, ...]]:
        if by_instagram(account):
            return tokens.scopes
        return (yield from granted_scopes(tokens, inspector_of(app)))

    def discover(self, account: Account, tokens: TokenSet) -> Call[list[Candidate]]:
        if by_instagram(account):
            me = yield Request("me", params={"fields": "user_id,username,name,account_type,profile_picture_url"})
            return [_candidate(me, str(me["user_id"]), {"login": "instagram"})]
        behind = "instagram_business_account{id,username,name,profile_picture_url}"
        rows = yield from pages(f"id,name,access_token,{behind}", account)
        return [
            _candidate(row["instagram_business_account"], own_id, {"login": "facebook"}, str(row["access_token"]))
            for row in rows
            if (own_id := str(lookup(row, ("instagram_business_account", "id")) or ""))
        ]


def by_instagram(account: Account) -> bool:
    """Whether the account, or the app, is one of Instagram's own login."""
    return account.extra.get("login") == "instagram"


def _candidate(node: Raw, own_id: str, extra: dict[str, str], token: str = "") -> Candidate:
    return Candidate(
        network_unique_id=own_id,
        username=str(node.get("username") or ""),
        display_name=str(node.get("name") or ""),
        profile_image_url=str(node.get("profile_picture_url") or ""),
        account_type=str(node.get("account_type") or "business").lower(),
        extra=extra,
        access_token=token,
    )

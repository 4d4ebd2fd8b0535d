"""Facebook's consent dialog, and the Pages that a grant reaches; Instagram accounts stand behind Pages."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

from platforms.base import Account, Call, Raw, Request, objects
from platforms.consent import Candidate, Consent, Need
from platforms.dimensions import AccountDimension, Dimension
from platforms.graph import GraphPlatform
from platforms.graph_grants import granted_scopes
from platforms.graph_insights import next_cursor
from platforms.oauth import App, Refresh, TokenSet
from platforms.payloads import lookup

# https://developers.facebook.com/docs/facebook-login/guides/advanced/manual-flow
CONSENT = Consent(
    "https://www.facebook.com/dialog/oauth",
    "oauth/access_token",
    separator=",",
    method="GET",
    extension=Refresh(
        "oauth/access_token",
        method="GET",
        grant_type="fb_exchange_token",
        sends="access_token",
        param="fb_exchange_token",
    ),
    lifetime=timedelta(days=60),
    app_words=("client secret", "validating application", "redirect_uri"),
)
APP_CONFIG = {"config_id": None}
VIEWED = (AccountDimension.IMPRESSIONS, AccountDimension.REACH, AccountDimension.PROFILE_VIEWS)
MOST_PAGES = 5000


class FacebookPages(GraphPlatform):
    """Connecting Pages, each with a token of its own that has no end."""

    consent = CONSENT
    app_config = APP_CONFIG
    needs = {
        "pages_show_list": Need(why="Pages cannot be found"),
        "read_insights": Need(
            (Dimension.IMPRESSIONS, Dimension.REACH, Dimension.CLICKS, Dimension.VIDEO_VIEWS), VIEWED
        ),
        "pages_read_user_content": Need((Dimension.LIKES, Dimension.COMMENTS), ()),
    }

    def consent_for(self, account: Account) -> Consent | None:
        return facebook_consent(account)

    def granted(self, account: Account, app: App, tokens: TokenSet) -> Call[tuple[str, ...]]:
        return (yield from granted_scopes(tokens, inspector_of(app)))

    def discover(self, account: Account, tokens: TokenSet) -> Call[list[Candidate]]:
        fields = "id,name,username,access_token,tasks,picture{url}"
        rows = yield from pages(fields, account)
        # Without the task ANALYZE a Page's insights are refused.
        return [_page(row) for row in rows if not row.get("tasks") or "ANALYZE" in row["tasks"]]


def facebook_consent(account: Account) -> Consent:
    """Facebook's dialog in the version that is called; what is asked for may be a configuration of the app.

    https://developers.facebook.com/docs/facebook-login/facebook-login-for-business
    """
    version, config = account.settings.get("api_version", "v26.0"), account.extra.get("config_id")
    told = replace(CONSENT, authorize_url=f"https://www.facebook.com/{version}/dialog/oauth")
    return replace(told, params={"config_id": str(config)}, asks_scopes=False) if config else told


def inspector_of(app: App) -> str:
    """The app's own token, by which it may look at those of its people."""
    return f"{app.client_id}|{app.client_secret}"


def pages(fields: str, account: Account) -> Call[list[Raw]]:
    """The Pages of the person and, where that was granted, of the person's businesses."""
    rows = yield from walk("me/accounts", fields)
    if "business_management" in account.scopes:
        businesses = yield from walk("me/businesses", "id")
        for business in businesses:
            for edge in ("owned_pages", "client_pages"):
                rows += yield from walk(f"{business['id']}/{edge}", fields)
    return list({row["id"]: row for row in rows if row.get("access_token")}.values())


def walk(path: str, fields: str) -> Call[list[Raw]]:
    """All rows of an edge: there is a cursor on the last page, too, and nothing behind it."""
    rows: list[Raw] = []
    cursor, more = "", True
    while more and len(rows) < MOST_PAGES:
        params = {"fields": fields, "limit": "100"} | ({"after": cursor} if cursor else {})
        page = yield Request(path, params=params, group="discovery")
        rows += objects(page["data"])
        cursor = next_cursor(page, cursor, linked=False)
        more = bool(cursor)
    return rows


def _page(row: Raw) -> Candidate:
    image: Any = lookup(row, ("picture", "data", "url"))
    return Candidate(
        network_unique_id=str(row["id"]),
        username=str(row.get("username") or ""),
        display_name=str(row.get("name") or ""),
        profile_image_url=str(image or ""),
        account_type="page",
        access_token=str(row["access_token"]),
    )

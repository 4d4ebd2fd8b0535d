"""How Pinterest accounts are connected."""

from platforms.base import Account, Call, Platform, Request
from platforms.consent import Candidate, Consent, Need
from platforms.oauth import TokenSet


class PinterestConsent(Platform):
    """Pinterest's dialog."""

    # https://developers.pinterest.com/docs/getting-started/set-up-authentication-and-authorization/
    consent = Consent(
        "https://www.pinterest.com/oauth/",
        "https://api.pinterest.com/v5/oauth/token",
        separator=",",
        client="basic",
        also={"continuous_refresh": "true"},
    )
    needs = {"pins:read": Need(account=()), "boards:read": Need(account=())}

    def discover(self, account: Account, tokens: TokenSet) -> Call[list[Candidate]]:
        user = yield Request("user_account", group="org_read")
        username, kind = str(user.get("username") or ""), str(user.get("account_type") or "").lower()
        name, image = str(user.get("business_name") or username), str(user.get("profile_image") or "")
        return [Candidate(str(user["id"]), username, name, image, kind)]

"""How accounts of X are connected."""

from platforms.base import Account, Call, Platform, Request
from platforms.consent import Candidate, Consent, Need
from platforms.oauth import TokenSet


class XConsent(Platform):
    """X's dialog; an app without a secret is a public client."""

    # https://docs.x.com/fundamentals/authentication/oauth-2-0/authorization-code
    consent = Consent(
        "https://x.com/i/oauth2/authorize",
        "https://api.x.com/2/oauth2/token",
        pkce=True,
        public_apps=True,
        client="basic",
    )
    needs = {
        "offline.access": Need(
            (), (), why="tokens cannot be renewed: accounts must be connected again every two hours"
        ),
    }

    def discover(self, account: Account, tokens: TokenSet) -> Call[list[Candidate]]:
        answer = yield Request("users/me", params={"user.fields": "profile_image_url"}, group="users/me")
        user = answer["data"]
        image = str(user.get("profile_image_url") or "")
        return [Candidate(str(user["id"]), str(user.get("username") or ""), str(user.get("name") or ""), image)]

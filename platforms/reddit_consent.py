"""How Reddit accounts are connected."""

from platforms.base import Account, Call, Platform, Request
from platforms.consent import Candidate, Consent, Need
from platforms.errors import AccountNotFound
from platforms.oauth import TokenSet


class RedditConsent(Platform):
    """Reddit's dialog."""

    # https://github.com/reddit-archive/reddit/wiki/OAuth2#authorization
    consent = Consent(
        "https://www.reddit.com/api/v1/authorize",
        "https://www.reddit.com/api/v1/access_token",
        params={"duration": "permanent"},  # or there is no refresh token
        client="basic",
    )
    needs = {
        "identity": Need(why="accounts cannot be connected"),
        "read": Need(account=()),
        "history": Need((), (), why="posts cannot be listed"),
    }

    def discover(self, account: Account, tokens: TokenSet) -> Call[list[Candidate]]:
        user = yield Request("api/v1/me", params={"raw_json": "1"}, group="me")
        if user.get("is_suspended") is True:
            raise AccountNotFound("The account is suspended.")
        name = str(user.get("name") or "")
        return [Candidate(str(user["id"]).lower(), name, name, str(user.get("icon_img") or ""))]

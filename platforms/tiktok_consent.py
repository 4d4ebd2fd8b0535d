"""How TikTok accounts are connected."""

from platforms.base import Account, Call, Platform, Request
from platforms.consent import Candidate, Consent, Need
from platforms.oauth import TokenSet


class TikTokConsent(Platform):
    """TikTok's dialog, in which a person may leave scopes out."""

    # https://developers.tiktok.com/doc/login-kit-web
    consent = Consent(
        "https://www.tiktok.com/v2/auth/authorize/",
        "https://open.tiktokapis.com/v2/oauth/token/",
        separator=",",
        client_param="client_key",
    )
    needs = {"user.info.stats": Need(()), "video.list": Need(account=())}

    def discover(self, account: Account, tokens: TokenSet) -> Call[list[Candidate]]:
        fields = ["open_id", "display_name", "avatar_url"]
        if "user.info.profile" in account.scopes:
            fields.append("username")  # a field whose scope was not granted fails the whole request
        answer = yield Request("user/info/", params={"fields": ",".join(fields)}, group="user/info")
        user = answer["data"]["user"]
        username, name, image = (str(user.get(each) or "") for each in ("username", "display_name", "avatar_url"))
        return [Candidate(str(user["open_id"]), username, name, image)]

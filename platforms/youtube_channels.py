"""How YouTube channels are connected."""

from platforms.base import Account, Call, Raw, Request, listed
from platforms.consent import Candidate, Need
from platforms.google import GooglePlatform
from platforms.google_consent import CONSENT
from platforms.oauth import TokenSet
from platforms.payloads import lookup

SCOPE = "https://www.googleapis.com/auth/youtube"


class YouTubeChannels(GooglePlatform):
    """Connecting the channels of a Google account."""

    consent = CONSENT
    needs = {f"{SCOPE}.readonly": Need(instead=(SCOPE, f"{SCOPE}.force-ssl"))}

    def discover(self, account: Account, tokens: TokenSet) -> Call[list[Candidate]]:
        params = {"part": "id,snippet", "mine": "true", "maxResults": "50"}
        answer = yield Request("channels", params=params, group="general")
        return [_channel(row) for row in listed(answer, "items")]


def _channel(row: Raw) -> Candidate:
    image = lookup(row, ("snippet", "thumbnails", "default", "url"))
    return Candidate(
        network_unique_id=str(row["id"]),
        username=str(lookup(row, ("snippet", "customUrl")) or ""),
        display_name=str(lookup(row, ("snippet", "title")) or ""),
        profile_image_url=str(image or ""),
        account_type="channel",
    )

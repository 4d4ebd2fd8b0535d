"""What the tests of the social accounts' endpoints have in common."""

from typing import Any

from accounts.models import SocialAccount

URL = "/api/v1/social-accounts"
DID = "did:plc:abcdefghijklmnopqrstuvwx"
X = {"platform": "x", "network_unique_id": "2244994945", "access_token": "an-access-token-of-x"}
BLUESKY = {"platform": "bluesky", "network_unique_id": DID, "access_token": "an-access-token-of-bluesky"}


def url(account: Any) -> str:
    return f"{URL}/{account.pk if isinstance(account, SocialAccount) else account}"

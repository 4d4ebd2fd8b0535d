"""How locations of Google Business are connected: each location is an account."""

from typing import Any

from platforms.base import Account, Call, Raw, Request, listed
from platforms.consent import Candidate
from platforms.google import GooglePlatform
from platforms.google_consent import CONSENT
from platforms.oauth import TokenSet
from platforms.payloads import lookup

ACCOUNTS = "https://mybusinessaccountmanagement.googleapis.com/v1/accounts"
INFORMATION = "https://mybusinessbusinessinformation.googleapis.com/v1"
MOST_LOCATIONS = 5000


class GoogleBusinessLocations(GooglePlatform):
    """Connecting locations, with the Google account that each belongs to."""

    hosts = ("mybusinessbusinessinformation.googleapis.com", "mybusinessaccountmanagement.googleapis.com")
    consent = CONSENT

    # https://developers.google.com/my-business/reference/accountmanagement/rest/v1/accounts/list
    def discover(self, account: Account, tokens: TokenSet) -> Call[list[Candidate]]:
        owners = yield from _all(ACCOUNTS, "accounts", pageSize="20")
        found: dict[str, Candidate] = {}
        for owner in owners:
            if len(found) < MOST_LOCATIONS:
                # https://developers.google.com/my-business/reference/businessinformation/rest/v1/accounts.locations/list
                url = f"{INFORMATION}/{owner['name']}/locations"
                rows = yield from _all(url, "locations", readMask="name,title,storefrontAddress", pageSize="100")
                for row in rows:
                    candidate = _location(row, str(owner["name"]))
                    found.setdefault(candidate.network_unique_id, candidate)
        return list(found.values())


def _all(url: str, name: str, **params: str) -> Call[list[Raw]]:
    """All pages of a listing."""
    rows: list[Raw] = []
    token: Any = ""
    while True:
        more = {"pageToken": str(token)} if token else {}
        answer = yield Request(url, params={**params, **more}, group="information")
        rows += listed(answer, name)
        after = answer.get("nextPageToken")
        if not after or after == token or len(rows) >= MOST_LOCATIONS:
            return rows
        token = after


def _location(row: Raw, owner: str) -> Candidate:
    lines = lookup(row, ("storefrontAddress", "addressLines"))
    street = ", ".join(str(line) for line in lines) if isinstance(lines, list) else ""
    town = str(lookup(row, ("storefrontAddress", "locality")) or "")
    title = ", ".join(filter(None, (str(row.get("title") or ""), street, town)))
    return Candidate(
        network_unique_id=str(row["name"]).rpartition("/")[2],
        display_name=title,
        account_type="location",
        extra={"account": owner.removeprefix("accounts/")},
    )

"""What tests of LinkedIn posts hold conversations with, and what LinkedIn says no with."""

from typing import Any

from platforms import registry
from platforms.base import Account
from platforms.dimensions import Dimension
from platforms.tests.replay import Answers, account_of, client_for, raw_of

LINKEDIN = registry.get("linkedin")
PAGE = {"network_unique_id": "urn:li:organization:123"}
STATS = {"impressionCount": 920, "uniqueImpressionsCount": 610, "clickCount": 40, "likeCount": 21, "commentCount": 3}
LOST = (404, {"status": 404, "message": "Could not find entity", "code": "NOT_FOUND"})
WRONG = "Unpermitted fields present in PARAMETER: Data Processing Exception while processing fields [/shares[0]]"
UNPERMITTED = (403, {"status": 403, "serviceErrorCode": 100, "code": "ACCESS_DENIED", "message": WRONG})
DENIED = (403, {"status": 403, "code": "ACCESS_DENIED", "message": "Not enough permissions to access: x"})
SPENT = (429, {"status": 429, "message": "Resource level throttle MEMBER DAY limit for calls … is reached."})
DAY_MS = 86_400_000


def fetch(transport: Answers, *ids: str, account: Account | None = None, **more: Any) -> dict[str, Any]:
    account = account or account_of("linkedin", {})
    found: dict[str, Any] = client_for("linkedin", transport, account, **more).run(LINKEDIN.fetch_posts(ids, account))
    return found


def numbers(item: Any) -> dict[Dimension, int | None]:
    return LINKEDIN.metrics(raw_of(item))

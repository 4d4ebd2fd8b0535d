"""Lanes: the targets that one platform call may carry together."""

from accounts.models import SocialAccount
from accounts.services import access


def lane_of(account: SocialAccount) -> str:
    """An account, or an organization's platform where batches may mix accounts. Begins with the platform."""
    if access.platform_of(account).shares_calls:
        return f"{account.platform}:{account.mode}:{account.organization_id}"
    return f"{account.platform}:{account.id}"


def platform_of_lane(lane: str) -> str:
    return lane.partition(":")[0]

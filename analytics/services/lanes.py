"""Lanes: the targets that one platform call may carry together."""

from accounts.models import SocialAccount, Status
from accounts.services import access
from platforms import registry

BATCHES_AT_A_TIME = 10


def lane_of(account: SocialAccount) -> str:
    """An account, or an organization's platform where batches may mix accounts. Begins with the platform."""
    if access.platform_of(account).shares_calls:
        return f"{account.platform}:{account.mode}:{account.organization_id}"
    return f"{account.platform}:{account.id}"


def company_of(account: SocialAccount) -> str:
    """Those of its lane whose calls the account shares now: a dead token is tried, and by itself."""
    alive = account.status == Status.ACTIVE or access.platform_of(account).public_reads
    return lane_of(account) if alive else f"{account.platform}:{account.id}"


def platform_of_lane(lane: str) -> str:
    return lane.partition(":")[0]


def size_of(lane: str) -> int:
    """How many targets of a lane are taken at a time: several batches where their owners are asked for the rest.

    So that each owner's posts make full batches of their own.
    """
    platform = registry.get(platform_of_lane(lane))
    several = platform.shares_calls and not platform.public_reads
    return platform.batch_size * (BATCHES_AT_A_TIME if several else 1)

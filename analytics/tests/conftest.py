import time
from collections.abc import Callable, Iterator
from urllib.parse import quote

import pytest

from accounts.models import Organization, SocialAccount
from accounts.services import access, flights
from accounts.tests.factories import OrganizationFactory
from accounts.tests.fixtures import Sandbox, client_for, running_sandbox, sandbox  # noqa: F401
from analytics.models import Post
from analytics.tests.factories import PostFactory, TargetFactory


def listed_ids(sandbox: Sandbox, account: SocialAccount) -> list[str]:  # noqa: F811
    """The canonical ids of the posts that the sandbox lists for an account, newest first."""
    path = f"/accounts/{account.platform}/{quote(account.network_unique_id)}/posts"
    adapter, known = access.platform_of(account), access.as_platform_account(account)
    return [adapter.normalize_post_id(each, known) for each in sandbox.control("GET", path)["post_ids"]]


@pytest.fixture
def published(sandbox: Sandbox) -> Callable[..., Post]:  # noqa: F811
    """A post that is live in the sandbox, on a new account of each platform named."""

    def make(*platforms: str, organization: Organization | None = None, nth: int = 0, **more: object) -> Post:
        post = PostFactory(organization=organization or OrganizationFactory())
        for platform in platforms:
            account = sandbox.connect(platform, organization=post.organization, **more)
            TargetFactory(post=post, account=account, platform_post_id=listed_ids(sandbox, account)[nth])
        return post

    return make


@pytest.fixture(autouse=True)
def late_answers() -> Iterator[None]:
    """What a test left under way ends before its database does."""
    yield
    give_up = time.monotonic() + 10
    while any(landed is None for _, landed in flights._desk._flights.values()) and time.monotonic() < give_up:
        time.sleep(0.02)

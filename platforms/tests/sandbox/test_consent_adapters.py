"""The adapters, with the tokens that the sandbox's consent pages lead to."""

from typing import Any

import pytest

from platforms import registry
from platforms.base import Reading
from platforms.client import Client as Speaker
from platforms.tests.sandbox.conftest import Client
from platforms.tests.sandbox.consenting import EVERY, Walk, platform_of
from platforms.tests.sandbox.test_consent_meta import accounts
from platforms.tests.sandbox.test_consent_others import roles
from platforms.tests.sandbox.test_facebook import fetch, speaker


def connected(client: Client, key: str) -> list[tuple[str, str]]:
    """The accounts that a consent leads to, each with the token that reads it."""
    walk = Walk(client, key)
    first = walk.form().named("account")[0].value
    token = walk.tokens()["access_token"]
    if key == "facebook":
        return [(row["id"], row["access_token"]) for row in accounts(client, token)["data"]]
    if key == "instagram_facebook":
        rows = accounts(client, token, fields="access_token,instagram_business_account")["data"]
        return [(row["instagram_business_account"]["id"], row["access_token"]) for row in rows[:-1]]
    if key == "linkedin":
        pages = [one["organization"] for one in roles(client, token)["elements"]]
        return [(one, token) for one in (first, *pages)]
    return [(first, token)]


def speakers(client: Client, key: str) -> list[Speaker]:
    login = {"instagram": "instagram", "instagram_facebook": "facebook"}.get(key)
    more: dict[str, Any] = {"extra": {"login": login}} if login else {}
    return [speaker(client, platform_of(key), *each, **more) for each in connected(client, key)]


@pytest.mark.parametrize("key", EVERY)
def test_the_adapter_proves_and_measures_every_account_that_was_consented_to(client: Client, key: str) -> None:
    found = speakers(client, key)
    assert len(found) == {"facebook": 3, "instagram_facebook": 3, "linkedin": 3}.get(key, 1)
    for speaking in found:
        platform, account = speaking.platform, speaking.account
        speaking.run(platform.probe(account))
        read = speaking.run(platform.fetch_account(account))
        raw = read.raw if isinstance(read, Reading) else read
        assert any(value is not None for value in platform.account_metrics(raw).values())


@pytest.mark.parametrize("key", [key for key in EVERY if key != "google_business"])
def test_the_adapter_measures_the_posts_of_every_account_that_was_consented_to(client: Client, key: str) -> None:
    for speaking in speakers(client, key):
        account_id = speaking.account.network_unique_id
        path = f"_control/accounts/{platform_of(key)}/{account_id}/posts"
        ids = client.get(path).json()["post_ids"][5:8]
        found = fetch(speaking, ids)
        assert set(found) == set(ids)
        assert all(isinstance(item, dict | Reading) for item in found.values())


@pytest.mark.parametrize("key", EVERY)
def test_every_account_on_a_page_has_an_id_as_the_platform_writes_it(client: Client, key: str) -> None:
    platform = registry.get(platform_of(key))
    for one in Walk(client, key).form().named("account"):
        assert platform.normalize_account_id(one.value) == one.value

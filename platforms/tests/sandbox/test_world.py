"""Ids, growth and tokens need no memory."""

import pytest

from platforms.sandbox.app import Sandbox, SandboxRequest
from platforms.sandbox.registry import PLATFORMS, post_ids, tokens
from platforms.sandbox.tokens import read, read_jwt
from platforms.sandbox.world import DAY, count, followers, numbers, post_times

NOW = 1795000000.0
ACCOUNTS = {
    "x": "2244994945",
    "tiktok": "723f24d7-e717-40f8-a2b6-cb8464cd23b4",
    "pinterest": "2783136121146311751",
    "instagram": "17841400000000001",
    "bluesky": "did:plc:ewvi7nxzyoun6zhxrhs64oiz",
    "youtube": "UCacmeAnalyticsDemo00001",
    "google_business": "1234567890123456789",
    "facebook": "102030405060708",
    "threads": "26000000000000001",
    "linkedin": "urn:li:organization:123",
    "reddit": "a2gghybr",
}
PREFIXES = {"tiktok": "act.", "pinterest": "pina_", "instagram": "IGAA", "youtube": "ya29.", "google_business": "ya29."}
PREFIXES |= {"facebook": "EAA", "threads": "THAA", "linkedin": "AQX"}


def test_numbers_only_grow_and_stay_plausible() -> None:
    for post in range(300):
        last = numbers(str(post), 0)
        assert sum(last) == 0
        for age in (60, 3600, DAY, 7 * DAY, 30 * DAY, 400 * DAY):
            counts = numbers(str(post), age)
            assert all(now >= before for now, before in zip(counts, last, strict=True))
            assert counts.impressions >= counts.reach >= counts.likes >= counts.comments * 0
            last = counts


def test_growth_is_fast_at_first_and_then_slow() -> None:
    early, late = numbers("1", 3 * DAY).impressions, numbers("1", 90 * DAY).impressions
    assert late * 0.6 < early < late
    assert count("1", "views", 100 * DAY, 1000) <= 1000


def test_some_posts_have_a_zero_somewhere() -> None:
    found = [numbers(str(post), 30 * DAY) for post in range(200)]
    assert 0 < sum(one.comments == 0 for one in found) < 100
    assert 0 < sum(one.saves == 0 for one in found) < 100


@pytest.mark.parametrize("platform", PLATFORMS)
def test_an_account_keeps_its_posts_while_the_clock_moves(platform: str) -> None:
    account_id = ACCOUNTS[platform]
    before = post_ids(platform, account_id, 60, now=NOW)
    after = post_ids(platform, account_id, 60, now=NOW + 10 * DAY)
    assert len(set(before)) == 60
    assert 50 <= len(set(before) & set(after)) <= 54
    assert after[-len(set(before) & set(after)) :] == before[: len(set(before) & set(after))]
    assert before == post_ids(platform, account_id, 60, now=NOW)


def test_a_fixed_listing_keeps_its_oldest_post_as_it_grows() -> None:
    at_once = post_times("1", posts=50, span_days=10, now=NOW, since=NOW)
    later = post_times("1", posts=50, span_days=10, now=NOW + DAY, since=NOW)
    assert len(at_once) == 50 and later[-50:] == at_once and 54 <= len(later) <= 56


def test_followers_grow() -> None:
    assert followers("1", NOW) < followers("1", NOW + 30 * DAY)


@pytest.mark.parametrize("platform", PLATFORMS)
def test_tokens_tell_when_they_end_and_cannot_be_altered(platform: str) -> None:
    found = tokens(platform, ACCOUNTS[platform], NOW, 100)
    assert found["expires_at"] == NOW + 100
    token = found["access_token"]
    altered = token[:-5] + ("A" if token[-5] != "A" else "B") + token[-4:]
    reader = read_jwt if platform == "bluesky" else lambda text: read(text, PREFIXES.get(platform, ""))
    assert reader(token) is not None and reader(altered) is None


def test_the_past_can_be_asked_for_without_a_socket() -> None:
    sandbox, account_id = Sandbox(), ACCOUNTS["x"]
    post_id = post_ids("x", account_id, 60, now=NOW)[10]
    token = tokens("x", account_id, NOW, 90 * DAY)["access_token"]
    query = {"ids": [post_id], "tweet.fields": ["public_metrics"]}
    request = SandboxRequest("GET", "api.x.com", "/2/tweets", query, {"authorization": f"Bearer {token}"})
    views = [
        sandbox.handle(request, now).json()["data"][0]["public_metrics"]["impression_count"]
        for now in (NOW, NOW + DAY, NOW + 20 * DAY)
    ]
    assert views == sorted(views)
    assert "data" not in sandbox.handle(request, NOW - 40 * DAY).json()


def test_an_unknown_host_is_nobody() -> None:
    assert Sandbox().handle(SandboxRequest("GET", "example.com", "/"), NOW).status == 404

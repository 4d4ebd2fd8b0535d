"""The one reader, with platforms that refuse batches because of single posts."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection

from accounts.models import SocialAccount
from accounts.services import connections
from accounts.tests.factories import SocialAccountFactory
from accounts.tests.processes import wait_for
from analytics.services.pull import EXTRA_CALLS, pull_account, pull_listing, pull_posts
from platforms import registry
from platforms.base import Reading, Request, unread
from platforms.errors import Gone, RateLimited, Rejected, TokenExpired, Unavailable
from platforms.wanted import Wanted

pytestmark = pytest.mark.django_db
IDS = [str(number) for number in range(25)]


@pytest.fixture
def asked(sandbox, monkeypatch):
    """The batches that were asked for; `asked.answer` says what becomes of one."""

    class Asked(list):
        answer = staticmethod(lambda ids: None)

    batches = Asked()

    def fetch_posts(ids, account):
        batches.append(list(ids))
        error = batches.answer(ids)
        if error is not None:
            raise error
        return {post_id: {"likeCount": 1} for post_id in ids}
        yield Request("never")

    monkeypatch.setattr(registry.get("bluesky"), "fetch_posts", fetch_posts)
    return batches


def good(pulled):
    return [post_id for post_id in IDS if isinstance(pulled.readings[post_id], Reading)]


@pytest.mark.parametrize("poisoned", [{"3"}, {"0", "24"}, {"0", "12", "13"}])
def test_a_post_that_spoils_its_batch_costs_only_itself(asked, poisoned):
    asked.answer = lambda ids: Rejected("bad id") if poisoned & set(ids) else None
    pulled = pull_posts(SocialAccountFactory(platform="bluesky"), IDS, live=False)
    assert good(pulled) == [post_id for post_id in IDS if post_id not in poisoned]
    assert all(isinstance(pulled.readings[post_id], Rejected) for post_id in poisoned)
    assert len(asked) <= EXTRA_CALLS


def test_a_batch_that_is_called_gone_does_not_make_its_posts_gone(asked):
    asked.answer = lambda ids: Gone("no such thing") if "3" in ids else None
    pulled = pull_posts(SocialAccountFactory(platform="bluesky"), IDS, live=False)
    assert good(pulled) == [post_id for post_id in IDS if post_id != "3"]
    assert isinstance(pulled.readings["3"], Gone)
    asked.answer = lambda ids: Gone("no such thing")
    pulled = pull_posts(SocialAccountFactory(platform="bluesky"), IDS, live=False)
    assert all(isinstance(each, Rejected) for each in pulled.readings.values())


def test_what_is_refused_whatever_is_asked_is_not_asked_for_long(asked):
    asked.answer = lambda ids: Rejected("bad version")
    pulled = pull_posts(SocialAccountFactory(platform="bluesky"), IDS, live=False)
    assert all(isinstance(each, Rejected) for each in pulled.readings.values())
    assert list(pulled.readings) and len(asked) == 7


def test_what_could_not_be_read_of_an_answer_is_logged_once_with_the_odd_part(sandbox, monkeypatch, caplog):
    def fetch_posts(ids, account):
        return dict.fromkeys(ids, unread({"odd": 1})) | {"0": {"likeCount": 1}}
        yield Request("never")

    monkeypatch.setattr(registry.get("bluesky"), "fetch_posts", fetch_posts)
    pulled = pull_posts(SocialAccountFactory(platform="bluesky"), IDS, live=False)
    assert good(pulled) == ["0"]
    assert [record.message.count("{'odd': 1}") for record in caplog.records] == [1]


def test_other_failures_are_every_posts_at_once(asked):
    asked.answer = lambda ids: Unavailable()
    pulled = pull_posts(SocialAccountFactory(platform="bluesky"), IDS, live=False)
    assert len(asked) == 1
    assert all(isinstance(each, Unavailable) for each in pulled.readings.values())


def test_what_was_read_is_kept_when_the_limit_is_spent_on_the_way(asked):
    asked.answer = lambda ids: Rejected() if "24" in ids and len(ids) > 7 else RateLimited() if "24" in ids else None
    pulled = pull_posts(SocialAccountFactory(platform="bluesky"), IDS, live=False)
    assert good(pulled)
    assert set(pulled.readings) == set(IDS)
    assert isinstance(pulled.readings["24"], RateLimited)


def test_what_an_adapter_remembers_of_a_failure_is_kept(sandbox, monkeypatch):
    def fetch_posts(ids, account):
        account.memory["tries"] = account.memory.get("tries", 0) + 1
        raise Unavailable
        yield Request("never")

    monkeypatch.setattr(registry.get("bluesky"), "fetch_posts", fetch_posts)
    account = SocialAccountFactory(platform="bluesky")
    for tries in (1, 2):
        pull_posts(account, IDS, live=False)
        account.refresh_from_db()
        assert account.memory == {"tries": tries}


# --- new tokens meanwhile ------------------------------------------------------------


OWN_AND_OTHER = {"linkedin": ("urn:li:person:AbC123xyz", "urn:li:person:Other"), "tiktok": ("open-id-1", "open-id-2")}


def numbers(account):
    """Of the account's owner, and nothing in the answers says who that is."""
    try:
        if account.platform == "tiktok":
            return pull_listing(account, "", Wanted(None, None, 10))
        return pull_account(account, live=True)[0]
    finally:
        connection.close()


@pytest.fixture(params=OWN_AND_OTHER)
def replaced(sandbox, request):
    """Gives an account the tokens of somebody else, by mistake."""
    own, other = OWN_AND_OTHER[request.param]
    tokens = sandbox.grant(request.param, other)

    def replace():
        given = {name: tokens[name] for name in ("access_token", "refresh_token")}
        return connections.update(SocialAccount.objects.get(), given)

    replace.platform, replace.own = request.param, own
    return replace


@pytest.mark.django_db(transaction=True)
def test_tokens_that_are_given_during_a_pull_are_asked_whose_they_are(sandbox, replaced):
    account = sandbox.connect(replaced.platform, network_unique_id=replaced.own)
    sandbox.switch(replaced.platform, latency_ms=300)
    with ThreadPoolExecutor(1) as pool:
        read = pool.submit(numbers, account)
        wait_for(lambda: sandbox.calls(replaced.platform))
        replaced()
        assert not isinstance(read.result(), Exception)  # the old ones were its own
    sandbox.switch(replaced.platform, latency_ms=0)
    assert isinstance(numbers(SocialAccount.objects.get()), TokenExpired)


@pytest.mark.django_db(transaction=True)
def test_a_pull_does_not_go_on_with_tokens_of_another_grant(sandbox, replaced):
    more = {"token_lifetime": -60, "token_expires_at": None, "memory": {"own": True}}
    account = sandbox.connect(replaced.platform, network_unique_id=replaced.own, **more)
    replaced()
    assert isinstance(numbers(account), Unavailable)
    account.refresh_from_db()
    assert (account.last_error_code, account.memory) == ("", {})

"""What may go wrong on any platform, through the whole service. A new platform falls under these tests by existing."""

import time
from dataclasses import replace
from datetime import timedelta
from urllib.parse import quote

import pytest
from django.utils import timezone

from accounts.models import Gate, SocialAccount, WebhookEvent
from accounts.services import access, renewals
from analytics.models import AccountMetrics, PostAnalytics, Target
from analytics.tests.conftest import COUNTS, SECOND, listed_ids, posts_of, run
from platforms import registry
from platforms.rates import next_midnight

pytestmark = pytest.mark.django_db(transaction=True)
KEYS = sorted(registry.PLATFORMS)
WITH_POSTS = [key for key in KEYS if registry.get(key).has_posts]
WITH_TOKENS = [key for key in KEYS if not registry.get(key).public_reads]
AWAY = ("platform_unavailable", "platform_error")
LONG_AGO = timedelta(days=60)
RENEWED = [key for key in KEYS if (facts := registry.get(key).refresh) is not None and facts.revives]
EXTENDED = [key for key in KEYS if (facts := registry.get(key).refresh) is not None and not facts.revives]
MEMBER = {"network_unique_id": "urn:li:person:AbC123xyz"}
"""Of LinkedIn. What a page's answer leaves out may be there, and silent: it is never called gone."""
NAMED = [key for key in WITH_TOKENS if key not in ("google_business", "instagram")]
"""Those that name the account that a token belongs to; the others do not know the one that was connected."""
OWN, OTHER = {"linkedin": MEMBER}, {"linkedin": {"network_unique_id": "urn:li:person:Other"}}


class Measured:
    """An account with a post, where its platform has numbers of posts; asked for what the platform can tell."""

    def __init__(self, client_for, account, post):
        self.account, self.post, self._client = account, post, client_for(account)

    def read(self):
        """The failure of a live read, None if it went well; and the row that is served."""
        if self.post is None:
            body = self._client.get(f"/api/v1/social-accounts/{self.account.pk}/metrics").json()
            return body.get("live_error"), None if body.get("metrics", ...) is None else body
        body = self._client.get(f"/api/v1/posts/{self.post.pk}/analytics").json()
        return next(iter(body["skipped"]), None), next(iter(body["metrics_by_account"]), None)

    def health(self):
        return self._client.get(f"/api/v1/social-accounts/{self.account.pk}/health").json()

    @property
    def status(self):
        return SocialAccount.objects.get(pk=self.account.pk).status

    @property
    def snapshots(self):
        return PostAnalytics.objects.count() + AccountMetrics.objects.count()


@pytest.fixture
def measured(sandbox, client_for):
    def make(platform, **more):
        account = sandbox.connect(platform, **more)
        post = None
        if registry.get(platform).has_posts:
            [target] = posts_of(account, listed_ids(sandbox, account)[:1])
            post = target.post
        return Measured(client_for, account, post)

    return make


def told():
    return [event.type for event in WebhookEvent.objects.order_by("created_at")]


# --- tokens ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("platform", KEYS)
def test_an_expired_token_is_renewed_where_it_can_be_and_else_told_of(measured, platform):
    found = measured(platform, token_lifetime=-60, token_expires_at=None)  # nobody knew that it ended
    if platform in RENEWED:
        assert found.health()["healthy"]
        assert found.read()[0] is None
        assert (found.status, told()) == ("active", [])
    else:
        assert found.health()["error_code"] == "token_expired"
        assert found.read()[0]["code"] == "token_expired"
        assert (found.status, told()) == ("token_expired", ["account.token_expired"])


@pytest.mark.parametrize("platform", KEYS)
def test_a_refused_renewal_is_told_of_once(sandbox, measured, platform):
    found = measured(platform, token_lifetime=-60)
    sandbox.fault(platform, "refuse_refresh")
    assert found.health()["error_code"] == "token_expired"
    found.health()
    assert (found.status, told()) == ("token_expired", ["account.token_expired"])


@pytest.mark.parametrize("platform", EXTENDED)
def test_a_refused_extension_does_not_condemn_a_token_that_still_works(sandbox, measured, platform):
    found = measured(platform, token_age=LONG_AGO.total_seconds(), token_lifetime=6 * 86400)
    SocialAccount.objects.update(token_obtained_at=timezone.now() - LONG_AGO)
    sandbox.fault(platform, "refuse_refresh")
    assert renewals.refresh_due() == 0
    assert (found.status, told()) == ("active", [])
    assert found.read()[0] is None


@pytest.mark.parametrize("platform", RENEWED)
def test_a_renewal_without_an_answer_condemns_nobody(sandbox, measured, monkeypatch, platform):
    found = measured(platform, token_lifetime=-60)
    real = access.platform_settings
    monkeypatch.setattr(access, "platform_settings", lambda mode: replace(real(mode), call_seconds=0.3))
    sandbox.fault(platform, "hang")
    assert found.health()["error_code"] == "platform_unavailable"
    sandbox.heal(platform)
    assert (found.status, told()) == ("active", [])
    assert found.health()["healthy"]


@pytest.mark.parametrize("platform", NAMED)
def test_no_read_with_another_accounts_token_revives_an_account_or_calls_its_posts_gone(sandbox, measured, platform):
    found, other = measured(platform, **OWN.get(platform, {})), sandbox.connect(platform, **OTHER.get(platform, {}))
    tokens = {name: getattr(other, name) for name in ("access_token", "refresh_token")}
    SocialAccount.objects.filter(pk=found.account.pk).update(**tokens)
    assert found.health()["error_code"] == "token_expired"
    for _ in range(3):
        failure, row = found.read()
        if registry.get(platform).shares_calls:  # what any token may read is as true with another's
            assert failure is None and row["source"] == "live"
        else:
            assert (failure["code"], row) == ("token_expired", None)
    assert (found.status, told()) == ("token_expired", ["account.token_expired"])
    assert set(Target.objects.values_list("missing_count", "gone_at")) <= {(0, None)}
    SocialAccount.objects.filter(pk=found.account.pk).update(access_token=found.account.access_token)
    assert found.read()[0] is None
    assert found.status == "active"


@pytest.mark.parametrize("platform", [key for key in NAMED if key in RENEWED])
def test_no_renewal_revives_an_account_whose_tokens_are_anothers(sandbox, measured, platform):
    found, other = measured(platform, **OWN.get(platform, {})), sandbox.connect(platform, **OTHER.get(platform, {}))
    ended = {"status": "token_expired", "token_retry_at": timezone.now() - SECOND, "token_expires_at": timezone.now()}
    tokens = {name: getattr(other, name) for name in ("access_token", "refresh_token")}
    SocialAccount.objects.filter(pk=found.account.pk).update(**tokens, **ended)
    renewals.refresh_due()
    found.read()
    assert (found.status, told()) == ("token_expired", [])


@pytest.mark.parametrize("platform", WITH_TOKENS)
def test_a_missing_permission_costs_only_what_it_covers(sandbox, measured, platform):
    found = measured(platform)
    sandbox.fault(platform, "scope_missing")
    failure, row = found.read()
    assert failure["code"] == "scope_missing" if row is None else "scope_missing" in row["unavailable"].values()
    assert (found.status, told()) == ("active", [])


# --- limits ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("named", [None, 120])
@pytest.mark.parametrize("platform", KEYS)
def test_a_rate_limit_parks_until_its_time_and_nothing_is_called_before(sandbox, measured, platform, named):
    found = measured(platform)
    sandbox.fault(platform, "rate_limited", retry_after=named)
    failure, row = found.read()
    assert (failure["code"], failure["retryable"], row) == ("rate_limited", True, None)
    waits = [named] if named else [registry.get(platform).backoff, *until_midnights()]
    assert any(wait - 5 <= failure["retry_after"] <= wait + 60 for wait in waits)
    sandbox.heal(platform)
    before = sandbox.calls(platform)
    assert found.read()[0]["code"] == "rate_limited"
    assert sandbox.calls(platform) == before
    assert (found.status, told()) == ("active", [])
    Gate.objects.update(not_before=timezone.now() - SECOND)
    assert found.read()[0] is None


def until_midnights():
    """Seconds until the ends of the days that quotas are counted by: a spent one may name no other time."""
    now = time.time()
    return [next_midnight(zone, now).timestamp() - now for zone in ("UTC", "America/Los_Angeles")]


# --- answers that are none ------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["server_error", "non_json", "empty", "truncated", "close", "redirect"])
@pytest.mark.parametrize("platform", KEYS)
def test_an_answer_that_is_none_leaves_the_stored_numbers(sandbox, measured, platform, kind):
    found = measured(platform)
    assert found.read()[0] is None
    known = found.snapshots
    sandbox.fault(platform, kind)
    failure, row = found.read()
    assert failure["code"] in AWAY and (failure["retryable"] or kind == "redirect")
    assert row["source"] == "snapshot" and found.snapshots == known
    health = found.health()
    assert (health["status"], health["error_code"]) == ("active", failure["code"])
    assert (found.status, told()) == ("active", [])
    sandbox.heal(platform)
    assert found.read()[0] is None


# --- batches --------------------------------------------------------------------------------------


def make_due():
    Target.objects.update(next_collect_at=timezone.now() - SECOND)


@pytest.mark.parametrize("platform", WITH_POSTS)
def test_what_half_an_answer_lacks_is_never_a_number(sandbox, busy, platform):
    busy(platform, 10)
    run()
    first = {row.target_id: row for row in PostAnalytics.objects.all()}
    assert len(first) == 10
    make_due()
    sandbox.fault(platform, "half_missing")
    run()
    again = PostAnalytics.objects.exclude(pk__in=[row.pk for row in first.values()])
    for row in again:
        for name in COUNTS:
            before, now = getattr(first[row.target_id], name), getattr(row, name)
            assert now is None or (before is not None and now >= before), name
    left_out = Target.objects.exclude(pk__in=[row.target_id for row in again])
    assert not left_out.exclude(gone_at=None).exists() and not left_out.filter(last_error_code="").exists()


@pytest.mark.parametrize("platform", WITH_POSTS)
def test_a_poisoned_post_costs_only_itself(sandbox, busy, platform):
    busy(platform, 10)
    poison = Target.objects.order_by("pk")[4]
    sandbox.fault(platform, "status", status=400, body={}, id=poison.platform_post_id.rpartition("/")[2])
    run()
    assert set(PostAnalytics.objects.values_list("target_id", flat=True)) >= {
        target.pk for target in Target.objects.exclude(pk=poison.pk)
    }


@pytest.mark.parametrize("platform", WITH_POSTS)
def test_a_post_that_is_gone_is_gone_in_the_end_and_never_zero(sandbox, busy, platform):
    account = busy(platform, 4, **(MEMBER if platform == "linkedin" else {}))
    gone = Target.objects.order_by("pk")[1]
    run()
    known = PostAnalytics.objects.filter(target=gone).count()
    delete(sandbox, account, gone.platform_post_id)
    for _ in range(3):
        make_due()
        run()
    gone.refresh_from_db()
    assert (gone.gone_at is not None, gone.last_error_code) == (True, "post_gone")
    assert PostAnalytics.objects.filter(target=gone).count() == known
    assert not Target.objects.exclude(pk=gone.pk).exclude(gone_at=None).exists()


def delete(sandbox, account, post_id):
    """Delete a post by the sandbox's name for it."""
    path = f"/accounts/{account.platform}/{quote(account.network_unique_id)}/posts"
    named = dict(zip(listed_ids(sandbox, account), sandbox.control("GET", path)["post_ids"], strict=True))
    sandbox.control("POST", "/posts/delete", {"platform": account.platform, "ids": [named[post_id]]})

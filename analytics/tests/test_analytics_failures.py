"""A post's analytics when a pull fails: what is shown in place of the numbers, and what is called again."""

from datetime import timedelta

import pytest
from django.utils import timezone

from accounts.models import SocialAccount
from accounts.services import connections
from analytics.models import PostAnalytics, Target
from analytics.tests.conftest import COUNTS, by_platform, check
from analytics.tests.factories import PostAnalyticsFactory

live = pytest.mark.django_db(transaction=True)


@live
def test_a_failed_pull_falls_back_to_the_newest_snapshot_or_has_no_row(published, read, sandbox):
    post = published("x", "bluesky")
    x = post.targets.get(platform="x")
    at = timezone.now() - timedelta(days=3)
    PostAnalyticsFactory(target=x, likes=7, captured_at=at)
    PostAnalyticsFactory(target=x, likes=6, captured_at=at - timedelta(days=1))
    sandbox.fault("x", "server_error")
    sandbox.fault("bluesky", "server_error")
    body = check(read(post))
    assert body["coverage"] == {"targets": 2, "live": 0, "snapshot": 1, "missing": 1}
    [row] = body["metrics_by_account"]
    assert (row["likes"], row["source"]) == (7, "snapshot")
    skipped = by_platform(body["skipped"])
    assert {each["code"] for each in skipped.values()} == {"platform_unavailable"}
    assert all(each["retryable"] and each["retry_after"] is None for each in skipped.values())
    assert skipped["x"]["last_captured_at"] == row["captured_at"]
    assert skipped["bluesky"]["last_captured_at"] is None


@live
def test_a_rate_limit_parks_what_it_concerns(published, read, sandbox):
    post = published("x", "bluesky")
    sandbox.fault("x", "rate_limited", retry_after=840)
    [skipped] = check(read(post))["skipped"]
    assert skipped["code"] == "rate_limited"
    assert skipped["retryable"] is True
    assert 800 < skipped["retry_after"] <= 841  # X names a whole second, which the next one may be
    calls = sandbox.calls("x")
    [skipped] = read(post)["skipped"]
    assert 800 < skipped["retry_after"] <= 841
    assert sandbox.calls("x") == calls
    other = published("x")
    sandbox.heal("x")
    assert read(other)["coverage"]["live"] == 1


@live
@pytest.mark.parametrize(
    ("fault", "code", "retryable"),
    [
        ({"kind": "scope_missing"}, "scope_missing", False),
        ({"kind": "credits_depleted"}, "budget_exhausted", True),
        ({"kind": "html_429", "retry_after": 60}, "rate_limited", True),
        ({"kind": "non_json", "status": 502}, "platform_unavailable", True),
        ({"kind": "non_json", "status": 200}, "platform_error", True),
        ({"kind": "empty"}, "platform_error", True),
        ({"kind": "redirect"}, "platform_unavailable", True),
        ({"kind": "status", "status": 400}, "platform_error", False),
        ({"kind": "close"}, "platform_unavailable", True),
        ({"kind": "truncated"}, "platform_unavailable", True),
        ({"kind": "huge"}, "platform_error", True),
    ],
)
def test_every_failure_has_a_code(published, read, sandbox, fault, code, retryable):
    post = published("x")
    sandbox.fault("x", **fault)
    [skipped] = check(read(post))["skipped"]
    assert (skipped["code"], skipped["retryable"]) == (code, retryable)
    assert not PostAnalytics.objects.exists()


@live
def test_a_spent_budget_is_called_so_for_as_long_as_nothing_is_asked(published, read, sandbox):
    post = published("x")
    sandbox.fault("x", "credits_depleted")
    [first] = check(read(post))["skipped"]
    calls = sandbox.calls("x")
    [then] = check(read(post))["skipped"]
    assert (first["code"], then["code"]) == ("budget_exhausted", "budget_exhausted")
    assert then["retry_after"] > 600
    assert sandbox.calls("x") == calls


@live
def test_a_token_that_is_refused_for_good_is_told_and_tried_again(published, read, sandbox):
    post = published("x")
    account = SocialAccount.objects.get()
    sandbox.switch("x", faults=[{"kind": "token_expired"}, {"kind": "refuse_refresh"}])
    [skipped] = check(read(post))["skipped"]
    assert (skipped["code"], skipped["retryable"]) == ("token_expired", False)
    account.refresh_from_db()
    assert account.status == "token_expired"
    sandbox.heal("x")
    assert read(post)["coverage"]["live"] == 1
    account.refresh_from_db()
    assert account.status == "active"


@live
@pytest.mark.parametrize(
    ("state", "code"), [("disabled", "disabled"), ("revoked", "revoked"), ("deleted", "account_deleted")]
)
def test_accounts_that_may_not_be_called_are_not(published, read, sandbox, state, code):
    post = published("bluesky", "x")
    account = SocialAccount.objects.get(platform="bluesky")
    PostAnalyticsFactory(target=account.targets.get())
    if state == "deleted":
        connections.disconnect(account)
    else:
        SocialAccount.objects.filter(pk=account.pk).update(status=state)
    body = check(read(post))
    assert [(each["code"], each["retryable"]) for each in body["skipped"]] == [(code, False)]
    assert body["coverage"] == {"targets": 2, "live": 1, "snapshot": 1, "missing": 0}
    assert sandbox.calls("bluesky") == 0


@live
def test_a_gone_post_keeps_its_last_row_and_is_called_no_more(published, read, sandbox):
    post = published("x")
    target = post.targets.get()
    read(post)
    sandbox.control("POST", "/posts/delete", {"platform": "x", "ids": [target.platform_post_id]})
    for _ in range(2):
        body = check(read(post))
        assert body["coverage"] == {"targets": 1, "live": 0, "snapshot": 1, "missing": 0}
        [skipped] = body["skipped"]
        assert (skipped["code"], skipped["retryable"]) == ("post_gone", False)
        calls = sandbox.calls("x")
    assert calls == sandbox.calls("x") == 4  # public and private numbers side by side, twice
    target.refresh_from_db()
    assert target.next_collect_at is None


@live
def test_a_post_left_out_of_three_answers_in_a_row_is_gone(published, read, sandbox):
    post = published("bluesky")
    target = post.targets.get()
    gone = {"platform": "bluesky", "ids": [target.platform_post_id]}
    sandbox.control("POST", "/posts/delete", gone)
    read(post), read(post)
    sandbox.control("POST", "/posts/restore", gone)
    assert read(post)["coverage"]["live"] == 1
    sandbox.control("POST", "/posts/delete", gone)
    told = [read(post)["skipped"][0] for _ in range(3)]
    assert [(each["code"], each["retryable"]) for each in told] == [
        ("post_gone", True), ("post_gone", True), ("post_gone", False),
    ]  # fmt: skip
    calls = sandbox.calls("bluesky")
    assert read(post)["skipped"][0]["retryable"] is False
    assert sandbox.calls("bluesky") == calls == 6


@live
def test_a_post_the_platform_reports_an_error_of_is_not_taken_for_gone(published, read, sandbox):
    post = published("x")
    post_id = post.targets.get().platform_post_id
    sandbox.fault("x", "item_error", id=post_id, problem="resource-unavailable")
    [skipped] = check(read(post))["skipped"]
    assert skipped["code"] in ("platform_unavailable", "platform_error")
    sandbox.heal("x")
    assert read(post)["coverage"]["live"] == 1


@live
@pytest.mark.parametrize("platform", ["x", "instagram", "bluesky"])
@pytest.mark.parametrize("kind", ["wrong_types", "nan", "huge_int", "negative", "nul", "half_missing"])
def test_a_spoilt_answer_becomes_null_or_a_failure_but_never_a_wrong_number(published, read, sandbox, platform, kind):
    post = published(platform, nth=-1)
    good = read(post)["metrics_by_account"][0]
    sandbox.fault(platform, kind)
    body = check(read(post))
    [row] = body["metrics_by_account"]
    for name in COUNTS:
        near = good[name] if good[name] is None else range(good[name], good[name] + 50)
        fits = row[name] is None or (near is not None and row[name] in near) or (kind == "negative" and row[name] == 0)
        assert fits, (name, good[name], row[name])
    assert body["coverage"]["live"] + len(body["skipped"]) == 1
    newest = PostAnalytics.objects.latest("id")
    if body["coverage"]["live"]:
        assert newest.raw


@live
def test_one_poisoned_post_does_not_cost_the_others_their_rows(published, read, monkeypatch):
    from platforms import registry

    post = published("bluesky")
    bad = published("bluesky", organization=post.organization).targets.get()
    Target.objects.filter(pk=bad.pk).update(post=post)
    adapter = registry.get("bluesky")
    derive = adapter.metrics

    def metrics(raw):
        return {}["no such key"] if raw["uri"] == bad.platform_post_id else derive(raw)

    monkeypatch.setattr(adapter, "metrics", metrics)
    body = check(read(post))
    assert body["coverage"] == {"targets": 2, "live": 1, "snapshot": 0, "missing": 1}
    assert [(each["target_id"], each["code"]) for each in body["skipped"]] == [(str(bad.pk), "platform_error")]

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from accounts.models import Gate, SocialAccount, WebhookEvent
from accounts.services import crypto, flights, health, renewals
from accounts.tests.factories import ACCOUNT_IDS, SocialAccountFactory
from accounts.tests.social_accounts import URL

pytestmark = pytest.mark.django_db
in_threads = pytest.mark.django_db(transaction=True)
PLATFORMS = ["x", "instagram", "bluesky"]
PROBE = {"x": "users_me", "instagram": "node", "bluesky": "getSession"}
REFRESH = {"x": "token", "bluesky": "refreshSession"}
INSTAGRAM = {"login": "instagram"}
SOON = 200  # seconds: less than the refresh margin
BY_LOGIN = {"extra": INSTAGRAM, "token_age": 2 * 86400}


@pytest.fixture(autouse=True)
def share_in_this_thread(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests that are not about threads ask platforms in their own, where they see the test's transaction."""

    def share(groups: Any, pool_of: Any, *, since: float, deadline: float) -> dict[str, Any]:
        return {key: landing for keys, work in groups.items() for key, landing in work(list(keys)).items()}

    marker = request.node.get_closest_marker("django_db")
    if not (marker and marker.kwargs.get("transaction")):
        monkeypatch.setattr(flights, "share", share)


@pytest.fixture
def probe(client_for: Callable[..., Any]) -> Callable[..., dict[str, Any]]:
    """The health of an account, as a caller sees it."""

    def ask(account: SocialAccount, **query: Any) -> dict[str, Any]:
        response = client_for(account).get(f"/api/v1/social-accounts/{account.pk}/health", query)
        assert response.status_code == 200, response.content
        return response.json()

    return ask


def told() -> list[str]:
    return list(WebhookEvent.objects.order_by("created_at").values_list("type", flat=True))


def tokens(account: SocialAccount) -> tuple[str, str]:
    account.refresh_from_db()
    return crypto.decrypt(account.access_token), crypto.decrypt(account.refresh_token)


def standing(answer: dict[str, Any]) -> tuple[str, str | None]:
    assert answer["healthy"] is (answer["error_code"] is None)
    return answer["status"], answer["error_code"]


# --- what works ------------------------------------------------------------------------------------------------------


@in_threads
@pytest.mark.parametrize("platform", PLATFORMS)
def test_a_healthy_account_is_asked_of_its_platform_in_one_call(sandbox: Any, probe: Any, platform: str) -> None:
    account = sandbox.connect(platform)
    answer = probe(account)
    expires_at = account.token_expires_at
    assert answer == {
        "id": str(account.pk),
        "network": platform,
        "healthy": True,
        "status": "active",
        "error_code": None,
        "token_expires_at": expires_at and expires_at.strftime("%Y-%m-%dT%H:%M:%S.000Z"),
        "checked_live": True,
        "checked_at": answer["checked_at"],
    }
    assert sandbox.calls(platform) == 1


@pytest.mark.parametrize("platform", ["x", "bluesky"])
@pytest.mark.parametrize("lifetime", [SOON, -SOON])
def test_a_token_near_its_end_is_refreshed_first_and_the_new_pair_is_stored(
    sandbox: Any, probe: Any, platform: str, lifetime: int
) -> None:
    account = sandbox.connect(platform, token_lifetime=lifetime)
    before = tokens(account)
    answer = probe(account)
    assert standing(answer) == ("active", None)
    after = tokens(account)
    assert after[0] != before[0] and after[1] != before[1]
    assert account.token_expires_at > timezone.now() + timedelta(hours=1)
    assert answer["token_expires_at"][:19] == account.token_expires_at.strftime("%Y-%m-%dT%H:%M:%S")
    assert (sandbox.calls(platform, REFRESH[platform]), sandbox.calls(platform)) == (1, 2)
    assert standing(probe(account)) == ("active", None)
    assert sandbox.calls(platform, REFRESH[platform]) == 1


@pytest.mark.parametrize("platform", ["x", "bluesky"])
def test_a_token_that_dies_unannounced_is_refreshed_once_and_the_call_repeated(
    sandbox: Any, probe: Any, platform: str
) -> None:
    account = sandbox.connect(platform, token_lifetime=-60, token_expires_at=None)
    before = tokens(account)
    assert standing(probe(account)) == ("active", None)
    assert (sandbox.calls(platform, PROBE[platform]), sandbox.calls(platform, REFRESH[platform])) == (2, 1)
    assert all(new != old for new, old in zip(tokens(account), before, strict=True))


# --- tokens that are refused -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("platform", ["x", "bluesky"])
def test_a_refused_refresh_expires_the_account_and_is_told_once(sandbox: Any, probe: Any, platform: str) -> None:
    account = sandbox.connect(platform, token_lifetime=-60)
    sandbox.fault(platform, "refuse_refresh")
    for _ in range(3):
        answer = probe(account)
        assert standing(answer) == ("token_expired", "token_expired") and answer["checked_live"]
    assert told() == ["account.token_expired"]
    event = WebhookEvent.objects.get()
    assert event.data["id"] == str(account.pk) and event.data["status"] == "token_expired" and event.data["reason"]


@in_threads
def test_probes_at_the_same_time_tell_once(sandbox: Any, probe: Any) -> None:
    account = sandbox.connect("x", token_lifetime=-60)
    sandbox.switch("x", latency_ms=50, faults=[{"kind": "refuse_refresh"}])

    def ask(_: int) -> dict[str, Any]:
        try:
            return probe(account)
        finally:
            connection.close()

    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(ask, range(6)))
    assert {standing(answer) for answer in answers} == {("token_expired", "token_expired")}
    assert told() == ["account.token_expired"]
    assert sandbox.calls("x", "token") == 1


def test_an_expired_account_returns_when_its_platform_accepts_it_again(sandbox: Any, probe: Any) -> None:
    account = sandbox.connect("x", token_lifetime=-60)
    sandbox.fault("x", "refuse_refresh")
    assert standing(probe(account)) == ("token_expired", "token_expired")
    sandbox.heal("x")
    assert standing(probe(account)) == ("active", None)
    sandbox.fault("x", "refuse_refresh", group="token")
    SocialAccount.objects.update(token_expires_at=timezone.now())
    assert standing(probe(account)) == ("token_expired", "token_expired")
    assert told() == ["account.token_expired", "account.connected", "account.token_expired"]  # once for each flip


def test_a_token_without_a_refresh_token_is_refused_for_good(sandbox: Any, probe: Any) -> None:
    account = sandbox.connect("x", token_lifetime=-60, refresh_token="")
    assert standing(probe(account)) == ("token_expired", "token_expired")
    assert (sandbox.calls("x", "token"), told()) == (0, ["account.token_expired"])


def test_a_withdrawn_grant_revokes_the_account_and_is_told_once(sandbox: Any, probe: Any) -> None:
    account = sandbox.connect("instagram")
    sandbox.revoke(account)
    assert standing(probe(account)) == ("revoked", "reauth_required")
    sandbox.reset()
    for _ in range(2):
        answer = probe(account)
        assert standing(answer) == ("revoked", "revoked") and not answer["checked_live"]
    assert told() == ["account.reauth_required"]
    assert sandbox.calls("instagram") == 0


def test_a_bluesky_account_that_is_gone_is_revoked(sandbox: Any, probe: Any) -> None:
    account = sandbox.connect("bluesky", token_lifetime=-60)
    sandbox.grant("bluesky", account.network_unique_id, status="deleted")
    assert standing(probe(account)) == ("revoked", "reauth_required")
    assert told() == ["account.reauth_required"]


@pytest.mark.parametrize("platform", PLATFORMS)
def test_the_tokens_of_another_account_are_no_good(sandbox: Any, probe: Any, platform: str) -> None:
    account = sandbox.connect(platform, extra=INSTAGRAM if platform == "instagram" else {})
    other = sandbox.connect(platform, extra=account.extra)
    SocialAccount.objects.filter(pk=account.pk).update(access_token=other.access_token, refresh_token="")
    assert standing(probe(account)) == ("token_expired", "token_expired")
    assert told() == ["account.token_expired"]


def test_a_deactivated_account_is_not_found_but_keeps_its_status(sandbox: Any, probe: Any) -> None:
    account = sandbox.connect("bluesky")
    sandbox.grant("bluesky", account.network_unique_id, active=False)
    assert standing(probe(account)) == ("active", "account_not_found")


def test_a_missing_scope_is_no_dead_token(sandbox: Any, probe: Any) -> None:
    account = sandbox.connect("x")
    sandbox.fault("x", "scope_missing")
    assert standing(probe(account)) == ("active", "scope_missing")
    assert told() == []


# --- extended tokens -------------------------------------------------------------------------------------------------


def test_a_token_of_instagram_login_is_extended_near_its_end(sandbox: Any, probe: Any) -> None:
    long_ago = timezone.now() - timedelta(days=2)
    account = sandbox.connect("instagram", **BY_LOGIN, token_lifetime=SOON, token_obtained_at=long_ago)
    before = tokens(account)[0]
    assert standing(probe(account)) == ("active", None)
    assert tokens(account)[0] != before
    assert account.token_expires_at > timezone.now() + timedelta(days=50)


@pytest.mark.parametrize(("platform", "extra"), [("instagram", INSTAGRAM), ("threads", {})])
@pytest.mark.parametrize("later", [False, True])
def test_a_token_that_a_caller_has_held_for_long_is_extended_near_its_end(
    sandbox: Any, api: Any, probe: Any, platform: str, extra: Any, later: bool
) -> None:
    own_id = ACCOUNT_IDS[platform](0)
    soon = {"token_expires_at": (timezone.now() + timedelta(seconds=SOON)).isoformat()}
    held = sandbox.grant(platform, own_id, token_age=60 * 86400, token_lifetime=SOON, **extra)["access_token"]
    given = {"platform": platform, "network_unique_id": own_id, "access_token": held, "extra": extra}
    row = api.post(URL, given | ({} if later else soon)).json()
    if later:
        assert api.patch(f"{URL}/{row['id']}", soon).status_code == 200
    account = SocialAccount.objects.get(pk=row["id"])
    probe(account)
    assert tokens(account)[0] != held
    assert account.token_expires_at > timezone.now() + timedelta(days=50)


def test_a_token_younger_than_a_day_is_never_extended(sandbox: Any, probe: Any) -> None:
    account = sandbox.connect("instagram", extra=INSTAGRAM, token_lifetime=SOON)
    before = tokens(account)[0]
    assert standing(probe(account)) == ("active", None)
    assert (sandbox.calls("instagram", "refresh_access_token"), tokens(account)[0]) == (0, before)


def test_a_failed_extension_of_a_valid_token_changes_nothing(sandbox: Any, probe: Any) -> None:
    long_ago = timezone.now() - timedelta(days=2)
    for kind in ("server_error", "rate_limited", "non_json", "close"):
        sandbox.reset()
        account = sandbox.connect("instagram", **BY_LOGIN, token_lifetime=SOON, token_obtained_at=long_ago)
        before = tokens(account)
        sandbox.fault("instagram", kind, group="refresh_access_token")
        assert standing(probe(account))[0] == "active", kind
        assert (tokens(account), told()) == (before, []), kind
        assert sandbox.calls("instagram", "refresh_access_token") == 1, kind
        if kind != "rate_limited":  # that one concerns the account's other calls as well
            assert standing(probe(account)) == ("active", None), kind


@pytest.mark.parametrize("platform", ["instagram", "threads"])
def test_an_extension_that_is_refused_at_the_last_moment_expires_the_account(
    sandbox: Any, probe: Any, platform: str
) -> None:
    old = {"token_age": 2 * 86400, "token_obtained_at": timezone.now() - timedelta(days=2)}
    account = sandbox.connect(
        platform, **old, **({"extra": INSTAGRAM} if platform == "instagram" else {}), token_lifetime=SOON
    )
    sandbox.fault(platform, "refuse_refresh", group="refresh_access_token")
    for _ in range(2):
        assert standing(probe(account)) == ("token_expired", "token_expired")
    assert told() == ["account.token_expired"]
    sandbox.heal(platform)
    assert standing(probe(account)) == ("active", None)
    assert told() == ["account.token_expired", "account.connected"]


def test_an_extension_that_is_refused_early_changes_nothing(sandbox: Any) -> None:
    old = {"token_obtained_at": timezone.now() - timedelta(days=55)}
    account = sandbox.connect("instagram", **BY_LOGIN, **old, token_lifetime=5 * 86400)
    sandbox.fault("instagram", "refuse_refresh", group="refresh_access_token")
    assert renewals.refresh_due() == 0
    assert sandbox.calls("instagram", "refresh_access_token") == 1
    account.refresh_from_db()
    assert (account.status, told()) == ("active", [])


def test_an_expired_token_that_cannot_be_extended_any_more_expires_the_account(sandbox: Any, probe: Any) -> None:
    account = sandbox.connect("instagram", **BY_LOGIN, token_lifetime=-60)
    assert standing(probe(account)) == ("token_expired", "token_expired")
    assert (sandbox.calls("instagram", "refresh_access_token"), told()) == (0, ["account.token_expired"])


# --- what passes -----------------------------------------------------------------------------------------------------


PASSING = {
    "server_error": {"platform_unavailable"},
    "close": {"platform_unavailable"},
    "redirect": {"platform_unavailable"},
    "truncated": {"platform_unavailable", "platform_error"},
    "non_json": {"platform_unavailable", "platform_error"},
    "empty": {"platform_error"},
    "html_429": {"rate_limited"},
    "rate_limited": {"rate_limited"},
}


@pytest.mark.parametrize("platform", ["x", "bluesky"])
@pytest.mark.parametrize("refreshing", [True, False])
def test_what_passes_changes_no_status(sandbox: Any, probe: Any, platform: str, refreshing: bool) -> None:
    group = (REFRESH if refreshing else PROBE)[platform]
    for kind, codes in PASSING.items():
        Gate.objects.all().delete()
        account = sandbox.connect(platform, token_lifetime=-60 if refreshing else 7200)
        before = tokens(account)
        sandbox.fault(platform, kind, group=group)
        status, code = standing(probe(account))
        assert (status, code in codes) == ("active", True), (kind, code)
        assert (tokens(account), told()) == (before, []), kind


def test_a_refresh_that_fails_while_the_token_is_good_does_not_stand_in_the_way(sandbox: Any, probe: Any) -> None:
    for kind in ("server_error", "rate_limited", "non_json"):
        account = sandbox.connect("x", token_lifetime=SOON)
        sandbox.fault("x", kind, group="token")
        assert standing(probe(account)) == ("active", None)
    assert sandbox.calls("x", "token") == 3


def test_an_unreachable_platform_changes_no_status(settings: Any, probe: Any) -> None:
    settings.SANDBOX_URL = "http://127.0.0.1:9"
    account = SocialAccountFactory()
    assert standing(probe(account)) == ("active", "platform_unavailable")
    settings.SANDBOX_URL = "http://nowhere.invalid"
    assert standing(probe(account)) == ("active", "platform_unavailable")
    assert told() == []


@in_threads
@pytest.mark.parametrize("status", ["active", "token_expired"])
def test_a_platform_that_hangs_costs_no_more_than_the_deadline(sandbox: Any, probe: Any, status: str) -> None:
    account = sandbox.connect("x", status=status)
    sandbox.switch("x", latency_ms=3000)
    began = time.monotonic()
    answer = probe(account, deadline_ms=300)
    assert 0.2 < time.monotonic() - began < 3
    assert standing(answer) == (status, "platform_unavailable") and answer["checked_live"]


@pytest.mark.parametrize("value", ["199", "30001", "x", "1e3", "-1", ""])
def test_a_deadline_out_of_range_is_a_400(sandbox: Any, client_for: Any, value: str) -> None:
    account = sandbox.connect("x")
    response = client_for(account).get(f"/api/v1/social-accounts/{account.pk}/health", {"deadline_ms": value})
    assert (response.status_code, response.json()["errors"][0]["field"]) == (400, "deadline_ms")
    assert sandbox.calls("x") == 0


# --- who is never called ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", ["disabled", "revoked"])
def test_a_disabled_or_revoked_account_is_never_called(sandbox: Any, probe: Any, status: str) -> None:
    account = sandbox.connect("x", status=status, token_lifetime=-60)
    answer = probe(account)
    assert standing(answer) == (status, status) and not answer["checked_live"]
    assert sandbox.calls("x") == 0


def test_a_deleted_account_is_never_called(sandbox: Any, client_for: Any) -> None:
    account = sandbox.connect("x", deleted_at=timezone.now())
    assert client_for(account).get(f"/api/v1/social-accounts/{account.pk}/health").status_code == 404
    assert sandbox.calls("x") == 0


@pytest.mark.parametrize("lifetime", [7200, SOON, -60])
def test_who_is_disabled_while_a_probe_waits_is_not_called_with_stale_knowledge(sandbox: Any, lifetime: int) -> None:
    account = sandbox.connect("x", token_lifetime=lifetime)
    stale = SocialAccount.objects.get(pk=account.pk)
    SocialAccount.objects.update(status="disabled")
    now = time.monotonic()
    found = health.check(stale, since=now, deadline=now + 5)
    assert (found.account.status, found.error_code) == ("disabled", "disabled")
    assert sandbox.calls("x", "token") == 0


# --- what no key opens -----------------------------------------------------------------------------------------------


def test_a_token_that_no_key_opens_is_an_error_in_the_log_and_not_a_crash(
    sandbox: Any, probe: Any, settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    account = sandbox.connect("x", token_lifetime=-60)
    settings.TOKEN_ENCRYPTION_KEYS = ["MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTI="]
    assert standing(probe(account)) == ("active", "platform_error")
    assert "TOKEN_ENCRYPTION_KEYS" in caplog.text and str(account.pk) in caplog.text
    assert (sandbox.calls("x"), told()) == (0, [])


def test_no_token_is_in_the_log_whatever_fails(sandbox: Any, probe: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    for platform in PLATFORMS:
        extra = INSTAGRAM if platform == "instagram" else {}
        for kind in ("non_json", "refuse_refresh", "wrong_types", "close"):
            account = sandbox.connect(platform, extra=extra, token_lifetime=-60 if kind == "refuse_refresh" else 7200)
            secrets = tokens(account)
            sandbox.fault(platform, kind)
            probe(account)
            assert not any(secret and secret in caplog.text for secret in secrets)


def test_modes_reach_their_own_hosts(sandbox: Any, probe: Any, settings: Any) -> None:
    settings.PLATFORM_HOST_MAP = {"api.x.com": f"{sandbox.url}/api.x.com"}
    account = sandbox.connect("x", mode="live")
    assert standing(probe(account)) == ("active", None)
    assert sandbox.calls("x") == 1

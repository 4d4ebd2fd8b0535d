from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.db import OperationalError
from django.utils import timezone

from accounts.models import Gate, SocialAccount
from accounts.services import crypto, gates, health
from accounts.services.gates import DatabaseGates
from accounts.services.tokens import TokenKeeper
from accounts.tests.consents import BACK, Walk, good, network, query_of
from accounts.tests.factories import SocialAccountFactory
from accounts.tests.test_app_passwords import CREATE, DEAD, GIVEN, REFRESH, URL, bluesky, dead  # noqa: F401
from platforms.tests.replay import Answers, Replay

pytestmark = pytest.mark.django_db
KEY = "x:account:1:tweets"


def test_what_one_process_parks_is_parked_for_all(django_assert_num_queries: Any) -> None:
    until = timezone.now() + timedelta(minutes=5)
    DatabaseGates("x").close(KEY, until, "rate_limited")
    other = DatabaseGates("x")
    with django_assert_num_queries(1):
        assert other.parked([KEY, "x:account:1:"]) == (until, "rate_limited")
        assert other.parked(["x:account:2:tweets"]) is None
    assert DatabaseGates("bluesky").parked([KEY]) is None


def test_a_gate_is_never_opened_early() -> None:
    far, near = timezone.now() + timedelta(hours=1), timezone.now() + timedelta(minutes=1)
    found = DatabaseGates("x")
    found.close(KEY, far, "rate_limited")
    found.close(KEY, near, "spent")
    assert DatabaseGates("x").parked([KEY]) == found.parked([KEY]) == (far, "rate_limited")
    assert Gate.objects.get().reason == "rate_limited"


def test_the_latest_of_several_gates_counts() -> None:
    now = timezone.now()
    for minutes, key in ((1, "a"), (3, "b"), (2, "c")):
        gates.close("x", key, now + timedelta(minutes=minutes), "")
    assert DatabaseGates("x").parked(["a", "b", "c", "d"]) == (now + timedelta(minutes=3), "")


def test_a_gate_opens_when_its_time_has_come() -> None:
    gates.close("x", KEY, timezone.now() + timedelta(minutes=1), "")
    with time_machine.travel(timezone.now() + timedelta(minutes=2)):
        assert DatabaseGates("x").parked([KEY]) is None
        assert gates.open_expired() == 0
    with time_machine.travel(timezone.now() + timedelta(days=3)):
        assert gates.open_expired() == 1


def test_the_sandbox_parks_nothing_of_the_real_platform() -> None:
    until = timezone.now() + timedelta(minutes=5)
    DatabaseGates("bluesky", "test").close("bluesky:host:bsky.social:", until, "rate_limited")
    assert DatabaseGates("bluesky", "test").parked(["bluesky:host:bsky.social:"]) == (until, "rate_limited")
    assert DatabaseGates("bluesky", "live").parked(["bluesky:host:bsky.social:"]) is None


def test_a_rate_limit_parks_its_account_until_the_time_named(sandbox: Any) -> None:
    account, other = sandbox.connect("x"), sandbox.connect("x")
    sandbox.fault("x", "rate_limited", retry_after=60)
    for _ in range(2):
        landing = health.probe(account)
        assert landing is not None and landing.code == "rate_limited"
        assert landing.retry_after is not None and 30 < landing.retry_after <= 61
    assert sandbox.calls("x") == 1
    sandbox.heal("x")
    assert health.probe(other) is None
    with time_machine.travel(timezone.now() + timedelta(seconds=62)):
        assert health.probe(account) is None


def test_a_spent_budget_parks_those_of_the_same_organization_and_app_alone(sandbox: Any) -> None:
    app = {"client_id": "a" * 300}
    spender = sandbox.connect("x", extra=app)
    sandbox.fault("x", "credits_depleted")
    assert health.probe(spender).code == "budget_exhausted"
    sandbox.heal("x")
    owner = {"organization": spender.organization}
    assert health.probe(sandbox.connect("x", extra=app, **owner)).code == "budget_exhausted"
    for others in ({"extra": {"client_id": "another"}, **owner}, {"extra": app}, {}):
        assert health.probe(sandbox.connect("x", **others)) is None


def test_a_meter_that_does_not_answer_costs_no_call(sandbox: Any, settings: Any, caplog: Any) -> None:
    settings.LIMITS_STORAGE_URL = "redis://127.0.0.1:9/0"
    account = sandbox.connect("x")
    assert health.probe(account) is None
    assert sandbox.calls("x") == 1
    assert "limits are counted by this process alone" in caplog.text


def test_the_sandbox_spends_no_budget_of_the_real_platform(sandbox: Any, settings: Any) -> None:
    settings.PLATFORM_HOST_MAP = {"bsky.social": f"{sandbox.url}/bsky.social"}
    settings.LIMITS_STORAGE_URL = "memory://"  # nothing counted by an earlier run
    settings.PROCESS_SHARE_OF_LIMITS = 1 / 3000  # one call in five minutes
    found = [SocialAccountFactory(platform="bluesky", mode=mode) for mode in ("test", "test", "live")]
    landings = [health.probe(account) for account in found]
    assert [landing.code for landing in landings if landing] == ["token_expired", "rate_limited", "token_expired"]


# --- answers that hold tokens ----------------------------------------------------------------------------------------


def spent(prefix: str) -> dict[str, str]:
    return {f"{prefix}-remaining": "0", f"{prefix}-reset": str(int(timezone.now().timestamp()) + 600)}


@pytest.fixture
def renewable(answer: Any) -> SocialAccount:
    """An account whose tokens are due, on a platform whose answer to that shows a limit to be spent."""
    tokens = {"token_type": "bearer", "access_token": "a-new-token", "refresh_token": "a-new-refresh-token"}
    answer(Answers(lambda exchange: (200, {**tokens, "expires_in": 7200}, spent("x-rate-limit"))))
    return SocialAccountFactory(token_expires_at=timezone.now(), extra={"client_id": "a-client"})


@pytest.fixture(params=[OperationalError, KeyboardInterrupt])
def stuck(request: Any, monkeypatch: pytest.MonkeyPatch) -> type[BaseException]:
    """No gate can be closed: the database is away, or the process is killed then."""

    def fail(*_: Any) -> None:
        raise request.param

    monkeypatch.setattr(gates, "close", fail)
    return request.param


def last(stuck: type[BaseException], work: Any) -> Any:
    """What comes of work, if the process lives to tell."""
    try:
        return work()
    except stuck:
        assert stuck is KeyboardInterrupt
        return None


def test_a_limit_that_new_tokens_show_to_be_spent_parks_the_account(renewable: SocialAccount) -> None:
    TokenKeeper(renewable).fresh()
    assert Gate.objects.get().key == f"test/x:account:{renewable.pk}:token"


def test_a_gate_that_cannot_be_closed_costs_no_renewed_tokens(renewable: SocialAccount, stuck: Any) -> None:
    found = last(stuck, TokenKeeper(renewable).fresh)
    assert found is None or found.access_token == "a-new-token"
    renewable.refresh_from_db()
    assert crypto.decrypt(renewable.refresh_token) == "a-new-refresh-token"


def test_a_gate_that_cannot_be_closed_costs_no_session(bluesky: Any, stuck: Any) -> None:  # noqa: F811
    bluesky.answers |= {REFRESH: DEAD, CREATE: (200, bluesky.session, spent("ratelimit"))}
    account = dead()
    last(stuck, TokenKeeper(account).fresh)
    account.refresh_from_db()
    assert crypto.decrypt(account.refresh_token) == bluesky.session["refreshJwt"]


def test_a_gate_that_cannot_be_closed_costs_no_account(api: Any, bluesky: Any, stuck: Any) -> None:  # noqa: F811
    bluesky.answers[CREATE] = (200, bluesky.session, spent("ratelimit"))
    answer = last(stuck, lambda: api.post(URL, GIVEN))
    assert answer is None or answer.status_code == 201
    assert crypto.decrypt(SocialAccount.objects.get().refresh_token) == bluesky.session["refreshJwt"]


def test_a_gate_that_cannot_be_closed_costs_no_consent(walk: Walk, organization: Any, monkeypatch: Any) -> None:
    def fail(*_: Any) -> None:
        raise OperationalError

    monkeypatch.setattr(gates, "close", fail)
    network(organization, "x")
    first, *others = good("x").turns
    walk.answer(Replay([replace(first, response={**first.response, "headers": spent("x-rate-limit")}), *others]))
    assert "pending" in query_of(walk.back(walk.state(redirect_url=BACK))["Location"])

"""Collecting: what is due, who takes it, how many calls that is, and what starts it."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.utils import timezone

from accounts.models import SocialAccount
from accounts.services import connections
from accounts.tests.factories import OrganizationFactory, SocialAccountFactory
from analytics import tasks
from analytics.models import AccountMetrics, Heartbeat, PostAnalytics, Target
from analytics.services import collect, due
from analytics.services.due import Scope
from analytics.services.lanes import lane_of
from analytics.tests.conftest import HOUR, SECOND, listed_ids, posts_of, run
from analytics.tests.factories import PostFactory, TargetFactory

stored = pytest.mark.django_db
live = pytest.mark.django_db(transaction=True)


# --- what is due ------------------------------------------------------------


@stored
def test_lanes_are_accounts_or_an_organizations_platform_where_calls_are_shared():
    organization = OrganizationFactory()
    post = PostFactory(organization=organization)
    TargetFactory(post=post, platform="bluesky"), TargetFactory(post=post, platform="bluesky")
    TargetFactory(post=post, platform="instagram"), TargetFactory(post=post, platform="instagram")
    TargetFactory(platform="bluesky")
    TargetFactory(post=PostFactory(organization=organization, mode="live"), platform="bluesky")
    lanes = due.due_lanes()
    assert len(lanes) == 5
    assert sorted(lane.partition(":")[0] for lane in lanes) == ["bluesky"] * 3 + ["instagram"] * 2


@stored
def test_the_longest_waiting_lane_comes_first():
    now = timezone.now()
    lanes = [TargetFactory(next_collect_at=now - hours * HOUR).lane for hours in (1, 3, 2)]
    assert due.due_lanes() == [lanes[1], lanes[2], lanes[0]]


@stored
@pytest.mark.parametrize(
    "target",
    [
        {"next_collect_at": None},
        {"next_collect_at": timezone.now() + HOUR},
        {"deleted_at": timezone.now()},
        {"claimed_until": timezone.now() + HOUR},
        {"account__status": "disabled"},
        {"account__status": "revoked"},
        {"account__deleted_at": timezone.now()},
        {"account__status": "token_expired", "account__token_retry_at": timezone.now() + HOUR},
    ],
)
def test_what_is_not_due_is_not_collected(target):
    of_account = {name.removeprefix("account__"): value for name, value in target.items() if "account__" in name}
    account = SocialAccountFactory(**of_account)
    own = {name: value for name, value in target.items() if "account__" not in name}
    TargetFactory(post=PostFactory(organization=account.organization), account=account, **own)
    assert due.due_lanes() == []
    assert due.claim_targets(lane_of(account), due.ALL, 10)[1] == []


@stored
def test_a_lapsed_claim_is_due_again():
    TargetFactory(claimed_until=timezone.now() - timedelta(seconds=1))
    assert len(due.due_lanes()) == 1


@stored
def test_a_dead_token_is_tried_once_a_day_and_needs_not_be_where_reading_is_public():
    now = timezone.now()
    tried = SocialAccountFactory(status="token_expired", token_retry_at=now - HOUR)
    public = SocialAccountFactory(platform="bluesky", status="token_expired", token_retry_at=now + HOUR)
    for account in (tried, public):
        TargetFactory(post=PostFactory(organization=account.organization), account=account)
    assert len(due.due_lanes()) == 2
    assert sorted(due.due_account_platforms()) == ["bluesky", "x"]


# --- passes ------------------------------------------------------------


@live
@pytest.mark.parametrize(("platform", "least", "most"), [("bluesky", 40, 40), ("instagram", 20, 40), ("x", 10, 20)])
def test_a_thousand_posts_go_out_in_the_platforms_batches(sandbox, busy, platform, least, most):
    busy(platform, 1000, span_days=600)
    summary = run()
    assert (summary.targets, summary.snapshots, sum(summary.failures.values())) == (1000, 1000, 0)
    assert summary.calls == sandbox.calls(platform)
    assert least <= summary.calls <= most
    if platform == "x":
        assert sandbox.calls("x", "tweets") == 10
    assert PostAnalytics.objects.count() == 1000
    assert not Target.objects.exclude(claim=None).exists()
    assert not Target.objects.filter(next_collect_at__lte=timezone.now()).exists()


@live
def test_a_second_pass_writes_nothing_twice(busy):
    busy("bluesky", 30)
    run()
    again = run()
    assert (again.targets, again.calls, again.snapshots) == (0, 0, 0)
    assert PostAnalytics.objects.count() == 30


@live
def test_a_batch_takes_the_same_statements_for_any_number_of_posts(busy, django_assert_max_num_queries):
    for number in (2, 100):
        account = busy("x", number)
        with django_assert_max_num_queries(24):
            collect.work_through(lane_of(account), until=time.monotonic() + 60)
    assert PostAnalytics.objects.count() == 102


@live
def test_one_call_serves_posts_of_many_accounts(sandbox):
    organization = OrganizationFactory()
    source = sandbox.connect("bluesky", organization=organization)
    for post_id in listed_ids(sandbox, source)[:40]:
        posts_of(SocialAccountFactory(platform="bluesky", organization=organization), [post_id])
    SocialAccount.objects.update(next_collect_at=None)
    assert (run().snapshots, sandbox.calls("bluesky")) == (40, 2)


@live
def test_a_post_on_two_accounts_of_a_lane_is_asked_for_once(sandbox):
    source = sandbox.connect("bluesky", next_collect_at=None)
    other = SocialAccountFactory(platform="bluesky", organization=source.organization, next_collect_at=None)
    [post_id] = listed_ids(sandbox, source)[:1]
    for account in (source, other):
        TargetFactory(post=PostFactory(organization=source.organization), account=account, platform_post_id=post_id)
    assert (run().snapshots, sandbox.calls("bluesky")) == (2, 1)


@live
def test_accounts_are_collected_hourly(sandbox):
    accounts = [sandbox.connect(platform) for platform in ("x", "x", "instagram", "bluesky")]
    summary = run()
    assert (summary.accounts, summary.snapshots, summary.targets) == (4, 4, 0)
    assert AccountMetrics.objects.count() == 4
    for account in accounts:
        account.refresh_from_db()
        assert timedelta(minutes=59) < account.next_collect_at - timezone.now() <= HOUR
        assert account.claim is None
    assert run().accounts == 0


@live
def test_passes_at_the_same_time_share_the_work(busy):
    busy("bluesky", 200)
    summaries = []

    def work():
        summaries.append(run())
        connection.close()

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(summary.snapshots for summary in summaries) == PostAnalytics.objects.count() == 200


@live
def test_a_limit_is_met_exactly(busy, sandbox):
    busy("bluesky", 60)
    busy("x", 60)
    sandbox.connect("bluesky")
    assert run(limit=45).rows == 45
    assert PostAnalytics.objects.count() == 45
    assert run(limit=1000).rows == 76
    assert run(limit=1000).rows == 0


@live
def test_a_pass_can_be_restricted(busy):
    x, other = busy("x", 2), busy("x", 3)
    busy("bluesky", 4)
    assert run(scope=Scope(account_id=x.pk)).targets == 2
    assert run(scope=Scope(platform="bluesky")).targets == 4
    assert due.count_due() == 3
    assert due.count_due(Scope(account_id=other.pk)) == 3


@live
def test_more_lanes_than_are_listed_at_a_time_are_all_collected(busy, monkeypatch):
    monkeypatch.setattr(due, "LANES_A_PASS", 2)
    for _ in range(5):
        busy("x", 1)
    assert run().targets == 5


@live
def test_a_pass_ends_when_its_time_is_up(busy):
    busy("bluesky", 60)
    summary = collect.run_pass(until=time.monotonic())
    assert summary.targets == 0
    assert Heartbeat.objects.get(name="collect").detail == {"targets": 0, "snapshots": 0, "calls": 0}


# --- doors ------------------------------------------------------------


@live
def test_the_command_prints_one_json_document_and_succeeds_although_targets_fail(busy, sandbox):
    account = busy("bluesky", 3)
    busy("x", 2)
    sandbox.fault("x", "server_error")
    out = StringIO()
    call_command("collect", "--json", stdout=out)
    told = json.loads(out.getvalue())
    assert (told["targets"], told["snapshots"], told["failures"]) == (5, 3, 2)
    assert told["failures_by_code"] == {"platform_unavailable": 2}
    assert told["platforms"]["bluesky"] == {"targets": 3, "calls": 1, "snapshots": 3}
    assert (told["accounts"], told["calls"]) == (0, 3)
    assert told["seconds"] >= 0
    out = StringIO()
    Target.objects.update(next_collect_at=timezone.now() - SECOND)
    call_command("collect", "--account", str(account.pk), "--limit", "2", stdout=out)
    assert "2 targets and 0 accounts: 1 calls, 2 snapshots, 0 failures" in out.getvalue()


@pytest.fixture
def signalled(sandbox):
    """Sends this process a signal as soon as the platform was called."""
    senders = []

    def arrange(platform, number):
        def send():
            while not sandbox.calls(platform):
                time.sleep(0.01)
            os.kill(os.getpid(), number)

        senders.append(threading.Thread(target=send, daemon=True))
        senders[-1].start()

    yield arrange
    for sender in senders:
        sender.join(10)


@live
@pytest.mark.parametrize(
    ("number", "exit_code", "options"),
    [(signal.SIGINT, 130, []), (signal.SIGTERM, 143, []), (signal.SIGINT, 130, ["--limit", "90"])],
)
def test_a_signal_stops_the_command_when_what_is_under_way_is_stored(
    busy, sandbox, signalled, capsys, number, exit_code, options
):  # fmt: skip
    busy("bluesky", 100)
    sandbox.switch("bluesky", latency_ms=400)
    assert sandbox.calls("bluesky") == 0
    before = signal.getsignal(number)
    signalled("bluesky", number)
    with pytest.raises(SystemExit) as ended:
        call_command("collect", "--json", *options)
    assert ended.value.code == exit_code
    told = json.loads(capsys.readouterr().out)
    assert 0 < told["targets"] < 90
    assert told["snapshots"] == told["targets"] == PostAnalytics.objects.count()
    assert not Target.objects.exclude(claim=None).exists()
    assert signal.getsignal(number) is before


@live
def test_a_signal_stops_collecting_accounts_too(sandbox):
    for _ in range(9):
        sandbox.connect("bluesky")
    stop = threading.Event()
    summary = run(stop=stop, on_progress=lambda so_far: stop.set())
    assert 0 < summary.accounts <= 4
    assert AccountMetrics.objects.count() == summary.accounts


TWICE = """
import os, signal, time
from analytics.management.stopping import stoppable
with stoppable(on_first=lambda: print("first", flush=True), on_second=lambda: print("second", flush=True)):
    for _ in range(2):
        os.kill(os.getpid(), signal.SIGINT)
    time.sleep(60)
"""


def test_a_second_signal_ends_the_command_at_once():
    found = subprocess.run([sys.executable, "-c", TWICE], capture_output=True, text=True, timeout=30, check=False)
    assert (found.returncode, found.stdout, found.stderr) == (-signal.SIGINT, "first\nsecond\n", "")


@stored
def test_the_command_refuses_what_makes_no_sense():
    gone = SocialAccountFactory()
    connections.disconnect(gone)
    for options in (["--account", "7"], ["--account", str(gone.pk)], ["--limit", "0"], ["--platform", "myspace"]):
        with pytest.raises(CommandError):
            call_command("collect", *options)


@live
def test_without_a_broker_the_wake_up_does_the_work_itself(busy, settings):
    settings.CELERY_TASK_ALWAYS_EAGER = True
    busy("bluesky", 3)
    for _ in range(2):
        tasks.wake_collectors()
        tasks.wake_account_collectors()
    assert PostAnalytics.objects.count() == 3
    assert Heartbeat.objects.get(name="collect").at > timezone.now() - timedelta(minutes=1)


@live
def test_with_a_broker_each_lane_is_a_message_that_expires(busy, settings, monkeypatch):
    settings.CELERY_TASK_ALWAYS_EAGER = False
    sent = []
    for task in (tasks.collect_lane, tasks.collect_accounts):
        monkeypatch.setattr(task, "apply_async", lambda args, expires, task=task: sent.append((task, args, expires)))
    busy("bluesky", 3), busy("x", 3)
    SocialAccount.objects.filter(platform="x").update(next_collect_at=timezone.now() - SECOND)
    tasks.wake_collectors()
    tasks.wake_account_collectors()
    assert [expires for _, _, expires in sent] == [settings.COLLECT_EVERY] * 3
    for task, args, _ in sent * 2:  # every message twice
        task(*args)
    assert PostAnalytics.objects.count() == 6
    assert AccountMetrics.objects.count() == 1


@stored
def test_staff_make_rows_due_at_once():
    later = timezone.now() + HOUR
    gone = TargetFactory(next_collect_at=None, gone_at=timezone.now(), missing_count=3, failures=4)
    waiting = TargetFactory(next_collect_at=later)
    TargetFactory(status="pending", platform_post_id=None, next_collect_at=None)
    deleted = TargetFactory(deleted_at=later, next_collect_at=None)
    SocialAccount.objects.update(next_collect_at=later, token_retry_at=later)
    assert collect.collect_now(targets=Target.objects.all()) == 2
    for target in (gone, waiting):
        target.refresh_from_db()
        assert target.next_collect_at <= timezone.now()
    assert (gone.gone_at, gone.missing_count, gone.failures) == (None, 0, 0)
    deleted.refresh_from_db()
    assert deleted.next_collect_at is None
    assert collect.collect_now(accounts=SocialAccount.objects.filter(pk=gone.account_id)) == 1
    assert len(due.due_account_platforms()) == 1

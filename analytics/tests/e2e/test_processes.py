"""What must hold between real processes: web, worker and beat, killed and emptied in mid-work."""

import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import redis
import requests
from django.conf import settings
from django.db import connection

from accounts.models import SocialAccount, WebhookEvent
from accounts.tests.factories import make_key
from accounts.tests.processes import database_url
from analytics.models import AccountMetrics, ImportJob, Post, PostAnalytics, Target
from analytics.services import collect, imports

pytestmark = [pytest.mark.e2e, pytest.mark.django_db(transaction=True), pytest.mark.timeout(180)]
postgres = pytest.mark.skipif(
    not os.environ.get("DATABASE_URL", "").startswith("postgres"), reason="needs PostgreSQL, named by DATABASE_URL"
)
ROOT = Path(settings.BASE_DIR)
LAPSE = 12


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def wait_for(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.05)


@pytest.fixture
def spawn(sandbox):
    """Start processes of the service on the test's database; each leads a group of its own and ends with the test."""
    started = []

    def start(*command, **environment):
        known = {
            **os.environ,
            "DATABASE_URL": database_url(),
            "REDIS_URL": "",
            "SANDBOX_URL": sandbox.url,
            "DJANGO_SETTINGS_MODULE": "postfuze.settings",
            "LOG_LEVEL": "critical",
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            **environment,
        }
        process = subprocess.Popen(command, cwd=ROOT, env=known, start_new_session=True)
        started.append(process)
        return process

    yield start
    for process in started:
        kill(process)


def kill(process):
    """kill -9 of a process and its children."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return
    process.wait()


def procfile(name, process):
    """The command that a Procfile has for a process."""
    [command] = re.findall(rf"^{process}: (?:exec )?(.+)$", (ROOT / name).read_text(), re.M)
    return shlex.split(command)


@pytest.fixture
def broker(spawn):
    """A Redis of our own, to be emptied at will."""
    if shutil.which("redis-server") is None:
        pytest.skip("needs redis-server")
    port = free_port()
    spawn("redis-server", "--port", str(port), "--save", "", "--bind", "127.0.0.1", "--loglevel", "warning")
    client = redis.Redis(port=port)

    def answers():
        try:
            return client.ping()
        except redis.ConnectionError:
            return False

    wait_for(answers)
    return client


@pytest.fixture
def work(spawn, broker):
    """The environment of workers and beat: quick wake-ups, short claims, and nothing due twice within a test."""
    port = broker.connection_pool.connection_kwargs["port"]
    return {
        "REDIS_URL": f"redis://127.0.0.1:{port}/0",
        "DEBUG": "on",  # for claims that are shorter than a batch may take
        "COLLECT_EVERY": "2",
        "COLLECT_TASK_SECONDS": "5",
        "COLLECT_CLAIM_SECONDS": str(LAPSE),
        "COLLECT_CADENCE": "*=7d",
        "ACCOUNT_CADENCE": "7d",
    }


def start_worker(spawn, work):
    return spawn(
        "celery", "-q", "-A", "postfuze", "worker", "--concurrency", "2", "--without-gossip", "--without-mingle", **work
    )


@postgres
def test_no_target_is_lost_and_none_stored_twice_though_workers_die_and_the_broker_is_emptied(
    sandbox, spawn, work, broker, busy, tmp_path
):  # fmt: skip
    for platform, number in (("bluesky", 150), ("x", 300), ("x", 40)):
        busy(platform, number, span_days=300)
    accounts = [sandbox.connect("bluesky") for _ in range(3)]
    sandbox.switch("bluesky", latency_ms=1000)
    sandbox.switch("x", latency_ms=1000)
    spawn("celery", "-q", "-A", "postfuze", "beat", "--schedule", str(tmp_path / "schedule"), **work)
    for _ in range(2):
        worker = start_worker(spawn, work)
        before = PostAnalytics.objects.count()
        wait_for(lambda before=before: PostAnalytics.objects.count() > before)
        wait_for(lambda: Target.objects.exclude(claim=None).exists())
        kill(worker)
        broker.flushdb()
    assert Target.objects.exclude(claim=None).exists()
    start_worker(spawn, work)
    wait_for(lambda: not Target.objects.filter(snapshots=None).exists())
    wait_for(lambda: AccountMetrics.objects.count() == len(accounts))
    twice = (
        "from analytics import tasks; from analytics.models import Target\n"
        "for _ in range(2):\n"
        "    tasks.wake_collectors.delay(); tasks.wake_account_collectors.delay(); tasks.sweep.delay()\n"
        "    for lane in set(Target.objects.values_list('lane', flat=True)): tasks.collect_lane.delay(lane)\n"
        "    for platform in ('x', 'bluesky'): tasks.collect_accounts.delay(platform)"
    )
    assert spawn(sys.executable, "manage.py", "shell", "--no-imports", "-c", twice, **work).wait(60) == 0
    time.sleep(4)
    assert PostAnalytics.objects.count() == Target.objects.count() == 490
    assert AccountMetrics.objects.count() == len(accounts)
    for claimed in (Target, SocialAccount):
        wait_for(lambda claimed=claimed: not claimed.objects.exclude(claim=None).exists())


@postgres
def test_an_import_whose_worker_dies_ends_in_the_same_posts(sandbox, spawn, work, tmp_path):
    account = sandbox.connect("tiktok", posts=70)
    SocialAccount.objects.update(next_collect_at=None)
    sandbox.switch("tiktok", latency_ms=1000)
    job = imports.start(account)
    spawn("celery", "-q", "-A", "postfuze", "beat", "--schedule", str(tmp_path / "schedule"), **work)
    worker = start_worker(spawn, work)
    wait_for(lambda: ImportJob.objects.get().imported_count)
    kill(worker)
    before = ImportJob.objects.get()
    assert before.status == "running" and before.imported_count < 70
    start_worker(spawn, work)
    wait_for(lambda: ImportJob.objects.get().status == "completed")
    assert ImportJob.objects.get(pk=job.pk).imported_count == 70
    assert Post.objects.count() == Target.objects.count() == PostAnalytics.objects.count() == 70
    assert WebhookEvent.objects.filter(type="import.completed").count() == 1


@pytest.mark.parametrize("number", [60])
def test_without_a_broker_beat_alone_collects(sandbox, spawn, busy, tmp_path, number):
    busy("bluesky", number)
    busy("x", number)
    account = sandbox.connect("bluesky")
    beat = [*procfile("Procfile.dev", "beat"), "--schedule", str(tmp_path / "schedule")]
    spawn(*beat, COLLECT_EVERY="1")
    wait_for(lambda: PostAnalytics.objects.count() == 2 * number)
    wait_for(lambda: AccountMetrics.objects.filter(account=account).exists())
    due = Target.objects.first()
    Target.objects.filter(pk=due.pk).update(next_collect_at=due.created_at)
    wait_for(lambda: PostAnalytics.objects.count() == 2 * number + 1)
    assert AccountMetrics.objects.count() == 1


@pytest.fixture
def webs(spawn, sandbox):
    """Two web processes."""
    addresses = []
    for _ in range(2):
        port = free_port()
        command = ["gunicorn", "postfuze.wsgi", "--bind", f"127.0.0.1:{port}", "--worker-class", "gthread"]
        spawn(*command, "--threads", "16", "--log-level", "error", "--no-control-socket", HTTPS="off")
        addresses.append(f"http://127.0.0.1:{port}")
    for address in addresses:
        wait_for(lambda address=address: answers(address))
    return addresses


def answers(address):
    try:
        return requests.get(f"{address}/api/v1/health", timeout=5).ok
    except requests.ConnectionError:
        return False


@postgres
@pytest.mark.parametrize("faults", [[], [{"kind": "server_error"}]])
def test_two_web_processes_share_the_calls_of_requests_at_the_same_time(sandbox, webs, published, faults):
    post = published("x", "bluesky", nth=-1)
    account = SocialAccount.objects.get(platform="bluesky")
    for platform in ("x", "bluesky"):
        sandbox.switch(platform, latency_ms=2000, faults=faults)
    session_headers = {"Authorization": f"Bearer {make_key(post.organization)[1]}"}
    paths = {f"/api/v1/posts/{post.pk}/analytics": 2, f"/api/v1/social-accounts/{account.pk}/metrics": 1}
    for path, calls in paths.items():
        before = sandbox.calls("x") + sandbox.calls("bluesky")
        bodies = ask_at_once([webs[number % 2] + path for number in range(10)], session_headers)
        assert sandbox.calls("x") + sandbox.calls("bluesky") == before + calls
        for body in bodies:
            if "coverage" in body:
                assert body["coverage"]["live"] == (0 if faults else 2)
                assert {each["code"] for each in body["skipped"]} == ({"platform_unavailable"} if faults else set())
            else:
                assert body["live_error"]["code"] == "platform_unavailable" if faults else body["source"] == "live"
    assert PostAnalytics.objects.count() == (0 if faults else 2)
    assert AccountMetrics.objects.count() == (0 if faults else 1)


def ask_at_once(urls, headers):
    start, bodies = threading.Barrier(len(urls)), []

    def ask(url):
        start.wait()
        bodies.append(requests.get(url, headers=headers, timeout=30).json())

    threads = [threading.Thread(target=ask, args=(url,)) for url in urls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(bodies) == len(urls)
    return bodies


@postgres
def test_claims_are_exclusive_between_processes(spawn, busy):
    busy("bluesky", 500, span_days=400)
    passes = [spawn(sys.executable, "manage.py", "collect", "--json") for _ in range(2)]
    collect.run_pass(until=time.monotonic() + 60)
    connection.close()
    assert [process.wait(60) for process in passes] == [0, 0]
    assert PostAnalytics.objects.count() == 500
    assert not Target.objects.exclude(claim=None).exists()

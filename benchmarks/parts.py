"""The benchmarks. Each gives rows of what was measured, the figure, and the bar that it is held against."""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import requests
from django.utils import timezone

from accounts.models import Organization
from accounts.services import access, keys
from analytics.models import Post, Target, TargetStatus
from analytics.services.due import ALL, claim_targets
from analytics.services.lanes import lane_of
from benchmarks import seed
from benchmarks.baselines import bare_series
from benchmarks.timing import compare, measure, repeat
from platforms import registry
from platforms.client import Client
from postfuze.api.times import render
from postfuze.tests.e2e.stage import Stage

Row = tuple[str, str, str]
PLATFORMS = tuple(key for key, platform in registry.PLATFORMS.items() if platform.has_posts)
CALLS = {
    "x": "10 + 10 private",
    "linkedin": "20",
    "linkedin member": "≤ 7,000",
    "instagram": "≤ 40",
    "tiktok": "50",
    "facebook": "≤ 40",
    "threads": "1,000",
    "bluesky": "40",
    "youtube": "20",
    "pinterest": "4 + saves",
    "reddit": "10",
}
LATENCY_MS = 200
LIMITED = "rate_limited"
X_ACCOUNTS = 10
YEAR = 31_536_000


@dataclass
class Play:
    """What the benchmarks share."""

    stage: Stage
    targets: int
    snapshots: int
    seconds: float

    @cached_property
    def demo(self) -> dict[str, object]:
        return self.stage.manage_json("demo")

    @cached_property
    def organization(self) -> Organization:
        return Organization.objects.create(name="Benchmark")

    @cached_property
    def key(self) -> str:
        return keys.create_key(self.organization, mode="test")[1]

    @cached_property
    def x_accounts(self) -> list[object]:
        """Accounts with all the due targets between them."""
        self.stage.control("/platforms/x", {"rate_limits": False})
        made = [seed.account(self.organization, "x", number) for number in range(X_ACCOUNTS)]
        for each in made:
            seed.posts(each, seed.old_ids("x", each.network_unique_id, self.targets // X_ACCOUNTS))
        seed.settle()
        return made

    @cached_property
    def post(self) -> str:
        """The path of a post with a target on each of ten accounts."""
        post = Post.objects.create(organization=self.organization, mode="test", status=TargetStatus.PUBLISHED)
        for account in self.x_accounts:
            target = account.targets.filter(post__targets__isnull=False)[0]
            Target.objects.filter(pk=target.pk).update(post=post)
        return f"/api/v1/posts/{post.pk}"

    def same_bytes(self) -> str:
        """Where the stored answer of that post is had without reading anything."""
        (self.stage.folder / "answer.json").write_text(self.get(f"{self.post}/analytics?max_age={YEAR}").text)
        return f"{self.stage.address}/api/v1/bench/same-bytes"

    def get(self, path: str) -> requests.Response:
        answer = self.stage.session.get(
            f"{self.stage.address}{path}", headers={"Authorization": f"Bearer {self.key}"}, timeout=60
        )
        answer.raise_for_status()
        return answer


def ms(seconds: float) -> str:
    return f"{seconds * 1000:.1f} ms"


def live(play: Play) -> Iterator[Row]:
    """Live analytics of one post on ten platforms that take 200 ms a call"""
    stage, demo = play.stage, play.demo
    urls = [f"{stage.address}/api/v1/posts/{post}/analytics" for post in demo["posts"]]
    stage.control("/platforms/all", {"latency_ms": LATENCY_MS})
    try:
        own = {name: _own_latency(play, name) for name in PLATFORMS}
        for name, took in own.items():
            yield f"{name}: its own conversation, without the service", ms(took), ""
        slowest = max(own.values())
        for clients in (1, 8):
            timings = measure(urls[:clients], demo["key"], seconds=play.seconds, accept=_all_live)
            label = f"{clients} client{'s' * (clients > 1)}, {len(timings.seconds)} answers"
            bars = ("≤ 250 ms", "≤ 300 ms") if clients == 1 else ("", "")
            yield f"{label}: p50", f"{ms(timings.p50)}, {timings.p50 / slowest:.2f} x the slowest platform", bars[0]
            yield f"{label}: p95", f"{ms(timings.p95)}, {timings.p95 / slowest:.2f} x", bars[1]
            yield f"{label}: not live for all ten, no limit being spent", str(timings.failures), "0"
    finally:
        stage.control("/platforms/all", {"latency_ms": 0})


def _all_live(answer: requests.Response) -> bool:
    """Whether all are, but for those whose limit is spent: eight clients ask more than some platforms allow."""
    if not answer.ok:
        return False
    told = answer.json()
    return told["coverage"]["live"] + sum(each["code"] == LIMITED for each in told["skipped"]) == len(PLATFORMS)


def _own_latency(play: Play, platform: str) -> float:
    """The median of an adapter's conversation about one post, on a connection that is kept."""
    target = Target.objects.select_related("account").filter(post__organization__name="Demo", platform=platform)[0]
    adapter, settings = access.platform_of(target.account), access.platform_settings(target.account.mode)

    def hold() -> None:
        account = access.as_platform_account(target.account)
        client = Client(adapter, account, settings=settings, credentials=access.credentials_of(target.account))
        client.run(adapter.fetch_posts([str(target.platform_post_id)], account))

    return repeat(hold, seconds=min(2.0, play.seconds))


def calls(play: Play) -> Iterator[Row]:
    """Platform calls for 1,000 young posts of one account, by `manage.py collect --json`"""
    play.stage.control("/platforms/all", {"latency_ms": 0})
    for name, bar in CALLS.items():
        platform = name.partition(" ")[0]
        _lift_limits(play, platform)
        account = seed.account(play.organization, name, 50)
        lists = {"platform": platform, "account_id": account.network_unique_id, "posts": 1000, "span_days": 25}
        ids = play.stage.control("/accounts", lists)["post_ids"][:1000]
        seed.posts(account, ids)
        before = play.stage.calls(platform)
        done = play.stage.manage_json("collect", "--account", str(account.pk))
        made = play.stage.calls(platform) - before
        yield name, f"{made} calls, {len(ids)} posts, {done['snapshots']} snapshots, {done['failures']} failures", bar


def _lift_limits(play: Play, platform: str) -> None:
    """Where the sandbox limits calls a day, so that all of a platform's can be counted in one pass."""
    known = play.stage.control("")["platforms"][platform]["switches"]
    if "rate_limits" in known:
        play.stage.control(f"/platforms/{platform}", {"rate_limits": False})


def collect(play: Play) -> Iterator[Row]:
    """Snapshots a second, one process: `manage.py collect --platform x --json`, batches of 100"""
    ids = [each.pk for each in play.x_accounts]
    Target.objects.filter(account__in=ids).update(next_collect_at=timezone.now(), claim=None, claimed_until=None)
    done = play.stage.manage_json("collect", "--platform", "x")
    bar = "≥ 2,500 /s" if play.stage.database == "PostgreSQL" else ""
    label = f"{done['targets']} targets on {X_ACCOUNTS} accounts, {done['calls']} calls, {done['failures']} failures"
    yield label, f"{done['snapshots'] / done['seconds']:.0f} /s ({done['seconds']:.1f} s)", bar


def memory(play: Play) -> Iterator[Row]:
    """The most memory that one process of `manage.py collect --platform x` takes, by how many targets are due"""
    ids = [each.pk for each in play.x_accounts]
    due = Target.objects.filter(account__in=ids)
    most: list[int] = []
    for count in (play.targets // 100, play.targets):
        due.update(next_collect_at=None, claim=None, claimed_until=None)
        due.filter(pk__in=due.order_by("pk")[:count].values("pk")).update(next_collect_at=timezone.now())
        begun = time.perf_counter()
        most.append(play.stage.most_memory("collect", "--platform", "x", "--json"))
        took = time.perf_counter() - begun
        left = due.filter(next_collect_at__lte=timezone.now()).count()
        yield f"{count} due, {count - left} collected in {took:.0f} s", f"{most[-1] / 2**20:.0f} MiB", ""
    yield "so", f"{most[1] / most[0]:.2f} x", "flat"


def claim(play: Play) -> Iterator[Row]:
    """Claiming due targets in batches of 100, nothing else"""
    lanes = {lane_of(account) for account in play.x_accounts}
    due = Target.objects.filter(lane__in=lanes)
    due.update(next_collect_at=timezone.now(), claim=None, claimed_until=None)
    begun, claimed = time.perf_counter(), 0
    for lane in lanes:
        while targets := claim_targets(lane, ALL, 100)[1]:
            claimed += len(targets)
    took = time.perf_counter() - begun
    due.update(next_collect_at=None, claim=None, claimed_until=None)
    yield f"{claimed} targets", f"{took:.1f} s, so {took / claimed * 100_000:.1f} s for 100,000", "≤ 10 s for 100,000"


def stored(play: Play) -> Iterator[Row]:
    """Stored analytics of ten targets (`max_age`) against an authenticated view with the same bytes"""
    count = seed.history(play.x_accounts, play.snapshots)
    urls = {"stored": f"{play.stage.address}{play.post}/analytics?max_age={YEAR}", "same": play.same_bytes()}
    yield "snapshots in the database", f"{count}", ""
    for clients in (1, 4):
        found = compare(urls, play.key, clients=clients, seconds=play.seconds)
        rates = f"{found['stored'].rate:.0f} /s against {found['same'].rate:.0f} /s"
        yield f"{clients} clients", f"{rates}: {found['stored'].rate / found['same'].rate:.2f} x", "≥ 0.5 x"


def growth(play: Play) -> Iterator[Row]:
    """The median of reads, and that at ten times the snapshots"""
    history = f"{play.stage.address}{play.post}/analytics/history?since={int(time.time()) - 11 * 3600}&limit=100"
    urls = {
        "a view that reads nothing": "",
        "live, ten targets, no latency": f"{play.stage.address}{play.post}/analytics",
        "stored, ten targets": f"{play.stage.address}{play.post}/analytics?max_age={YEAR}",
        "series of a post, its last 100 rows": history,
    }
    medians: list[dict[str, float]] = []
    counts: list[int] = []
    for snapshots in (play.snapshots // 10, play.snapshots):
        count = seed.history(play.x_accounts, snapshots)
        urls["a view that reads nothing"] = play.same_bytes()
        found = compare(urls, play.key, clients=1, seconds=play.seconds)
        medians.append({name: found[name].p50 for name in found})
        counts.append(count)
    few, many = medians
    yield "snapshots", f"{counts[0]}, {counts[1]}", ""
    for name, url in urls.items():
        bar = "≤ 1.2 x" if "same-bytes" not in url else ""
        yield name, f"{ms(few[name])}, {ms(many[name])}: {many[name] / few[name]:.2f} x", bar


def series(play: Play) -> Iterator[Row]:
    """500 rows of an account's series against the bare SELECT and `json.dumps`"""
    account = seed.account(play.organization, "bluesky", 60)
    since = render(seed.account_history(account, 600))
    path = f"/api/v1/social-accounts/{account.pk}/metrics?since={since}&limit=500"
    bare = f"/api/v1/bench/series/{account.pk}?since={since}"
    ours, least = play.get(path).json()["data"], json.loads(play.get(bare).text)["data"]
    assert ours == least, "the two answers differ"
    urls = {"ours": f"{play.stage.address}{path}", "bare": f"{play.stage.address}{bare}"}
    found = compare(urls, play.key, clients=1, seconds=play.seconds)
    ratio = found["ours"].p50 / found["bare"].p50
    yield (
        "over HTTP, both authenticated",
        f"{ms(found['ours'].p50)} against {ms(found['bare'].p50)}: {ratio:.2f} x",
        "≤ 2 x",
    )
    inside = repeat(lambda: bare_series(str(account.pk), since), seconds=1.0)
    yield "over HTTP against the bare SQL in this process", f"{ms(inside)}: {found['ours'].p50 / inside:.2f} x", ""

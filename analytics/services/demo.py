"""The demo organization: accounts on the sandbox, and posts with weeks of history."""

import json
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from django.contrib.auth import get_user_model
from django.db import transaction
from django.utils import timezone
from django.utils.crypto import salted_hmac

from accounts.models import Mode, Organization, SocialAccount, Status
from accounts.services import access, connections, keys
from analytics.models import AccountMetrics, Post, PostAnalytics, Target
from analytics.services import posts, snapshots
from platforms import client, registry
from platforms.base import Reading
from platforms.hosts import HostMap
from platforms.oauth import Credentials
from platforms.sandbox import registry as sandbox
from platforms.sandbox.app import Sandbox, SandboxRequest
from platforms.transport import Exchange, Response

NAME = "Demo"
SEED = "demo"
POSTS = 12
SPAN_DAYS = 45
EVERY = timedelta(days=1)
ACCOUNTS: dict[str, dict[str, Any]] = {
    "x": {"network_unique_id": "2244994945", "username": "acme"},
    "linkedin": {"network_unique_id": "urn:li:organization:2414183", "username": "acme"},
    "instagram": {"network_unique_id": "17841400000000001", "username": "acme", "extra": {"login": "instagram"}},
    "tiktok": {"network_unique_id": "723f24d7-e717-40f8-a2b6-cb8464cd23b4", "username": "acme"},
    "facebook": {"network_unique_id": "102030405060708", "username": "acme"},
    "threads": {"network_unique_id": "26000000000000001", "username": "acme"},
    "bluesky": {
        "network_unique_id": "did:plc:acmedemoacmedemoacmedemo",
        "username": "acme.bsky.social",
        "extra": {"pds_host": "https://bsky.social"},
    },
    "youtube": {"network_unique_id": "UCacmeAnalyticsDemo00001", "username": "@acme"},
    "pinterest": {"network_unique_id": "2783136121146311751", "username": "acme"},
    "google_business": {"network_unique_id": "1234567890", "username": "Acme Cafe"},
    "reddit": {"network_unique_id": "a2gghybr", "username": "acme"},
}


@dataclass(frozen=True)
class Demo:
    """What there is to try: a key of scope `*`, what it sees, and a login to the admin. No password: it was changed."""

    organization: Organization
    key: str
    username: str
    password: str | None
    accounts: list[SocialAccount]
    posts: list[Post]


def create_or_find() -> Demo:
    """Make the demo organization, or complete what is there of it."""
    with transaction.atomic():
        key, text = _key()
        organization = key.organization
        accounts = [_account(organization, platform) for platform in ACCOUNTS]
        made = _posts(organization, accounts)
        _history(accounts)
    username, password = _staff()
    newest_first = sorted(made, key=lambda post: post.created_at, reverse=True)
    return Demo(organization, text, username, password, accounts, newest_first)


def _staff() -> tuple[str, str | None]:
    """A superuser whose password follows from the SECRET_KEY."""
    users = get_user_model().objects
    password = salted_hmac("analytics.services.demo", SEED).hexdigest()[:16]
    user = users.filter(username=SEED).first()
    if user is None:
        user = users.create_superuser(SEED, password=password)
    return SEED, password if user.check_password(password) else None


def _key() -> tuple[Any, str]:
    organization = Organization(name=NAME)
    found = Organization.objects.filter(api_keys__name=NAME, name=NAME).order_by("created_at").first()
    if found is None:
        organization.save()
    return keys.create_key(found or organization, mode=Mode.TEST, name=NAME, seed=SEED)


def _account(organization: Organization, platform: str) -> SocialAccount:
    known = ACCOUNTS[platform]
    alive = SocialAccount.objects.filter(organization=organization, mode=Mode.TEST, deleted_at=None, platform=platform)
    account = alive.filter(network_unique_id=known["network_unique_id"]).first()
    if account is not None and account.status not in (Status.TOKEN_EXPIRED, Status.REVOKED):
        return account
    minted = sandbox.tokens(platform, known["network_unique_id"], time.time(), **_login(known))
    given = {
        **known,
        "platform": platform,
        "display_name": "Acme",
        "access_token": minted["access_token"],
        "refresh_token": minted["refresh_token"] or "",
        "token_expires_at": _instant(minted["expires_at"]),
        "scopes": list(registry.get(platform).scopes),
    }
    return connections.connect(organization.pk, Mode.TEST, given)[0]


def _login(known: dict[str, Any]) -> dict[str, str]:
    return {"login": known["extra"]["login"]} if "login" in known.get("extra", {}) else {}


def _instant(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


def _posts(organization: Organization, accounts: list[SocialAccount]) -> list[Post]:
    """The demo's posts; those that are missing, or that miss an account, are made anew. The first is the newest."""
    found = Post.objects.filter(organization=organization, deleted_at=None, external_ref__startswith=f"{SEED}-")
    made: dict[str | None, Post] = {}
    for post in found.prefetch_related("targets"):
        if {target.account_id for target in post.targets.all()} == {account.pk for account in accounts}:
            made[post.external_ref] = post
        else:
            posts.delete(post)
    missing = [number for number in range(POSTS, 0, -1) if f"{SEED}-{number}" not in made]
    free = {account: _free_posts(account)[: len(missing)] for account in accounts} if missing else {}
    for number in missing:
        targets = [{"account_id": account.pk, **free[account].pop()} for account in accounts]
        published_at = min(target["published_at"] for target in targets)
        given = {"content": f"Demo post {number}", "published_at": published_at, "targets": targets}
        identity = posts.Identity(organization.pk, Mode.TEST, external_ref=f"{SEED}-{number}")
        post, _ = posts.create(identity, given, {account.pk: account for account in accounts})
        made[post.external_ref] = post
    return list(made.values())


def _free_posts(account: SocialAccount) -> list[dict[str, Any]]:
    """The account's posts in the sandbox that no post has yet, newest first, as targets name them."""
    there = sandbox.published(
        account.platform, account.network_unique_id, 2 * POSTS, now=time.time(), span_days=2 * SPAN_DAYS
    )
    alive = Target.objects.filter(account=account, deleted_at=None)
    taken = set(alive.values_list("platform_post_id", flat=True))
    found = [(_canonical(account, post_id), _instant(at)) for post_id, at in there.items()]
    return [{"platform_post_id": post_id, "published_at": at} for post_id, at in found if post_id not in taken]


def _canonical(account: SocialAccount, post_id: str) -> str:
    return registry.get(account.platform).normalize_post_id(post_id, access.as_platform_account(account))


# --- history -----------------------------------------------------------------


@dataclass
class _Past:
    """The sandbox at an instant, without a socket."""

    sandbox: Sandbox
    now: float

    def send(self, exchange: Exchange) -> Response:
        parts = urlsplit(exchange.url)
        query = parse_qs(parts.query, keep_blank_values=True)
        for name, value in exchange.params or ():
            query.setdefault(name, []).append(value)
        body = json.dumps(exchange.json) if exchange.json is not None else urlencode(exchange.form or {})
        headers = {name.lower(): value for name, value in exchange.headers.items()}
        answer = self.sandbox.handle(
            SandboxRequest(exchange.method, parts.netloc, parts.path, query, headers, body.encode()), self.now
        )
        return Response(answer.status, {k.lower(): v for k, v in dict(answer.headers).items()}, bytes(answer.body))


def _history(accounts: list[SocialAccount]) -> None:
    """What collecting once a day would have stored since the first post, for what has no snapshots yet."""
    past = _Past(Sandbox(), 0.0)
    now = timezone.now()
    post_rows: list[PostAnalytics] = []
    account_rows: list[AccountMetrics] = []
    for account in accounts:
        bare = Target.objects.filter(account=account, deleted_at=None, snapshots=None)
        targets = {str(target.platform_post_id): target for target in bare}
        is_bare = not AccountMetrics.objects.filter(account=account).exists()
        for instant in _instants(now) if targets or is_bare else ():
            past.now = instant.timestamp()
            out = {post_id: target for post_id, target in targets.items() if target.published_at <= instant}
            post_rows += _posts_at(account, out, past, instant)
            if is_bare:
                account_rows.append(snapshots.account_snapshot(account, _account_at(account, past), instant))
    PostAnalytics.objects.bulk_create(post_rows, batch_size=500)
    AccountMetrics.objects.bulk_create(account_rows, batch_size=500)


def _instants(now: datetime) -> list[datetime]:
    """Every day, and now: also the newest post has a snapshot."""
    return [now - number * EVERY for number in range(timedelta(days=SPAN_DAYS) // EVERY, -1, -1)]


def _client(account: SocialAccount, past: _Past) -> client.Client:
    minted = sandbox.tokens(account.platform, account.network_unique_id, past.now, **_login({"extra": account.extra}))
    return client.Client(
        registry.get(account.platform),
        access.as_platform_account(account),
        settings=client.Settings(hosts=HostMap({}), transport=past),
        credentials=Credentials(minted["access_token"]),
    )


def _posts_at(
    account: SocialAccount, targets: dict[str, Target], past: _Past, instant: datetime
) -> list[PostAnalytics]:
    adapter = registry.get(account.platform)
    ids = list(targets) if adapter.has_posts else []
    rows: list[PostAnalytics] = []
    for start in range(0, len(ids), adapter.batch_size):
        speaker = _client(account, past)
        found = speaker.run(adapter.fetch_posts(ids[start : start + adapter.batch_size], speaker.account))
        for post_id, item in found.items():
            if isinstance(item, Reading | dict):
                reading = item if isinstance(item, Reading) else Reading(item)
                rows.append(snapshots.post_snapshot(targets[post_id], reading, instant))
    return rows


def _account_at(account: SocialAccount, past: _Past) -> Reading:
    speaker = _client(account, past)
    found = speaker.run(registry.get(account.platform).fetch_account(speaker.account))
    return found if isinstance(found, Reading) else Reading(found)

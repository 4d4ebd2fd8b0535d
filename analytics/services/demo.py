"""The demo organization: accounts on the sandbox, and posts with weeks of history."""

import json
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode, urlsplit

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
EVERY = timedelta(hours=12)
ACCOUNTS: dict[str, dict[str, Any]] = {
    "x": {"network_unique_id": "2244994945", "username": "acme"},
    "instagram": {"network_unique_id": "17841400000000001", "username": "acme", "extra": {"login": "instagram"}},
    "bluesky": {
        "network_unique_id": "did:plc:acmedemoacmedemoacmedemo",
        "username": "acme.bsky.social",
        "extra": {"pds_host": "https://bsky.social"},
    },
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
    made = list(Post.objects.filter(organization=organization, deleted_at=None, external_ref__startswith="demo-"))
    if not made:
        with transaction.atomic():
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
    if account is not None and account.status != Status.TOKEN_EXPIRED:
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
    """The newest post first has the youngest ids of every platform."""
    now = time.time()
    ids = {
        a.pk: sandbox.post_ids(a.platform, a.network_unique_id, POSTS, now=now, span_days=SPAN_DAYS) for a in accounts
    }
    by_id = {account.pk: account for account in accounts}
    made = []
    for number in range(POSTS, 0, -1):
        published_at = timezone.now() - timedelta(days=SPAN_DAYS * (number - 0.5) / POSTS)
        targets = [
            {"account_id": account.pk, "platform_post_id": _canonical(account, ids[account.pk][number - 1])}
            for account in accounts
        ]
        given = {"content": f"Demo post {number}", "published_at": published_at, "targets": targets}
        identity = posts.Identity(organization.pk, Mode.TEST, external_ref=f"demo-{number}")
        made.append(posts.create(identity, given, by_id)[0])
    return made


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
        query: dict[str, list[str]] = {}
        for name, value in exchange.params or ():
            query.setdefault(name, []).append(value)
        body = json.dumps(exchange.json) if exchange.json is not None else urlencode(exchange.form or {})
        headers = {name.lower(): value for name, value in exchange.headers.items()}
        answer = self.sandbox.handle(
            SandboxRequest(exchange.method, parts.netloc, parts.path, query, headers, body.encode()), self.now
        )
        return Response(answer.status, {k.lower(): v for k, v in dict(answer.headers).items()}, bytes(answer.body))


def _history(accounts: list[SocialAccount]) -> None:
    """What collecting every half day would have stored since the first post."""
    past = _Past(Sandbox(), 0.0)
    now = timezone.now()
    post_rows: list[PostAnalytics] = []
    account_rows: list[AccountMetrics] = []
    for account in accounts:
        targets = {str(t.platform_post_id): t for t in Target.objects.filter(account=account, deleted_at=None)}
        instant = now - timedelta(days=SPAN_DAYS)
        while instant < now - timedelta(minutes=5):
            past.now = instant.timestamp()
            post_rows += _posts_at(account, targets, past, instant)
            account_rows.append(snapshots.account_snapshot(account, _account_at(account, past), instant))
            instant += EVERY
    PostAnalytics.objects.bulk_create(post_rows, batch_size=500)
    AccountMetrics.objects.bulk_create(account_rows, batch_size=500)


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
    ids = list(targets)
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

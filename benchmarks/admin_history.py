"""The admin's pages with a long history, on PostgreSQL: `DATABASE_URL=postgres://… python -m benchmarks.admin_history`.

Makes a scratch database on that server, fills it by SQL, asks each page as staff would, prints what it took, and drops
the database.
"""

import argparse
import base64
import os
import secrets
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import django
import psycopg
from psycopg import sql

SCRATCH = "postfuze_admin_bench"
BAR_MS = 300
ASKED = 5

SEED = (
    """INSERT INTO accounts_organization (id, name, created_at)
       SELECT gen_random_uuid(), 'Organization ' || n, now() - n * interval '1 day' FROM generate_series(1, 20) n""",
    """INSERT INTO accounts_socialaccount (id, organization_id, mode, platform, network_unique_id, username,
           display_name, profile_image_url, account_type, tenant_id, scopes, extra, memory, status, access_token,
           refresh_token, last_error_code, last_error_detail, failures, created_at, updated_at, next_collect_at)
       SELECT gen_random_uuid(), o.id, 'live', (ARRAY['x', 'instagram', 'bluesky'])[1 + n %% 3], 'id-' || n,
           'user' || n, 'User', '', '', '', '[]', '{}', '{}',
           CASE WHEN n %% 50 = 0 THEN 'token_expired' ELSE 'active' END, 'c', 'c',
           CASE WHEN n %% 40 = 0 THEN 'rate_limited' ELSE '' END, '', 0, now() - n * interval '1 minute', now(), now()
       FROM generate_series(1, %(accounts)s) n
       JOIN (SELECT id, row_number() OVER () - 1 AS k FROM accounts_organization) o ON o.k = n %% 20""",
    """INSERT INTO analytics_post (id, organization_id, mode, content, external_ref, is_draft, published_at, status,
           created_at, updated_at)
       SELECT gen_random_uuid(), o.id, 'live', repeat('words ', 30), 'ref-' || n, false, now(), 'published',
           now() - n * interval '1 second', now()
       FROM generate_series(1, %(targets)s / 2) n
       JOIN (SELECT id, row_number() OVER () - 1 AS k FROM accounts_organization) o ON o.k = n %% 20""",
    """INSERT INTO analytics_target (id, post_id, account_id, platform, status, platform_post_id, platform_post_url,
           published_at, lane, next_collect_at, failures, missing_count, last_error_code, last_error_detail, created_at,
           updated_at, gone_at)
       SELECT gen_random_uuid(), p.id, a.id, a.platform, 'published', p.external_ref || '-' || a.k, '', p.created_at,
           a.platform || ':' || a.id, p.created_at, 0, 0, CASE WHEN p.k %% 500 = 0 THEN 'post_gone' ELSE '' END, '',
           p.created_at, now(), CASE WHEN p.k %% 500 = 0 THEN now() END
       FROM (SELECT *, row_number() OVER () AS k FROM analytics_post) p, generate_series(0, 1) leg
       JOIN (SELECT *, row_number() OVER () - 1 AS k FROM accounts_socialaccount) a ON true
       WHERE a.k = (p.k + leg * 7) %% %(accounts)s""",
    """INSERT INTO post_analytics (target_id, account_id, platform, captured_at, impressions, reach, likes, comments,
           shares, saves, clicks, video_views, engagement_rate, unavailable, raw, mapping_version)
       SELECT t.id, t.account_id, t.platform, now() - n * interval '3 seconds', n, n / 2, n / 10, n / 100, n / 50,
           n / 70, NULL, 0, 0.05, '{}', jsonb_build_object('post', repeat(md5(n::text), 20)), 1
       FROM generate_series(1, %(rows)s) n
       JOIN (SELECT *, row_number() OVER (ORDER BY id) AS k FROM analytics_target) t
         ON t.k = CASE WHEN n %% 100 = 0 THEN 1 ELSE 1 + n %% %(targets)s END""",
    """INSERT INTO account_metrics (account_id, platform, captured_at, followers, following, posts_count, impressions,
           reach, profile_views, unavailable, raw, mapping_version)
       SELECT a.id, a.platform, now() - n * interval '3 seconds', n, 10, 20, NULL, NULL, NULL, '{}',
           jsonb_build_object('account', repeat(md5(n::text), 10)), 1
       FROM generate_series(1, %(rows)s) n
       JOIN (SELECT *, row_number() OVER (ORDER BY id) AS k FROM accounts_socialaccount) a
         ON a.k = 1 + n %% %(accounts)s""",
)


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


@contextmanager
def scratch_database(url: str, *, keep: bool) -> Iterator[str]:
    """A database of its own on the server of a URL; yields its URL."""
    name = sql.Identifier(SCRATCH)
    with psycopg.connect(url, autocommit=True) as server:
        server.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(name))
        server.execute(sql.SQL("CREATE DATABASE {}").format(name))
    try:
        yield urlunsplit(urlsplit(url)._replace(path=f"/{SCRATCH}"))
    finally:
        if not keep:
            with psycopg.connect(url, autocommit=True) as server:
                server.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(name))


def fill(url: str, **numbers: int) -> None:
    """Rows by SQL, then what autovacuum would have done by now."""
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in SEED:
            began = time.monotonic()
            connection.execute(statement, numbers)
            say(f"  {statement.split()[2]}: {time.monotonic() - began:.0f} s")
        connection.execute("VACUUM ANALYZE")


@dataclass(frozen=True)
class Page:
    name: str
    url: str
    query: dict[str, Any]


def pages() -> list[Page]:
    """Each way to look at history, and the pages around it."""
    # These need settings.
    from django.urls import reverse
    from django.utils import timezone

    from accounts.models import Organization, SocialAccount
    from analytics.models import AccountMetrics, Post, PostAnalytics, Target

    hot = Target.objects.order_by("id")[0]
    cold = Target.objects.order_by("id")[5]
    day = timezone.now().date() - timedelta(days=3)
    days = {"captured_at_from": day.isoformat(), "captured_at_to": day.isoformat()}
    of_posts, of_accounts = "analytics_postanalytics", "analytics_accountmetrics"

    def listing(name: str, model: str, **query: Any) -> Page:
        return Page(name, reverse(f"admin:{model}_changelist"), query)

    def detail(name: str, row: Any) -> Page:
        return Page(name, reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_change", args=(row.pk,)), {})

    return [
        listing("posts' snapshots: all", of_posts),
        listing("page 200", of_posts, p=200),
        listing("one platform", of_posts, platform__exact="x"),
        listing("one platform, one day", of_posts, platform__exact="x", **days),
        listing("one day", of_posts, **days),
        listing("one target (10,000 rows)", of_posts, q=hot.pk),
        listing("one target, one day", of_posts, q=hot.pk, **days),
        listing("one target (few rows)", of_posts, q=cold.pk),
        listing("one post", of_posts, q=hot.post_id),
        listing("one account", of_posts, q=hot.account_id),
        listing("one account, one day", of_posts, q=hot.account_id, **days),
        listing("a platform's post id", of_posts, q=cold.platform_post_id),
        listing("an external_ref", of_posts, q=cold.post.external_ref),
        listing("what is not there", of_posts, q="nothing-of-that-name"),
        detail("one snapshot", PostAnalytics.objects.filter(target=hot).order_by("-captured_at")[1]),
        listing("accounts' snapshots: all", of_accounts),
        listing("page 200", of_accounts, p=200),
        listing("one platform", of_accounts, platform__exact="x"),
        listing("one account", of_accounts, q=hot.account_id),
        listing("one account, one day", of_accounts, q=hot.account_id, **days),
        listing("one day", of_accounts, **days),
        detail("one snapshot", AccountMetrics.objects.order_by("-captured_at")[1]),
        listing("targets: all", "analytics_target"),
        listing("with an error", "analytics_target", error="any"),
        listing("gone", "analytics_target", state="gone"),
        listing("of one account", "analytics_target", account__id__exact=hot.account_id),
        listing("a platform's post id", "analytics_target", q=cold.platform_post_id),
        detail("one target, with its chart", hot),
        listing("posts: all", "analytics_post"),
        listing("of one organization", "analytics_post", organization__id__exact=Organization.objects.all()[0].pk),
        listing("an external_ref", "analytics_post", q=cold.post.external_ref),
        detail("one post", Post.objects.get(pk=hot.post_id)),
        listing("accounts: all", "accounts_socialaccount"),
        listing("with an error", "accounts_socialaccount", error="any"),
        detail("one account, with its chart", SocialAccount.objects.get(pk=hot.account_id)),
        Page("dashboard", reverse("admin:index"), {}),
    ]


def ask(client: Any, page: Page) -> tuple[list[float], list[float], list[dict[str, str]]]:
    """Milliseconds of each request, those spent in SQL, and the queries of the last."""
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    whole: list[float] = []
    in_sql: list[float] = []
    queries: list[dict[str, str]] = []
    for _ in range(ASKED + 1):
        with CaptureQueriesContext(connection) as captured:
            began = time.perf_counter()
            answer = client.get(page.url, page.query)
            whole.append((time.perf_counter() - began) * 1000)
        if answer.status_code != 200:
            raise RuntimeError(f"{page.name}: {answer.status_code}")
        queries = captured.captured_queries
        in_sql.append(sum(float(query["time"]) for query in queries) * 1000)
    return whole[1:], in_sql[1:], queries


def plan_of(query: str) -> Sequence[str]:
    """EXPLAIN (ANALYZE) of a query."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN (ANALYZE, BUFFERS) {query}".replace("%", "%%"))
        return [line for (line,) in cursor.fetchall()]


def measure(*, explain: bool) -> bool:
    """Print a line for each page; returns whether all are within the bar."""
    from django.contrib.auth.models import User
    from django.test import Client

    client = Client()
    client.force_login(User.objects.create_superuser("bench"))
    say(f"\n{'page':32} {'queries':>7} {'SQL ms':>8} {'worst':>8} {'slowest, by EXPLAIN':>20} {'page ms':>8}")
    within = True
    for page in pages():
        whole, in_sql, queries = ask(client, page)
        slowest = max(
            (query["sql"] for query in queries if query["sql"].startswith("SELECT")),
            key=lambda statement: _seconds(queries, statement),
        )
        plan = plan_of(slowest)
        executed = next(line.split()[2] for line in plan if line.startswith("Execution Time"))
        say(
            f"{page.name:32} {len(queries):7} {statistics.median(in_sql):8.1f} {max(in_sql):8.1f}"
            f" {float(executed):17.1f} ms {statistics.median(whole):8.1f}"
        )
        within = within and max(in_sql) <= BAR_MS
        if explain:
            say("\n".join(["", slowest[:1000], *plan, ""]))
    say(f"\nEvery page within {BAR_MS} ms of SQL: {'yes' if within else 'NO'}")
    return within


def _seconds(queries: list[dict[str, str]], statement: str) -> float:
    return max(float(query["time"]) for query in queries if query["sql"] == statement)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000, help="snapshots of posts, and as many of accounts")
    parser.add_argument("--targets", type=int, default=100_000)
    parser.add_argument("--accounts", type=int, default=1_000)
    parser.add_argument("--explain", action="store_true", help="print the plan of each page's slowest query")
    parser.add_argument("--keep", action="store_true", help="leave the scratch database there")
    options = parser.parse_args()
    url = os.environ.get("DATABASE_URL", "")
    if not url.startswith("postgres"):
        parser.error("DATABASE_URL must name a PostgreSQL server")
    with scratch_database(url, keep=options.keep) as scratch:
        os.environ |= {
            "DATABASE_URL": scratch,
            "DJANGO_SETTINGS_MODULE": "postfuze.settings",
            "ENV_FILE": "",
            "SECRET_KEY": secrets.token_urlsafe(50),
            "TOKEN_ENCRYPTION_KEYS": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
            "ALLOWED_HOSTS": "testserver",
            "DEBUG": "off",
            "HTTPS": "off",
            "LOG_LEVEL": "error",
        }
        django.setup()
        from django.core.management import call_command

        call_command("migrate", verbosity=0)
        say(f"{options.rows:,} snapshots of posts and of accounts, {options.targets:,} targets")
        fill(scratch, rows=options.rows, targets=options.targets, accounts=options.accounts)
        within = measure(explain=options.explain)
        django.db.connections.close_all()
    return 0 if within else 1


if __name__ == "__main__":
    sys.exit(main())

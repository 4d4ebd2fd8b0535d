"""Bringing in new posts by itself, every hour."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from accounts.models import SocialAccount
from accounts.tests.factories import SocialAccountFactory
from analytics import tasks
from analytics.models import ImportJob, ImportSchedule, Target
from analytics.services import imports
from analytics.tests.conftest import listed_ids
from analytics.tests.test_imports import ACCOUNTS, events, uri, url, work
from platforms.base import Listed, Listing
from platforms.errors import Rejected

pytestmark = pytest.mark.django_db(transaction=True)


def test_new_posts_are_imported_every_hour_where_that_is_wanted(sandbox: Any, client_for: Any) -> None:
    account = sandbox.connect("tiktok", posts=30, **ACCOUNTS["tiktok"])
    client = client_for(account)
    assert client.get(url(account, "/schedule")).json() == {"hourly": False, "next_at": None}
    answer = client.put(url(account, "/schedule"), {"hourly": True})
    assert answer.status_code == 200 and answer.json()["hourly"]
    tasks.import_posts()
    assert Target.objects.count() == 30
    assert [kind for kind, _ in events()] == ["import.completed"]

    tasks.import_posts()
    assert ImportJob.objects.count() == 1  # not within the hour
    ImportSchedule.objects.update(next_at=timezone.now() - timedelta(seconds=1))
    Target.objects.filter(platform_post_id=listed_ids(sandbox, account)[0]).delete()
    before = sandbox.calls("tiktok")
    tasks.import_posts()
    assert Target.objects.count() == 30
    assert len(events()) == 2
    ImportSchedule.objects.update(next_at=timezone.now() - timedelta(seconds=1))
    before = sandbox.calls("tiktok")
    tasks.import_posts()
    assert sandbox.calls("tiktok") == before + 1  # nothing new on the first page
    assert len(events()) == 2  # and nothing to tell

    assert client.put(url(account, "/schedule"), {"hourly": False}).json() == {"hourly": False, "next_at": None}
    assert imports.start_scheduled() == 0


def test_what_a_broken_run_did_not_reach_is_found_by_the_next(monkeypatch: Any) -> None:
    account = SocialAccountFactory(platform="bluesky")
    first = Listing(tuple(Listed(uri(account, number)) for number in range(50)), "p2")
    pages: dict[str, Any] = {"": first, "p2": Rejected("400")}
    asked: list[str] = []

    def listing(account: SocialAccount, cursor: str, wanted: Any) -> Any:
        asked.append(cursor)
        return pages[cursor]

    monkeypatch.setattr(imports, "pull_listing", listing)
    imports.schedule(account, hourly=True)
    for _ in range(3):
        assert imports.start_scheduled() == 1
        work()
        ImportSchedule.objects.update(next_at=timezone.now() - timedelta(seconds=1))
        pages["p2"] = Listing(tuple(Listed(uri(account, number)) for number in range(50, 80)))
    assert Target.objects.count() == 80
    assert asked == ["", "p2", "", "p2", ""]


def test_a_failure_that_repeats_every_hour_is_told_once(sandbox: Any) -> None:
    account = sandbox.connect("tiktok", **ACCOUNTS["tiktok"])
    imports.schedule(account, hourly=True)
    sandbox.fault("tiktok", "scope_missing")
    for _ in range(3):
        ImportSchedule.objects.update(next_at=timezone.now() - timedelta(seconds=1))
        assert imports.start_scheduled() == 1
        work()
    assert [kind for kind, _ in events()] == ["import.failed"]


def test_the_schedule_of_what_cannot_be_listed_is_refused(client_for: Any) -> None:
    account = SocialAccountFactory(platform="x")
    answer = client_for(account).put(url(account, "/schedule"), {"hourly": True})
    assert answer.status_code == 422 and answer.json()["code"] == "import_unsupported"

"""What waits behind a gate goes on when staff open it."""

import uuid
from datetime import timedelta

import pytest
from django.utils import timezone

from accounts.models import Gate, SocialAccount
from accounts.services import gates
from accounts.tests.factories import SocialAccountFactory
from analytics import tasks
from analytics.models import Target
from analytics.services import collect, resume
from analytics.services.snapshots import Captured, store_account, store_posts
from analytics.tests.factories import PostFactory, TargetFactory
from platforms.errors import RateLimited, Unavailable

pytestmark = pytest.mark.django_db
KEY = "x:app:1:tweets"


def parked(error=RateLimited, *, platform="x", mode="live"):
    """A target that waits for weeks."""
    now = timezone.now()
    target = TargetFactory(post=PostFactory(mode=mode), platform=platform)
    holder = uuid.uuid4()
    Target.objects.filter(pk=target.pk).update(claim=holder)
    store_posts([Captured(target, error(retry_at=now + timedelta(days=20)))], captured_at=now, claim=holder)
    return target


def is_due(item):
    return type(item).objects.filter(pk=item.pk, next_collect_at__lte=timezone.now()).exists()


def test_what_waited_behind_a_gate_is_due_once_when_it_is_opened():
    gates.close("x", KEY, timezone.now() + timedelta(days=20), "rate_limited")
    waiting, test, failing = parked(), parked(mode="test"), parked(Unavailable)
    other = parked(platform="bluesky")
    account = SocialAccountFactory(platform="x", mode="live")
    refusal = RateLimited(retry_at=timezone.now() + timedelta(days=20))
    store_account(account, refusal, captured_at=timezone.now(), claim=None)
    SocialAccount.objects.filter(pk=account.pk).update(next_collect_at=timezone.now() + timedelta(days=20))
    assert resume.resume_opened() == 0
    assert not any(map(is_due, (waiting, account)))
    gates.open_now([KEY])
    assert resume.resume_opened() == 2
    assert [is_due(each) for each in (waiting, account, test, failing, other)] == [True, True, False, False, False]
    assert resume.resume_opened() == 0
    assert Gate.objects.get().reason == "opened by staff, resumed"


def test_what_was_parked_after_the_gate_was_opened_waits_on(monkeypatch):
    monkeypatch.setattr(collect, "run_pass", lambda **_: None)
    gates.close("x", f"test/{KEY}", timezone.now() + timedelta(days=20), "rate_limited")
    gates.open_now([f"test/{KEY}"])
    later = parked(mode="test")
    tasks.wake_collectors()
    assert not is_due(later)
    assert Gate.objects.get().reason == "opened by staff, resumed"

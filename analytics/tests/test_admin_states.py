"""What staff are told of how collecting and importing go."""

from typing import Any

import pytest
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.utils import timezone

from accounts.tests.factories import SocialAccountFactory
from analytics.models import ImportJob, ImportSchedule, Post, PostAnalytics, Target
from analytics.services import posts
from analytics.tests.factories import PostAnalyticsFactory, PostFactory, TargetFactory
from postfuze.admin import list_url, row_url

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("account", "said"),
    [
        ({}, "due"),
        ({"status": "token_expired"}, "due"),
        ({"status": "disabled"}, "paused"),
        ({"status": "revoked"}, "paused"),
        ({"deleted_at": timezone.now()}, "never"),
    ],
)
def test_a_target_of_an_account_that_is_not_called_is_not_said_to_be_due(account: dict[str, Any], said: str) -> None:
    target = TargetFactory(account=SocialAccountFactory(**account))
    assert admin.site.get_model_admin(Target).collecting(target) == said


def test_imports_of_accounts_of_the_same_name_are_told_apart(client: Any) -> None:
    client.force_login(User.objects.create_superuser("root"))
    for platform, label in (("tiktok", "TikTok"), ("google_business", "Google Business Profile")):
        account = SocialAccountFactory(platform=platform, username="acme")
        job = ImportJob.objects.create(account=account)
        ImportSchedule.objects.create(account=account, next_at=timezone.now())
        for address in ("importjob/", f"importjob/{job.pk}/change/", "importschedule/"):
            assert label in client.get(f"/admin/analytics/{address}").content.decode()


def test_accounts_and_targets_are_named_as_their_platform_writes_itself(client: Any) -> None:
    client.force_login(User.objects.create_superuser("root"))
    account = SocialAccountFactory(platform="google_business", username="Acme Cafe", last_error_code="platform_error")
    account.last_error_at = timezone.now()
    account.save()
    nameless = SocialAccountFactory(platform="tiktok", username="", display_name="Jane Roe")
    target = TargetFactory(account=nameless, platform_post_id="123")
    for address, name in (
        (f"accounts/socialaccount/{nameless.pk}/change/", "TikTok Jane Roe"),
        ("analytics/target/", "Jane Roe"),
        (f"accounts/socialaccount/{account.pk}/change/", "Google Business Profile Acme Cafe"),
        (f"analytics/target/{target.pk}/change/", "TikTok 123"),
        ("", "Google Business Profile Acme Cafe"),
    ):
        assert name in client.get(f"/admin/{address}").content.decode()


def test_the_first_pages_numbers_and_the_lists_they_lead_to_agree(client: Any) -> None:
    client.force_login(User.objects.create_superuser("root"))
    for status in ("active", "revoked"):
        SocialAccountFactory(status=status)
        SocialAccountFactory(status=status, deleted_at=timezone.now())
    for card in client.get("/admin/").context["statuses"]:
        assert client.get(card["url"]).context["cl"].result_count == card["number"]


@pytest.mark.parametrize("account", [{"status": "disabled"}, {"status": "revoked"}, {"deleted_at": timezone.now()}])
def test_what_is_of_an_account_that_is_not_called_is_not_said_to_be_collected(
    client: Any, account: dict[str, Any]
) -> None:
    client.force_login(User.objects.create_superuser("root"))
    target = TargetFactory(account=SocialAccountFactory(**account), next_collect_at=None)
    for row in (target, target.post, target.account):
        answer = client.post(f"{row_url(row).removesuffix('change/')}collect/", follow=True)
        assert "Nothing to collect" in answer.content.decode()
    target.refresh_from_db()
    assert target.next_collect_at is None


def test_only_what_was_made_due_is_noted(client: Any) -> None:
    client.force_login(User.objects.create_superuser("root"))
    target = TargetFactory()
    unpublished = TargetFactory(status="pending", platform_post_id=None)
    for row in (unpublished, unpublished.post, target):
        client.post(f"{row_url(row).removesuffix('change/')}collect/")
    ticked = {"action": "collect_selected", "_selected_action": [unpublished.post_id, target.post_id]}
    client.post(list_url(Post), ticked)
    noted = LogEntry.objects.order_by("pk").values_list("object_id", flat=True)
    assert list(noted) == [str(target.pk), str(target.post_id)]


def test_what_is_deleted_is_found_by_its_reference_and_its_platforms_id(client: Any) -> None:
    client.force_login(User.objects.create_superuser("root"))
    snapshot = PostAnalyticsFactory(target=TargetFactory(post=PostFactory(external_ref="launch")))
    target = snapshot.target
    empty = PostFactory(external_ref="launch", deleted_at=timezone.now())
    posts.delete(target.post)
    again = TargetFactory(post=PostFactory(external_ref="launch"), platform_post_id=target.platform_post_id)

    def found(model: Any, term: str, **query: Any) -> set[Any]:
        answer = client.get(list_url(model, q=term, **query))
        return set(answer.context["cl"].result_list)

    for term in ("launch", str(target.platform_post_id)):
        assert found(Target, term) == {target, again}
        assert found(Target, term, deleted_at__isempty=0) == {target}
        assert found(PostAnalytics, term) == {snapshot}
    assert found(Post, "launch") == {target.post, again.post, empty}
    assert found(Post, str(target.platform_post_id)) == {target.post, again.post}

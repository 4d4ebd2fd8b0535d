"""Lanes: who shares calls with whom, and how targets stored before came to theirs."""

from importlib import import_module

import pytest
from django.apps import apps
from django.db import connection

from accounts.services import connections
from accounts.tests.factories import OrganizationFactory, SocialAccountFactory
from analytics.models import Target
from analytics.services.lanes import company_of, lane_of, size_of
from analytics.tests.factories import PostFactory, TargetFactory

pytestmark = pytest.mark.django_db
migration = import_module("analytics.migrations.0003_shared_lanes")
[OPERATION] = migration.Migration.operations


class Editor:
    connection = connection


def test_stored_targets_move_to_the_lane_of_their_organization_and_back(monkeypatch):
    monkeypatch.setattr(migration, "CHUNK", 3)
    posts = PostFactory.create_batch(8, organization=OrganizationFactory())
    shared = [TargetFactory(post=post, platform="x").pk for post in posts]
    shared.append(TargetFactory(post=PostFactory(mode="live"), platform="x").pk)
    others = [TargetFactory(post=post, platform="instagram").pk for post in posts]
    for target in Target.objects.select_related("account"):
        Target.objects.filter(pk=target.pk).update(lane=f"{target.platform}:{target.account_id}")
    before = dict(Target.objects.values_list("pk", "lane"))
    for _ in range(2):
        OPERATION.code(apps, Editor)
        assert all(target.lane == lane_of(target.account) for target in Target.objects.select_related("account"))
        assert len(set(Target.objects.filter(pk__in=shared).values_list("lane", flat=True))) == 2
    assert {pk: lane for pk, lane in Target.objects.values_list("pk", "lane") if pk in others} == {
        pk: before[pk] for pk in others
    }
    OPERATION.reverse_code(apps, Editor)
    assert dict(Target.objects.values_list("pk", "lane")) == before


def test_a_dead_token_keeps_its_lane_but_no_company_unless_reading_needs_none():
    organization = OrganizationFactory()
    for platform, together in (("x", False), ("bluesky", True)):
        alive = SocialAccountFactory(platform=platform, organization=organization)
        dead = SocialAccountFactory(platform=platform, organization=organization, status="token_expired")
        assert lane_of(alive) == lane_of(dead) == company_of(alive)
        assert (company_of(dead) == company_of(alive)) is together


def test_an_account_that_is_connected_again_is_in_the_lane_of_its_earlier_posts():
    account = SocialAccountFactory(platform="x")
    target = TargetFactory(post=PostFactory(organization=account.organization), account=account)
    connections.disconnect(account)
    given = {"platform": "x", "network_unique_id": account.network_unique_id, "access_token": "another"}
    again, is_new = connections.connect(account.organization_id, account.mode, given)
    assert is_new and again.pk != account.pk
    assert lane_of(again) == target.lane


def test_several_batches_are_taken_at_a_time_only_where_owners_are_asked_for_more():
    sizes = {platform: size_of(f"{platform}:1") for platform in ("x", "youtube", "reddit", "bluesky", "tiktok")}
    assert sizes == {"x": 1000, "youtube": 500, "reddit": 1000, "bluesky": 25, "tiktok": 20}

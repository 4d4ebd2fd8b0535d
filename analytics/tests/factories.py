"""Rows for tests: posts, targets and snapshots, all in test mode unless said otherwise."""

from typing import Any

import factory
from django.utils import timezone
from factory.django import DjangoModelFactory

from accounts.models import Mode
from accounts.tests.factories import OrganizationFactory, SocialAccountFactory
from analytics.models import AccountMetrics, Post, PostAnalytics, PostStatus, Target, TargetStatus
from analytics.services.lanes import lane_of

POST_IDS = {
    "x": lambda n: str(1_700_000_000_000_000_000 + n),
    "instagram": lambda n: str(17_900_000_000_000_000 + n),
    "bluesky": lambda n: f"at://did:plc:abcdefghijklmnopqrstuvwx/app.bsky.feed.post/{n:013d}",
}


class PostFactory(DjangoModelFactory[Post]):
    class Meta:
        model = Post

    organization = factory.SubFactory(OrganizationFactory)
    mode = Mode.TEST
    content = factory.Sequence(lambda n: f"Post {n}")
    status = PostStatus.PUBLISHED


class TargetFactory(DjangoModelFactory[Target]):
    """Published and due, on an account of the post's organization. `platform` chooses the account's platform."""

    class Meta:
        model = Target

    post = factory.SubFactory(PostFactory)
    platform = "x"
    account = factory.LazyAttribute(
        lambda target: SocialAccountFactory(
            organization=target.post.organization, mode=target.post.mode, platform=target.platform
        )
    )
    lane = factory.LazyAttribute(lambda target: lane_of(target.account))
    status = TargetStatus.PUBLISHED
    platform_post_id = factory.LazyAttributeSequence(lambda target, n: POST_IDS[target.platform](n))
    published_at = factory.LazyFunction(timezone.now)
    next_collect_at = factory.LazyFunction(timezone.now)

    @classmethod
    def _create(cls, model_class: Any, *args: Any, **values: Any) -> Target:
        values["platform"] = values["account"].platform
        return super()._create(model_class, *args, **values)


class PostAnalyticsFactory(DjangoModelFactory[PostAnalytics]):
    class Meta:
        model = PostAnalytics

    target = factory.SubFactory(TargetFactory)
    account = factory.SelfAttribute("target.account")
    platform = factory.SelfAttribute("target.platform")
    captured_at = factory.LazyFunction(timezone.now)
    likes = 1
    raw = factory.LazyFunction(dict)


class AccountMetricsFactory(DjangoModelFactory[AccountMetrics]):
    class Meta:
        model = AccountMetrics

    account = factory.SubFactory(SocialAccountFactory)
    platform = factory.SelfAttribute("account.platform")
    captured_at = factory.LazyFunction(timezone.now)
    followers = 1
    raw = factory.LazyFunction(dict)

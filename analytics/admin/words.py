"""What staff are told in words."""

from django.db.models import Prefetch

from accounts.models import SocialAccount
from analytics.models import Post, Target
from platforms import registry
from platforms.dimensions import Reason
from postfuze.admin import short

OF_ACCOUNT = ("platform", "username", "display_name", "network_unique_id", "status", "deleted_at")
NAMED_ACCOUNTS = Prefetch("account", SocialAccount.objects.only(*OF_ACCOUNT))
NAMED_TARGETS = Prefetch("target", Target.objects.only("platform", "platform_post_id"))
NAMED_POSTS = Prefetch("post", Post.objects.only("external_ref"))
"""As much of a row as its name takes."""

REASONS = {
    Reason.UNSUPPORTED: "{label} never reports it",
    Reason.NOT_REPORTED: "this answer lacked it",
    Reason.SCOPE_MISSING: "the account's grant does not cover it",
    Reason.RETIRED: "{label} withdrew the metric",
}


def words(name: str) -> str:
    return name.replace("_", " ")


def label_of(platform: str) -> str:
    """A platform's name; its key if it is no longer known."""
    return dict(registry.choices()).get(platform, platform)


def reason_in_words(reason: str, platform: str) -> str:
    """Why a number is missing."""
    return REASONS[Reason(reason)].format(label=label_of(platform)) if reason in list(Reason) else reason


def account_name(account: SocialAccount) -> str:
    """An account beside its platform's name."""
    return short(account.name)


def target_name(target: Target) -> str:
    """A target beside its platform's name."""
    return short(target.platform_post_id or str(target.pk), 20)

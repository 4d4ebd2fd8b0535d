"""The numbers a platform can report, and why one may be missing."""

from enum import StrEnum


class Dimension(StrEnum):
    """What can be counted of one post. Every value is a lifetime count, never a window."""

    IMPRESSIONS = "impressions"
    REACH = "reach"
    LIKES = "likes"
    COMMENTS = "comments"
    SHARES = "shares"
    SAVES = "saves"
    CLICKS = "clicks"
    VIDEO_VIEWS = "video_views"


class AccountDimension(StrEnum):
    """What can be counted of one account."""

    FOLLOWERS = "followers"
    FOLLOWING = "following"
    POSTS_COUNT = "posts_count"
    IMPRESSIONS = "impressions"
    REACH = "reach"
    PROFILE_VIEWS = "profile_views"


class Reason(StrEnum):
    """Why a dimension is null."""

    UNSUPPORTED = "unsupported"
    """The platform never reports it."""
    NOT_REPORTED = "not_reported"
    """This answer lacked it."""
    SCOPE_MISSING = "scope_missing"
    """The account's grant does not cover it."""
    RETIRED = "retired"
    """The platform withdrew the metric."""

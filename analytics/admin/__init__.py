"""The admin of posts and what was measured."""

from analytics.admin.accounts import MeasuredAccountAdmin
from analytics.admin.imports import ImportJobAdmin, ImportScheduleAdmin
from analytics.admin.posts import PostAdmin, TargetAdmin
from analytics.admin.snapshots import AccountMetricsAdmin, HeartbeatAdmin, PostAnalyticsAdmin

__all__ = [
    "AccountMetricsAdmin",
    "HeartbeatAdmin",
    "ImportJobAdmin",
    "ImportScheduleAdmin",
    "MeasuredAccountAdmin",
    "PostAdmin",
    "PostAnalyticsAdmin",
    "TargetAdmin",
]

"""Posts, where they went, and what was measured when."""

from analytics.models.heartbeat import Heartbeat
from analytics.models.import_job import UNFINISHED, ImportJob, ImportSchedule, ImportStatus
from analytics.models.post import Post, PostStatus
from analytics.models.snapshot import AccountMetrics, PostAnalytics
from analytics.models.target import LONGEST_POST_ID, Target, TargetStatus

__all__ = [
    "LONGEST_POST_ID",
    "UNFINISHED",
    "AccountMetrics",
    "Heartbeat",
    "ImportJob",
    "ImportSchedule",
    "ImportStatus",
    "Post",
    "PostAnalytics",
    "PostStatus",
    "Target",
    "TargetStatus",
]

"""The API's own rate limits: fixed windows per organization, counted by the `limits` library."""

import logging
import math
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from django.conf import settings
from django.core.signals import setting_changed
from django.dispatch import receiver
from limits import RateLimitItemPerMinute
from limits.errors import StorageError
from limits.storage import MemoryStorage, Storage, storage_from_string
from limits.strategies import FixedWindowRateLimiter
from rest_framework.permissions import SAFE_METHODS
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

from postfuze.api.problems import Problem

if TYPE_CHECKING:  # DRF imports this module while it makes APIView
    from rest_framework.views import APIView

logger = logging.getLogger(__name__)

PAUSE_SECONDS = 5
REDIS_OPTIONS = {"socket_timeout": 1, "socket_connect_timeout": 1, "key_prefix": "postfuze-api"}


@dataclass(frozen=True)
class Window:
    """How one bucket stands after a request was counted."""

    limit: int
    remaining: int
    reset: int
    exceeded: bool

    def headers(self) -> dict[str, str]:
        return {
            "RateLimit-Limit": str(self.limit),
            "RateLimit-Remaining": str(self.remaining),
            "RateLimit-Reset": str(self.reset),
        }


class Counter:
    """Counts in Redis where there is one; while that is down, in this process, so that the API stays up."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._local = FixedWindowRateLimiter(MemoryStorage())
        self._lock = threading.Lock()
        self._down_until = 0.0

    @cached_property
    def storage(self) -> Storage:
        if self.url.startswith("memory:"):
            return self._local.storage
        return storage_from_string(self.url, wrap_exceptions=True, **REDIS_OPTIONS)

    @cached_property
    def _shared(self) -> FixedWindowRateLimiter:
        return FixedWindowRateLimiter(self.storage)

    def hit(self, bucket: str, organization: str, limit: int) -> Window:
        if time.monotonic() < self._down_until:
            return _hit(self._local, bucket, organization, limit)
        try:
            return _hit(self._shared, bucket, organization, limit)
        except StorageError as error:
            self._pause(error)
            return _hit(self._local, bucket, organization, limit)

    def _pause(self, error: Exception) -> None:
        with self._lock:
            self._down_until = time.monotonic() + PAUSE_SECONDS
        logger.error("Rate limits are counted in this process for %s s, Redis failed: %s", PAUSE_SECONDS, error)


def _hit(limiter: FixedWindowRateLimiter, bucket: str, organization: str, limit: int) -> Window:
    item = RateLimitItemPerMinute(limit)
    allowed = limiter.hit(item, bucket, organization)
    reset_time, remaining = limiter.get_window_stats(item, bucket, organization)
    return Window(limit, remaining, max(1, math.ceil(reset_time - time.time())), exceeded=not allowed)


counter = Counter(settings.LIMITS_STORAGE_URL)


@receiver(setting_changed)
def _start_anew(*, setting: str, **_: object) -> None:
    """Only tests change settings."""
    if setting in {"LIMITS_STORAGE_URL", "API_RATE_LIMITS"}:
        reset()


def reset() -> None:
    """Forget this process's counts, for tests."""
    global counter
    counter = Counter(settings.LIMITS_STORAGE_URL)


class OrganizationThrottle(BaseThrottle):
    """Each call counts in `all`; a write also in the `throttle_bucket` its viewset names."""

    def allow_request(self, request: Request, view: "APIView") -> bool:
        if request.auth is None:
            return True
        windows = []
        for bucket in _buckets(request, view):
            window = counter.hit(bucket, str(request.auth.organization_id), settings.API_RATE_LIMITS[bucket])
            windows.append(window)
            if window.exceeded:
                break
        tightest = windows[-1] if windows[-1].exceeded else min(windows, key=lambda window: window.remaining)
        request._request.rate_limit_headers = tightest.headers()
        if tightest.exceeded:
            detail = f"More than {tightest.limit} requests in a minute. Try again in {tightest.reset} s."
            raise Problem("rate_limited", detail, headers={"Retry-After": str(tightest.reset)})
        return True


def _buckets(request: Request, view: "APIView") -> Iterator[str]:
    yield "all"
    bucket = getattr(view, "throttle_bucket", None)
    if bucket and request.method not in SAFE_METHODS:
        yield bucket

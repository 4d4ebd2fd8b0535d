"""Threads for talking to platforms: a pool for each, so that one that hangs takes no other's threads."""

import os
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from functools import partial
from typing import ParamSpec, TypeVar

CONVERSATIONS = 16
REQUESTS = 16
OWNERS = 8
RESOLVING = 4

P = ParamSpec("P")
T = TypeVar("T")


class Pool(ThreadPoolExecutor):
    """Its threads know what whoever submits knows, as the request that log lines belong to."""

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        return super().submit(copy_context().run, partial(fn, *args, **kwargs))


_pools: dict[str, ThreadPoolExecutor] = {}
_lock = threading.Lock()


def conversations_pool(platform: str) -> ThreadPoolExecutor:
    """Where whole conversations run for live reads."""
    return _pool(f"{platform}-conversations", CONVERSATIONS)


def requests_pool(platform: str) -> ThreadPoolExecutor:
    """Where a conversation's side-by-side requests run: never in the pool of the conversation that waits for them."""
    return _pool(f"{platform}-requests", REQUESTS)


def owners_pool(platform: str) -> ThreadPoolExecutor:
    """Where the owners of posts are asked side by side, for the conversation of all that waits for them."""
    return _pool(f"{platform}-owners", OWNERS)


def resolving_pool() -> ThreadPoolExecutor:
    """Where callers' host names are looked up: a resolver cannot be cut off, but need not be waited for."""
    return _pool("resolving", RESOLVING)


def _pool(name: str, size: int) -> ThreadPoolExecutor:
    with _lock:
        if name not in _pools:
            _pools[name] = Pool(size, thread_name_prefix=name)
        return _pools[name]


def _after_fork() -> None:
    """A child process has none of its parent's threads."""
    global _lock
    _lock = threading.Lock()
    _pools.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)

"""Doing in one go what threads want at the same time."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Generic, TypeVar

T = TypeVar("T")
R = TypeVar("R")


class Batcher(Generic[T, R]):
    """Gathers what comes while a batch is under way, and does that together next, in one of the threads that wait.

    `work` answers for each item, in order. If it fails for several together each is done alone, so that one costs only
    itself. `rest` is called in a thread that is about to wait, to give up what the others need meanwhile.
    """

    def __init__(self, work: Callable[[list[T]], Sequence[R]], *, rest: Callable[[], None] = lambda: None) -> None:
        self._work = work
        self._rest = rest
        self._turn = threading.Lock()
        self._lock = threading.Lock()
        self._waiting: list[tuple[T, Future[R]]] = []

    def do(self, item: T) -> R:
        """What `work` answers for an item; raises what it raises."""
        future: Future[R] = Future()
        with self._lock:
            self._waiting.append((item, future))
        if not self._turn.acquire(blocking=False):
            self._rest()
            self._turn.acquire()
        try:
            if not future.done():
                with self._lock:
                    batch, self._waiting = self._waiting, []
                self._run(batch)
        finally:
            self._turn.release()
        return future.result()

    def _run(self, batch: list[tuple[T, "Future[R]"]]) -> None:
        try:
            answers = self._work([item for item, _ in batch])
        except BaseException as error:
            if len(batch) == 1 or not isinstance(error, Exception):
                for _, future in batch:
                    future.set_exception(error)
                return
            for each in batch:
                self._run([each])
            return
        for (_, future), answer in zip(batch, answers, strict=True):
            future.set_result(answer)

"""Doing together what threads want at the same time."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from platforms.batching import Batcher


def test_what_comes_while_a_batch_is_under_way_is_done_together() -> None:
    batches: list[list[int]] = []
    begun, go_on = threading.Event(), threading.Event()

    def double(items: list[int]) -> list[int]:
        batches.append(items)
        begun.set()
        assert go_on.wait(10)
        return [2 * item for item in items]

    batcher = Batcher(double)
    with ThreadPoolExecutor(10) as pool:
        first = pool.submit(batcher.do, 0)
        assert begun.wait(10)
        others = [pool.submit(batcher.do, number) for number in range(1, 10)]
        while len(batcher._waiting) < 9:
            pass
        go_on.set()
        assert first.result(10) == 0
        assert [other.result(10) for other in others] == [2 * number for number in range(1, 10)]
    assert [len(batch) for batch in batches] == [1, 9]


def test_one_that_cannot_be_done_costs_only_itself() -> None:
    def invert(items: list[int]) -> list[float]:
        return [1 / item for item in items]

    batcher = Batcher(invert)
    batcher._turn.acquire()
    with ThreadPoolExecutor(3) as pool:
        futures = [pool.submit(batcher.do, number) for number in (1, 0, 2)]
        while len(batcher._waiting) < 3:
            pass
        batcher._turn.release()
        assert futures[0].result(10) == 1
        assert futures[2].result(10) == 0.5
        with pytest.raises(ZeroDivisionError):
            futures[1].result(10)


def test_alone_it_is_done_at_once() -> None:
    batcher = Batcher(lambda items: [item + 1 for item in items])
    assert [batcher.do(number) for number in range(3)] == [1, 2, 3]


def test_who_waits_gives_up_what_others_need_and_who_does_not_keeps_it() -> None:
    rested: list[str] = []
    batcher = Batcher(lambda items: items, rest=lambda: rested.append(threading.current_thread().name))
    assert batcher.do(1) == 1
    assert rested == []
    batcher._turn.acquire()
    with ThreadPoolExecutor(1, thread_name_prefix="waits") as pool:
        future = pool.submit(batcher.do, 2)
        while not rested:
            pass
        batcher._turn.release()
        assert future.result(10) == 2
    assert rested == ["waits_0"]

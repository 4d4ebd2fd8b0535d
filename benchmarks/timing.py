"""Asking over HTTP again and again, and what it took."""

import statistics
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import requests

TURNS = 5


@dataclass
class Timings:
    """Seconds of each request that succeeded, how many did not, and how long it all took."""

    seconds: list[float] = field(default_factory=list)
    failures: int = 0
    elapsed: float = 0.0

    @property
    def p50(self) -> float:
        return statistics.median(self.seconds)

    @property
    def p95(self) -> float:
        return sorted(self.seconds)[int(len(self.seconds) * 0.95)]

    @property
    def rate(self) -> float:
        return len(self.seconds) / self.elapsed


def accept(answer: requests.Response) -> bool:
    return answer.ok


def measure(
    urls: Sequence[str], key: str, *, seconds: float, accept: Callable[[requests.Response], bool] = accept
) -> Timings:
    """One client for each URL, each asking its own again and again on one connection, after two requests to warm up."""
    timings, lock, start = Timings(), threading.Lock(), threading.Barrier(len(urls) + 1)

    def ask(url: str) -> None:
        session = requests.Session()
        session.trust_env = False
        session.headers["Authorization"] = f"Bearer {key}"
        for _ in range(2):
            session.get(url, timeout=60)
        start.wait()
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            begun = time.perf_counter()
            answer = session.get(url, timeout=60)
            took = time.perf_counter() - begun
            with lock:
                if accept(answer):
                    timings.seconds.append(took)
                else:
                    timings.failures += 1

    threads = [threading.Thread(target=ask, args=(url,)) for url in urls]
    for thread in threads:
        thread.start()
    start.wait()
    begun = time.perf_counter()
    for thread in threads:
        thread.join()
    timings.elapsed = time.perf_counter() - begun
    return timings


def compare(urls: Mapping[str, str], key: str, *, clients: int, seconds: float) -> dict[str, Timings]:
    """Each URL in short turns, so that a machine that slows down slows all of them down."""
    found = {name: Timings() for name in urls}
    for _ in range(TURNS):
        for name, url in urls.items():
            turn = measure([url] * clients, key, seconds=seconds / TURNS)
            found[name].seconds += turn.seconds
            found[name].elapsed += turn.elapsed
    return found


def repeat(work: Callable[[], object], *, seconds: float) -> float:
    """The median seconds of doing something."""
    work()
    took: list[float] = []
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        begun = time.perf_counter()
        work()
        took.append(time.perf_counter() - begun)
    return statistics.median(took)

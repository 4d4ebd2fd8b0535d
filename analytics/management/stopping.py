"""Ending a command that works through many rows between two of its batches, when a signal asks for it."""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Stop(threading.Event):
    """Set by the first signal. `exit_code` is what a shell expects of who was ended by it."""

    exit_code = 0


@contextmanager
def stoppable(*, on_first: Callable[[], object], on_second: Callable[[], object]) -> Iterator[Stop]:
    """The first SIGINT or SIGTERM asks to stop; the second ends the process at once."""
    stop = Stop()

    def receive(number: int, frame: FrameType | None) -> None:
        if stop.is_set():
            on_second()
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
        stop.exit_code = 128 + number
        stop.set()
        on_first()

    before = {number: signal.signal(number, receive) for number in SIGNALS}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)

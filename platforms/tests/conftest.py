"""What all tests of the adapters share."""

from collections.abc import Iterator

import pytest
import time_machine

from platforms.tests.replay import NOW


@pytest.fixture
def then() -> Iterator[None]:
    """The time at which the answers on file were given."""
    with time_machine.travel(NOW, tick=False):
        yield

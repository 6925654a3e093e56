"""Waiting for what happens, never for time to pass."""

import time
from typing import Callable, TypeVar

from programs import TIMEOUT

T = TypeVar("T")


def wait_until(condition: Callable[[], T], what: str, timeout: float = TIMEOUT) -> T:
    """Returns the first true value of the condition; fails if there is none in time."""
    deadline = time.monotonic() + timeout
    while True:
        if value := condition():
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {timeout:g} s in vain for {what}")
        time.sleep(0.01)

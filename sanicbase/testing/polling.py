"""Waiting for a fact: ask again and again until it is so, with a deadline."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

__all__ = ["wait_until"]

_INTERVAL = 0.01

T = TypeVar("T")


def wait_until(fact: Callable[[], T], timeout: float = 10.0, *, what: str = "what was waited for") -> T:
    """Return the first true answer of `fact`, asked every hundredth of a second for `timeout` seconds.

    What `fact` raises is not swallowed: an answer that can no longer come true is best raised.
    `TimeoutError`, naming `what` and the last answer, when the time is over.
    """
    deadline = time.monotonic() + timeout
    while not (answer := fact()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what} did not come true within {timeout:g} seconds; last answer: {answer!r}")
        time.sleep(_INTERVAL)
    return answer

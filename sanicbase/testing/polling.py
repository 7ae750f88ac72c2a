"""Waiting for a fact: ask again and again until it is so, with a deadline.

The deadline is for what never comes. It is long, because a machine may be busy, and costs nothing where the fact comes.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

__all__ = ["wait_until"]

_SHORTEST, _LONGEST = 0.01, 0.1  # seconds between two looks: a tenth of what was waited so far

T = TypeVar("T")


def wait_until(fact: Callable[[], T], timeout: float = 60.0, *, what: str = "what was waited for") -> T:
    """Return the first true answer of `fact`, asked for `timeout` seconds, ten times a second or more often.

    What `fact` raises is not swallowed: an answer that can no longer come true is best raised.
    `TimeoutError`, naming `what` and the last answer, when the time is over.
    """
    start = time.monotonic()
    while not (answer := fact()):
        waited = time.monotonic() - start
        if waited > timeout:
            raise TimeoutError(f"{what} did not come true within {timeout:g} seconds; last answer: {answer!r}")
        time.sleep(min(max(_SHORTEST, waited / 10), _LONGEST))
    return answer

"""Poll a condition until it is true, with a deadline.

The deadline is long, because a machine may be busy; it costs nothing when the condition becomes true.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

__all__ = ["wait_until"]

_MIN_DELAY, _MAX_DELAY = 0.01, 0.1  # seconds between two calls: a tenth of the time waited so far

T = TypeVar("T")


def wait_until(condition: Callable[[], T], timeout: float = 60.0, *, what: str = "the condition") -> T:
    """Return the first true result of `condition`, called for `timeout` seconds, ten times a second or more often.

    Exceptions of `condition` are propagated: raise one when the result can no longer become true. Raises TimeoutError,
    which names `what` and the last result, when `timeout` expires.
    """
    start = time.monotonic()
    while not (answer := condition()):
        waited = time.monotonic() - start
        if waited > timeout:
            raise TimeoutError(f"{what} was not true within {timeout:g} seconds; last result: {answer!r}")
        time.sleep(min(max(_MIN_DELAY, waited / 10), _MAX_DELAY))
    return answer

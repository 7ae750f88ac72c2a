"""SIGTERM and SIGINT as cancellations of a task."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

__all__ = ["cancel_when_told", "end_when_told"]

STOPS = (signal.SIGTERM, signal.SIGINT)


def cancel_when_told(*, first: Callable[[], None] | None = None, once: bool = False) -> list[int]:
    """Have the running task cancelled by SIGTERM and SIGINT; returns the list in which they are noted.

    `first` is called at the first of them. With `once` the others cancel nothing: what is being closed goes on.
    """
    task, loop = asyncio.current_task(), asyncio.get_running_loop()
    assert task is not None  # noqa: S101  (a coroutine runs in one)
    told: list[int] = []

    def cancel(number: int) -> None:
        told.append(number)
        if len(told) == 1 and first is not None:
            first()
        if len(told) == 1 or not once:
            task.cancel()

    with suppress(NotImplementedError):  # Windows knows Ctrl-C only, which asyncio.run handles
        for number in STOPS:
            loop.add_signal_handler(number, cancel, number)
    return told


@contextmanager
def end_when_told() -> Iterator[None]:
    """Have SIGTERM and SIGINT cancel what the running task does in the block, and end the process with status 0.

    For the `sanic` command, which handles no signals yet when it calls `main_process_start`: a KeyboardInterrupt would
    leave open what the block has opened, and the threads of open databases hold up the end of the process.
    """
    before = {number: signal.getsignal(number) for number in STOPS}
    told = cancel_when_told()
    try:
        yield
    except asyncio.CancelledError:
        if told:
            sys.exit(0)
        raise
    finally:
        _restore(before)
    if told:  # the cancellation that came at the end of the block had nothing left to cancel
        sys.exit(0)


def _restore(handlers: dict[signal.Signals, signal._HANDLER]) -> None:
    loop = asyncio.get_running_loop()
    with suppress(NotImplementedError):
        for number, handler in handlers.items():
            loop.remove_signal_handler(number)
            signal.signal(number, handler)

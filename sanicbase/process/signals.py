"""SIGTERM and SIGINT cancel a task."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

__all__ = ["cancel_on_signal", "exit_on_signal"]

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)


def cancel_on_signal(*, on_first: Callable[[], None] | None = None, once: bool = False) -> list[int]:
    """Have SIGTERM and SIGINT cancel the running task; returns a list that collects the received signals.

    `on_first` is called at the first signal. With `once` later signals cancel nothing, so that closing can finish.
    """
    task, loop = asyncio.current_task(), asyncio.get_running_loop()
    assert task is not None  # noqa: S101  (a coroutine runs in one)
    received: list[int] = []

    def cancel(number: int) -> None:
        received.append(number)
        if len(received) == 1 and on_first is not None:
            on_first()
        if len(received) == 1 or not once:
            task.cancel()

    with suppress(NotImplementedError):  # Windows has only Ctrl-C, which asyncio.run handles
        for number in STOP_SIGNALS:
            loop.add_signal_handler(number, cancel, number)
    return received


@contextmanager
def exit_on_signal() -> Iterator[None]:
    """Have SIGTERM and SIGINT cancel the running task inside the block, and end the process with status 0.

    For the `sanic` command, which handles no signals yet when it calls `main_process_start`: a KeyboardInterrupt would
    leave the resources of the block open, and the threads of open databases delay the end of the process.
    """
    before = {number: signal.getsignal(number) for number in STOP_SIGNALS}
    received = cancel_on_signal()
    try:
        yield
    except asyncio.CancelledError:
        if received:
            sys.exit(0)
        raise
    finally:
        _restore(before)
    if received:  # the cancellation came at the end of the block and had nothing left to cancel
        sys.exit(0)


def _restore(handlers: dict[signal.Signals, signal._HANDLER]) -> None:
    loop = asyncio.get_running_loop()
    with suppress(NotImplementedError):
        for number, handler in handlers.items():
            loop.remove_signal_handler(number)
            signal.signal(number, handler)

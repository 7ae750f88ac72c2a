"""SIGTERM and SIGINT cancel a task; Ctrl-C interrupts a console at any moment."""

from __future__ import annotations

import asyncio
import os
import select
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

__all__ = ["cancel_on_signal", "exit_on_signal", "interrupt_while_blocked"]

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)
INTERVAL = 0.05
ATTEMPTS = 20
"""A thread that does not notice a signal is interrupted so often, at this interval in seconds."""


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


@contextmanager
def interrupt_while_blocked() -> Iterator[None]:
    """Inside the block, have Ctrl-C interrupt the main thread also when it is just about to wait for a key or a lock.

    CPython notes a signal and handles it later, in the main thread, which notices it because its system call is
    interrupted. A signal that comes just before that call interrupts nothing, nor does one that another thread
    receives: Ctrl-C would then do nothing until Enter is pressed or the wait is over.

    `signal.set_wakeup_fd` writes each noted signal into a pipe, from which the handler takes it. While the pipe is not
    empty, a thread interrupts the system call again, with SIGWINCH: readline handles it in C. A signal with a handler
    in Python would not do, because `input()` calls such a handler with the KeyboardInterrupt set. Without readline, on
    Windows, and where SIGINT is ignored, the block changes nothing.

    Only the main thread may enter the block.
    """
    if sys.platform == "win32" or signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        yield
        return
    noted, writer = os.pipe()
    os.set_blocking(noted, False)
    os.set_blocking(writer, False)

    def interrupt(*_: object) -> None:
        _take(noted)
        raise KeyboardInterrupt

    handler_before = signal.signal(signal.SIGINT, interrupt)
    fd_before = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    waker = threading.Thread(target=_wake, args=(noted, threading.get_ident()), name="sanicbase-interrupt", daemon=True)
    waker.start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(fd_before)
        signal.signal(signal.SIGINT, handler_before)
        os.close(writer)
        _take(noted)
        waker.join()
        os.close(noted)


def _wake(noted: int, thread: int) -> None:
    """Interrupt what the thread waits for while signals are noted; it may be too early, so several times."""
    poll = select.poll()
    poll.register(noted, select.POLLIN)

    def is_noted(timeout: float | None) -> bool:
        return any(event & select.POLLIN for _, event in poll.poll(timeout))

    while is_noted(None):  # until the pipe is closed
        for _ in range(ATTEMPTS):
            time.sleep(INTERVAL)  # most signals are handled by then
            if not is_noted(0):
                break
            signal.pthread_kill(thread, signal.SIGWINCH)
        else:
            _take(noted)  # another signal than SIGINT: its handler takes nothing


def _take(noted: int) -> None:
    with suppress(BlockingIOError):
        os.read(noted, 4096)

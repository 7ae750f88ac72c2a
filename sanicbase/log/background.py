"""A thread for work that callers must not wait for. A wake-up starts a short delay, and one call does all the work that
has been queued until then."""

from __future__ import annotations

import queue
import threading
import time
import traceback
from collections.abc import Callable
from contextlib import suppress

__all__ = ["BackgroundThread"]

DELAY = 0.1  # seconds from the first line to its writing, unless one is urgent
RETRY_DELAY = 1.0  # seconds until work that failed is tried again, if nothing new comes


class BackgroundThread:
    """Calls `work` in a daemon thread, which the first wake-up starts; never from two threads at once.

    `work` returns whether something is left to retry. `on_start` is called in each process that starts the thread.
    After a fork the child calls `reset_after_fork`.
    """

    def __init__(self, name: str, work: Callable[[], bool], *, on_start: Callable[[], object] = lambda: None) -> None:
        self._name = name
        self._work = work
        self._on_start = on_start
        self.reset_after_fork()

    def reset_after_fork(self) -> None:
        """In the child of a fork: the thread does not exist there, and another thread may have held a lock."""
        # A signal handler or a finalizer that logs may interrupt put(), and SimpleQueue's is reentrant.
        self._wakeups: queue.SimpleQueue[threading.Event | None] = queue.SimpleQueue()
        self._start_lock = threading.Lock()
        self._work_lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self.is_awake = False

    def wake(self, *, urgent: bool = False) -> None:
        """Schedule a call of `work` within DELAY seconds, or immediately. Does not wait; call it when not
        `is_awake`."""
        self.is_awake = True
        self._wakeups.put(threading.Event() if urgent else None)
        if self._thread is None:
            self._start()

    def flush(self, timeout: float) -> None:
        """Return when `work` has been called for everything that is queued now, or after `timeout` seconds."""
        thread = self._thread
        if thread is None or not thread.is_alive():
            self._call_work()
        elif thread is not threading.current_thread():
            done = threading.Event()
            self._wakeups.put(done)
            done.wait(timeout)

    def _start(self) -> None:
        if not self._start_lock.acquire(blocking=False):  # another thread starts it
            return
        try:
            if self._thread is None:
                thread = threading.Thread(target=self._run, name=self._name, daemon=True)
                thread.start()
                self._thread = thread
                self._on_start()
        except RuntimeError:  # the interpreter is shutting down: flush() does the work
            pass
        finally:
            self._start_lock.release()

    def _run(self) -> None:
        has_more = False
        while True:
            flushes = self._wait(RETRY_DELAY if has_more else None)
            # Before the work, so that a line that is queued during the work wakes the thread again.
            self.is_awake = False
            has_more = self._call_work()
            for done in flushes:
                done.set()

    def _wait(self, timeout: float | None) -> list[threading.Event]:
        """Wait for a wake-up, then DELAY seconds for further ones; return the events of the urgent ones."""
        urgent: list[threading.Event] = []
        with suppress(queue.Empty):
            wakeup = self._wakeups.get(timeout=timeout)
            deadline = time.monotonic() + DELAY
            while wakeup is None:
                wakeup = self._wakeups.get(timeout=max(0.0, deadline - time.monotonic()))
            urgent.append(wakeup)
            while True:
                if wakeup := self._wakeups.get_nowait():
                    urgent.append(wakeup)
        return urgent

    def _call_work(self) -> bool:
        with self._work_lock:
            try:
                return self._work()
            except Exception:  # the thread must survive our own bugs, and a logger cannot report them here
                traceback.print_exc()
                return False

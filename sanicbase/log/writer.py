"""A thread that does what must not be waited for: it is told that something waits, gathers for a moment, and does all
of it at once."""

from __future__ import annotations

import queue
import threading
import time
import traceback
from collections.abc import Callable
from contextlib import suppress

__all__ = ["Writer"]

GATHER = 0.1  # seconds from the first line to its writing, unless one is urgent
RETRY = 1.0  # seconds until what could not be written is tried again, if nothing new comes


class Writer:
    """Calls `work` in a daemon thread of its own, started when it is first told; never from two threads at once.

    `work` returns whether something is left that should be tried again. `started` is called in each process that
    starts the thread. After a fork the child begins anew by `forget_parent`.
    """

    def __init__(self, name: str, work: Callable[[], bool], *, started: Callable[[], object] = lambda: None) -> None:
        self._name = name
        self._work = work
        self._started = started
        self.forget_parent()

    def forget_parent(self) -> None:
        """In the child of a fork: no thread came along, and a lock may be held by one that did not."""
        # Its put() may be interrupted by itself, by a signal or a finalizer that logs.
        self._told: queue.SimpleQueue[threading.Event | None] = queue.SimpleQueue()
        self._starting = threading.Lock()
        self._working = threading.Lock()
        self._thread: threading.Thread | None = None
        self.awake = False

    def tell(self, *, urgent: bool = False) -> None:
        """Have `work` called within GATHER seconds, or at once. Does not wait; to be called when not `awake`."""
        self.awake = True
        self._told.put(threading.Event() if urgent else None)
        if self._thread is None:
            self._start()

    def flush(self, timeout: float) -> None:
        """Return when `work` has been called for all that waits now, or after `timeout` seconds."""
        thread = self._thread
        if thread is None or not thread.is_alive():
            self._do()
        elif thread is not threading.current_thread():
            done = threading.Event()
            self._told.put(done)
            done.wait(timeout)

    def _start(self) -> None:
        if not self._starting.acquire(blocking=False):  # somebody else is about it
            return
        try:
            if self._thread is None:
                thread = threading.Thread(target=self._run, name=self._name, daemon=True)
                thread.start()
                self._thread = thread
                self._started()
        except RuntimeError:  # the interpreter is ending: flush() does the work
            pass
        finally:
            self._starting.release()

    def _run(self) -> None:
        left = False
        while True:
            waiting = self._gather(RETRY if left else None)
            # Before the work: what comes in the meantime is told anew.
            self.awake = False
            left = self._do()
            for done in waiting:
                done.set()

    def _gather(self, timeout: float | None) -> list[threading.Event]:
        """Wait to be told, then a moment for more; return whoever is in a hurry."""
        hurried: list[threading.Event] = []
        with suppress(queue.Empty):
            told = self._told.get(timeout=timeout)
            deadline = time.monotonic() + GATHER
            while told is None:
                told = self._told.get(timeout=max(0.0, deadline - time.monotonic()))
            hurried.append(told)
            while True:
                if told := self._told.get_nowait():
                    hurried.append(told)
        return hurried

    def _do(self) -> bool:
        with self._working:
            try:
                return self._work()
            except Exception:  # the thread must outlive a mistake of ours, which a logger cannot be told of here
                traceback.print_exc()
                return False

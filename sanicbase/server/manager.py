"""`app.manager` in the main process: the processes that a service runs in addition to its workers."""

from __future__ import annotations

import asyncio
import logging
import multiprocessing
import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from typing import NoReturn

from sanic.worker.constants import RestartOrder
from sanic.worker.manager import WorkerManager
from sanic.worker.process import Worker, WorkerProcess
from sanic.worker.restarter import Restarter

from sanicbase.errors import ConfigError
from sanicbase.i18n import gettext as _

__all__ = ["Manager", "stop_while_starting"]

logger = logging.getLogger("sanicbase.app")

POLL = 0.05  # seconds


class Manager(WorkerManager):
    """Sanic's manager without workers, which belong to our supervisor.

    `manage`, `restart` and the lists of processes are Sanic's own. Managed processes start before the workers and stop
    together with them, by SIGINT; the transient ones are restarted after each reload. One that ends is not restarted.
    """

    def __init__(self) -> None:
        self.num_server = 0
        self.context = multiprocessing.get_context("spawn")
        self.transient: dict[str, Worker] = {}
        self.durable: dict[str, Worker] = {}
        self.restarter = Restarter()
        self.worker_state = {}
        self._shutting_down = False

    def scale(self, num_worker: int) -> NoReturn:
        raise _unsupported("scale")

    def create_server(self) -> NoReturn:
        raise _unsupported("create_server")

    def shutdown_server(self, name: str | None = None) -> NoReturn:
        raise _unsupported("shutdown_server")

    def start(self) -> None:
        """Start the processes that were registered by `manage`, except those with `auto_start=False`."""
        WorkerManager.start(self)

    def restart(
        self,
        process_names: list[str] | None = None,
        restart_order: RestartOrder = RestartOrder.SHUTDOWN_FIRST,
        **kwargs: object,
    ) -> None:
        """Restart the named processes, or all transient ones."""
        WorkerManager._sync_states(self)  # noqa: SLF001  (a restart looks at which processes have ended)
        super().restart(process_names, restart_order, **kwargs)

    def kill(self) -> None:
        """Kill all managed processes. Sanic's own method kills their process group, which is also ours."""
        _signal(self, signal.SIGKILL)

    async def end(self, seconds: float) -> None:
        """Stop all managed processes, and kill those that take longer than that many seconds."""
        WorkerManager.shutdown(self)
        deadline = time.monotonic() + seconds
        while self._alive() and time.monotonic() < deadline:  # noqa: ASYNC110  (Sanic exposes no sentinel to wait for)
            await asyncio.sleep(POLL)
        for process in self._alive():
            logger.error("Process %s [%d] did not stop in time and is killed.", process.name, process.pid)
        self.kill()

    def _alive(self) -> list[WorkerProcess]:
        return [process for process in self.processes if process.is_alive()]


def stop_while_starting(manager: WorkerManager, timeout: float) -> None:
    """Make Sanic's own manager stop when a signal arrives before all workers are up; otherwise it would wait for them
    forever.

    A worker that does not handle SIGTERM yet is ended by it at once; the others drain for at most `timeout` seconds.
    """
    are_all_up: Callable[[], bool] = manager._all_workers_ack  # noqa: SLF001  (the only place where the wait can be ended)

    def is_over() -> bool:
        if manager._shutting_down:  # noqa: SLF001
            _terminate(manager, timeout)
            return True
        return are_all_up()

    manager._all_workers_ack = is_over  # type: ignore[method-assign]  # noqa: SLF001


def _terminate(manager: WorkerManager, timeout: float) -> None:
    """End all processes of the manager, including those that it started after the signal."""
    deadline = time.monotonic() + timeout
    _signal(manager, signal.SIGTERM)
    while any(process.is_alive() for process in manager.processes) and time.monotonic() < deadline:
        time.sleep(POLL)
    _signal(manager, signal.SIGKILL)


def _signal(manager: WorkerManager, number: signal.Signals) -> None:
    for process in manager.processes:
        if process.is_alive():
            with suppress(ProcessLookupError):
                os.kill(process.pid, number)


def _unsupported(method: str) -> ConfigError:
    return ConfigError(
        _(
            "app.manager.{method} does not exist under serve(): the number of workers is the setting WORKERS. Set "
            "it and restart the service.",
            method=method,
        )
    )

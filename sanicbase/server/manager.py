"""`app.manager` in the main process: the processes that a service has beside its workers."""

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
    """Sanic's manager without its workers, which are our supervisor's.

    `manage`, `restart` and the lists of processes are Sanic's own. Managed processes start before the workers and stop
    beside them, by SIGINT; the transient ones are restarted after each reload. One that ends is not brought back.
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
        raise _refusal("scale")

    def create_server(self) -> NoReturn:
        raise _refusal("create_server")

    def shutdown_server(self, name: str | None = None) -> NoReturn:
        raise _refusal("shutdown_server")

    def start(self) -> None:
        """Start what `manage` was told of, but for what has `auto_start=False`."""
        WorkerManager.start(self)

    def restart(
        self,
        process_names: list[str] | None = None,
        restart_order: RestartOrder = RestartOrder.SHUTDOWN_FIRST,
        **kwargs: object,
    ) -> None:
        """Restart the named processes, or all transient ones."""
        WorkerManager._sync_states(self)  # noqa: SLF001  (its own: a restart looks at what ended)
        super().restart(process_names, restart_order, **kwargs)

    def kill(self) -> None:
        """Kill all managed processes; Sanic's own kills their group, which is ours as well."""
        _signal(self, signal.SIGKILL)

    async def end(self, seconds: float) -> None:
        """Stop all managed processes, and kill those that take longer than so many seconds."""
        WorkerManager.shutdown(self)
        deadline = time.monotonic() + seconds
        while self._alive() and time.monotonic() < deadline:  # noqa: ASYNC110  (Sanic shows no sentinel to wait for)
            await asyncio.sleep(POLL)
        for process in self._alive():
            logger.error("Process %s [%d] did not stop in time: it is killed.", process.name, process.pid)
        self.kill()

    def _alive(self) -> list[WorkerProcess]:
        return [process for process in self.processes if process.is_alive()]


def stop_while_starting(manager: WorkerManager, seconds: float) -> None:
    """Have Sanic's own manager end when it is told to stop before all workers are up; it would wait for them for ever.

    A worker that has not handled SIGTERM yet is ended by it at once; the others drain, for so many seconds at most.
    """
    all_are_up: Callable[[], bool] = manager._all_workers_ack  # noqa: SLF001  (only here the end of the wait is asked for)

    def is_over() -> bool:
        if manager._shutting_down:  # noqa: SLF001
            _terminate(manager, seconds)
            return True
        return all_are_up()

    manager._all_workers_ack = is_over  # type: ignore[method-assign]  # noqa: SLF001


def _terminate(manager: WorkerManager, seconds: float) -> None:
    """End all processes of the manager, those that it started after the signal as well."""
    deadline = time.monotonic() + seconds
    _signal(manager, signal.SIGTERM)
    while any(process.is_alive() for process in manager.processes) and time.monotonic() < deadline:
        time.sleep(POLL)
    _signal(manager, signal.SIGKILL)


def _signal(manager: WorkerManager, number: signal.Signals) -> None:
    for process in manager.processes:
        if process.is_alive():
            with suppress(ProcessLookupError):
                os.kill(process.pid, number)


def _refusal(method: str) -> ConfigError:
    return ConfigError(
        _(
            "app.manager.{method} does not exist under serve(): the number of workers is the setting WORKERS. Set "
            "it and restart the service.",
            method=method,
        )
    )

"""serve: `python http_xi_test.py`."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import sys
from contextlib import suppress

from sanicbase.app.supervisor import Patience, Supervisor
from sanicbase.app.workers import WorkerFailed
from sanicbase.errors import ResourceError, SanicBaseError
from sanicbase.interrupts import raise_dropped_interrupt
from sanicbase.notify import Notifier
from sanicbase.typing import App

__all__ = ["serve"]

logger = logging.getLogger("sanicbase.app")

HEARD = 0.05  # seconds until a signal that has come is heard
CLOSING = 5.0  # seconds to close what is open, after the requests in flight had theirs


def serve(app: App) -> None:
    """Serve the app until it is told to stop (SIGTERM, SIGINT), with its WORKERS kept alive.

    A mistake of the user's — a database that does not answer, a port in use — ends the process with one sentence and
    status 1 before anything is served. SIGHUP replaces the workers one by one, by processes with this moment's code.
    Under systemd, in a unit of `Type=notify`, it says when all workers are ready, reloads and stops, and that it lives.
    """
    raise_dropped_interrupt()
    try:
        asyncio.run(_serve(app, Notifier.of(os.environ)))
    except SanicBaseError as exc:
        sys.exit(str(exc))
    except asyncio.CancelledError:  # told to stop while it started
        return


async def _serve(app: App, notifier: Notifier) -> None:
    told = _cancel_when_told()
    with app.ctx.listening.open() as listening:
        try:
            await _start(app)
            if told:  # a cancellation that came at the end of the start has nothing left to cancel
                raise asyncio.CancelledError
            await _supervise(app, listening, notifier)
        finally:
            app.ctx.main_process.stop()


async def _start(app: App) -> None:
    try:
        await app.ctx.main_process.start(app.ctx.listening)
    except SanicBaseError:
        # A signal to all processes ends the embedded Valkey as well; that we were told, the loop learns afterwards.
        await asyncio.sleep(HEARD)
        raise


def _cancel_when_told() -> list[int]:
    """Have the running task cancelled by SIGTERM and SIGINT; returns the list in which they are noted."""
    task, loop = asyncio.current_task(), asyncio.get_running_loop()
    assert task is not None  # noqa: S101  (asyncio.run made it)
    told: list[int] = []

    def cancel(number: int) -> None:
        told.append(number)
        task.cancel()

    with suppress(NotImplementedError):  # Windows knows Ctrl-C only, which asyncio.run handles
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, cancel, number)
    return told


async def _supervise(app: App, listening: socket.socket, notifier: Notifier) -> None:
    config = app.ctx.config
    patience = Patience(
        ready=config.START_TIMEOUT,
        silent=config.WORKER_TIMEOUT,
        stop=config.GRACEFUL_SHUTDOWN_TIMEOUT + CLOSING,
    )
    listening.listen(app.ctx.listening.backlog)
    supervisor = Supervisor(app.name, listening, config.WORKERS, patience, notifier)
    try:
        await supervisor.run(lambda: logger.info("%s serves.", app.name))
    except WorkerFailed as exc:
        raise ResourceError(f"{app.name} could not start: a worker {exc}. Its log has more.") from exc
    logger.info("%s has stopped.", app.name)

"""serve: `python http_xi_test.py`."""

from __future__ import annotations

import asyncio
import logging
import multiprocessing
import os
import socket
import sys

from sanicbase.errors import ResourceError, SanicBaseError
from sanicbase.process.descriptors import name_descriptor_limit
from sanicbase.process.interrupts import raise_dropped_interrupt
from sanicbase.process.notify import Notifier
from sanicbase.process.stopping import cancel_when_told
from sanicbase.server.listeners import call_listeners
from sanicbase.server.manager import Manager
from sanicbase.server.sanic_server import prepare
from sanicbase.server.supervisor import Patience, Supervisor
from sanicbase.server.unsupported import refuse_unsupported
from sanicbase.server.workers import WorkerFailed
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

    Sanic's listeners of the main process are called in Sanic's order: main_process_start and main_process_ready before
    the workers start, main_process_stop when all have ended. An exception in one of them ends the process with its
    traceback and status 1. What serve() does not have of Sanic's manager is refused by a sentence.
    """
    raise_dropped_interrupt()
    try:
        refuse_unsupported(app)
        multiprocessing.set_start_method("spawn", force=True)  # Sanic's; else a Lock in shared_ctx reaches no worker
        with name_descriptor_limit(workers=app.ctx.listening.workers):
            asyncio.run(_serve(app, Notifier.of(os.environ)))
    except SanicBaseError as exc:
        sys.exit(str(exc))
    except asyncio.CancelledError:  # told to stop while it started
        return


async def _serve(app: App, notifier: Notifier) -> None:
    told = cancel_when_told()
    app.ctx.handles_signals = True
    with app.ctx.listening.open() as bound:
        prepare(app, app.ctx.listening, bound)
        try:
            await _start(app)
            if told:  # a cancellation that came at the end of the start has nothing left to cancel
                raise asyncio.CancelledError
            await _supervise(app, bound, notifier)
        finally:
            await _stop(app)


async def _start(app: App) -> None:
    try:
        await call_listeners(app, "main_process_start")
    except (SanicBaseError, SystemExit):
        # A signal to all processes ends the embedded Valkey as well; that we were told, the loop learns afterwards.
        await asyncio.sleep(HEARD)
        raise


async def _stop(app: App) -> None:
    try:
        await call_listeners(app, "main_process_stop")
    finally:
        app.ctx.main_process.stop()  # also when a listener fails


async def _supervise(app: App, bound: socket.socket, notifier: Notifier) -> None:
    config = app.ctx.config
    patience = Patience(
        ready=config.START_TIMEOUT,
        silent=config.WORKER_TIMEOUT,
        start_stop=config.GRACEFUL_SHUTDOWN_TIMEOUT,
        stop=config.GRACEFUL_SHUTDOWN_TIMEOUT + CLOSING,
    )
    app._manager = manager = Manager()  # noqa: SLF001  (Sanic's own launchers put it there, and `app.manager` reads it)
    await call_listeners(app, "main_process_ready")
    bound.listen(app.ctx.listening.backlog)
    supervisor = Supervisor(app, bound, manager, patience, notifier)
    try:
        await supervisor.run(lambda: logger.info("%s serves.", app.name))
    except WorkerFailed as exc:
        raise ResourceError(f"{app.name} could not start: a worker {exc}. Its log has more.") from exc
    logger.info("%s has stopped.", app.name)

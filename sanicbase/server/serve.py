"""serve: the main process of `python http_xi_test.py`."""

from __future__ import annotations

import asyncio
import logging
import multiprocessing
import os
import socket
import sys
from contextlib import suppress
from functools import partial
from importlib import import_module
from itertools import chain

from sanic import Sanic

from sanicbase.alerts.dispatcher import Dispatcher, open_alerts
from sanicbase.errors import ResourceError, SanicBaseError
from sanicbase.metrics.collection import Collection
from sanicbase.metrics.endpoint import open_metrics
from sanicbase.process.descriptors import check_descriptor_limit
from sanicbase.process.keyboard_interrupt import raise_keyboard_interrupt
from sanicbase.process.signals import cancel_on_signal
from sanicbase.process.systemd import Notifier
from sanicbase.server.context import App
from sanicbase.server.launcher import Launcher
from sanicbase.server.listeners import call_listeners
from sanicbase.server.manager import Manager
from sanicbase.server.sanic_server import prepare
from sanicbase.server.supervisor import Supervisor, Timeouts
from sanicbase.server.unsupported import refuse_unsupported
from sanicbase.server.worker_process import WorkerFailed
from sanicbase.top.endpoint import serve_view
from sanicbase.top.snapshot import RecentSlow, View

__all__ = ["serve"]

logger = logging.getLogger("sanicbase.app")

SIGNAL_DELAY = 0.05  # seconds until the event loop has handled a signal that has come
CLOSE_TIMEOUT = 5.0  # seconds to close the resources, after the requests in flight have finished


def serve(app: App) -> None:
    """Serve the app until SIGTERM or SIGINT, and keep its WORKERS alive.

    A configuration error, such as a database that does not answer or a port in use, ends the process with a message
    and status 1 before anything is served. SIGHUP replaces the workers one by one with processes that import the
    current code. In a systemd unit of `Type=notify` it reports readiness, reloads and stops, and feeds the watchdog.

    Sanic's listeners of the main process are called in Sanic's order: main_process_start and main_process_ready before
    the workers start, main_process_stop when all have ended. An exception in one of them ends the process with its
    traceback and status 1. Features of Sanic's manager that serve() does not support raise ConfigError.
    """
    raise_keyboard_interrupt()
    try:
        refuse_unsupported(app)
        multiprocessing.set_start_method("spawn", force=True)  # Sanic's; else a Lock in shared_ctx reaches no worker
        with check_descriptor_limit(workers=app.ctx.bind_address.workers):
            notifier = Notifier.of(os.environ)
            prepare = partial(import_models, app.name)
            with Launcher(prepare, forks=app.ctx.config.FORK_WORKERS) as launcher:  # before anything is opened
                asyncio.run(_serve(app, launcher, notifier))
    except SanicBaseError as exc:
        sys.exit(str(exc))
    except asyncio.CancelledError:  # stopped during the start
        return


def import_models(name: str) -> None:
    """Import the models and the database engines of an app, which Tortoise would import in each worker.

    Import errors are reported when the databases are opened.
    """
    app: App = Sanic.get_app(name)
    with suppress(Exception):
        settings = app.ctx.config.tortoise_without_aerich()  # as in a worker
        engines = [connection["engine"] for connection in settings["connections"].values()]
        for module in (*engines, *chain.from_iterable(options["models"] for options in settings["apps"].values())):
            import_module(module)


async def _serve(app: App, launcher: Launcher, notifier: Notifier) -> None:
    received = cancel_on_signal()
    app.ctx.handles_signals = True
    app.ctx.launcher = launcher
    with app.ctx.bind_address.bind() as bound:
        prepare(app, app.ctx.bind_address, bound)
        try:
            await _start(app)
            if received:  # the cancellation arrived at the end of the start and had nothing left to cancel
                raise asyncio.CancelledError
            hook, address = app.ctx.alert_hook, app.ctx.metrics_address
            async with open_metrics(address) as metrics, open_alerts(hook, app.name) as alerts:
                await _supervise(app, bound, launcher, notifier, metrics, alerts)
        finally:
            await _stop(app)


async def _start(app: App) -> None:
    try:
        await call_listeners(app, "main_process_start")
    except (SanicBaseError, SystemExit):
        # A signal to all processes also ends the embedded Valkey, and may reach the event loop only afterwards.
        await asyncio.sleep(SIGNAL_DELAY)
        raise


async def _stop(app: App) -> None:
    try:
        await call_listeners(app, "main_process_stop")
    finally:
        app.ctx.stop_main_process()  # also when a listener fails


async def _supervise(
    app: App,
    bound: socket.socket,
    launcher: Launcher,
    notifier: Notifier,
    metrics: Collection,
    alerts: Dispatcher | None,
) -> None:
    config = app.ctx.config
    timeouts = Timeouts(
        start=config.START_TIMEOUT,
        heartbeat=config.WORKER_TIMEOUT,
        stop_during_start=config.GRACEFUL_SHUTDOWN_TIMEOUT,
        stop=config.GRACEFUL_SHUTDOWN_TIMEOUT + CLOSE_TIMEOUT,
    )
    app._manager = manager = Manager()  # noqa: SLF001  (Sanic's own launchers put it there, and `app.manager` reads it)
    await call_listeners(app, "main_process_ready")
    bound.listen(app.ctx.bind_address.backlog)
    slow = RecentSlow()
    supervisor = Supervisor(app, bound, manager, launcher, timeouts, notifier, metrics, alerts, slow.add)
    view = View(app.name, metrics, supervisor.processes, slow)
    try:
        async with serve_view(view, config.private_dir()):
            await supervisor.run(lambda: logger.info("%s is serving.", app.name))
    except WorkerFailed as exc:
        raise ResourceError(f"{app.name} could not start: a worker {exc}. See its log for details.") from exc
    logger.info("%s has stopped.", app.name)

"""The code that runs in a worker: it opens the resources, serves, and drains when it is stopped."""

from __future__ import annotations

import asyncio
import logging
import multiprocessing
import os
import signal
import socket
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from multiprocessing.connection import Connection

from sanic import Sanic
from sanic.server.async_server import AsyncioServer

from sanicbase.alerts.reporting import send_reports_to
from sanicbase.edge.protocol import response_hooks
from sanicbase.errors import SanicBaseError
from sanicbase.log import flush_logging
from sanicbase.metrics.demand import follow_demand, on_demand
from sanicbase.metrics.instruments import count_into
from sanicbase.metrics.sampling import sample
from sanicbase.metrics.shared_values import SharedValues
from sanicbase.metrics.slow import send_slow_to
from sanicbase.process.parent import die_with_parent
from sanicbase.server.bind_address import BindAddress
from sanicbase.server.channel import ALIVE, FAILED, READY, REPORT, SLOW, send
from sanicbase.server.context import App
from sanicbase.server.multiplexer import Multiplexer
from sanicbase.server.sanic_server import cancel_tasks, create_server
from sanicbase.server.template import name_process

__all__ = ["run_worker"]

logger = logging.getLogger("sanicbase.app")

HEARTBEAT = 1.0  # seconds
IDLE_TIMEOUT = 1.0  # seconds in which an idle client may send one more request, whose response closes the connection
POLL = 0.02  # seconds
CANCEL_TIMEOUT = 1.0  # seconds that cancelled tasks have at least, even when the requests took the whole grace period
FINISH_START = 2.0  # seconds that a start may still take after a stop was requested, at most half of the grace period


def run_worker(
    name: str,
    address: BindAddress,
    bound: socket.socket,
    shared: Mapping[str, object],
    channel: Connection[bytes, bytes],
    check: bool,
    values: SharedValues,
) -> None:
    """Serve the app of that name on a listening socket until SIGTERM. The target of a child process.

    The child, or the template that it is forked from, has imported the launch file, which created the app. `shared`
    becomes its `app.shared_ctx`. Without `check` it serves even when a database or a Redis does not respond. It counts
    into `values`, everything or on demand.
    """
    die_with_parent()
    if values.is_demanded_always:
        count_into(values)
    worker_name = multiprocessing.current_process().name
    name_process(worker_name.replace("Sanic-Server-", "sanic-worker-").removesuffix("-0"))
    for number in (
        signal.SIGINT,
        signal.SIGHUP,
    ):  # a terminal sends them to all; the main process handles them
        signal.signal(number, signal.SIG_IGN)
    # As in Sanic's own workers. The main process has already printed Sanic's warning about production.
    os.environ.update(
        SANIC_WORKER_NAME=worker_name, SANIC_WORKER_PROCESS="true", SANIC_IGNORE_PRODUCTION_WARNING="true"
    )
    try:
        app: App = Sanic.get_app(name)
        app.ctx.check = check
        if app.ctx.alert_hook is not None:
            send_reports_to(lambda report: send(channel, REPORT + report.to_bytes()))
        send_slow_to(lambda event: send(channel, SLOW + event.to_bytes()))
        app.refresh({"shared_ctx": dict(shared)})
        app.multiplexer = Multiplexer(channel)
        app.setup_loop()
        with asyncio.Runner() as runner:
            _run(runner.get_loop(), _Server(app, address, bound, channel, values))
    except SanicBaseError as exc:
        send(channel, FAILED + str(exc).encode())
        raise SystemExit(1) from None
    except Exception as exc:
        logger.exception("The worker failed.")
        send(channel, FAILED + f"{type(exc).__name__}: {exc}".encode())
        raise SystemExit(1) from None


def _run(loop: asyncio.AbstractEventLoop, server: _Server) -> None:
    """Run the worker until it has drained. `app.stop()` stops the loop, which starts the drain like SIGTERM."""
    stop_requested = asyncio.Event()
    work = loop.create_task(_serve_until_stopped(server, stop_requested))
    work.add_done_callback(lambda _: loop.stop())
    while not work.done():
        loop.run_forever()
        stop_requested.set()
    work.result()


async def _serve_until_stopped(server: _Server, stop_requested: asyncio.Event) -> None:
    """Start, serve until the stop, and drain. A stop during the start waits a short time for it and then cancels
    it; all open resources are closed."""
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop_requested.set)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGINT, signal.SIGHUP))  # see launcher.py
    stop = asyncio.create_task(stop_requested.wait())
    start = asyncio.create_task(server.start())
    await asyncio.wait((start, stop), return_when=asyncio.FIRST_COMPLETED)
    if not start.done():
        await asyncio.wait((start,), timeout=min(FINISH_START, server.grace / 2))
    start.cancel()
    try:
        await start
    except asyncio.CancelledError:
        return
    await stop
    await server.drain()


class _Server:
    """The server of one app, on Sanic's own AsyncioServer."""

    def __init__(
        self,
        app: App,
        address: BindAddress,
        bound: socket.socket,
        channel: Connection[bytes, bytes],
        values: SharedValues,
    ) -> None:
        self._app = app
        self._address = address
        self._bound = bound
        self._channel = channel
        self._values = values
        self._demand = ExitStack()
        self._tasks: list[asyncio.Task[None]] = []
        self._server: AsyncioServer

    @property
    def grace(self) -> float:
        """How long a stop may take, in seconds."""
        return float(self._app.config.GRACEFUL_SHUTDOWN_TIMEOUT)

    async def start(self) -> None:
        """Open the resources, accept connections from the queue, and report that the worker is ready."""
        self._server = server = await create_server(self._app, self._address, self._bound)
        await server.startup()
        await server.before_start()
        self._app.ack()
        self._demand.enter_context(on_demand(self._count_requests, self._stop_counting_requests))
        follow_demand(self._values)  # so that the first request is counted
        try:
            await server.start_serving()
            await server.after_start()
        except BaseException:
            await server.after_stop()
            raise
        self._app.set_serving(True)
        send(self._channel, READY)
        self._tasks.append(asyncio.create_task(self._send_heartbeats()))
        self._tasks.append(asyncio.create_task(sample(self._values)))

    async def drain(self) -> None:
        """Accept no more connections, close WebSockets (1001), finish requests in flight, cancel tasks, close all."""
        logger.info("Draining %d open connections.", len(self._server.connections))
        deadline = asyncio.get_running_loop().time() + self.grace
        self._app.ctx.draining = True
        self._app.config.KEEP_ALIVE = False  # the response to one more request closes the connection
        closed = self._server.close()
        await self._server.before_stop()
        await self._finish_connections(deadline)
        with suppress(TimeoutError):
            await asyncio.wait_for(closed, 1.0)
        timeout = max(deadline - asyncio.get_running_loop().time(), CANCEL_TIMEOUT)
        if unfinished := await cancel_tasks(self._app, timeout):
            logger.warning("%d tasks outlasted GRACEFUL_SHUTDOWN_TIMEOUT and are abandoned.", unfinished)
        self._app.set_serving(False)
        await self._server.after_stop()
        for task in self._tasks:
            task.cancel()
        self._demand.close()
        logger.info("All resources are closed.")
        flush_logging()

    def _count_requests(self) -> None:
        if self._app.ctx.demanded_hook is not None:
            self._app.ctx.response_hooks.append(self._app.ctx.demanded_hook)
            self._update_hooks()

    def _stop_counting_requests(self) -> None:
        if self._app.ctx.demanded_hook is not None:
            self._app.ctx.response_hooks.remove(self._app.ctx.demanded_hook)
            self._update_hooks()

    def _update_hooks(self) -> None:
        """Have the open connections call the hooks that the app has now."""
        hooks = response_hooks(self._app)
        for connection in self._server.connections:
            connection.response_hooks = hooks

    async def _finish_connections(self, deadline: float) -> None:
        loop = asyncio.get_running_loop()
        started_at, connections = loop.time(), self._server.connections
        self._close_websockets()
        while connections and loop.time() < deadline:
            if loop.time() - started_at > IDLE_TIMEOUT:
                for connection in list(connections):
                    connection.close_if_idle()
            await asyncio.sleep(POLL)
        if connections:
            logger.warning(
                "%d connections did not finish within GRACEFUL_SHUTDOWN_TIMEOUT and are aborted.", len(connections)
            )
        for connection in list(connections):
            if connection.transport is not None:  # Sanic's abort() sets it to None, and reads it later
                connection.transport.abort()

    def _close_websockets(self) -> None:
        for connection in list(self._server.connections):
            if getattr(connection, "websocket", None) is not None:
                connection.close_if_idle()

    async def _send_heartbeats(self) -> None:
        while True:
            send(self._channel, ALIVE + b"%d" % self._app.ctx.requests_served)
            await asyncio.sleep(HEARTBEAT)

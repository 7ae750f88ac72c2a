"""One worker from within: it opens the service, serves, and drains when it is told to stop."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
from collections.abc import Mapping
from contextlib import suppress
from multiprocessing.connection import Connection

from sanic import Sanic
from sanic.server.async_server import AsyncioServer

from sanicbase.errors import SanicBaseError
from sanicbase.log import flush_logging
from sanicbase.process.parent import die_with_parent
from sanicbase.server.channel import ALIVE, FAILED, READY, tell
from sanicbase.server.listening import Listening
from sanicbase.server.multiplexer import Multiplexer
from sanicbase.server.sanic_server import cancel_tasks, create_server
from sanicbase.typing import App

__all__ = ["run_worker"]

logger = logging.getLogger("sanicbase.app")

BEAT = 1.0  # seconds between two signs of life
LAME_DUCK = 1.0  # seconds in which an idle client may send one more request, and is told to close
POLL = 0.02  # seconds
CANCELLING = 1.0  # seconds that cancelled tasks have at least, also when the requests took the whole grace
FINISH_START = 2.0  # seconds that a start may still take when a stop has come, within half of the grace


def run_worker(
    name: str,
    listening: Listening,
    bound: socket.socket,
    shared: Mapping[str, object],
    channel: Connection[bytes, bytes],
    check: bool,
) -> None:
    """Serve the app of that name on a socket that listens already, until SIGTERM. The target of a child process.

    The child has imported the launch file, which made the app anew. `shared` becomes its `app.shared_ctx`. Without
    `check` it serves although a database or a Redis does not answer.
    """
    die_with_parent()
    for number in (signal.SIGINT, signal.SIGHUP):  # a terminal sends them to everybody; the main process decides
        signal.signal(number, signal.SIG_IGN)
    # As in Sanic's own workers. What Sanic says of running in production, the main process has said.
    os.environ.update(SANIC_WORKER_PROCESS="true", SANIC_IGNORE_PRODUCTION_WARNING="true")
    try:
        app: App = Sanic.get_app(name)
        app.ctx.check = check
        app.refresh({"shared_ctx": dict(shared)})
        app.multiplexer = Multiplexer(channel)
        app.setup_loop()
        with asyncio.Runner() as runner:
            _run(runner.get_loop(), _Serving(app, listening, bound, channel))
    except SanicBaseError as exc:
        tell(channel, FAILED + str(exc).encode())
        raise SystemExit(1) from None
    except Exception as exc:
        logger.exception("The worker failed.")
        tell(channel, FAILED + f"{type(exc).__name__}: {exc}".encode())
        raise SystemExit(1) from None


def _run(loop: asyncio.AbstractEventLoop, serving: _Serving) -> None:
    """Run the worker until it has drained. `app.stop()` stops the loop: that begins the drain, like SIGTERM."""
    told = asyncio.Event()
    work = loop.create_task(_until_told(serving, told))
    work.add_done_callback(lambda _: loop.stop())
    while not work.done():
        loop.run_forever()
        told.set()
    work.result()


async def _until_told(serving: _Serving, told: asyncio.Event) -> None:
    """Start, serve until the stop, and drain. A stop while it starts lets it finish, or cancels it after a while; what
    is open is closed."""
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, told.set)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGINT, signal.SIGHUP))  # see workers.py
    stop = asyncio.create_task(told.wait())
    start = asyncio.create_task(serving.start())
    await asyncio.wait((start, stop), return_when=asyncio.FIRST_COMPLETED)
    if not start.done():
        await asyncio.wait((start,), timeout=min(FINISH_START, serving.grace / 2))
    start.cancel()
    try:
        await start
    except asyncio.CancelledError:
        return
    await stop
    await serving.drain()


class _Serving:
    """The server of one app, on Sanic's own AsyncioServer."""

    def __init__(self, app: App, listening: Listening, bound: socket.socket, channel: Connection[bytes, bytes]) -> None:
        self._app = app
        self._listening = listening
        self._bound = bound
        self._channel = channel
        self._beat: asyncio.Task[None] | None = None
        self._server: AsyncioServer

    @property
    def grace(self) -> float:
        """The seconds that a stop may take."""
        return float(self._app.config.GRACEFUL_SHUTDOWN_TIMEOUT)

    async def start(self) -> None:
        """Open everything, then take connections from the queue, then say so."""
        self._server = server = await create_server(self._app, self._listening, self._bound)
        await server.startup()
        await server.before_start()
        self._app.ack()
        try:
            await server.start_serving()
            await server.after_start()
        except BaseException:
            await server.after_stop()
            raise
        self._app.set_serving(True)
        tell(self._channel, READY)
        self._beat = asyncio.create_task(self._show_life())

    async def drain(self) -> None:
        """Take no more connections, let requests in flight finish, tell WebSockets (1001), cancel tasks, close all."""
        logger.info("Draining: %d connections are open.", len(self._server.connections))
        deadline = asyncio.get_running_loop().time() + self.grace
        self._app.ctx.draining = True
        self._app.config.KEEP_ALIVE = False  # whoever sends one more request is told to close the connection
        closed = self._server.close()
        await self._server.before_stop()
        await self._finish_connections(deadline)
        with suppress(TimeoutError):
            await asyncio.wait_for(closed, 1.0)
        left = max(deadline - asyncio.get_running_loop().time(), CANCELLING)
        if outlasting := await cancel_tasks(self._app, left):
            logger.warning("%d tasks outlasted GRACEFUL_SHUTDOWN_TIMEOUT: they are left.", outlasting)
        self._app.set_serving(False)
        await self._server.after_stop()
        if self._beat:
            self._beat.cancel()
        logger.info("All is closed.")
        flush_logging()

    async def _finish_connections(self, deadline: float) -> None:
        loop = asyncio.get_running_loop()
        begun, connections = loop.time(), self._server.connections
        self._tell_websockets()
        while connections and loop.time() < deadline:
            if loop.time() - begun > LAME_DUCK:
                for connection in list(connections):
                    connection.close_if_idle()
            await asyncio.sleep(POLL)
        if connections:
            logger.warning("%d connections outlasted GRACEFUL_SHUTDOWN_TIMEOUT: they are cut.", len(connections))
        for connection in list(connections):
            if connection.transport is not None:  # Sanic's own abort() forgets it, and fails where it reads it later
                connection.transport.abort()

    def _tell_websockets(self) -> None:
        for connection in list(self._server.connections):
            if getattr(connection, "websocket", None) is not None:
                connection.close_if_idle()

    async def _show_life(self) -> None:
        while True:
            tell(self._channel, ALIVE)
            await asyncio.sleep(BEAT)

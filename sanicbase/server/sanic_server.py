"""Sanic's server of an app, in the running event loop, with the state that Sanic's own workers have.

`Sanic.create_server` leaves the app without `app.state.server_info`: `app.loop` then raises an exception,
`app.add_task` waits for a start that is over, and every response has an empty Alt-Svc header.
"""

from __future__ import annotations

import asyncio
import socket

from sanic.application.constants import ServerStage
from sanic.server import AsyncioServer, serve

from sanicbase.server.bind_address import BindAddress
from sanicbase.server.context import App

__all__ = ["cancel_tasks", "create_server", "prepare"]

MAIN_PROCESS_ONLY = ("main_start", "main_stop")


def prepare(app: App, address: BindAddress, bound: socket.socket) -> None:
    """Fill `app.state` and its `server_info` as `app.prepare` does for Sanic's own launchers."""
    app.prepare(
        host=address.host,
        port=address.port,
        sock=bound,
        workers=address.workers,
        backlog=address.backlog,
        debug=app.ctx.config.DEBUG,
        access_log=False,  # the access lines are ours, see http/access_log.py
        motd=False,
    )


async def create_server(app: App, address: BindAddress, bound: socket.socket) -> AsyncioServer:
    """The app's server on that socket; it accepts no connections until its `start_serving` is called."""
    prepare(app, address, bound)
    info = app.state.server_info[-1]
    settings = {name: value for name, value in info.settings.items() if name not in MAIN_PROCESS_ONLY}
    info.settings = {**settings, "loop": asyncio.get_running_loop()}
    info.stage = ServerStage.SERVING
    server: AsyncioServer = await serve(**info.settings, run_async=True, asyncio_server_kwargs={"start_serving": False})
    return server


async def cancel_tasks(app: App, seconds: float) -> int:
    """Cancel the tasks of `app.add_task` and wait for them; returns how many still run after that many seconds.

    `app.shutdown_tasks` also cancels them, but can wait for them only in a loop that is not running.
    """
    app.shutdown_tasks(0)
    running = [task for task in app.tasks if not task.done()]
    unfinished = (await asyncio.wait(running, timeout=seconds))[1] if running else ()
    app.purge_tasks()
    return len(unfinished)

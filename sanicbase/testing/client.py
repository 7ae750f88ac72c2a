"""An app that is served in the process of the test, and a client for it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace

import httpx
from sanic import Sanic

from sanicbase.app.factory import configure
from sanicbase.config import Config
from sanicbase.log import close_logging
from sanicbase.server.context import App
from sanicbase.server.sanic_server import cancel_tasks, create_server
from sanicbase.testing.ports import free_port
from sanicbase.testing.service import NO_CERTIFICATES

__all__ = ["client"]

CANCEL_TIMEOUT = 5.0  # seconds that cancelled tasks have


@asynccontextmanager
async def client(app: App, config: Config | None = None) -> AsyncIterator[httpx.AsyncClient]:
    """Serve the app on a free port, through a real socket, and yield a client with its base URL.

    Its listeners run, so everything that a worker opens is open; those of the main process are not called. Apps can be
    served one after another, each with its own log, and the same app several times.

    `config` replaces the app's own settings within the block. You can thus test the app of a launch file unchanged,
    with its envelope, resources and middleware, on empty stores:

        from http_shop import app

        async with client(app, ShopConfig(DB_URL=database_url, REDIS_URL=redis_url)) as http: ...
    """
    address = replace(app.ctx.bind_address, host="127.0.0.1", port=free_port(), workers=1)
    before = app.ctx.config
    configure(app, config or before)
    with _test_mode():
        server = await create_server(app, address, address.bind())
        await server.startup()
    try:
        await server.before_start()
        await server.start_serving()
        await server.after_start()
        app.set_serving(True)
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{address.port}", verify=NO_CERTIFICATES) as http:
            yield http
    finally:
        await server.before_stop()
        server.close()
        await server.wait_closed()
        for connection in list(server.connections):  # of clients that have not answered the end of theirs
            if connection.transport is not None:
                connection.transport.abort()
        await cancel_tasks(app, CANCEL_TIMEOUT)
        app.set_serving(False)
        await server.after_stop()
        app.state.server_info.clear()
        configure(app, before)
        close_logging()  # which a process does by ending


@contextmanager
def _test_mode() -> Iterator[None]:
    """Sanic rewrites its own classes for the app that starts; in test mode it keeps the originals for the next one."""
    before, Sanic.test_mode = Sanic.test_mode, True
    try:
        yield
    finally:
        Sanic.test_mode = before

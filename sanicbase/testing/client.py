"""An app served inside the test's own process, and a client of it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import httpx
from sanic import Sanic

from sanicbase.log import close_logging
from sanicbase.testing.ports import free_port
from sanicbase.typing import App

__all__ = ["client"]


@asynccontextmanager
async def client(app: App) -> AsyncIterator[httpx.AsyncClient]:
    """Serve the app on a free port, through a real socket, and yield a client whose base URL it is.

    Its listeners run, so everything that a worker opens is open. Any number of apps can be served one after another,
    each with its own log.
    """
    port = free_port()
    for event in ("main_process_start", "main_process_stop"):  # there is none, and Sanic would warn of that
        app.listeners[event].clear()
    with _test_mode():
        server = await app.create_server(port=port, return_asyncio_server=True)
        if server is None:
            raise RuntimeError("Sanic made no server of the app.")
        await server.startup()
    try:
        await server.before_start()
        await server.start_serving()
        await server.after_start()
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as http:
            yield http
    finally:
        await server.before_stop()
        server.close()
        await server.wait_closed()
        await server.after_stop()
        close_logging()  # which a process does by ending


@contextmanager
def _test_mode() -> Iterator[None]:
    """Sanic rewrites its own classes for the app that starts; in test mode it keeps the originals for the next one."""
    before, Sanic.test_mode = Sanic.test_mode, True
    try:
        yield
    finally:
        Sanic.test_mode = before

"""The socket of a main process: each client is sent one snapshot.

Nothing is read from a client, so there is nothing to parse, and each connection ends by itself. The folder and the mode
of the socket keep other accounts away; the kernel also says which account a client has.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import struct
import time
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager, suppress
from pathlib import Path

from sanicbase.errors import ResourceError
from sanicbase.top.snapshot import View
from sanicbase.top.sockets import listening_socket

__all__ = ["serve_view"]

logger = logging.getLogger("sanicbase.top")

MAX_CONNECTIONS = 8
TIMEOUT = 5.0  # seconds in which a client must have read its snapshot
KEPT = 0.25  # seconds for which all clients are sent the same snapshot
PAUSE = 1.0  # seconds until connections are accepted again after an error, such as too many open files
CREDENTIALS = struct.Struct("3i")  # pid, uid, gid


@asynccontextmanager
async def serve_view(view: View, private: Path) -> AsyncIterator[None]:
    """Serve the view inside the block, on a socket below the project's private folder.

    A service starts without it if the socket cannot be created; the reason is in the log.
    """
    if os.name != "posix":
        yield
        return
    with ExitStack() as stack:
        try:
            listening = stack.enter_context(listening_socket(private, view.name))
        except ResourceError as exc:
            logger.info("sanicGuider top cannot watch this service: %s", exc)
            yield
            return
        endpoint = _Endpoint(view, listening)
        accepting = asyncio.create_task(endpoint.run(), name="top")
        try:
            yield
        finally:
            accepting.cancel()
            await asyncio.gather(accepting, *endpoint.close(), return_exceptions=True)


class _Endpoint:
    def __init__(self, view: View, listening: socket.socket) -> None:
        self._view = view
        self._listening = listening
        self._connections: set[asyncio.Task[None]] = set()
        self._kept, self._kept_until = b"", 0.0

    async def run(self) -> None:
        """Accept connections until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                connection, _ = await loop.sock_accept(self._listening)
            except OSError as exc:
                logger.warning("No connection of sanicGuider top can be accepted: %s.", exc)
                await asyncio.sleep(PAUSE)
                continue
            if len(self._connections) >= MAX_CONNECTIONS or not is_allowed(connection):
                connection.close()
                continue
            task = asyncio.create_task(self._answer(connection))
            self._connections.add(task)
            task.add_done_callback(self._connections.discard)

    def close(self) -> list[asyncio.Task[None]]:
        """Cancel all connections, and return their tasks."""
        for task in self._connections:
            task.cancel()
        return list(self._connections)

    async def _answer(self, connection: socket.socket) -> None:
        with connection, suppress(OSError, TimeoutError):
            connection.setblocking(False)
            self._view.demand()
            async with asyncio.timeout(TIMEOUT):
                await asyncio.get_running_loop().sock_sendall(connection, self._snapshot())

    def _snapshot(self) -> bytes:
        """A snapshot, at most four times a second a new one: many clients cost as much as one."""
        if time.monotonic() >= self._kept_until:
            try:
                self._kept = self._view.snapshot().model_dump_json().encode()
            except Exception:
                logger.exception("No snapshot of the service could be taken.")
                self._kept = b""
            self._kept_until = time.monotonic() + KEPT
        return self._kept


def is_allowed(connection: socket.socket) -> bool:
    """Whether the client has the account of this process, or is root. Systems without SO_PEERCRED have only the modes
    of the folder and of the socket."""
    if not hasattr(socket, "SO_PEERCRED"):
        return True
    try:
        credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, CREDENTIALS.size)
    except OSError:
        return False
    _, account, _ = CREDENTIALS.unpack(credentials)
    return account in (0, os.geteuid())

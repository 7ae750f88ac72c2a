"""A proxy in front of a Redis that keeps a closing back until the test releases it, also when its sender is gone."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit

from sanicbase.cache.scripts import CLOSE

__all__ = ["Delaying", "delaying"]

NAME = hashlib.sha1(CLOSE.encode(), usedforsecurity=False).hexdigest().encode()


class Delaying:
    """What lies between, at `url`. The next closing is held after `hold`, and sent to the server by `release`."""

    def __init__(self, url: str) -> None:
        self._server = urlsplit(url)
        self._tasks: set[asyncio.Task[None]] = set()
        self._holds = False
        self._released = asyncio.Event()
        self._answered = asyncio.Event()
        self.held = asyncio.Event()
        self.url = ""

    def hold(self) -> None:
        self._holds = True

    async def release(self) -> None:
        """Let it come, and return when the server has answered it."""
        self._released.set()
        async with asyncio.timeout(10):
            await self._answered.wait()

    async def accept(self, requests: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        upstream, server = await asyncio.open_connection(self._server.hostname, self._server.port)
        back = asyncio.create_task(self._carry_back(upstream, client))
        try:
            with suppress(OSError):
                while data := await requests.read(65536):
                    if self._holds and NAME in data:
                        await self._keep_back(data, server, back, upstream)
                        return
                    server.write(data)
        finally:
            back.cancel()
            for end in (client, server):
                end.transport.abort()

    async def _keep_back(
        self, data: bytes, server: asyncio.StreamWriter, back: asyncio.Task[None], upstream: asyncio.StreamReader
    ) -> None:
        self._holds = False
        self.held.set()
        back.cancel()
        await asyncio.gather(back, return_exceptions=True)
        await self._released.wait()
        server.write(data)
        await upstream.read(1)
        self._answered.set()

    async def _carry_back(self, upstream: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await upstream.read(65536):
                client.write(data)

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


@asynccontextmanager
async def delaying(url: str) -> AsyncIterator[Delaying]:
    """A proxy to the Redis of this URL."""
    server = Delaying(url)
    listening = await asyncio.start_server(server.accept, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    server.url = urlsplit(url)._replace(netloc=f"127.0.0.1:{port}").geturl()
    try:
        yield server
    finally:
        listening.close()
        await server.close()

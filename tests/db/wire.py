"""A proxy in front of a PostgreSQL or MySQL that recognises COMMIT on the wire, and keeps back its answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Literal
from urllib.parse import urlsplit

__all__ = ["Proxy", "Trick", "proxy"]

Trick = Literal["cut before", "cut after", "silent before", "silent after"]

# PostgreSQL: 'Q', the length, the text, 0. MySQL: the length, the number of the packet, COM_QUERY, the text.
COMMITS = (b"Q\0\0\0\x0bCOMMIT\0", b"\x07\0\0\0\x03COMMIT")


class Proxy:
    """What lies between, at `url`.

    `trick` is for the next COMMIT: the line is cut, or says nothing any more, before the server has it or after the
    server has answered. `tricked` is set when that has happened.
    """

    def __init__(self, url: str) -> None:
        self._server = urlsplit(url)
        self._lines: set[asyncio.Task[None]] = set()
        self._ends: set[asyncio.StreamWriter] = set()
        self.trick: Trick | None = None
        self.tricked = asyncio.Event()
        self.url = ""

    async def listen(self) -> asyncio.Server:
        """Take connections, at a port of its own."""
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        account = self._server.netloc.rpartition("@")[0]
        self.url = self._server._replace(netloc=f"{account}@127.0.0.1:{port}").geturl()
        return server

    async def close(self) -> None:
        """Cut every line."""
        for end in self._ends:
            end.transport.abort()
        await asyncio.gather(*self._lines, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(self._carry(reader, writer))
        self._lines.add(task)
        task.add_done_callback(self._lines.discard)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        upstream, server = await asyncio.open_connection(self._server.hostname, self._server.port)
        ends = {writer, server}
        self._ends |= ends
        line = _Line(self, reader, writer, upstream, server)
        ways = [asyncio.create_task(line.forth()), asyncio.create_task(line.back())]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            for end in ends:
                end.transport.abort()
            await asyncio.gather(*(end.wait_closed() for end in ends), return_exceptions=True)
            self._ends -= ends


class _Line:
    """One connection, as long as neither side closes it."""

    def __init__(
        self,
        owner: Proxy,
        requests: asyncio.StreamReader,
        client: asyncio.StreamWriter,
        answers: asyncio.StreamReader,
        server: asyncio.StreamWriter,
    ) -> None:
        self._owner, self._requests, self._client = owner, requests, client
        self._answers, self._server = answers, server
        self._deaf = False
        self._answered = asyncio.Event()

    async def forth(self) -> None:
        with suppress(OSError):
            while data := await self._requests.read(65536):
                if self._owner.trick and data in COMMITS:
                    await self._play(data)
                    return
                self._server.write(data)

    async def back(self) -> None:
        with suppress(OSError):
            while data := await self._answers.read(65536):
                if self._deaf:
                    self._answered.set()
                else:
                    self._client.write(data)

    async def _play(self, data: bytes) -> None:
        trick, self._owner.trick = self._owner.trick or "", None
        self._deaf = True
        if trick.endswith("after"):
            self._server.write(data)
            await self._answered.wait()
        self._owner.tricked.set()
        if trick.startswith("silent"):
            while await self._requests.read(65536):
                pass


@asynccontextmanager
async def proxy(url: str) -> AsyncIterator[Proxy]:
    """A proxy to the server of this URL."""
    proxy = Proxy(url)
    server = await proxy.listen()
    try:
        yield proxy
    finally:
        server.close()
        await proxy.close()

"""A view that remembers what happened to it, and waiting for facts on the test's own loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from sanicbase.ws import WSView

TIMEOUT = 10.0


async def until(fact: Callable[[], object]) -> None:
    """Return once it is so; TimeoutError after TIMEOUT seconds."""
    async with asyncio.timeout(TIMEOUT):
        while not fact():
            await asyncio.sleep(0.005)


def recording_view() -> type[RecordingWS]:
    """A RecordingWS of the test's own, so that what it remembers is of one test."""

    class OwnWS(RecordingWS):
        log: list[object] = []
        instances: list[RecordingWS] = []

    return OwnWS


class RecordingWS(WSView, public=True):
    """Logs "connect", each message, and the code of the end; some messages are commands."""

    log: list[object]
    instances: list[RecordingWS]
    pause = 0.0

    async def on_connect(self) -> None:
        self.instances.append(self)
        self.log.append("connect")

    async def on_message(self, message: str | bytes) -> None:
        if message == "fail":
            raise RuntimeError("as told")
        if message == "close":
            await self.close(4000, "as told")
        if message == "hang":
            await asyncio.Event().wait()
        if self.pause:
            await asyncio.sleep(self.pause)
        self.log.append(message)

    async def on_disconnect(self, code: int) -> None:
        self.log.append(code)

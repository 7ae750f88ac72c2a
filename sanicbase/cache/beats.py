"""Beats from a thread, which go on while the event loop of the service stands still."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Awaitable, Callable
from contextlib import suppress

from redis.asyncio import Redis
from redis.asyncio.sentinel import SentinelConnectionPool

__all__ = ["Beats"]

logger = logging.getLogger("sanicbase.cache")

Beat = Callable[[Redis], Awaitable[float]]


class Beats:
    """Awaits `beat(client)` until it is closed: first after `pause` seconds, then each time after what it returns.

    The client belongs to the thread from `start` on. What `beat` raises is logged, and it is called again.
    """

    def __init__(self, name: str, client: Redis, beat: Beat, *, pause: float) -> None:
        self._client = client
        self._beat = beat
        self._pause = pause
        self._loop: asyncio.AbstractEventLoop | None = None  # the thread's, while it runs
        self._woken = asyncio.Event()
        self._closing = False
        self._thread = threading.Thread(target=self._run, name=f"beats to the Redis {name}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def wake(self) -> None:
        """Have the next one now. May be called in any thread."""
        if (loop := self._loop) is None:  # nobody waits yet
            self._woken.set()
            return
        with suppress(RuntimeError):  # the loop was closed meanwhile
            loop.call_soon_threadsafe(self._woken.set)

    async def close(self) -> None:
        """Return when the last one is over."""
        self._closing = True
        self.wake()
        if self._thread.ident is not None:  # it was started
            await asyncio.to_thread(self._thread.join)

    def _run(self) -> None:
        asyncio.run(self._keep_beating())

    async def _keep_beating(self) -> None:
        self._loop = asyncio.get_running_loop()
        pause = self._pause
        while not self._closing:
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._woken.wait()
            self._woken.clear()
            if not self._closing:
                pause = await self._beaten()
        await _closed(self._client)

    async def _beaten(self) -> float:
        try:
            return await self._beat(self._client)
        except Exception:
            logger.exception("A beat to Redis failed.")
            return self._pause


async def _closed(client: Redis) -> None:
    """Close it with the Sentinels that it asks, whose connections are this loop's."""
    await client.aclose(close_connection_pool=True)
    if isinstance(client.connection_pool, SentinelConnectionPool):
        for sentinel in client.connection_pool.sentinel_manager.sentinels:
            await sentinel.aclose(close_connection_pool=True)

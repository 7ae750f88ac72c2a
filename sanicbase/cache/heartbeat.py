"""Heartbeats from a thread, which continue while the event loop of the service is blocked."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Awaitable, Callable
from contextlib import suppress

from redis.asyncio import Redis
from redis.asyncio.sentinel import SentinelConnectionPool

__all__ = ["HeartbeatThread"]

logger = logging.getLogger("sanicbase.cache")

SendHeartbeat = Callable[[Redis], Awaitable[float]]


class HeartbeatThread:
    """Awaits `send(client)` repeatedly until it is closed: after `pause` seconds, then after the seconds it returns.

    The thread owns the client after `start`. Exceptions of `send` are logged.
    """

    def __init__(self, name: str, client: Redis, send: SendHeartbeat, *, pause: float) -> None:
        self._client = client
        self._send = send
        self._pause = pause
        self._loop: asyncio.AbstractEventLoop | None = None  # the thread's, while it runs
        self._wakeup = asyncio.Event()
        self._closing = False
        self._thread = threading.Thread(target=self._run, name=f"heartbeats to the Redis {name}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def wake(self) -> None:
        """Send the next heartbeat now. Thread-safe."""
        if (loop := self._loop) is None:  # not started yet
            self._wakeup.set()
            return
        with suppress(RuntimeError):  # the loop is closed
            loop.call_soon_threadsafe(self._wakeup.set)

    async def close(self) -> None:
        """End the thread."""
        self._closing = True
        self.wake()
        if self._thread.ident is not None:  # it was started
            await asyncio.to_thread(self._thread.join)

    def _run(self) -> None:
        asyncio.run(self._send_until_closed())

    async def _send_until_closed(self) -> None:
        self._loop = asyncio.get_running_loop()
        pause = self._pause
        while not self._closing:
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._wakeup.wait()
            self._wakeup.clear()
            if not self._closing:
                pause = await self._send_once()
        await _close(self._client)

    async def _send_once(self) -> float:
        try:
            return await self._send(self._client)
        except Exception:
            logger.exception("A heartbeat to Redis failed.")
            return self._pause


async def _close(client: Redis) -> None:
    """Close the client with those of its Sentinels, whose connections belong to this loop."""
    await client.aclose(close_connection_pool=True)
    if isinstance(client.connection_pool, SentinelConnectionPool):
        for sentinel in client.connection_pool.sentinel_manager.sentinels:
            await sentinel.aclose(close_connection_pool=True)

"""Pub/sub on a separate connection that reconnects by itself.

redis-py's PubSub reconnects as well, but does not report that messages were lost, and two tasks, one that reads and one
that subscribes, may both reconnect it. Here one task connects, and a loss is reported.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections import Counter
from collections.abc import Callable
from types import TracebackType
from typing import Self

from redis.asyncio import Redis, RedisCluster
from redis.asyncio.cluster import ClusterNode
from redis.asyncio.connection import AbstractConnection, ConnectionPool
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError

from sanicbase.errors import ResourceError

__all__ = ["Subscriber"]

logger = logging.getLogger("sanicbase.rc")

CONFIRM_TIMEOUT = 5.0  # seconds
PING_AFTER = 5.0  # seconds without a message
FIRST_PAUSE, MAX_PAUSE = 0.05, 1.0  # seconds between two attempts to connect


class Subscriber:
    """The subscriptions of a process to channels of one Redis; an async context manager.

    `on_message` is called with the channel and the data of every message, in the server's order. `on_loss` is called
    when a lost connection is back and every channel subscribed again: messages published in between are lost. Neither
    may block; their exceptions are logged. The connection is opened with the first channel.
    """

    def __init__(
        self,
        redis: Redis | RedisCluster,
        on_message: Callable[[str, bytes], None],
        on_loss: Callable[[], None] = lambda: None,
    ) -> None:
        self._redis = redis
        self._on_message = on_message
        self._on_loss = on_loss
        self._channels: set[str] = set()
        self._requested: set[str] = set()
        self._confirmed: set[str] = set()
        self._unconfirmed: Counter[str] = Counter()
        self._confirmations: dict[str, asyncio.Future[None]] = {}
        self._changed = asyncio.Event()
        self._interrupted = False
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._run())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._task:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        for confirmation in self._confirmations.values():
            confirmation.cancel()

    async def subscribe(self, channel: str) -> None:
        """Return when every message published from now on will be received.

        Raises ResourceError when the server does not confirm the subscription within CONFIRM_TIMEOUT; the attempts go
        on until `unsubscribe`.
        """
        self._channels.add(channel)
        self._changed.set()
        if channel in self._confirmed:
            return
        confirmation = self._confirmations.setdefault(channel, asyncio.get_running_loop().create_future())
        try:
            async with asyncio.timeout(CONFIRM_TIMEOUT):  # before 3.12 wait_for may swallow a cancellation
                await asyncio.shield(confirmation)
        except TimeoutError as exc:
            raise ResourceError(f"Redis did not confirm the channel {channel!r}. Is it running?") from exc

    def unsubscribe(self, channel: str) -> None:
        """Drop the subscription, if there is one."""
        self._channels.discard(channel)
        self._changed.set()

    async def _run(self) -> None:
        pause = FIRST_PAUSE
        while True:
            await self._wait_for_channels()
            try:
                await self._listen()
            except Exception as exc:  # subscriptions survive any error
                if self._requested or not self._interrupted:  # else the outage is logged already
                    logger.warning("The Redis subscriptions are interrupted: %s", exc)
                    pause = FIRST_PAUSE
                self._interrupted = True
            self._requested.clear()
            self._confirmed.clear()
            self._unconfirmed.clear()
            await asyncio.sleep(pause * random.uniform(0.5, 1))  # noqa: S311  (many workers, one server)
            pause = min(pause * 2, MAX_PAUSE)

    async def _wait_for_channels(self) -> None:
        while not self._channels:
            self._changed.clear()
            await self._changed.wait()

    async def _listen(self) -> None:
        """Connect, and read until the connection is lost. Raises the error that ended it."""
        connection = await self._new_connection()
        try:
            await connection.connect()
            self._changed.set()
            keeping = asyncio.create_task(self._send_changes(connection))
            try:
                await self._read(connection)
            finally:
                keeping.cancel()
                await asyncio.gather(keeping, return_exceptions=True)
        finally:
            await connection.disconnect(nowait=True)

    async def _new_connection(self) -> AbstractConnection:
        """A connection with the client's options, but without retries, which would hide lost messages. Every node of a
        Cluster receives the messages of all others."""
        source: ConnectionPool | ClusterNode
        if isinstance(self._redis, RedisCluster):
            await self._redis.initialize()
            source = self._redis.get_random_node()
        else:
            source = self._redis.connection_pool
        options = {"retry": Retry(NoBackoff(), 0), "socket_timeout": None, "decode_responses": False}
        connection: AbstractConnection = source.connection_class(**{**source.connection_kwargs, **options})
        return connection

    async def _send_changes(self, connection: AbstractConnection) -> None:
        """Send changed subscriptions. When that fails, so does the reading."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            dropped, added = self._requested - self._channels, self._channels - self._requested
            self._requested = set(self._channels)
            self._confirmed -= dropped
            self._unconfirmed.update(added)
            if dropped:
                await connection.send_command("UNSUBSCRIBE", *dropped, check_health=False)
            if added:
                await connection.send_command("SUBSCRIBE", *added, check_health=False)

    async def _read(self, connection: AbstractConnection) -> None:
        pinged = False
        while True:
            answer = await connection.read_response(timeout=PING_AFTER, disconnect_on_error=False, push_request=True)
            if answer is None and pinged:
                raise RedisConnectionError(f"Redis sent nothing for {2 * PING_AFTER:g} seconds.")
            pinged = answer is None
            if pinged:
                await connection.send_command("PING", check_health=False)
            elif isinstance(answer, list) and len(answer) == 3:  # kind, channel, data
                try:
                    self._handle(*answer)
                except Exception:
                    logger.exception("A message could not be handled: %r", answer)

    def _handle(self, kind: bytes, channel: bytes, data: bytes) -> None:
        name = channel.decode()
        if kind == b"message" and name in self._channels:
            self._on_message(name, data)
        elif kind == b"subscribe":
            self._unconfirmed[name] -= 1
            if not self._unconfirmed[name]:  # else this confirms an earlier subscription, dropped since
                self._confirm(name)

    def _confirm(self, channel: str) -> None:
        if channel in self._requested:
            self._confirmed.add(channel)
        if confirmation := self._confirmations.pop(channel, None):
            confirmation.set_result(None)
        if self._interrupted and self._confirmed >= self._channels:
            self._interrupted = False
            logger.info("The Redis subscriptions are restored; messages published in between are lost.")
            self._on_loss()

"""Pub/sub on one connection of its own, which comes back by itself.

redis-py's PubSub reconnects as well, but tells nobody that messages were missed meanwhile, and two tasks, of which one
reads while the other subscribes, may both reconnect it. Here one task connects; after a loss the reader is told.
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

CONFIRM_TIMEOUT = 5.0  # seconds that a server has to confirm a subscription
SILENCE = 5.0  # seconds without a word after which the server is asked whether it is there
FIRST_PAUSE, LONGEST_PAUSE = 0.05, 1.0  # seconds between two attempts to connect


class Subscriber:
    """The channels of one Redis that a process listens to; an async context manager.

    `receive` is called with the channel and the data of every message, in the order of the server. `missed` is called
    when a lost connection is back and every channel subscribed again: what was published meanwhile is lost, and from
    now on nothing is. Neither may block; what they raise is logged. It connects with the first channel.
    """

    def __init__(
        self,
        redis: Redis | RedisCluster,
        receive: Callable[[str, bytes], None],
        missed: Callable[[], None] = lambda: None,
    ) -> None:
        self._redis = redis
        self._receive = receive
        self._missed = missed
        self._wanted: set[str] = set()
        self._asked: set[str] = set()
        self._confirmed: set[str] = set()
        self._unconfirmed: Counter[str] = Counter()
        self._waiting: dict[str, asyncio.Future[None]] = {}
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
        for waiting in self._waiting.values():
            waiting.cancel()

    async def subscribe(self, channel: str) -> None:
        """Return when every message that is published from now on will be received.

        Raises ResourceError when the server has not confirmed it within CONFIRM_TIMEOUT; it is tried on all the same
        until `unsubscribe`.
        """
        self._wanted.add(channel)
        self._changed.set()
        if channel in self._confirmed:
            return
        waiting = self._waiting.setdefault(channel, asyncio.get_running_loop().create_future())
        try:
            async with asyncio.timeout(CONFIRM_TIMEOUT):  # wait_for may forget that it was cancelled, before 3.12
                await asyncio.shield(waiting)
        except TimeoutError as exc:
            raise ResourceError(f"Redis did not confirm the channel {channel!r}. Is it running?") from exc

    def unsubscribe(self, channel: str) -> None:
        """Listen to the channel no more. Without a subscription nothing happens."""
        self._wanted.discard(channel)
        self._changed.set()

    async def _run(self) -> None:
        pause = FIRST_PAUSE
        while True:
            await self._something_wanted()
            try:
                await self._listen()
            except Exception as exc:  # whatever it is, the reader has subscribed for good
                if self._asked or not self._interrupted:  # else it is the same outage, told already
                    logger.warning("The subscriptions are interrupted: %s", exc)
                    pause = FIRST_PAUSE
                self._interrupted = True
            self._asked.clear()
            self._confirmed.clear()
            self._unconfirmed.clear()
            await asyncio.sleep(pause * random.uniform(0.5, 1))  # noqa: S311  (many workers, one server)
            pause = min(pause * 2, LONGEST_PAUSE)

    async def _something_wanted(self) -> None:
        while not self._wanted:
            self._changed.clear()
            await self._changed.wait()

    async def _listen(self) -> None:
        """The life of one connection. Raises whatever tells that it is lost."""
        connection = await self._new_connection()
        try:
            await connection.connect()
            self._changed.set()
            keeping = asyncio.create_task(self._keep_subscribed(connection))
            try:
                await self._read(connection)
            finally:
                keeping.cancel()
                await asyncio.gather(keeping, return_exceptions=True)
        finally:
            await connection.disconnect(nowait=True)

    async def _new_connection(self) -> AbstractConnection:
        """As the client's own, but without retries, which would hide that messages were missed. Any node of a Cluster
        hears what is published on any other."""
        source: ConnectionPool | ClusterNode
        if isinstance(self._redis, RedisCluster):
            await self._redis.initialize()
            source = self._redis.get_random_node()
        else:
            source = self._redis.connection_pool
        own = {"retry": Retry(NoBackoff(), 0), "socket_timeout": None, "decode_responses": False}
        connection: AbstractConnection = source.connection_class(**{**source.connection_kwargs, **own})
        return connection

    async def _keep_subscribed(self, connection: AbstractConnection) -> None:
        """Tell the server what has changed. When that fails, so does the reading."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            dropped, added = self._asked - self._wanted, self._wanted - self._asked
            self._asked = set(self._wanted)
            self._confirmed -= dropped
            self._unconfirmed.update(added)
            if dropped:
                await connection.send_command("UNSUBSCRIBE", *dropped, check_health=False)
            if added:
                await connection.send_command("SUBSCRIBE", *added, check_health=False)

    async def _read(self, connection: AbstractConnection) -> None:
        asked = False
        while True:
            answer = await connection.read_response(timeout=SILENCE, disconnect_on_error=False, push_request=True)
            if answer is None and asked:
                raise RedisConnectionError(f"Redis gave no sign of life for {2 * SILENCE:g} seconds.")
            asked = answer is None
            if asked:
                await connection.send_command("PING", check_health=False)
            elif isinstance(answer, list) and len(answer) == 3:  # a word, a channel, data
                try:
                    self._take(*answer)
                except Exception:
                    logger.exception("A message could not be handled: %r", answer)

    def _take(self, kind: bytes, channel: bytes, data: bytes) -> None:
        name = channel.decode()
        if kind == b"message" and name in self._wanted:
            self._receive(name, data)
        elif kind == b"subscribe":
            self._unconfirmed[name] -= 1
            if not self._unconfirmed[name]:  # not an earlier subscription's, given up meanwhile
                self._confirm(name)

    def _confirm(self, channel: str) -> None:
        if channel in self._asked:
            self._confirmed.add(channel)
        if waiting := self._waiting.pop(channel, None):
            waiting.set_result(None)
        if self._interrupted and self._confirmed >= self._wanted:
            self._interrupted = False
            logger.info("The subscriptions are back; what was published meanwhile is lost.")
            self._missed()

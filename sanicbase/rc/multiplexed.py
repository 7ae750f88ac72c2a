"""One connection for the commands of many callers.

redis-py takes a connection out of its pool for each command, writes, and waits for the answer; two thirds of the CPU
time of a small GET are its own. Here a command is written at once, even while others wait, and the server answers in
the order of the commands.

redis-py makes the connection, with TLS, the password, the Sentinels and the caller's handshake. Then the socket gets
another protocol, which hands the received bytes to hiredis without a stream and a task in between.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, cast

from hiredis import PushNotification, Reader, pack_command
from redis.asyncio.connection import AbstractConnection, ConnectionPool, DefaultParser
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import InvalidResponse

__all__ = ["MultiplexedConnection", "pack"]

Answered = Callable[[Any], None]

CLOSED = "The connection was closed."
INCOMPLETE = object()  # what hiredis returns before the end of an answer


class MultiplexedConnection:
    """A connection with the options of a pool, opened by the first command, and by the next one after a loss.

    `answered` is called with the answer to a command, in the order of the commands, or with an exception: the server's
    error, or a ConnectionError when the connection is lost, after which the command may or may not have been executed.
    It is called once, outside any task and request, and must neither block nor raise. Commands have no timeout: call
    `abort` when an answer takes too long.

    Each connection begins with the commands of `greeting`, each with its `answered`. `on_push` receives the
    server's push messages, and `on_loss` is called before anybody learns that an open connection was lost. Belongs to
    one event loop.
    """

    def __init__(
        self,
        pool: ConnectionPool,
        *,
        greeting: Sequence[tuple[bytes, Answered]] = (),
        on_push: Callable[[list[Any]], None] = lambda message: None,
        on_loss: Callable[[], None] = lambda: None,
    ) -> None:
        self._pool = pool
        self._greeting = greeting
        self._on_push = on_push
        self._on_loss = on_loss
        self._transport: asyncio.Transport | None = None
        self._answers: _Answers | None = None
        self._unsent: list[bytes] = []
        self._unanswered: deque[Answered] = deque()
        self._task: asyncio.Task[None] | None = None  # lives as long as the connection
        self._tasks: set[asyncio.Task[None]] = set()  # with those of lost connections, which are closing
        self._context = contextvars.copy_context()  # without a request

    @property
    def is_connected(self) -> bool:
        """Whether commands are written at once."""
        return self._transport is not None

    def send(self, command: bytes, answered: Answered) -> None:
        """Send a packed command."""
        self._unanswered.append(answered)
        if self._transport is not None:
            self._transport.write(command)
            return
        self._unsent.append(command)
        if self._task is None:
            loop = asyncio.get_running_loop()
            self._task = loop.create_task(self._live(), name="connection to Redis", context=self._context)
            self._tasks.add(self._task)
            self._task.add_done_callback(self._tasks.discard)

    async def connect(self, *, within: float) -> None:
        """Connect in advance, and wait `within` seconds at most. After a failure the next command tries again."""
        connected = asyncio.get_running_loop().create_future()
        self.send(pack("PING"), lambda answer: None if connected.done() else connected.set_result(None))
        await asyncio.wait([connected], timeout=within)

    def abort(self, error: Exception) -> None:
        """Drop the connection: all commands without an answer fail with this error. The next one connects again."""
        self._lost(error)

    async def close(self) -> None:
        """Drop the connection, and wait until it is closed."""
        self._lost(RedisConnectionError(CLOSED))
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _live(self) -> None:
        """Connect, and keep the connection until it is lost."""
        connection = self._pool.make_connection()
        try:
            await connection.connect()
            await self._take_over(connection)
        except Exception as exc:  # whatever a handshake raises, callers must learn of it
            if self._task is asyncio.current_task():
                self._lost(exc)
        finally:
            await connection.disconnect(nowait=True)

    async def _take_over(self, connection: AbstractConnection) -> None:
        """Exchange the protocol of the socket, and wait for its end."""
        if await connection.can_read():
            raise RedisConnectionError("The server sent more than the answers of the handshake.")
        transport = connection._writer.transport  # type: ignore[union-attr]  # noqa: SLF001
        if transport.is_closing() or self._task is not asyncio.current_task():
            raise RedisConnectionError(CLOSED)
        answers = self._answers = _Answers(self._received, self._lost)
        transport.set_protocol(answers)
        self._transport = cast("asyncio.Transport", transport)
        self._unanswered.extendleft(answered for _, answered in reversed(self._greeting))
        unsent, self._unsent = b"".join([*(command for command, _ in self._greeting), *self._unsent]), []
        if unsent:
            transport.write(unsent)
        try:
            await answers.ended.wait()
        finally:
            transport.abort()

    def _received(self, answer: Any) -> None:
        if isinstance(answer, PushNotification):
            self._on_push(answer)
        elif self._unanswered:
            self._unanswered.popleft()(answer)
        else:
            raise InvalidResponse("The server answered a command that was not sent.")

    def _lost(self, error: Exception) -> None:
        """Forget the connection, and fail the commands that wait for it. Later ones get another connection."""
        was_open, self._transport = self._transport is not None, None
        task, self._task = self._task, None
        if self._answers is not None:
            self._answers.end()
            self._answers = None
        elif task is not None and task is not asyncio.current_task():
            task.cancel()
        self._unsent.clear()
        unanswered, self._unanswered = self._unanswered, deque()
        if was_open:
            self._on_loss()
        for answered in unanswered:
            answered(error)


def pack(*parts: str | bytes | int) -> bytes:
    """The bytes of a command."""
    command: bytes = pack_command(parts)  # type: ignore[arg-type]
    return command


class _Answers(asyncio.Protocol):
    """What one connection receives: each answer for `received`, its end for `lost`."""

    def __init__(self, received: Answered, lost: Callable[[Exception], None]) -> None:
        self._received = received
        self._lost = lost
        self._reader = Reader(
            protocolError=InvalidResponse, replyError=DefaultParser.parse_error, notEnoughData=INCOMPLETE
        )
        self._is_over = False
        self.ended = asyncio.Event()

    def end(self) -> None:
        """Ignore whatever still arrives."""
        self._is_over = True
        self.ended.set()

    def data_received(self, data: bytes) -> None:
        reader = self._reader
        reader.feed(data)
        try:
            while not self._is_over and (answer := reader.gets()) is not INCOMPLETE:
                self._received(answer)
        except InvalidResponse as exc:
            self._lost(exc)

    def connection_lost(self, error: Exception | None) -> None:
        if not self._is_over:
            self._lost(RedisConnectionError(str(error) if error else "The server closed the connection."))

"""A pool of connections to one server, the same for every driver.

The pools of aiomysql and asyncmy connect while they hold the lock that all callers need, and wake no waiter when a
connection is lost. Here waiters receive a connection, or the slot of a lost one, in the order of arrival.
"""

from __future__ import annotations

import asyncio
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Coroutine
from typing import Any, NamedTuple

from sanicbase.db.errors import DatabaseError, DatabaseTimeout, DatabaseUnavailable, State
from sanicbase.errors import SanicBaseError

__all__ = ["Driver", "Pool", "PoolUsage"]

CLOSE_TIMEOUT = 2.0  # seconds to close a connection, and for connections in use to be released
RECOVERY_TIMEOUT = 2.0  # seconds to cancel an abandoned statement
CANCEL_EVERY = 0.1  # seconds between two cancellations of a connecting driver


class PoolUsage(NamedTuple):
    """The state of a pool: its connections, and the callers that wait for one."""

    in_use: int
    idle: int
    waiting: int


class Driver(ABC):
    """The interface of a driver to the pool; the driver defines the type of a connection."""

    @staticmethod
    @abstractmethod
    def translate(error: BaseException) -> SanicBaseError | None:
        """The exception of `sanicbase.db.errors` for the driver's error; None for other errors."""

    @abstractmethod
    async def connect(self) -> Any:
        """Open a connection and configure its session."""

    @abstractmethod
    def is_closed(self, connection: Any) -> bool:
        """Whether the connection is closed, as far as the client knows."""

    @abstractmethod
    def abort(self, connection: Any) -> None:
        """Close the socket at once."""

    @abstractmethod
    async def close(self, connection: Any) -> None:
        """Close the connection by the protocol."""

    @abstractmethod
    def is_in_sync(self, connection: Any, error: BaseException) -> bool:
        """Whether the connection can be used after this error: the answer was read completely."""

    def needs_reset(self, connection: Any) -> bool:
        """Override when the next user of a connection could see something of the last one."""
        return False

    async def reset(self, connection: Any, limit: float | None) -> None:  # noqa: B027  (only where it is needed)
        """Override to reset the session, within `limit` seconds."""

    async def recover(self, connection: Any) -> None:
        """Override to restore a connection whose statement was cancelled; by default it is closed."""
        self.abort(connection)


class Pool:
    """At most `size` connections, opened on demand; one that was idle for `idle` seconds is closed.

    `acquire` raises DatabaseTimeout when none is free within `timeout` seconds, and DatabaseUnavailable when none can
    be opened. The timeout covers both the wait and the connecting. Each acquired connection is returned by `release`,
    `invalidate` or `recover`.
    """

    def __init__(self, driver: Driver, *, size: int, timeout: float, idle: float) -> None:
        self.driver = driver
        self._size = size
        self._timeout = timeout
        self._idle = idle
        self._free: list[tuple[Any, float]] = []
        self._used: set[Any] = set()
        self._taken = 0  # slots: connections, and those being opened
        self._waiters: deque[asyncio.Future[Any]] = deque()
        self._tasks: set[asyncio.Task[None]] = set()  # not awaited by callers
        self._abandoned: set[asyncio.Task[Any]] = set()  # connecting tasks whose callers were cancelled
        self.closed = False
        self._all_closed: asyncio.Future[None] | None = None

    @property
    def usage(self) -> PoolUsage:
        """Its connections now."""
        return PoolUsage(len(self._used), len(self._free), sum(not waiter.done() for waiter in self._waiters))

    def take_idle(self) -> Any:
        """An idle connection, or None."""
        while self._free:
            connection, since = self._free.pop()  # the most recently used
            if not self.driver.is_closed(connection) and time.monotonic() - since < self._idle:
                self._used.add(connection)
                return connection
            self.driver.abort(connection)
            self._hand_over(None)
        return None

    async def acquire(self) -> Any:
        """A connection for exclusive use until it is returned."""
        if self.closed:
            raise DatabaseUnavailable("The databases of this process are closed.")
        if (connection := self.take_idle()) is None:
            connection = await self._wait_or_connect()
            self._used.add(connection)
        return connection

    def give_back(self, connection: Any) -> bool:
        """Return a connection, unless it needs a reset: False leaves it to `release`."""
        if self.driver.needs_reset(connection):
            return False
        self._return(connection)
        return True

    async def release(self, connection: Any, limit: float | None) -> None:
        """Reset and return a connection; one that cannot be reset within `limit` seconds is closed."""
        if self.driver.is_closed(connection):
            self.invalidate(connection)
            return
        if self.give_back(connection):
            return
        try:
            await self.driver.reset(connection, limit)
        except Exception:  # the statement has succeeded
            self.invalidate(connection)
        except BaseException:
            self.invalidate(connection)
            raise
        else:
            self._return(connection)

    def invalidate(self, connection: Any) -> None:
        """Close a connection that lost synchronization, and free its slot."""
        self.driver.abort(connection)
        self._used.discard(connection)
        self._hand_over(None)

    def recover(self, connection: Any) -> None:
        """Return a connection whose statement was cancelled, after restoring it in the background."""
        self._start(self._recover(connection))

    async def close(self) -> None:
        """Close all connections; those in use are awaited for CLOSE_TIMEOUT."""
        self.closed = True
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_exception(DatabaseUnavailable("The databases of this process are closed."))
        free, self._free = [connection for connection, _ in self._free], []
        try:
            await asyncio.gather(*(_cancel_at(connecting, deadline=0.0) for connecting in self._abandoned))
            await asyncio.gather(*map(self._close, free))
            if self._taken:
                self._all_closed = asyncio.get_running_loop().create_future()
                async with asyncio.timeout(CLOSE_TIMEOUT):
                    await self._all_closed
        except TimeoutError:
            pass
        finally:
            for connection in (*free, *self._used):
                self.driver.abort(connection)
            tasks = list(self._tasks)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _wait_or_connect(self) -> Any:
        deadline = asyncio.get_running_loop().time() + self._timeout
        if self._taken < self._size:
            self._taken += 1
        elif (connection := await self._wait(deadline)) is not None:
            return connection
        return await self._connect(deadline)

    async def _wait(self, deadline: float) -> Any:
        """A connection from another caller, or None for a free slot."""
        waiter = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        try:
            async with asyncio.timeout_at(deadline):
                return await waiter
        except BaseException as exc:
            if waiter in self._waiters:
                self._waiters.remove(waiter)
            elif not waiter.cancelled() and not waiter.exception():  # received, but not used
                self._hand_over(waiter.result())
            if isinstance(exc, TimeoutError):
                raise DatabaseTimeout(
                    f"None of the {self._size} connections was free within {self._timeout:g} seconds. Raise "
                    "DB_POOL_SIZE, or hold transactions for a shorter time."
                ) from exc
            raise

    async def _connect(self, deadline: float) -> Any:
        """Open a connection for a reserved slot; a failure frees the slot.

        The driver connects in a separate task: aiomysql and asyncmy use wait_for, which before Python 3.12 may swallow
        a cancellation, and would then wait for a silent server without limit.
        """
        loop = asyncio.get_running_loop()
        connecting = loop.create_task(self.driver.connect())
        try:
            await asyncio.wait((connecting,), timeout=max(0.0, deadline - loop.time()))
        except BaseException:
            self._abandon(connecting, deadline)
            raise
        if not connecting.done():
            self._abandon(connecting, deadline)
            raise DatabaseUnavailable(f"The server accepted no connection within {self._timeout:g} seconds.")
        try:
            return connecting.result()
        except BaseException as exc:
            self._hand_over(None)
            if isinstance(exc, Exception) and (translated := self.driver.translate(exc)):
                # Also for a refused password: the service cannot reach the database.
                message = str(translated) if isinstance(translated, DatabaseError) else type(exc).__name__
                raise DatabaseUnavailable(message, state=_state(translated)) from exc
            raise

    def _abandon(self, connecting: asyncio.Task[Any], deadline: float) -> None:
        """Let the attempt of a cancelled caller continue to its deadline: the next caller gets the connection."""
        self._abandoned.add(connecting)
        connecting.add_done_callback(self._connected)
        self._start(_cancel_at(connecting, deadline))

    def _connected(self, connecting: asyncio.Task[Any]) -> None:
        self._abandoned.discard(connecting)
        if connecting.cancelled() or connecting.exception():
            self._hand_over(None)
        else:
            self._return(connecting.result())

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _recover(self, connection: Any) -> None:
        try:
            async with asyncio.timeout(RECOVERY_TIMEOUT):
                await self.driver.recover(connection)
        except BaseException as exc:
            self.invalidate(connection)
            if not isinstance(exc, Exception):
                raise
        else:
            self._return(connection)

    def _return(self, connection: Any) -> None:
        if self.closed or self.driver.is_closed(connection):
            self.invalidate(connection)
        else:
            self._used.discard(connection)
            self._hand_over(connection)

    def _hand_over(self, connection: Any) -> None:
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(connection)
                return
        if connection is not None:
            self._free.append((connection, time.monotonic()))
            return
        self._taken -= 1
        if self._all_closed and not self._all_closed.done() and not self._taken:
            self._all_closed.set_result(None)

    async def _close(self, connection: Any) -> None:
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT):
                await self.driver.close(connection)
        except Exception:  # it is closed in any case
            self.driver.abort(connection)
        self._hand_over(None)


async def _cancel_at(connecting: asyncio.Task[Any], deadline: float) -> None:
    """Cancel a task at its deadline, repeatedly: a driver may swallow a cancellation."""
    try:
        await asyncio.wait((connecting,), timeout=max(0.0, deadline - asyncio.get_running_loop().time()))
    finally:
        while not connecting.done():
            connecting.cancel()
            await asyncio.wait((connecting,), timeout=CANCEL_EVERY)


def _state(error: SanicBaseError) -> State:
    """The state of a server that accepts no connection: silent, or refusing."""
    silent = isinstance(error, DatabaseTimeout) or (isinstance(error, DatabaseUnavailable) and error.state == "away")
    return "away" if silent else "refusing"

"""One process at a time changes the tables of a database: an advisory lock of the server's, or a file's.

The lock belongs to the session that changes the tables. It ends with that session, also when its process is killed, and
not before the last statement of a killed process has ended, which a server may go on with for a while.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from tortoise.backends.base.client import BaseDBAsyncClient

from sanicbase.db.engine.session import session
from sanicbase.db.errors import DatabaseError
from sanicbase.errors import MigrationError
from sanicbase.i18n import gettext as _
from sanicbase.migrations.statements import Dialect

__all__ = ["LOCK_TIMEOUT", "MigrationLockTimeout", "dialect_of", "locked_sessions", "open_sessions"]

LOCK_TIMEOUT = 300.0  # seconds
POLL = 0.25  # seconds between two tries
IDLE = 86_400  # seconds that MySQL keeps a session that waits for the statement of another
NAME = "sanicbase.migrations"

OnWait = Callable[[str], None]
"""Told once, in a sentence, that another process has the lock."""


class MigrationLockTimeout(MigrationError):
    """Another process has changed the tables of the database for longer than the caller would wait."""


@asynccontextmanager
async def locked_sessions(
    connections: Iterable[str], *, seconds: float = LOCK_TIMEOUT, on_wait: OnWait = lambda sentence: None
) -> AsyncIterator[dict[str, BaseDBAsyncClient]]:
    """A session with each of these connections, and the lock of each database, to the end of the block.

    Raises MigrationLockTimeout when a lock was not free within `seconds`, all of them together.
    """
    deadline = time.monotonic() + seconds
    async with open_sessions(connections) as sessions, AsyncExitStack() as stack:
        locks = {name: LOCKS[dialect_of(client)](client) for name, client in sessions.items()}
        databases = {await lock.database(): lock for lock in locks.values()}
        for _, lock in sorted(databases.items()):  # all processes in one order, so that no two wait for each other
            await lock.acquire(seconds, deadline, on_wait)
            stack.push_async_callback(lock.release)
        yield sessions


@asynccontextmanager
async def open_sessions(connections: Iterable[str]) -> AsyncIterator[dict[str, BaseDBAsyncClient]]:
    """The same without the locks."""
    async with AsyncExitStack() as stack:
        yield {name: await stack.enter_async_context(session(name)) for name in connections}


def dialect_of(client: BaseDBAsyncClient) -> Dialect:
    """The dialect that the client's database speaks."""
    dialect: Dialect = client.capabilities.dialect  # type: ignore[assignment]  # one of Tortoise's, which are more
    return dialect


class _DatabaseLock(ABC):
    """The lock of one database, asked for until it is had."""

    def __init__(self, client: BaseDBAsyncClient) -> None:
        self.client: Any = client

    @abstractmethod
    async def database(self) -> tuple[str, ...]:
        """What tells the database apart from every other one, whatever its URL says."""

    @abstractmethod
    async def try_acquire(self) -> bool:
        """Whether the lock is had now."""

    @abstractmethod
    async def holder(self) -> tuple[str, str]:
        """Who has it, and how to end that; in the language of the terminal."""

    @abstractmethod
    async def release(self) -> None:
        """Let it go, as far as the database can still be told."""

    async def acquire(self, seconds: float, deadline: float, on_wait: OnWait) -> None:
        reported = False
        # No call that waits: PostgreSQL's would hold a snapshot, for which a CREATE INDEX CONCURRENTLY waits in turn.
        while not await self.try_acquire():
            if time.monotonic() >= deadline:
                raise await self._timeout(seconds)
            if not reported:
                holder = (await self.holder())[0]
                on_wait(
                    _(
                        "Waiting for {holder}, which is migrating {database}.",
                        holder=holder,
                        database=self.database_name,
                    )
                )
                reported = True
            await asyncio.sleep(POLL)

    @property
    def database_name(self) -> str:
        return str(self.client.database)

    async def _timeout(self, seconds: float) -> MigrationLockTimeout:
        who, remedy = await self.holder()
        return MigrationLockTimeout(
            _(
                "{holder} has held the migration lock of {database} for longer than {seconds:g} seconds. Nothing "
                "was changed. Wait for it with a higher --timeout, or end it: {remedy}",
                holder=who,
                database=self.database_name,
                seconds=seconds,
                remedy=remedy,
            )
        )


class _PostgresLock(_DatabaseLock):
    key = int.from_bytes(hashlib.sha256(NAME.encode()).digest()[:8], signed=True)

    async def database(self) -> tuple[str, ...]:
        # A server that is restarted is another one, which ends the session anyway.
        (row,) = await self.client.execute_query_dict(
            "SELECT current_database()::text AS name, pg_postmaster_start_time()::text AS server"
        )
        for variable in ("idle_session_timeout = 0", "client_connection_check_interval = 1000"):
            with suppress(DatabaseError):  # before version 14
                await self.client.execute_script(f"SET {variable}")
        return "postgres", row["server"], row["name"]

    async def try_acquire(self) -> bool:
        (row,) = await self.client.execute_query_dict(f"SELECT pg_try_advisory_lock({self.key}) AS taken")
        return bool(row["taken"])

    async def holder(self) -> tuple[str, str]:
        rows = await self.client.execute_query_dict(
            "SELECT a.pid, coalesce(host(a.client_addr), 'local') AS client FROM pg_locks l "
            "JOIN pg_stat_activity a USING (pid) WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1 "
            "AND ((l.classid::bigint << 32) | l.objid::bigint) = $1 "
            "AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())",
            [self.key],
        )
        return _session_holder(rows, "SELECT pg_terminate_backend({pid})")

    async def release(self) -> None:
        with suppress(DatabaseError):  # the session's end releases it as well
            await self.client.execute_query_dict(f"SELECT pg_advisory_unlock({self.key})")


class _MySQLLock(_DatabaseLock):
    async def database(self) -> tuple[str, ...]:
        (row,) = await self.client.execute_query_dict(
            "SELECT DATABASE() AS name, CONCAT(@@hostname, ':', @@port) AS server"
        )
        # Names of locks are the server's, and at most 64 characters long.
        self._name = f"{NAME}.{hashlib.sha256(row['name'].encode()).hexdigest()[:32]}"
        await self.client.execute_script(f"SET SESSION wait_timeout = {IDLE}")
        return "mysql", row["server"], row["name"]

    async def try_acquire(self) -> bool:
        (row,) = await self.client.execute_query_dict(f"SELECT GET_LOCK('{self._name}', 0) AS taken")
        return bool(row["taken"])

    async def holder(self) -> tuple[str, str]:
        rows = await self.client.execute_query_dict(
            "SELECT id AS pid, SUBSTRING_INDEX(host, ':', 1) AS client FROM information_schema.processlist "
            "WHERE id = IS_USED_LOCK(%s)",
            [self._name],
        )
        return _session_holder(rows, "KILL {pid}")

    async def release(self) -> None:
        with suppress(DatabaseError):
            await self.client.execute_query_dict(f"SELECT RELEASE_LOCK('{self._name}')")


class _FileLock(_DatabaseLock):
    """SQLite's: a file beside the database, whose lock the kernel drops with the process."""

    def __init__(self, client: BaseDBAsyncClient) -> None:
        super().__init__(client)
        self._file = Path(self.client.filename)
        self._lock = FileLock(self._file.with_suffix(".lock"))
        self._in_memory = self.client.filename == ":memory:"

    async def database(self) -> tuple[str, ...]:
        return "sqlite", "", str(self._file.resolve())

    async def try_acquire(self) -> bool:
        if self._in_memory:  # which nobody else can reach
            return True
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            return False
        return True

    async def holder(self) -> tuple[str, str]:
        path = self._lock.lock_file
        return _("another process"), f"fuser {path}"

    async def release(self) -> None:
        self._lock.release()

    @property
    def database_name(self) -> str:
        return str(self._file)


def _session_holder(rows: list[dict[str, Any]], remedy: str) -> tuple[str, str]:
    if not rows:  # it has just ended, or may not be seen by this account
        return _("another session"), _("end that session")
    pid, client = rows[0]["pid"], rows[0]["client"]
    return _("the session {pid} from {client}", pid=pid, client=client), remedy.format(pid=pid)


LOCKS: dict[Dialect, type[_DatabaseLock]] = {"postgres": _PostgresLock, "mysql": _MySQLLock, "sqlite": _FileLock}

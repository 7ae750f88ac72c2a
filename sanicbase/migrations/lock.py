"""Lets one process at a time change the tables of a database: an advisory lock of the server, or a file lock.

The lock belongs to the session that changes the tables. It ends with that session, also when the process is killed. It
outlives the last statement of a killed process, which a server may continue for a while.
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

from tortoise.backends.base.client import BaseDBAsyncClient

from sanicbase.db.engine.session import session
from sanicbase.db.errors import DatabaseError
from sanicbase.errors import MigrationError
from sanicbase.i18n import gettext as _
from sanicbase.migrations.statements import Dialect

__all__ = ["LOCK_TIMEOUT", "MigrationLockTimeout", "dialect_of", "locked_sessions", "open_sessions"]

LOCK_TIMEOUT = 300.0  # seconds
POLL = 0.25  # seconds between two attempts
IDLE = 86_400  # seconds that MySQL keeps a session waiting for another session's statement
NAME = "sanicbase.migrations"

OnWait = Callable[[str], None]
"""Called once with a sentence when another process holds the lock."""


class MigrationLockTimeout(MigrationError):
    """Another process has held the migration lock for longer than the timeout."""


@asynccontextmanager
async def locked_sessions(
    connections: Iterable[str], *, seconds: float = LOCK_TIMEOUT, on_wait: OnWait = lambda sentence: None
) -> AsyncIterator[dict[str, BaseDBAsyncClient]]:
    """A session for each of these connections, and the lock of each database, until the block ends.

    Raises MigrationLockTimeout when the locks are not acquired within `seconds` in total.
    """
    deadline = time.monotonic() + seconds
    async with open_sessions(connections) as sessions, AsyncExitStack() as stack:
        locks = {name: LOCKS[dialect_of(client)](client) for name, client in sessions.items()}
        databases = {await lock.database(): lock for lock in locks.values()}
        for _, lock in sorted(databases.items()):  # all processes lock in the same order, which prevents deadlocks
            await lock.acquire(seconds, deadline, on_wait)
            stack.push_async_callback(lock.release)
        yield sessions


@asynccontextmanager
async def open_sessions(connections: Iterable[str]) -> AsyncIterator[dict[str, BaseDBAsyncClient]]:
    """The same without locks."""
    async with AsyncExitStack() as stack:
        yield {name: await stack.enter_async_context(session(name)) for name in connections}


def dialect_of(client: BaseDBAsyncClient) -> Dialect:
    """The dialect of the client's database."""
    dialect: Dialect = client.capabilities.dialect  # type: ignore[assignment]  # one of Tortoise's, which are more
    return dialect


class _DatabaseLock(ABC):
    """The lock of one database; `acquire` polls it."""

    def __init__(self, client: BaseDBAsyncClient) -> None:
        self.client: Any = client

    @abstractmethod
    async def database(self) -> tuple[str, ...]:
        """A name that identifies the database, whatever its URL is."""

    @abstractmethod
    async def try_acquire(self) -> bool:
        """Try to acquire the lock; return whether it succeeded."""

    @abstractmethod
    async def holder(self) -> tuple[str, str]:
        """The holder of the lock, and how to end it, in the language of the terminal."""

    @abstractmethod
    async def release(self) -> None:
        """Release the lock, if the database can still be reached."""

    async def acquire(self, seconds: float, deadline: float, on_wait: OnWait) -> None:
        reported = False
        # Polls, since a blocking call of PostgreSQL would hold a snapshot, for which CREATE INDEX CONCURRENTLY waits.
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
        holder, remedy = await self.holder()
        return MigrationLockTimeout(
            _(
                "{holder} has held the migration lock of {database} for longer than {seconds:g} seconds. Nothing "
                "was changed. Wait for it with a higher --timeout, or end it: {remedy}",
                holder=holder,
                database=self.database_name,
                seconds=seconds,
                remedy=remedy,
            )
        )


class _PostgresLock(_DatabaseLock):
    key = int.from_bytes(hashlib.sha256(NAME.encode()).digest()[:8], signed=True)

    async def database(self) -> tuple[str, ...]:
        # A restarted server has another id; the restart has ended the session anyway.
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
        with suppress(DatabaseError):  # the end of the session releases it as well
            await self.client.execute_query_dict(f"SELECT pg_advisory_unlock({self.key})")


class _MySQLLock(_DatabaseLock):
    async def database(self) -> tuple[str, ...]:
        (row,) = await self.client.execute_query_dict(
            "SELECT DATABASE() AS name, CONCAT(@@hostname, ':', @@port) AS server"
        )
        # Lock names belong to the server, and have at most 64 characters.
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
    """The lock for SQLite: a file beside the database, whose lock the kernel releases with the process."""

    def __init__(self, client: BaseDBAsyncClient) -> None:
        from filelock import FileLock  # with which the other databases do nothing

        super().__init__(client)
        self._file = Path(self.client.filename)
        self._lock = FileLock(self._file.with_suffix(".lock"))
        self._in_memory = self.client.filename == ":memory:"

    async def database(self) -> tuple[str, ...]:
        return "sqlite", "", str(self._file.resolve())

    async def try_acquire(self) -> bool:
        from filelock import Timeout

        if self._in_memory:  # no other process can reach it
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
    if not rows:  # it has just ended, or this account may not see it
        return _("another session"), _("end that session")
    pid, client = rows[0]["pid"], rows[0]["client"]
    return _("the session {pid} from {client}", pid=pid, client=client), remedy.format(pid=pid)


LOCKS: dict[Dialect, type[_DatabaseLock]] = {"postgres": _PostgresLock, "mysql": _MySQLLock, "sqlite": _FileLock}

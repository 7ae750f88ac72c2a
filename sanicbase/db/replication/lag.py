"""Why a replica that answers is not to be read from, asked in each database's own way."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, ClassVar

from sanicbase.db.errors import DatabaseError, DatabaseTimeout, DatabaseUnavailable

__all__ = ["Lag", "lag_of"]

logger = logging.getLogger("sanicbase.db")

Ask = Callable[[str], Awaitable[list[dict[str, Any]]]]
"""Sends a statement to one server and returns its rows."""

STOPPED = "its replication has stopped"
UNAVAILABLE = (DatabaseUnavailable, DatabaseTimeout)


class Lag:
    """How far the replicas of one primary are behind: not at all, for a database that cannot tell.

    `limit` is in seconds. Whatever a server refuses to tell is taken for no lag, and said once.
    """

    question: ClassVar[str] = "SELECT 1"

    def __init__(self, limit: float) -> None:
        self.limit = limit
        self._warned: set[str] = set()

    async def check_primary(self, ask: Ask) -> None:
        """Ask the primary, before its replicas are. Raises what is raised when it does not answer."""
        await ask(self.question)

    async def fault(self, name: str, ask: Ask) -> str | None:
        """Why the replica is left out, None when it can be read from. Raises when it does not answer."""
        await ask(self.question)
        return None

    @property
    def too_far_behind(self) -> str:
        """What is said of a replica that is further behind."""
        return f"it is more than {self.limit:g} s behind its primary"

    def warn_unknown(self, name: str, why: object) -> None:
        """Say once that a replica's lag is not known."""
        if name not in self._warned:
            self._warned.add(name)
            logger.warning("How far %s is behind cannot be told (%s): no lag is assumed.", name, why)


class PostgresLag(Lag):
    """By the positions in the write-ahead log that the primary had, at times of our own monotonic clock.

    The standby itself does not know: `pg_last_xact_replay_timestamp` grows old while the primary is idle, and a
    standby that has lost its primary has replayed all that it has heard of.
    """

    question = "SELECT (pg_current_wal_lsn() - '0/0'::pg_lsn)::bigint AS position"
    replayed: ClassVar[str] = (
        "SELECT pg_is_in_recovery() AS standby, (pg_last_wal_replay_lsn() - '0/0'::pg_lsn)::bigint AS position"
    )

    def __init__(self, limit: float) -> None:
        super().__init__(limit)
        self._positions: deque[tuple[float, int]] = deque()  # of the last `limit` seconds, the oldest first

    async def check_primary(self, ask: Ask) -> None:
        now = time.monotonic()  # before the answer: what is replayed up to it is at least as new as that
        try:
            position = int((await ask(self.question))[0]["position"])
        except UNAVAILABLE:
            raise
        except DatabaseError as exc:
            self._positions.clear()
            self.warn_unknown("a replica", exc)
            return
        known = self._positions
        if known and position < known[-1][1]:
            known.clear()  # another server, or an older copy of this one
        known.append((now, position))
        while known[0][0] < now - self.limit:
            known.popleft()

    async def fault(self, name: str, ask: Ask) -> str | None:
        try:
            (row,) = await ask(self.replayed)
        except UNAVAILABLE:
            raise
        except DatabaseError as exc:
            self.warn_unknown(name, exc)
            return None
        if not row["standby"]:
            return "it is no standby"
        if row["position"] is None:
            self.warn_unknown(name, "it does not tell what it has replayed")
            return None
        behind = bool(self._positions) and int(row["position"]) < self._positions[0][1]
        return self.too_far_behind if behind else None


class MySQLLag(Lag):
    """By what the replica says. MariaDB and MySQL have two names for all of it."""

    statements: ClassVar = ("SHOW REPLICA STATUS", "SHOW SLAVE STATUS")
    seconds: ClassVar = ("Seconds_Behind_Source", "Seconds_Behind_Master")
    threads: ClassVar = (
        ("Replica_IO_Running", "Slave_IO_Running"),
        ("Replica_SQL_Running", "Slave_SQL_Running"),
    )

    async def fault(self, name: str, ask: Ask) -> str | None:
        try:
            rows = await self._status(ask)
        except UNAVAILABLE:
            raise
        except DatabaseError as exc:
            self.warn_unknown(name, exc)
            return None
        if not rows:
            self.warn_unknown(name, "it has no replication")
            return None
        if not all(_first(row, names) == "Yes" for row in rows for names in self.threads):
            return STOPPED
        lags = [_first(row, self.seconds) for row in rows]
        if None in lags:
            return STOPPED
        return self.too_far_behind if max(map(float, lags)) > self.limit else None

    async def _status(self, ask: Ask) -> list[dict[str, Any]]:
        try:
            return await ask(self.statements[0])
        except UNAVAILABLE:
            raise
        except DatabaseError:
            return await ask(self.statements[1])  # of servers from before the word was changed


def lag_of(dialect: str, limit: float) -> Lag:
    """What tells the lag of replicas that speak a Tortoise dialect."""
    return {"postgres": PostgresLag, "mysql": MySQLLag}.get(dialect, Lag)(limit)


def _first(row: dict[str, Any], names: tuple[str, ...]) -> Any:
    return next((row[name] for name in names if name in row), None)

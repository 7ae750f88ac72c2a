"""The replication lag of replicas, measured for each kind of database."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, ClassVar

from sanicbase.db.errors import DatabaseError, DatabaseTimeout, DatabaseUnavailable
from sanicbase.metrics import Gauge

__all__ = ["LAG", "Lag", "lag_of"]

logger = logging.getLogger("sanicbase.db")

Ask = Callable[[str], Awaitable[list[dict[str, Any]]]]
"""Sends a statement to one server and returns its rows."""

LAG = Gauge(
    "sanicbase_db_replica_lag_seconds",
    "How far a replica is behind its primary, by the last check. Beyond DB_REPLICA_MAX_LAG it is that limit at least.",
    ["replica"],
    takes_maximum=True,
)
STOPPED = "its replication has stopped"
UNAVAILABLE = (DatabaseUnavailable, DatabaseTimeout)


class Lag:
    """The lag of the replicas of one primary; none, for a database that cannot measure it.

    `limit` is in seconds. A server that refuses the query is assumed to have no lag, which is logged once.
    """

    question: ClassVar[str] = "SELECT 1"

    def __init__(self, limit: float) -> None:
        self.limit = limit
        self._warned: set[str] = set()

    async def check_primary(self, ask: Ask) -> None:
        """Query the primary, before its replicas. Raises its errors."""
        await ask(self.question)

    async def fault(self, name: str, ask: Ask) -> str | None:
        """Why the replica is not used, None when it is. Raises its errors."""
        await ask(self.question)
        return None

    @property
    def too_far_behind(self) -> str:
        """The fault of a replica behind the limit."""
        return f"it is more than {self.limit:g} s behind its primary"

    def warn_unknown(self, name: str, reason: object) -> None:
        """Log once that a replica's lag is unknown."""
        if name not in self._warned:
            self._warned.add(name)
            logger.warning("The replication lag of %s is unknown (%s): no lag is assumed.", name, reason)


class PostgresLag(Lag):
    """Compares WAL positions of the primary, by our monotonic clock, with the replayed position of the standby.

    The standby cannot measure it: `pg_last_xact_replay_timestamp` ages while the primary is idle, and a standby that
    has lost its primary has replayed all that it received.
    """

    question = "SELECT (pg_current_wal_lsn() - '0/0'::pg_lsn)::bigint AS position"
    replayed: ClassVar[str] = (
        "SELECT pg_is_in_recovery() AS standby, (pg_last_wal_replay_lsn() - '0/0'::pg_lsn)::bigint AS position"
    )

    def __init__(self, limit: float) -> None:
        super().__init__(limit)
        self._positions: deque[tuple[float, int]] = deque()  # of the last `limit` seconds, the oldest first

    async def check_primary(self, ask: Ask) -> None:
        now = time.monotonic()  # before the query: a standby at that position is not older
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
            known.clear()  # another server, or a restored backup
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
            return "it is not a standby"
        if row["position"] is None:
            self.warn_unknown(name, "it does not report its replay position")
            return None
        position, now = int(row["position"]), time.monotonic()
        if (known := self._known_at(position)) is not None:
            LAG.set(now - known, name)
            return None
        if not self._positions:
            return None
        LAG.set(max(self.limit, now - self._positions[0][0]), name)
        return self.too_far_behind

    def _known_at(self, position: int) -> float | None:
        """When the primary was last known at that position or an earlier one; None when it was further at all times."""
        return next((moment for moment, known in reversed(self._positions) if known <= position), None)


class MySQLLag(Lag):
    """Uses SHOW REPLICA STATUS, for which MariaDB and MySQL have old and new names."""

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
            self.warn_unknown(name, "it is not a replica")
            return None
        if not all(_first(row, names) == "Yes" for row in rows for names in self.threads):
            return STOPPED
        lags = [_first(row, self.seconds) for row in rows]
        if None in lags:
            return STOPPED
        lag = max(map(float, lags))
        LAG.set(lag, name)
        return self.too_far_behind if lag > self.limit else None

    async def _status(self, ask: Ask) -> list[dict[str, Any]]:
        try:
            return await ask(self.statements[0])
        except UNAVAILABLE:
            raise
        except DatabaseError:
            return await ask(self.statements[1])  # of older servers


def lag_of(dialect: str, limit: float) -> Lag:
    """The Lag for a Tortoise dialect."""
    return {"postgres": PostgresLag, "mysql": MySQLLag}.get(dialect, Lag)(limit)


def _first(row: dict[str, Any], names: tuple[str, ...]) -> Any:
    return next((row[name] for name in names if name in row), None)

"""Tortoise's MySQL engine with our pool, limits and errors, for whichever driver: aiomysql or asyncmy.

Tortoise takes asyncmy wherever it can be imported. What it does with the driver itself, connecting and catching its
errors, is done here instead; so both can be used in one process, each by the engine module of its name.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from datetime import UTC, datetime
from typing import Any, ClassVar

from tortoise.backends.base.client import TransactionContext
from tortoise.backends.mysql.client import MySQLClient, TransactionWrapper

from sanicbase.db.engine.limits import Limits
from sanicbase.db.engine.pool import Driver
from sanicbase.db.engine.pooled import PooledClient
from sanicbase.db.engine.transactions import LimitedTransaction, transaction
from sanicbase.db.engine.translation import MYSQL_CLIENT, mysql_code, mysql_error

__all__ = ["PooledMySQLClient", "PooledMySQLDriver", "in_utc"]

# Options of the drivers' own pools that a URL may have; the first of them is ours by another name.
POOL_OPTIONS = ("pool_recycle", "echo")


def in_utc(arguments: Any) -> Any:
    """A statement's arguments, with every moment in UTC: both drivers write what a clock shows, without its zone."""
    if isinstance(arguments, list | tuple):
        return [_utc(each) if isinstance(each, datetime) else each for each in arguments]
    return arguments


def _utc(moment: datetime) -> datetime:
    return moment if moment.tzinfo is None else moment.astimezone(UTC)


class PooledMySQLDriver(Driver):
    """What aiomysql and asyncmy have in common."""

    module: ClassVar[Any]
    translate = staticmethod(mysql_error)

    def __init__(self, options: dict[str, Any], session: dict[str, str], statement: float | None) -> None:
        self._options = options
        self._session = session
        self._statement = statement

    async def connect(self) -> Any:
        connection = await self.module.connect(**self._options)
        try:
            variables = self._session | self._limits(connection.get_server_info())
            await connection.query("SET " + ", ".join(f"{name}={value}" for name, value in variables.items()))
        except BaseException:
            self.abort(connection)
            raise
        return connection

    @abstractmethod
    def is_closed(self, connection: Any) -> bool:
        """As the pool asks it; each driver knows it in another way."""

    def abort(self, connection: Any) -> None:
        connection.close()

    async def close(self, connection: Any) -> None:
        await connection.ensure_closed()

    def is_in_step(self, connection: Any, error: BaseException) -> bool:
        # An error of the server's is the whole answer. After any other nobody knows how much of one was read, unless
        # nothing was sent.
        code = mysql_code(error) if isinstance(error, Exception) else 0
        answered = code > 0 and code not in MYSQL_CLIENT
        return (answered or isinstance(error, UnicodeEncodeError)) and not self.is_closed(connection)

    async def reset(self, connection: Any, limit: float | None) -> None:
        """Nothing: a session keeps its variables, as with the drivers' own pools."""

    def _limits(self, version: str) -> dict[str, str]:
        if self._statement is None:
            return {}
        limits = {"innodb_lock_wait_timeout": str(max(1, math.ceil(self._statement)))}
        if "MariaDB" in version:
            return limits | {"max_statement_time": f"{self._statement:.3f}"}
        return limits | {"max_execution_time": str(max(1, int(self._statement * 1000)))}  # of SELECT only


class _Transaction(LimitedTransaction, TransactionWrapper):
    def beginning(self) -> list[str]:
        return [f"SET TRANSACTION ISOLATION LEVEL {self.isolation}", "BEGIN"] if self.isolation else ["BEGIN"]

    async def run(self, connection: Any, command: str) -> None:
        await connection.query(command)


class PooledMySQLClient(PooledClient, MySQLClient):  # type: ignore[misc]  # the pool is ours
    """MySQL and MariaDB; every session is in UTC and utf8mb4, and knows how long a statement may take."""

    driver_class: ClassVar[type[PooledMySQLDriver]]
    translate = staticmethod(mysql_error)

    def __init__(self, **credentials: Any) -> None:
        if (recycle := float(credentials.get("pool_recycle", -1))) > 0:
            credentials.setdefault("idle_timeout", recycle)
        limits = Limits.take(credentials)
        super().__init__(**{name: value for name, value in credentials.items() if name not in POOL_OPTIONS})
        self.limit(limits)

    def driver(self, *, with_db: bool) -> Driver:
        options = {
            "host": self.host,
            "port": self.port,
            "user": self.user,
            "password": self.password,
            "db": self.database if with_db else None,
            "autocommit": True,
            "charset": self.charset,
            **self.extra,
        }
        session = {"time_zone": "'+00:00'"}
        if self.storage_engine:
            session["default_storage_engine"] = f"'{self.storage_engine}'"
        return self.driver_class(options, session, self.limits.statement)

    def _in_transaction(self) -> TransactionContext:
        return transaction(_Transaction(self))

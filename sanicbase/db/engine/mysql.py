"""Tortoise's MySQL engine with our pool, timeouts and errors, for aiomysql and asyncmy.

Tortoise uses asyncmy whenever it can be imported. Connecting and error handling are done here instead, so both drivers
can be used in one process, each by the engine module of its name.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from ssl import SSLContext
from typing import Any, ClassVar

from tortoise.backends.base.client import TransactionContext
from tortoise.backends.mysql.client import MySQLClient, TransactionWrapper

from sanicbase.config.tls import TLS, Level, TLSFailure
from sanicbase.db.engine.pool import Driver
from sanicbase.db.engine.pooled import PooledClient
from sanicbase.db.engine.timeouts import Timeouts
from sanicbase.db.engine.tls import MYSQL_TLS, ssl_context, translated_tls_errors
from sanicbase.db.engine.transactions import EngineTransaction, transaction
from sanicbase.db.engine.translation import MYSQL_CLIENT, MYSQL_RECONNECTED, mysql_code, mysql_error
from sanicbase.db.engine.utc import to_utc
from sanicbase.db.errors import DatabaseTLSError

__all__ = ["PooledMySQLClient", "PooledMySQLDriver", "TLSConnection", "in_utc"]

# Options of the drivers' pools that a URL may have; the first has another name here.
POOL_OPTIONS = ("pool_recycle", "echo")

CLIENT_SSL = 1 << 11  # https://dev.mysql.com/doc/dev/mysql-server/latest/group__group__cs__capabilities__flags.html


def in_utc(arguments: Any) -> Any:
    """A statement's arguments with datetimes in UTC: both drivers write local times without their zone."""
    return [to_utc(value) for value in arguments] if isinstance(arguments, list | tuple) else arguments


class TLSConnection:
    """A mixin for a driver's connection that logs in without TLS only when that is allowed.

    aiomysql would do so silently; asyncmy would wait for a handshake that the server does not start.
    """

    tls_required = True
    flags: ClassVar[str]  # the attribute with the client's capabilities
    server_capabilities: int
    _ssl_context: SSLContext | None

    async def _request_authentication(self) -> None:
        if not self.server_capabilities & CLIENT_SSL:
            if self.tls_required:
                raise DatabaseTLSError(TLSFailure.of_no_tls(MYSQL_TLS))
            self._ssl_context = None
            setattr(self, self.flags, getattr(self, self.flags) & ~CLIENT_SSL)
        await super()._request_authentication()  # type: ignore[misc]  # the driver's


class PooledMySQLDriver(Driver):
    """The common part of aiomysql and asyncmy."""

    translate = staticmethod(mysql_error)

    def __init__(
        self, options: dict[str, Any], session: dict[str, str], statement: float | None, *, tls_required: bool
    ) -> None:
        self.tls_required = tls_required
        self._options = options
        self._session = session
        self._statement = statement

    @abstractmethod
    async def open(self, options: dict[str, Any]) -> Any:
        """Open a connection, with TLS as `ssl` in the options requires."""

    async def connect(self) -> Any:
        with translated_tls_errors(MYSQL_TLS):
            connection = await self.open(self._options)
        try:
            variables = self._session | self._limits(connection.get_server_info())
            await connection.query("SET " + ", ".join(f"{name}={value}" for name, value in variables.items()))
        except BaseException:
            self.abort(connection)
            raise
        return connection

    @abstractmethod
    def is_closed(self, connection: Any) -> bool:
        """See Driver; each driver detects it differently."""

    def abort(self, connection: Any) -> None:
        connection.close()

    async def close(self, connection: Any) -> None:
        await connection.ensure_closed()

    def is_in_sync(self, connection: Any, error: BaseException) -> bool:
        # An error of the server is a complete answer. After other errors part of an answer may be unread, unless
        # nothing was sent.
        code = mysql_code(error) if isinstance(error, Exception) else 0
        answered = code > 0 and code not in MYSQL_CLIENT
        if code in MYSQL_RECONNECTED:  # such as read-only: another server may be the primary now
            return False
        return (answered or isinstance(error, UnicodeEncodeError)) and not self.is_closed(connection)

    def _limits(self, version: str) -> dict[str, str]:
        if self._statement is None:
            return {}
        timeouts = {"innodb_lock_wait_timeout": str(max(1, math.ceil(self._statement)))}
        if "MariaDB" in version:
            return timeouts | {"max_statement_time": f"{self._statement:.3f}"}
        return timeouts | {"max_execution_time": str(max(1, int(self._statement * 1000)))}  # of SELECT only


class _Transaction(EngineTransaction, TransactionWrapper):
    def beginning(self) -> list[str]:
        return [f"SET TRANSACTION ISOLATION LEVEL {self.isolation}", "BEGIN"] if self.isolation else ["BEGIN"]

    async def run(self, connection: Any, command: str) -> None:
        await connection.query(command)


class PooledMySQLClient(PooledClient, MySQLClient):  # type: ignore[misc]  # the pool is ours
    """MySQL and MariaDB; every session is in UTC and utf8mb4, with a statement timeout."""

    driver_class: ClassVar[type[PooledMySQLDriver]]
    translate = staticmethod(mysql_error)

    def __init__(self, **credentials: Any) -> None:
        if (recycle := float(credentials.get("pool_recycle", -1))) > 0:
            credentials.setdefault("idle_timeout", recycle)
        timeouts = Timeouts.take(credentials)
        super().__init__(**{name: value for name, value in credentials.items() if name not in POOL_OPTIONS})
        self.set_timeouts(timeouts)

    def _tls(self) -> SSLContext | None:
        """The drivers' `ssl`; none on a Unix socket, as with libpq."""
        tls = self.extra.get("ssl")
        if tls is None or self.extra.get("unix_socket") or (isinstance(tls, TLS) and tls.level is Level.DISABLE):
            return None
        return ssl_context(tls)

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
            "ssl": self._tls(),
        }
        session = {"time_zone": "'+00:00'"}
        if self.storage_engine:
            session["default_storage_engine"] = f"'{self.storage_engine}'"
        tls = self.extra.get("ssl")
        required = not (isinstance(tls, TLS) and tls.level is Level.PREFER)
        return self.driver_class(options, session, self.timeouts.statement, tls_required=required)

    def _in_transaction(self) -> TransactionContext:
        return transaction(_Transaction(self))

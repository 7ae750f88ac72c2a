"""New databases on a running server, which are dropped at the end."""

from __future__ import annotations

import asyncio
import hashlib
import os
import secrets
import tempfile
from collections.abc import Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import TypeVar
from urllib.parse import unquote, urlsplit

import aiomysql  # type: ignore[import-untyped]
import asyncpg  # type: ignore[import-untyped]
import redis
from filelock import BaseFileLock, FileLock

__all__ = [
    "ask_mysql",
    "ask_postgres",
    "ask_redis",
    "fresh_mysql_database",
    "fresh_postgres_database",
    "fresh_redis_database",
]

_PREFIX = "sanicbase_test_"
_TIMEOUT = 10.0
_LOCK_POLL = 0.01

T = TypeVar("T")


@contextmanager
def fresh_postgres_database(admin_url: str) -> Iterator[str]:
    """Yield the URL of a new, empty database. It is dropped at the end, even with open connections."""
    name = _new_name()
    _run(_create_postgres_database(admin_url, name))
    try:
        yield _with_database(admin_url, name)
    finally:
        ask_postgres(admin_url, f'DROP DATABASE "{name}" WITH (FORCE)')


@contextmanager
def fresh_mysql_database(admin_url: str) -> Iterator[str]:
    """Yield the URL of a new, empty utf8mb4 database. It is dropped at the end, even with open connections."""
    name = _new_name()
    ask_mysql(admin_url, f"CREATE DATABASE `{name}` CHARACTER SET utf8mb4")
    try:
        yield _with_database(admin_url, name)
    finally:
        _drop_mysql_database(admin_url, name)


def _drop_mysql_database(admin_url: str, name: str) -> None:
    # An open transaction of a failed test would block the DROP.
    connections = "SELECT GROUP_CONCAT(id) FROM information_schema.processlist WHERE db = %s"
    for connection in str(ask_mysql(admin_url, connections, name) or "").split(","):
        if connection:
            with suppress(aiomysql.OperationalError):  # it has ended in the meantime
                ask_mysql(admin_url, f"KILL {connection}")
    ask_mysql(admin_url, f"DROP DATABASE `{name}`")


@contextmanager
def fresh_redis_database(url: str, *, shared: bool = True) -> Iterator[str]:
    """Yield `url` itself, because Redis cannot create databases; its database is **flushed** now and at the end.

    Use a database number without valuable data. Test processes of one user on one machine take turns with a `shared`
    Redis; a Redis that only this process uses needs no turns.
    """
    with _lock_of(url) if shared else nullcontext():
        ask_redis(url, "FLUSHDB")
        try:
            yield url
        finally:
            ask_redis(url, "FLUSHDB")


def _lock_of(url: str) -> BaseFileLock:
    name = f"{_PREFIX}{os.getuid()}_{hashlib.sha256(url.encode()).hexdigest()[:16]}.lock"
    return FileLock(Path(tempfile.gettempdir()) / name, poll_interval=_LOCK_POLL)


def ask_postgres(url: str, sql: str) -> object:
    """Run one statement on a new connection, and return the first value of the first row, if any."""
    return _run(_ask_postgres(url, sql))


def ask_mysql(url: str, sql: str, *values: str) -> object:
    """Run one statement on a new connection, and return the first value of the first row, if any."""
    return _run(_ask_mysql(url, sql, values))


def ask_redis(url: str, *command: str) -> object:
    """Run one command on a new connection, and return its response."""
    with redis.Redis.from_url(url, decode_responses=True, socket_timeout=_TIMEOUT) as client:
        answer: object = client.execute_command(*command)
    return answer


async def _ask_postgres(url: str, sql: str) -> object:
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetchval(sql)
    finally:
        await connection.close()


async def _create_postgres_database(admin_url: str, name: str) -> None:
    connection = await asyncpg.connect(admin_url)
    try:
        # Since version 15, PostgreSQL otherwise writes each page of the template to the log, which takes three times as
        # long; a copy of the files is the only way that older versions know.
        strategy = " STRATEGY FILE_COPY" if connection.get_server_version() >= (15,) else ""
        await connection.execute(f'CREATE DATABASE "{name}"{strategy}')
    finally:
        await connection.close()


async def _ask_mysql(url: str, sql: str, values: tuple[str, ...]) -> object:
    parts = urlsplit(url)
    connection = await aiomysql.connect(
        host=parts.hostname or "127.0.0.1",
        port=parts.port or 3306,
        user=unquote(parts.username or "root"),
        password=unquote(parts.password or ""),
    )
    try:
        async with connection.cursor() as cursor:
            await cursor.execute(sql, values or None)
            row = await cursor.fetchone()
            return row[0] if row else None
    finally:
        await connection.ensure_closed()


def _run(work: Coroutine[object, object, T]) -> T:
    async def bounded() -> T:
        async with asyncio.timeout(_TIMEOUT):
            return await work

    # In a separate thread, so that async tests and fixtures can use these as well.
    with ThreadPoolExecutor(max_workers=1) as pool:
        return pool.submit(asyncio.run, bounded()).result()


def _new_name() -> str:
    return _PREFIX + secrets.token_hex(8)


def _with_database(admin_url: str, name: str) -> str:
    return urlsplit(admin_url)._replace(path=f"/{name}").geturl()

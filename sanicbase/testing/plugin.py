"""Fixtures for pytest: a new database for each test, on a real server.

Set `pytest_plugins = ["sanicbase.testing.plugin"]` in your tests/conftest.py. A server is started once per test
process, when a test first requests it. A test whose server is missing is skipped with the name of the server; with
CI=true in the environment it fails, because a build that tests nothing must not pass.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TypeVar

import pytest

from sanicbase.testing.databases import fresh_mysql_database, fresh_postgres_database, fresh_redis_database
from sanicbase.testing.servers import REDIS_URL, ServerMissing, mysql_server, postgres_server, redis_server

__all__ = [
    "mysql_server_url",
    "mysql_url",
    "postgres_server_url",
    "postgres_url",
    "redis_server_url",
    "redis_url",
]

T = TypeVar("T")


@pytest.fixture(scope="session")
def postgres_server_url() -> Iterator[str]:
    """The URL of the administrator of a PostgreSQL server, for all tests of the process."""
    with _or_skip(postgres_server()) as url:
        yield url


@pytest.fixture(scope="session")
def mysql_server_url() -> Iterator[str]:
    """The URL of the administrator of a MariaDB or MySQL server, for all tests of the process."""
    with _or_skip(mysql_server()) as url:
        yield url


@pytest.fixture(scope="session")
def redis_server_url() -> Iterator[str]:
    """The URL of a Redis or Valkey server, for all tests of the process."""
    with _or_skip(redis_server()) as url:
        yield url


@pytest.fixture
def postgres_url(postgres_server_url: str) -> Iterator[str]:
    """The URL of a new, empty PostgreSQL database, dropped after the test."""
    with fresh_postgres_database(postgres_server_url) as url:
        yield url


@pytest.fixture
def mysql_url(mysql_server_url: str) -> Iterator[str]:
    """The URL of a new, empty MariaDB or MySQL database, dropped after the test."""
    with fresh_mysql_database(mysql_server_url) as url:
        yield url


@pytest.fixture
def redis_url(redis_server_url: str) -> Iterator[str]:
    """The URL of an empty Redis database. One that the environment names is flushed before and after the test."""
    with fresh_redis_database(redis_server_url, shared=REDIS_URL in os.environ) as url:
        yield url


@contextmanager
def _or_skip(server: AbstractContextManager[T]) -> Iterator[T]:
    try:
        with server as started:
            yield started
    except ServerMissing as missing:
        give_up = pytest.fail if os.environ.get("CI", "").lower() in ("true", "1") else pytest.skip
        give_up(str(missing))

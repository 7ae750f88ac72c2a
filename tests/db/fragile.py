"""Servers of the tests' own, which they stop, freeze and misconfigure."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import NamedTuple
from uuid import uuid4

import pytest

from sanicbase.testing.databases import ask_mysql, ask_postgres
from sanicbase.testing.private_server import PrivateServer
from sanicbase.testing.servers import ServerMissing, private_mariadb, private_postgres
from tests.db.opening import Store

__all__ = ["Fragile", "fragile", "fragile_servers"]


class Fragile(NamedTuple):
    """A server of the test's own, and an empty database on it."""

    server: PrivateServer
    store: Store
    admin: str

    def ask(self, sql: str) -> object:
        """The first value of the first row that a statement of the server's administrator returns."""
        return (ask_postgres if self.store.kind == "postgres" else ask_mysql)(self.admin, sql)


@pytest.fixture(scope="session")
def fragile_servers() -> Iterator[dict[str, tuple[PrivateServer, str]]]:
    """Started when they are asked for, for they are not the ones that the other tests share."""
    with ExitStack() as stack:
        yield _Servers(stack)


class _Servers(dict[str, tuple[PrivateServer, str]]):
    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack

    def __missing__(self, kind: str) -> tuple[PrivateServer, str]:
        make = private_postgres if kind == "postgres" else private_mariadb
        self[kind] = self._stack.enter_context(make(durable=True))
        return self[kind]


@pytest.fixture(
    params=[
        pytest.param(kind, marks=pytest.mark.xdist_group(f"outages_{'postgres' if kind == 'postgres' else 'mysql'}"))
        for kind in ("postgres", "aiomysql", "asyncmy")
    ]
)
def fragile(request: pytest.FixtureRequest, fragile_servers: dict[str, tuple[PrivateServer, str]]) -> Fragile:
    kind = request.param
    try:
        server, url = fragile_servers["postgres" if kind == "postgres" else "mysql"]
    except ServerMissing as exc:
        pytest.skip(str(exc))
    name = f"outage_{uuid4().hex[:12]}"
    if kind == "postgres":
        ask_postgres(url, f"CREATE DATABASE {name}")
    else:
        ask_mysql(url, f"CREATE DATABASE {name} CHARACTER SET utf8mb4")
    return Fragile(server, Store(kind, f"{url.rpartition('/')[0]}/{name}"), url)

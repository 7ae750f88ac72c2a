"""Behind a PgBouncer that pools by transaction: what must be set there, and what goes wrong without it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from tortoise import Tortoise

from sanicbase.db import Database
from sanicbase.db.errors import DatabaseError
from sanicbase.errors import ResourceError
from sanicbase.testing.databases import ask_postgres
from sanicbase.testing.private_server import private_server
from sanicbase.testing.servers import private_postgres
from tests.deploy.conftest import program
from xi_test.config import XiTestConfig

SETTINGS = """
[databases]
postgres = host=127.0.0.1 port={postgres} dbname=postgres
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = trust
auth_file = {directory}/users
pool_mode = transaction
default_pool_size = 3
max_client_conn = 100
{more}
"""
IGNORING = "ignore_startup_parameters = statement_timeout"

pytestmark = pytest.mark.xdist_group("pgbouncer")  # one process starts the server behind it


@pytest.fixture(scope="module")
def postgres() -> Iterator[int]:
    """The port of a PostgreSQL in another zone, whose account has the limit that PgBouncer does not pass on."""
    with private_postgres() as (server, url):
        ask_postgres(url, "ALTER SYSTEM SET timezone = 'Asia/Shanghai'")
        ask_postgres(url, "SELECT pg_reload_conf()")
        ask_postgres(url, "ALTER ROLE postgres SET statement_timeout = '15s'")
        yield server.port


@pytest.fixture
def bouncer(request: pytest.FixtureRequest, postgres: int) -> Iterator[str]:
    binary = program("pgbouncer", "pgbouncer")
    with private_server("PgBouncer", accounts=("postgres", "nobody")) as server:
        (server.directory / "users").write_text('"postgres" "postgres"\n')
        file = server.directory / "settings.ini"
        file.write_text(
            SETTINGS.format(postgres=postgres, port=server.port, directory=server.directory, more=request.param)
        )
        server.start([binary, str(file)], lambda: True)
        yield f"postgres://postgres:postgres@127.0.0.1:{server.port}/postgres"


async def ask_side_by_side(url: str) -> set[tuple[bool, str, str]]:
    """What ten tasks at once are told of their own number, the session's zone and its limit."""
    async with Database(XiTestConfig(DB_URL=url)):
        connection = Tortoise.get_connection("default")

        async def ask(number: int) -> tuple[bool, str, str]:
            row = (await connection.execute_query_dict(QUERY, [number]))[0]
            return row["number"] == number, row["zone"], row["patience"]

        return {response for _ in range(20) for response in await asyncio.gather(*map(ask, range(10)))}


QUERY = (
    "SELECT $1::int AS number, current_setting('TimeZone') AS zone, current_setting('statement_timeout') AS patience"
)


@pytest.mark.parametrize("bouncer", [IGNORING], indirect=True)
async def test_statements_that_are_not_cached_use_utc_and_the_timeout(bouncer: str) -> None:
    assert await ask_side_by_side(f"{bouncer}?statement_cache_size=0") == {(True, "UTC", "15s")}


@pytest.mark.parametrize("bouncer", [IGNORING], indirect=True)
async def test_kept_statements_meet_connections_that_do_not_have_them(bouncer: str) -> None:
    with pytest.raises(DatabaseError, match="prepared statement"):
        await ask_side_by_side(bouncer)


@pytest.mark.parametrize("bouncer", [""], indirect=True)
async def test_a_bouncer_that_rejects_the_timeout_is_an_error(bouncer: str) -> None:
    with pytest.raises(ResourceError, match="unsupported startup parameter: statement_timeout"):
        await ask_side_by_side(f"{bouncer}?statement_cache_size=0")


def test_the_page_says_what_is_tested() -> None:
    root = Path(__file__).parents[2]
    for language in ("en", "zh"):
        page = (root / "docs" / language / "growing.md").read_text()
        assert IGNORING in page
        assert "statement_cache_size=0" in page
        assert "SET statement_timeout" in page

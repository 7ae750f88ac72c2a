"""Which driver talks to MySQL and MariaDB: the one that is set, whatever is installed."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.db.project import Project, shop

PROGRAM = """\
import asyncio
from sanicbase.db import Database
from sanicbase.errors import ConfigError
from tortoise.connection import get_connection
from shop.config import config

async def main():
    async with Database(config):
        connection = get_connection("default")
        rows = await connection.execute_query_dict("SELECT version() AS version")
        async with connection.acquire_connection() as own:
            print(type(own).__module__.split(".")[0], "talked to", rows[0]["version"])

asyncio.run(main())
"""
WITHOUT_ASYNCMY = """\
import sys

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "asyncmy":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Blocker())
"""


@pytest.fixture
def project(tmp_path: Path, mysql_url: str) -> Project:
    return shop(tmp_path, DB_URL=mysql_url)


pytestmark = pytest.mark.xdist_group("mysql")


def test_aiomysql_is_used_though_asyncmy_is_installed(project: Project) -> None:
    pytest.importorskip("asyncmy")
    assert project.python(PROGRAM).startswith("aiomysql talked to ")


def test_asyncmy_is_as_it_was_for_everybody_else(project: Project) -> None:
    pytest.importorskip("asyncmy")
    output = project.python(f"import asyncmy as before\n{PROGRAM}import asyncmy\nprint(asyncmy is before)")
    assert output.startswith("aiomysql talked to ")
    assert output.endswith("True\n")
    assert project.python(f"{PROGRAM}import asyncmy\nprint(asyncmy.__name__)").endswith("asyncmy\n")


def test_asyncmy_is_used_when_it_is_set(project: Project) -> None:
    pytest.importorskip("asyncmy")
    project.set(DB_DRIVER="asyncmy")
    assert project.python(PROGRAM).startswith("asyncmy talked to ")


def test_driver_of_migrations_is_the_same(project: Project) -> None:
    output = project.shell("aerich init -t shop.config.migrate_db && aerich init-db && aerich migrate")
    assert "No changes detected" in output
    project.set(DB_DRIVER="asyncmy")
    assert "No changes detected" in project.aerich("migrate")


def test_missing_asyncmy_is_an_error_message(project: Project) -> None:
    project.set(DB_DRIVER="asyncmy")
    output = project.python(printing_errors(WITHOUT_ASYNCMY + PROGRAM))
    assert output == "DB_DRIVER is asyncmy, which is not installed. Install sanicbase[asyncmy], or use aiomysql.\n"


def test_aiomysql_needs_no_asyncmy(project: Project) -> None:
    assert project.python(WITHOUT_ASYNCMY + PROGRAM).startswith("aiomysql talked to ")


def test_driver_that_tortoise_has_chosen_before_makes_no_difference(project: Project) -> None:
    pytest.importorskip("asyncmy")
    for driver in ("aiomysql", "asyncmy"):
        project.set(DB_DRIVER=driver)
        assert project.python(f"import tortoise.backends.mysql.client\n{PROGRAM}").startswith(f"{driver} talked to ")


def test_both_drivers_are_used_in_one_process(project: Project) -> None:
    pytest.importorskip("asyncmy")
    other = PROGRAM.replace("asyncio.run", "config = type(config)(DB_DRIVER='asyncmy')\nasyncio.run")
    output = project.python(f"{PROGRAM}{other}{PROGRAM}").splitlines()
    assert [line.split()[0] for line in output] == ["aiomysql", "asyncmy", "aiomysql"]


def printing_errors(program: str) -> str:
    """The program, which prints the ConfigError that would end it."""
    return program.replace(
        "asyncio.run(main())", "try:\n    asyncio.run(main())\nexcept ConfigError as exc:\n    print(exc)"
    )

"""The migrations that the repository has for its example make the tables of the models, however they are applied."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tortoise import Tortoise
from tortoise.connection import get_connection

from sanicbase.migrations.introspection import TableInfo, read_tables
from sanicbase.migrations.model_changes import model_changes
from sanicbase.migrations.status import migration_databases
from sanicbase.testing import fresh_postgres_database
from tests.conftest import ROOT
from tests.preloaded import preloaded
from xi_test.config import XiTestConfig

AERICH = ("aerich init -t xi_test.config.migrate_db", "aerich upgrade")
GUIDER = ("-m sanicbase migrate up xi_test",)


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """What a clone has of the example's service and its migrations."""
    for folder in ("xi_test", "migrations"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


@pytest.fixture
def other_url(postgres_server_url: str) -> Iterator[str]:
    with fresh_postgres_database(postgres_server_url) as url:
        yield url


def run(clone: Path, command: str, db_url: str) -> None:
    result = subprocess.run(
        preloaded(*command.split()),
        cwd=clone,
        env={**os.environ, "AERICH_NO_TORTOISE_V1_WARNING": "1", "PYTHONPATH": str(clone), "XI_TEST_DB_URL": db_url},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr


async def tables_of_models(db_url: str) -> dict[str, TableInfo]:
    async with migration_databases(XiTestConfig(DB_URL=db_url)):
        await Tortoise.generate_schemas()
        return await read_tables(get_connection("default"), "postgres")


@pytest.mark.parametrize("commands", [AERICH, GUIDER], ids=["aerich", "sanicGuider"])
async def test_the_committed_files_make_the_tables_of_the_models(
    commands: tuple[str, ...], clone: Path, postgres_url: str, other_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for command in commands:
        run(clone, command, postgres_url)
    monkeypatch.chdir(ROOT)
    expected = await tables_of_models(other_url)
    async with migration_databases(XiTestConfig(DB_URL=postgres_url)) as config:
        tables = await read_tables(get_connection("default"), "postgres")
        assert await model_changes(config) == {}
    assert {name: table for name, table in tables.items() if name in expected} == expected
    assert len(expected) > 1
    assert set(tables) - set(expected) <= {"aerich", "sanicbase_journal"}

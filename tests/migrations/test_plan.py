"""What would be carried out is shown, and nothing is carried out."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from sanicbase.cli.migration_output.listing import history_of, script_of
from sanicbase.db.errors import DatabaseError
from sanicbase.errors import MigrationError
from sanicbase.migrations.plan import PlannedMigration, plan
from sanicbase.migrations.selection import Options
from sanicbase.migrations.status import MigrationStatus, labels_of, migration_databases, read_status
from tests.db.opening import STORES, Store
from tests.migrations.desk import DeskConfig, ask, up, write

TABLES = {
    "sqlite": "SELECT name FROM sqlite_master",
    "postgres": "SELECT tablename FROM pg_tables WHERE schemaname = 'public'",
    "aiomysql": "SHOW TABLES",
}


@pytest.fixture(params=STORES[:3])
def store(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.chdir(tmp_path)
    kind = request.param
    if kind == "sqlite":
        return Store(kind, f"sqlite://{tmp_path / 'desk.sqlite3'}")
    return Store(kind, request.getfixturevalue("postgres_url" if kind == "postgres" else "mysql_url"))


async def planned(store: Store) -> tuple[MigrationStatus, list[PlannedMigration]]:
    async with migration_databases(DeskConfig.on(store)) as opened:
        status = await read_status(labels_of(opened)[0])
        return status, await plan(status, Options())


async def test_plan_of_an_empty_database_changes_nothing(store: Store) -> None:
    write("0_1_init", "CREATE TABLE pen (id INT); INSERT INTO pen VALUES (1)")
    write("1_1_rows", "", head="DATA_IN_TRANSACTION = False", tail="async def migrate_data(data): ...")
    status, plans = await planned(store)
    assert [[statement.sql for statement in plan.statements] for plan in plans] == [
        ["CREATE TABLE pen (id INT)", "INSERT INTO pen VALUES (1)"],
        [],
    ]
    lines = script_of(status, plans).splitlines()
    assert lines[0].startswith("-- desk on ")
    assert lines[2] == f"-- 0_1_init.py ({'statement by statement' if store.kind == 'aiomysql' else 'one transaction'})"
    assert lines[4:6] == ["CREATE TABLE pen (id INT);", lines[5]]
    assert lines[-1] == "-- migrate_data: rows, in batches"
    assert await ask(DeskConfig.on(store), TABLES[store.kind]) == []


@pytest.mark.parametrize("sql", ["CREATE TABLE pen (id INT)", "INSERT INTO cap VALUES (1)"])
async def test_file_that_writes_by_itself_cannot_do_so_while_it_is_planned(store: Store, sql: str) -> None:
    config = DeskConfig.on(store)
    await ask(config, "CREATE TABLE cap (id INT)")
    write("0_1_init", "SELECT 1").write_text(
        f"async def upgrade(db):\n    await db.execute_query({sql!r})\n    return ''\n"
    )
    with pytest.raises(DatabaseError):
        await planned(store)
    assert await ask(config, "SELECT * FROM cap") == []
    assert len(await ask(config, TABLES[store.kind])) == 1


@pytest.mark.parametrize("store", STORES[2:3], indirect=True)
async def test_statements_executed_already_are_marked(store: Store) -> None:
    config = DeskConfig.on(store)
    write("0_1_init", "CREATE TABLE pen (id INT); SELECT nothing", head="RUN_IN_TRANSACTION = False")
    with pytest.raises(MigrationError):
        await up(config)
    status, plans = await planned(store)
    assert script_of(status, plans).splitlines()[3:] == [
        "-- statement 1 was already executed",
        "-- no lock: blocks nothing",
        "SELECT nothing;",
    ]
    assert history_of(status).splitlines()[2:] == ["0_1_init.py  stopped at statement 2"]


async def test_history_reports_changes(store: Store) -> None:
    config = DeskConfig.on(store)
    first, *_ = [write(f"{number}_1_t", f"CREATE TABLE t{number} (id INT)") for number in range(4)]
    await up(config, to="2")
    first.unlink()
    write("1_1_t", "CREATE TABLE other (id INT)")
    status, _ = await planned(store)
    rows = [re.split("  +", line) for line in history_of(status).splitlines()[2:]]
    assert [" ".join(row[:2]) for row in rows] == [
        "0_1_t.py applied, file is missing",
        "1_1_t.py applied, file was changed",
        "2_1_t.py applied",
        "3_1_t.py not applied",
    ]

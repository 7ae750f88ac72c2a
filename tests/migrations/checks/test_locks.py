"""Whom statements keep waiting on a large table; two rows are many here."""

from __future__ import annotations

from pathlib import Path

import pytest
from tortoise.connection import get_connection

from sanicbase.migrations.checks.statistics import DatabaseStatistics
from sanicbase.migrations.plan import read_only_session
from sanicbase.migrations.status import labels_of, migration_databases
from tests.db.opening import Store
from tests.migrations.checks.shelf import checked, codes, filled
from tests.migrations.desk import DeskConfig, ask, up, write

TIMEOUT = {"postgres": "SET LOCAL lock_timeout = '5s'", "aiomysql": "SET SESSION lock_wait_timeout = 5"}
BESIDE = {
    "postgres": "CREATE INDEX CONCURRENTLY pen_name ON pen (name)",
    "aiomysql": "CREATE INDEX pen_name ON pen (name) ALGORITHM=INPLACE LOCK=NONE",
}
LONG = {
    "postgres": "ALTER TABLE pen ALTER COLUMN name TYPE TEXT",
    "aiomysql": "ALTER TABLE pen MODIFY name VARCHAR(60)",
    "sqlite": (
        "CREATE TABLE new__pen (id INTEGER PRIMARY KEY, name TEXT, price DECIMAL(10,2) NOT NULL, note TEXT); "
        "INSERT INTO new__pen (id, name, price, note) SELECT id, name, price, note FROM pen; DROP TABLE pen; "
        "ALTER TABLE new__pen RENAME TO pen; CREATE INDEX pen_name ON pen (name)"
    ),
}


async def test_an_index_on_a_large_table(store: Store) -> None:
    config = await filled(store)
    write("1_1_index", f"{TIMEOUT.get(store.kind, 'SELECT 1')}; CREATE INDEX pen_name ON pen (name)")
    (finding,) = await checked(config, large=2)
    assert (finding.code, finding.statement) == ("index.locks", 2)
    assert finding.severity == ("error" if store.kind == "postgres" else "warning")
    assert {"postgres": "CONCURRENTLY", "aiomysql": "LOCK=NONE", "sqlite": "is stopped"}[store.kind] in finding.remedy
    assert await checked(config, large=3) == []


async def test_an_index_that_is_made_beside_writes(store: Store) -> None:
    if store.kind == "sqlite":
        pytest.skip("SQLite has none")
    config = await filled(store)
    write("1_1_index", BESIDE[store.kind], head="RUN_IN_TRANSACTION = False")
    assert "index.locks" not in [code for code, _ in codes(await checked(config, large=2))]
    assert await up(config) == 1


async def test_a_statement_that_goes_through_a_large_table(store: Store) -> None:
    config = await filled(store)
    write("1_1_type", LONG[store.kind])
    (finding,) = [item for item in await checked(config, large=2) if item.code != "lock.no-timeout"]
    assert (finding.code, finding.sentence.startswith("pen has 2 rows, ")) == ("table.locks", True)
    assert await checked(config, large=3) == []


@pytest.mark.xdist_group("postgres")
async def test_a_required_column_that_a_constraint_has_proven(
    postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    config = await filled(Store("postgres", postgres_url), more="UPDATE pen SET note = 'n'")
    write("2_1_require", f"{TIMEOUT['postgres']}; ALTER TABLE pen ALTER COLUMN note SET NOT NULL")
    assert {code for code, _ in codes(await checked(config, large=2))} == {"table.locks", "column.not-null"}
    write("1_1_check", "ALTER TABLE pen ADD CONSTRAINT c CHECK (note IS NOT NULL) NOT VALID")
    await up(config, to="1")
    assert "table.locks" in {code for code, _ in codes(await checked(config, large=2))}
    await ask(config, "ALTER TABLE pen VALIDATE CONSTRAINT c")
    assert [code for code, _ in codes(await checked(config, large=2))] == ["column.no-default"]


async def test_a_missing_lock_timeout_is_reported(store: Store) -> None:
    if store.kind == "sqlite":
        pytest.skip("its locks are never waited for that long")
    config = await filled(store)
    write("1_1_add", "ALTER TABLE pen ADD COLUMN ink INT; ALTER TABLE pen ADD COLUMN lid INT")
    (finding,) = await checked(config, large=2)
    assert (finding.code, finding.statement) == ("lock.no-timeout", 1)
    offered = finding.remedy.partition("SQL with: ")[2]
    write("1_1_add", f"{offered} ALTER TABLE pen ADD COLUMN ink INT; ALTER TABLE pen ADD COLUMN lid INT")
    assert await checked(config, large=2) == []
    assert await up(config) == 1


async def test_a_large_table_is_estimated_and_a_small_one_counted(store: Store) -> None:
    config = DeskConfig.on(store)
    await ask(config, "CREATE TABLE pen (id INT)")
    numbers = "WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < 900) SELECT i FROM n"
    await ask(config, f"INSERT INTO pen {numbers}")
    analyze = {"postgres": "ANALYZE pen", "aiomysql": "ANALYZE TABLE pen"}.get(store.kind)
    async with migration_databases(config) as opened:
        (label,) = labels_of(opened)
        async with read_only_session(label.connection, label.dialect) as db:
            assert await DatabaseStatistics(db, label.dialect, 10_000).row_count("pen") == 900
            assert await DatabaseStatistics(db, label.dialect, 500).row_count("") == 0
        if analyze:
            await get_connection("default").execute_query(analyze)
        async with read_only_session(label.connection, label.dialect) as db:
            rows = await DatabaseStatistics(db, label.dialect, 500).row_count("pen")
    assert rows in (range(501, 1300) if analyze else [500])

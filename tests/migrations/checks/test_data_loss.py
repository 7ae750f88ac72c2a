"""What is found about rows: each danger on the databases that have it, and the same change where it is none."""

from __future__ import annotations

from pathlib import Path

import pytest

from sanicbase.errors import MigrationError
from tests.db.opening import Store
from tests.migrations.checks.shelf import checked, codes, filled
from tests.migrations.desk import up, write

REQUIRED = {
    "postgres": "ALTER TABLE pen ALTER COLUMN note SET NOT NULL",
    "aiomysql": "ALTER TABLE pen MODIFY note TEXT NOT NULL",
    "sqlite": (
        "CREATE TABLE new__pen (id INTEGER PRIMARY KEY, name VARCHAR(40), price DECIMAL(10,2) NOT NULL, "
        "note TEXT NOT NULL); INSERT INTO new__pen (id, name, price, note) SELECT id, name, price, note FROM pen; "
        "DROP TABLE pen; ALTER TABLE new__pen RENAME TO pen"
    ),
}
NARROWED = {
    "postgres": "ALTER TABLE pen ALTER COLUMN {} TYPE {} USING {}::{}",
    "aiomysql": "ALTER TABLE pen MODIFY {} {}",
    "sqlite": (
        "CREATE TABLE new__pen (id INTEGER PRIMARY KEY, {0} {1}); INSERT INTO new__pen (id, {0}) SELECT id, {0} "
        "FROM pen; DROP TABLE pen; ALTER TABLE new__pen RENAME TO pen"
    ),
}
PEN = "id INT PRIMARY KEY, name VARCHAR(40), price DECIMAL(10,2) NOT NULL, note TEXT"


async def test_a_dropped_column_that_has_rows(store: Store) -> None:
    config = await filled(store)
    write("1_1_drop", "UPDATE pen SET name = 'c'; ALTER TABLE pen DROP COLUMN note")
    (finding,) = [finding for finding in await checked(config) if finding.code == "column.drop"]
    assert (finding.severity, finding.file, finding.statement) == ("error", "migrations/desk/1_1_drop.py", 2)
    assert finding.sentence.startswith("pen.note is dropped with the values of 2 rows, ")


async def test_a_dropped_column_of_an_empty_table(store: Store) -> None:
    config = await filled(store, rows=False)
    write("1_1_drop", "ALTER TABLE pen DROP COLUMN note")
    assert codes(await checked(config)) == []
    assert codes(await checked(config, filled=True))[0] == ("column.drop", 1)


async def test_a_dropped_table(store: Store) -> None:
    config = await filled(store, more="CREATE TABLE cap (size INT)")
    write("1_1_drop", "DROP TABLE cap; DROP TABLE IF EXISTS lid; DROP TABLE pen")
    findings = await checked(config)
    assert codes(findings) == [("table.drop", 3)]
    assert findings[0].sentence.startswith("pen is dropped with its 2 rows, ")


async def test_a_column_that_is_dropped_and_added_with_another_name(store: Store) -> None:
    config = await filled(store)
    write("1_1_drop", "ALTER TABLE pen ADD COLUMN title VARCHAR(40); ALTER TABLE pen DROP COLUMN name")
    assert codes(await checked(config)) == [("column.rename", 2)]


async def test_a_column_that_comes_with_another_type_is_no_rename(store: Store) -> None:
    config = await filled(store)
    write("1_1_drop", "ALTER TABLE pen ADD COLUMN title INT; ALTER TABLE pen DROP COLUMN name")
    assert codes(await checked(config)) == [("column.drop", 2)]


async def test_a_column_that_is_renamed(store: Store) -> None:
    config = await filled(store)
    write("1_1_rename", "ALTER TABLE pen RENAME COLUMN name TO title; ALTER TABLE pen RENAME TO pencil")
    assert codes(await checked(config)) == []


async def test_a_table_that_is_dropped_and_made_with_another_name(store: Store) -> None:
    config = await filled(store)
    write("1_1_drop", f"CREATE TABLE pencil ({PEN}); DROP TABLE pen")
    (finding,) = await checked(config)
    assert (finding.code, finding.severity) == ("table.rename", "error")
    assert "ALTER TABLE pen RENAME TO pencil" in finding.remedy
    write("1_1_drop", "CREATE TABLE lid (size INT); DROP TABLE pen")
    assert codes(await checked(config)) == [("table.drop", 2)]


async def test_not_null_without_a_default_on_a_filled_table(store: Store) -> None:
    config = await filled(store)
    write("1_1_add", "ALTER TABLE pen ADD COLUMN ink INT NOT NULL")
    (finding,) = await checked(config)
    assert (finding.code, finding.severity) == ("column.not-null", "error")
    if store.kind != "aiomysql":  # which fills in a 0
        with pytest.raises(MigrationError):
            await up(config)
    write("1_1_add", "ALTER TABLE pen ADD COLUMN ink INT NOT NULL DEFAULT 1; ALTER TABLE pen ADD COLUMN lid INT")
    assert codes(await checked(config)) == []
    assert await up(config) == 1


async def test_not_null_without_a_default_on_an_empty_table(store: Store) -> None:
    config = await filled(store, rows=False)
    write("1_1_add", "ALTER TABLE pen ADD COLUMN ink INT NOT NULL")
    assert codes(await checked(config)) == [("column.no-default", 1)]


async def test_a_column_that_is_required_and_has_null(store: Store) -> None:
    config = await filled(store)
    write("1_1_require", REQUIRED[store.kind])
    found_codes = [code for code, _ in codes(await checked(config))]
    assert found_codes == ["column.not-null"]
    with pytest.raises(MigrationError):
        await up(config)
    write("1_1_require", f"UPDATE pen SET note = 'n' WHERE note IS NULL; {REQUIRED[store.kind]}")
    assert [code for code, _ in codes(await checked(config))] == ["column.no-default"]
    assert await up(config) == 1


async def test_a_column_that_an_earlier_migration_of_rows_has_filled(store: Store) -> None:
    config = await filled(store)
    write("1_1_add", "ALTER TABLE pen ADD COLUMN ink INT")
    require = REQUIRED[store.kind].replace("note TEXT", "ink INT").replace("note", "ink")
    write("2_1_require", require)
    assert "column.not-null" in [code for code, _ in codes(await checked(config))]
    write("1_1_add", "ALTER TABLE pen ADD COLUMN ink INT", tail="async def migrate_data(data): ...")
    assert "column.not-null" not in [code for code, _ in codes(await checked(config))]


@pytest.mark.parametrize(
    ("column", "type_", "is_found"),
    [
        ("name", "VARCHAR(20)", True),
        ("name", "VARCHAR(60)", False),
        ("price", "DECIMAL(8,2)", True),
        ("price", "DECIMAL(12,2)", False),
        ("note", "INT", True),
    ],
)
async def test_a_type_that_holds_less(store: Store, column: str, type_: str, is_found: bool) -> None:
    config = await filled(store)
    write("1_1_type", NARROWED[store.kind].format(column, type_, column, type_))
    findings = [finding for finding in await checked(config) if finding.code == "column.narrowed"]
    assert [finding.severity for finding in findings] == ["warning" if store.kind == "sqlite" else "error"] * is_found


async def test_a_rebuilt_table_loses_what_is_not_copied(store: Store) -> None:
    config = await filled(store)
    write(
        "1_1_rebuild",
        f"CREATE TABLE new__pen ({PEN.replace(', note TEXT', '')}, ink INT NOT NULL, lid INT NOT NULL); "
        "INSERT INTO new__pen (id, name, price, ink) SELECT id, name, price, 1 FROM pen; DROP TABLE pen; "
        "ALTER TABLE new__pen RENAME TO pen",
    )
    assert set(codes(await checked(config))) == {
        ("column.drop", 2),
        ("column.not-null", 2),
        ("column.no-default", 2),
    }


COPY = "INSERT INTO pen_new (id, name, price, note) SELECT id, name, price, note FROM pen"


@pytest.mark.parametrize("copy", [COPY, "INSERT INTO pen_new SELECT * FROM pen"])
async def test_a_table_whose_copy_takes_its_name(store: Store, copy: str) -> None:
    config = await filled(store)
    swap = "ALTER TABLE pen RENAME TO pen_old; ALTER TABLE pen_new RENAME TO pen; DROP TABLE pen_old"
    write("1_1_swap", f"CREATE TABLE pen_new ({PEN}); {copy}; {swap}")
    assert await checked(config) == []


@pytest.mark.xdist_group("mysql")
async def test_executed_statements_are_not_checked(
    mysql_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    config = await filled(Store("aiomysql", mysql_url))
    write("1_1_half", "ALTER TABLE pen RENAME TO pencil; SELECT * FROM nothing; ALTER TABLE pencil DROP COLUMN note")
    with pytest.raises(MigrationError):
        await up(config)
    assert codes(await checked(config)) == [("column.drop", 3)]

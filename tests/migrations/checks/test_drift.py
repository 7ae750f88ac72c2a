"""Databases that are not what their migrations say, and models that are not what the last one says."""

from __future__ import annotations

import re

import pytest
from tortoise.connection import get_connection

from sanicbase.migrations.apply import apply
from sanicbase.migrations.autogenerate import initial_draft, last_state, next_draft, write_draft
from sanicbase.migrations.checks.check import CheckOptions, check_label
from sanicbase.migrations.checks.findings import Finding
from sanicbase.migrations.report import Report
from sanicbase.migrations.selection import Options
from sanicbase.migrations.status import labels_of, migration_databases
from tests.db.opening import Store, library_config
from tests.migrations.desk import write

MODULE = "tests.migrations.checks.goods"


async def findings_of(store: Store, *changes: str, module: str = MODULE) -> list[Finding]:
    """What is found after the first migration was applied, and the tables were changed by hand."""
    config = library_config(store, MODULE)
    async with migration_databases(config) as opened:
        (label,) = labels_of(opened)
        write_draft(label.folder, "init", initial_draft(label.name, label.connection, label.dialect, safe=True))
        await apply(opened, [label], Options(), Report())
        for change in changes:
            await get_connection("default").execute_query(change)
        await get_connection("default").execute_query("INSERT INTO maker (name, motto) VALUES ('m', 'n')")
    async with migration_databases(library_config(store, module) if module else library_config(store)) as opened:
        (label,) = labels_of(opened)
        return await check_label(opened, label, CheckOptions())


async def test_a_database_that_its_migration_has_made(store: Store) -> None:
    assert await findings_of(store) == []


@pytest.mark.parametrize(
    ("change", "severity", "sentence"),
    [
        ("DROP TABLE goods_maker", "error", "The database has no table goods_maker."),
        ("ALTER TABLE goods DROP COLUMN note", "error", "The database has no column goods.note."),
        ("ALTER TABLE goods ADD COLUMN ink INT", "warning", "The database has a column goods.ink that no "),
        (
            "ALTER TABLE goods ADD COLUMN ink INT NOT NULL",
            "error",
            "The database has a column goods.ink that no migration created, and inserts without it fail.",
        ),
        ("CREATE TABLE theirs (id INT)", "", ""),
    ],
)
async def test_a_table_that_was_changed(store: Store, change: str, severity: str, sentence: str) -> None:
    findings = await findings_of(store, change)
    assert [(finding.code, finding.severity) for finding in findings] == [("database.drift", severity)] * bool(severity)
    assert all(finding.sentence.startswith(sentence) for finding in findings)


@pytest.mark.parametrize(
    ("postgres", "mysql", "sentence"),
    [
        (
            "ALTER TABLE goods ALTER COLUMN title TYPE TEXT",
            "ALTER TABLE goods MODIFY title VARCHAR(41) NOT NULL",
            r"goods.title is (text|varchar\(41\)) in the database, but VARCHAR\(40\) in its migrations.",
        ),
        (
            "ALTER TABLE goods ALTER COLUMN price DROP NOT NULL",
            "ALTER TABLE goods MODIFY price DECIMAL(10,2)",
            "goods.price is NULL in the database, but NOT NULL in its migrations.",
        ),
        (
            "ALTER TABLE goods ALTER COLUMN stock DROP DEFAULT",
            "ALTER TABLE goods ALTER COLUMN stock DROP DEFAULT",
            "goods.stock has no default in the database, but 7 in its migrations.",
        ),
        (
            "ALTER TABLE maker DROP CONSTRAINT maker_name_key",
            "ALTER TABLE maker DROP INDEX name",
            "The table maker has no unique index on name in the database: duplicate rows are possible.",
        ),
        (
            "ALTER TABLE goods DROP CONSTRAINT goods_maker_id_fkey",
            "",
            "In the database goods.maker_id has no foreign key to maker: ",
        ),
    ],
)
async def test_a_column_that_was_changed(store: Store, postgres: str, mysql: str, sentence: str) -> None:
    change = {"postgres": postgres, "aiomysql": mysql}.get(store.kind)
    if not change:
        pytest.skip("there is no such statement, or the name of the constraint is a hash")
    (finding,) = await findings_of(store, change)
    assert re.match(sentence, finding.sentence), finding.sentence


async def test_an_index_that_was_dropped(store: Store) -> None:
    async with migration_databases(library_config(store, MODULE)) as opened:
        (label,) = labels_of(opened)
        draft = initial_draft(label.name, label.connection, label.dialect)
        name = next(
            index.name for table in draft.changes.created for index in table.indexes if index.columns == ("title",)
        )
    (finding,) = await findings_of(store, f"DROP INDEX {name}" + " ON goods" * (store.kind == "aiomysql"))
    assert finding.sentence.startswith("The table goods has no index on title in the database: ")
    assert f"INDEX {name} ON goods (title)" in re.sub('["`]', "", finding.remedy)


async def test_models_that_have_changed(store: Store) -> None:
    findings = await findings_of(store, module="tests.migrations.checks.other_makers")
    assert sorted(finding.code for finding in findings) == ["column.drop", "column.not-null", "models.unwritten"]
    assert [finding.file for finding in findings] == [""] * 3
    assert findings[-1].remedy == "Write the next one: sanicGuider migrate make library"


async def test_models_that_have_more(store: Store) -> None:
    found_before = await findings_of(store, module="tests.migrations.checks.more_makers")
    assert {finding.code for finding in found_before if finding.severity == "error"} == {"models.unwritten"}
    warned = [finding.sentence.partition(" ")[0] for finding in found_before if finding.code == "column.no-default"]
    assert sorted(warned) == ["maker.country", "maker.motto"]
    async with migration_databases(library_config(store, "tests.migrations.checks.more_makers")) as opened:
        (label,) = labels_of(opened)
        write_draft(
            label.folder, "more", next_draft(label.name, "default", label.dialect, last_state(label.folder) or {})
        )
        pending = [
            finding for finding in await check_label(opened, label, CheckOptions()) if finding.direction == "upgrade"
        ]
        assert {finding.code for finding in pending} == {"column.no-default"}
        await apply(opened, [label], Options(), Report())
        assert await check_label(opened, label, CheckOptions()) == []


async def test_models_that_may_have_another_name(store: Store) -> None:
    (finding,) = await findings_of(store, module="tests.migrations.checks.products")
    assert finding.sentence.startswith("goods was removed and product was added. Is it a rename? ")
    assert "sanicGuider migrate make --rename goods:product" in finding.remedy


async def test_models_are_not_compared_with_those_of_another_database(store: Store) -> None:
    assert await findings_of(store) == []
    other = {"sqlite": "postgres", "postgres": "mysql", "aiomysql": "sqlite"}[store.kind]
    write("1_1_other", "SELECT 1", head=f"DIALECT = {other!r}", label="library")
    async with migration_databases(library_config(store, MODULE)) as opened:
        (label,) = labels_of(opened)
        (finding,) = await check_label(opened, label, CheckOptions())
    assert (finding.code, finding.file) == ("dialect.other", "migrations/library/1_1_other.py")


async def test_migrations_of_another_database_only(store: Store) -> None:
    other = {"sqlite": "postgres", "postgres": "mysql", "aiomysql": "sqlite"}[store.kind]
    write("0_1_init", "SELECT 1", head=f"DIALECT = {other!r}", label="library")
    async with migration_databases(library_config(store, MODULE)) as opened:
        (label,) = labels_of(opened)
        (finding,) = await check_label(opened, label, CheckOptions())
    assert finding.code == "dialect.other"
    assert finding.remedy.endswith("sanicGuider migrate init library")

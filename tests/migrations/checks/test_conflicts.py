"""Migrations of two branches, and of another database."""

from __future__ import annotations

from tests.db.opening import Store
from tests.migrations.checks.shelf import checked, codes, filled
from tests.migrations.desk import up, write

OTHER = {"sqlite": "postgres", "postgres": "mysql", "aiomysql": "sqlite"}


async def test_two_files_with_one_number(store: Store) -> None:
    config = await filled(store)
    write("1_1_one", "SELECT 1", "SELECT 1")
    write("1_2_other", "SELECT 1", "SELECT 1")
    findings = await checked(config)
    assert [(finding.code, finding.file) for finding in findings] == [
        ("number.twice", "migrations/desk/1_1_one.py"),
        ("number.twice", "migrations/desk/1_2_other.py"),
    ]
    assert "1_2_other.py has the number 1 as well" in findings[0].sentence
    await up(config)
    assert await checked(config) == []


async def test_a_file_that_comes_before_an_applied_one(store: Store) -> None:
    config = await filled(store)
    write("2_1_one", "SELECT 1", "SELECT 1")
    await up(config)
    write("1_1_late", "SELECT 1", "SELECT 1")
    assert codes(await checked(config)) == [("number.late", 0)]
    write("3_1_next", "SELECT 1", "SELECT 1")
    assert codes(await checked(config)) == [("number.late", 0)]


async def test_a_file_for_another_database(store: Store) -> None:
    config = await filled(store)
    other = OTHER[store.kind]
    write("1_1_other", "ALTER TABLE pen DROP COLUMN note", head=f'DIALECT = "{other}"')
    (finding,) = await checked(config)
    assert (finding.code, finding.severity) == ("dialect.other", "error")
    assert f"Move it to migrations/{other}/desk, " in finding.remedy


async def test_a_file_that_writes_by_itself(store: Store) -> None:
    config = await filled(store)
    write("1_1_own", "").write_text(
        "async def upgrade(db):\n    await db.execute_query(\"UPDATE pen SET note = 'n'\")\n    return ''\n\n\n"
        "async def downgrade(db):\n    return ''\n"
    )
    (finding,) = await checked(config)
    assert (finding.code, finding.severity) == ("file.unreadable", "warning")

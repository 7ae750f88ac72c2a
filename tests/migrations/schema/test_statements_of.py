"""What cannot be told from a table afterwards: what its rows became, and what a sequence goes on with."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tortoise.connection import get_connection

from sanicbase import MigrationError
from sanicbase.db import Database
from sanicbase.db.errors import DatabaseError
from sanicbase.errors import InvalidValue
from sanicbase.migrations.execution import check_foreign_keys, execute, without_foreign_keys
from sanicbase.migrations.schema.changes import Renames, diff_schemas
from sanicbase.migrations.schema.literals import literal
from sanicbase.migrations.schema.names import foreign_key_name, primary_key_name, unique_name
from sanicbase.migrations.schema.sql import statements_of
from sanicbase.migrations.schema.tables import Column, Schema, Table
from sanicbase.migrations.statements import Dialect
from tests.db.opening import STORES, Store, library_config

DIALECTS: dict[str, Dialect] = {"sqlite": "sqlite", "postgres": "postgres", "aiomysql": "mysql"}
GENERATED: dict[Dialect, tuple[str, str]] = {
    "postgres": ("SERIAL NOT NULL PRIMARY KEY", "BIGSERIAL NOT NULL PRIMARY KEY"),
    "mysql": ("INT NOT NULL PRIMARY KEY AUTO_INCREMENT", "BIGINT NOT NULL PRIMARY KEY AUTO_INCREMENT"),
    "sqlite": ("INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL",) * 2,
}
SIZE = Column("size", "INT", null=True)


class Bench:
    def __init__(self, dialect: Dialect) -> None:
        self.dialect = dialect
        self.client: Any = get_connection("default")
        self.small, self.large = GENERATED[dialect]

    def pen(self, *columns: Column, generated: str | None = None, key: str = "id", name: str = "pen") -> Schema:
        generated = self.small if generated is None else generated
        key_column = Column("id", "BIGINT", generated=generated)
        return {name: Table(name, (key_column, *columns), key, model="shop.Pen")}

    async def change(self, old: Schema, new: Schema, renames: Renames | None = None, *, back: bool = False) -> None:
        changes = diff_schemas(old, new, renames or Renames(), self.dialect)
        async with without_foreign_keys(self.client), self.client._in_transaction() as db:
            for statement in statements_of(changes, self.dialect, reverse=back):
                await execute(db, statement)
            await check_foreign_keys(db)

    async def rows(self, sql: str) -> list[tuple[Any, ...]]:
        return [tuple(dict(row).values()) for row in await self.client.execute_query_dict(sql)]


@pytest.fixture(params=STORES[:3])
async def bench(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Bench]:
    kind = request.param
    if kind == "sqlite":
        store = Store(kind, f"sqlite://{tmp_path / 'pens.sqlite3'}")
    else:
        store = Store(kind, request.getfixturevalue("postgres_url" if kind == "postgres" else "mysql_url"))
    async with Database(library_config(store)):
        yield Bench(DIALECTS[kind])


async def test_a_number_that_was_given_is_not_given_again(bench: Bench) -> None:
    sizes = SIZE, Column("size", "INT", filling="3")
    old, new = bench.pen(sizes[0]), bench.pen(sizes[1], generated=bench.large)
    await bench.change({}, old)
    for _ in range(3):
        await execute(bench.client, "INSERT INTO pen (size) VALUES (NULL)")
    await execute(bench.client, "DELETE FROM pen WHERE id > 1")
    await bench.change(old, new)
    await execute(bench.client, "INSERT INTO pen (size) VALUES (5)")
    assert await bench.rows("SELECT id, size FROM pen ORDER BY id") == [(1, 3), (4, 5)]


async def test_a_key_that_becomes_generated_continues_after_the_highest(bench: Bench) -> None:
    plain, counted = bench.pen(SIZE, generated=""), bench.pen(SIZE, generated=bench.large)
    await bench.change({}, plain)
    await execute(bench.client, "INSERT INTO pen (id, size) VALUES (41, 1)")
    await bench.change(plain, counted)
    await execute(bench.client, "INSERT INTO pen (size) VALUES (2)")
    assert await bench.rows("SELECT id, size FROM pen ORDER BY id") == [(41, 1), (42, 2)]
    await bench.change(counted, plain)
    await execute(bench.client, "INSERT INTO pen (id, size) VALUES (7, 3)")
    assert await bench.rows("SELECT id FROM pen ORDER BY id") == [(7,), (41,), (42,)]


async def test_a_required_column_without_a_value_is_refused_by_tables_with_rows_only(bench: Bench) -> None:
    old, new = bench.pen(SIZE), bench.pen(SIZE, Column("name", "VARCHAR(9)"))
    await bench.change({}, old)
    await bench.change(old, new)
    await bench.change(new, old)
    await execute(bench.client, "INSERT INTO pen (size) VALUES (1)")
    with pytest.raises((DatabaseError, InvalidValue)):
        await bench.change(old, new)


async def test_a_downgrade_fills_columns_with_neutral_values(bench: Bench) -> None:
    moment = {"postgres": "TIMESTAMPTZ", "mysql": "DATETIME(6)", "sqlite": "TIMESTAMP"}[bench.dialect]
    columns = [Column("name", "VARCHAR(9)"), Column("at", moment), Column("n", "INT"), Column("j", "JSON")]
    new, old = bench.pen(SIZE), bench.pen(SIZE, *columns)
    await bench.change({}, new)
    await execute(bench.client, "INSERT INTO pen (size) VALUES (1)")
    await bench.change(new, old, back=True)
    ((name, at, number, data),) = await bench.rows("SELECT name, at, n, j FROM pen")
    assert (name, str(at)[:19], number, data) == ("", "1970-01-01 00:00:00", 0, "{}")


async def test_tables_that_change_names_in_turn_keep_their_rows(bench: Bench) -> None:
    other = bench.pen(SIZE, name="old_pen")
    old = {**bench.pen(SIZE), **other}
    await bench.change({}, old)
    await execute(bench.client, "INSERT INTO pen (size) VALUES (1)")
    await bench.change(old, other, Renames({"pen": "old_pen"}))  # the other one is dropped
    assert await bench.rows("SELECT size FROM old_pen") == [(1,)]


async def test_another_primary_key_is_refused_before_anything_is_done(bench: Bench) -> None:
    old, new = bench.pen(SIZE), bench.pen(SIZE, key="size")
    if bench.dialect == "sqlite":
        pytest.skip("a table that is rebuilt takes any key")
    with pytest.raises(MigrationError, match="The primary key of pen changes from id to size"):
        statements_of(diff_schemas(old, new, Renames(), bench.dialect), bench.dialect)


@pytest.mark.parametrize("text", ["it's", 'a "b" `c`', "C:\\new\\n", "%s 50 %", "买家;--", "a\nb", "\\'"])
async def test_a_text_arrives_as_it_was(bench: Bench, text: str) -> None:
    column = Column("name", "VARCHAR(40)", default=literal(text, bench.dialect), comment=text)
    new = bench.pen(SIZE, column)
    await bench.change({}, new)
    await execute(bench.client, "INSERT INTO pen (size) VALUES (1)")
    assert await bench.rows("SELECT name FROM pen") == [(text,)]


def test_a_nul_is_refused_with_a_remedy() -> None:
    with pytest.raises(MigrationError, match="contains a NUL"):
        literal("a\0b", "postgres")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (unique_name("goods", "slug", "postgres"), "goods_slug_key"),
        (unique_name("t" * 70, "c" * 20, "postgres"), "t" * 38 + "_" + "c" * 20 + "_key"),
        (unique_name("t" * 70, "c" * 70, "postgres"), "t" * 29 + "_" + "c" * 29 + "_key"),
        (foreign_key_name("goods", "shop_id", "fk_x", "postgres"), "goods_shop_id_fkey"),
        (foreign_key_name("goods", "shop_id", "fk_x", "mysql"), "fk_x"),
        (primary_key_name("t" * 70), "t" * 58 + "_pkey"),
    ],
)
def test_names_are_those_of_the_databases(name: str, expected: str) -> None:
    assert name == expected


async def test_postgres_gives_these_names(postgres_url: str) -> None:
    table, column = "t" * 50, "好" * 12
    async with Database(library_config(Store("postgres", postgres_url))):
        client: Any = get_connection("default")
        script = f'CREATE TABLE "{table}" (id INT PRIMARY KEY, "{column}" INT UNIQUE REFERENCES "{table}" (id))'
        await client.execute_script(script)
        rows = await client.execute_query_dict("SELECT conname AS name FROM pg_constraint WHERE conname LIKE 'tttt%'")
    expected = {
        primary_key_name(table),
        unique_name(table, column, "postgres"),
        foreign_key_name(table, column, "", "postgres"),
    }
    assert {row["name"] for row in rows} == expected

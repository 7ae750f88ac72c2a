"""Whatever an author does to models, tables with rows follow, there and back, to what models would make anew.

Each program is a row of models, one change apart. Its tables are migrated up and down with rows in them, and after each
step they are those that Tortoise makes of the models in an empty database.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, note, settings
from tortoise import Tortoise
from tortoise.backends.base.client import BaseDBAsyncClient
from tortoise.connection import get_connection
from tortoise.models import Model

from sanicbase.db import Database
from sanicbase.migrations.execution import check_foreign_keys, execute, without_foreign_keys
from sanicbase.migrations.introspection import TableInfo, read_tables
from sanicbase.migrations.renames import RenameAnswers, detect_renames
from sanicbase.migrations.schema.changes import Renames, diff_schemas
from sanicbase.migrations.schema.literals import literal, quote_name
from sanicbase.migrations.schema.models import schema_of_models
from sanicbase.migrations.schema.sql import statements_of
from sanicbase.migrations.schema.tables import Column, Schema, Table
from sanicbase.migrations.statements import Dialect
from tests.db.opening import STORES, Store, library_config
from tests.migrations.schema.programs import Change, models_of, programs

DIALECTS: dict[str, Dialect] = {"sqlite": "sqlite", "postgres": "postgres", "aiomysql": "mysql"}
ROWS = 3
VALUES = {"INT": 1, "BIGINT": 1, "VARCHAR": "r", "TEXT": "r", "LONGTEXT": "r", "DOUBLE": 1.5, "DECIMAL": 1}


@pytest.fixture(params=STORES[:3])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    kind = request.param
    if kind == "sqlite":
        return Store(kind, f"sqlite://{tmp_path / 'program.sqlite3'}")
    return Store(kind, request.getfixturevalue("postgres_url" if kind == "postgres" else "mysql_url"))


class Bench:
    """An open database in which a program's tables are made, migrated and looked at."""

    def __init__(self, client: BaseDBAsyncClient, dialect: Dialect) -> None:
        self.client: Any = client
        self.dialect = dialect

    async def states(self, program: Sequence[Change]) -> list[tuple[Schema, Mapping[str, TableInfo]]]:
        """For each of the program's models their tables, as we describe them and as Tortoise makes them."""
        return [await self._state(change) for change in program]

    async def _state(self, change: Change) -> tuple[Schema, Mapping[str, TableInfo]]:
        module = models_of(change.models)
        models: list[type[Model]] = [value for value in vars(module).values() if isinstance(value, type)]
        Tortoise.init_models([module], "models", _init_relations=False)
        for model in models:
            model._meta.default_connection = "default"
        Tortoise._init_relations()
        Tortoise._build_initial_querysets()
        schema = schema_of_models(models, self.client)
        generator = self.client.schema_generator(self.client)
        generator._get_models_to_create = lambda: models
        await self.client.execute_script(generator.get_create_schema_sql(False))
        tables = await self.tables()
        await self.empty()
        return schema, tables

    async def tables(self) -> Mapping[str, TableInfo]:
        """What is there; on SQLite without comments, for which no table is rebuilt."""
        tables = await read_tables(self.client, self.dialect)
        return {name: _bare(table) for name, table in tables.items()} if self.dialect == "sqlite" else tables

    async def empty(self) -> None:
        async with without_foreign_keys(self.client):
            tables = ", ".join(quote_name(name, self.dialect) for name in await self.tables())
            if not tables:
                return
            if self.dialect == "postgres":
                await self.client.execute_script(f"DROP TABLE {tables} CASCADE")
            elif self.dialect == "mysql":
                await self.client.execute_script(
                    f"SET foreign_key_checks=0; DROP TABLE {tables}; SET foreign_key_checks=1"
                )
            else:
                for table in tables.split(", "):
                    await self.client.execute_query(f"DROP TABLE {table}")

    async def carry_out(self, statements: Sequence[str]) -> None:
        async with without_foreign_keys(self.client), self.client._in_transaction() as db:
            for statement in statements:
                note(statement)
                await execute(db, statement)
            await check_foreign_keys(db)

    async def fill(self, schema: Schema) -> None:
        """Rows into tables that have none; those between two models are left empty."""
        for table in schema.values():
            if table.model and not await self.count(table.name):
                for number in range(1, ROWS + 1):
                    await self._insert(table, number)

    async def _insert(self, table: Table, number: int) -> None:
        references = {key.column for key in table.foreign_keys}
        existing = [column for column in table.columns if not column.generated]
        values = {
            column.name: number if column.name in references else self._value(column, number) for column in existing
        }
        if not values:
            values = {table.key: number}
        names = ", ".join(quote_name(name, self.dialect) for name in values)
        shown = ", ".join(
            value if isinstance(value, str) else literal(value, self.dialect) for value in values.values()
        )
        await execute(self.client, f"INSERT INTO {quote_name(table.name, self.dialect)} ({names}) VALUES ({shown})")

    def _value(self, column: Column, number: int) -> Any:
        """SQL of a value that no other row has."""
        type_ = column.type.upper()
        if type_.startswith(("JSON",)):
            return f"'[{number}]'"
        if type_.startswith(("UUID", "CHAR(36)")):
            return f"'00000000-0000-0000-0000-00000000000{number}'"
        if type_.startswith(("TIMESTAMP", "DATETIME")):
            return f"'2026-01-0{number} 00:00:00'"
        if type_.startswith("DATE"):
            return f"'2026-01-0{number}'"
        if type_.startswith("BOOL"):
            return literal(bool(number % 2), self.dialect)
        if type_.startswith(("VARCHAR", "TEXT", "LONGTEXT")) and not type_.startswith("VARCHAR(40)"):
            return f"'r{number}'"
        return str(number) if "CHAR" not in type_ else f"'{number}'"

    async def count(self, table: str) -> int:
        rows = await self.client.execute_query_dict(f"SELECT count(*) AS n FROM {quote_name(table, self.dialect)}")
        return int(rows[0]["n"])

    async def counts(self, schema: Schema) -> dict[str, int]:
        return {name: await self.count(name) for name, table in schema.items() if table.model}


def _bare(table: TableInfo) -> TableInfo:
    columns = {name: replace(column, comment="") for name, column in table.columns.items()}
    return replace(table, columns=columns, comment="")


async def run(bench: Bench, program: Sequence[Change]) -> None:
    for change in program:
        note(change.said)
    states = await bench.states(program)
    ways = []
    await bench.carry_out(statements_of(diff_schemas({}, states[0][0], Renames(), bench.dialect), bench.dialect))
    assert await bench.tables() == states[0][1]
    await bench.fill(states[0][0])
    for change, (old, _), (new, tables) in zip(program[1:], states, states[1:], strict=False):
        renames = detect_renames(old, new, RenameAnswers(change.renames), None)
        note(f"-- {change.said}")
        before = await bench.counts(old)
        await bench.carry_out(statements_of(diff_schemas(old, new, renames, bench.dialect), bench.dialect))
        assert await bench.tables() == tables
        after = await bench.counts(new)
        kept = {renames.tables.get(name, name): count for name, count in before.items()}
        assert {name: after[name] for name in kept if name in after} == {n: c for n, c in kept.items() if n in after}
        await bench.fill(new)
        ways.append((diff_schemas(new, old, renames.inverted(), bench.dialect), renames.inverted()))
    for (way, back), (old, tables), (new, _) in zip(
        reversed(ways), reversed(states[:-1]), reversed(states), strict=False
    ):
        note("-- back")
        before = await bench.counts(new)
        await bench.carry_out(statements_of(way, bench.dialect, reverse=True))
        assert await bench.tables() == tables
        after = await bench.counts(old)
        kept = {back.tables.get(name, name): count for name, count in before.items()}
        assert {name: after[name] for name in kept if name in after} == {n: c for n, c in kept.items() if n in after}


def attack(store: Store, examples: int, length: int) -> None:
    """So many programs of that length, each in the database when it is empty."""

    async def once(program: list[Change]) -> None:
        async with Database(library_config(store)):
            bench = Bench(get_connection("default"), DIALECTS[store.kind])
            await bench.empty()
            try:
                await run(bench, program)
            finally:
                await bench.empty()

    @settings(max_examples=examples, deadline=None, suppress_health_check=list(HealthCheck), print_blob=True)
    @given(program=programs(length))
    def migrate(program: list[Change]) -> None:
        asyncio.run(once(program))

    migrate()


def test_tables_follow_the_models_there_and_back(store: Store) -> None:
    attack(store, 20, 6)


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_200_random_programs(store: Store) -> None:
    attack(store, 200, 10)

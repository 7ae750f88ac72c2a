"""What a file keeps of the models is read again as it was; of a file of aerich's alone, what its description tells."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from aerich.coder import encoder
from aerich.utils import get_models_describe
from tortoise import Tortoise
from tortoise.connection import get_connection

from sanicbase.db import Database
from sanicbase.migrations.schema.changes import Renames, diff_schemas
from sanicbase.migrations.schema.models import schema_of_models
from sanicbase.migrations.schema.state import schema_of_state, state_of_models
from sanicbase.migrations.schema.tables import Schema
from sanicbase.migrations.statements import Dialect
from tests.db.opening import STORES, Store, library_config

DIALECTS: dict[str, Dialect] = {"sqlite": "sqlite", "postgres": "postgres", "aiomysql": "mysql"}
MODULES = ("tests.db.library", "tests.migrations.introspection.stock")


@pytest.fixture(params=STORES[:3])
async def dialect(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Dialect]:
    """That of a database whose models are open."""
    kind = request.param
    if kind == "sqlite":
        store = Store(kind, f"sqlite://{tmp_path / 'library.sqlite3'}")
    else:
        store = Store(kind, request.getfixturevalue("postgres_url" if kind == "postgres" else "mysql_url"))
    async with Database(library_config(store, *MODULES)):
        yield DIALECTS[kind]


def of_models() -> Schema:
    return schema_of_models(Tortoise.apps["library"].values(), get_connection("default"))


def as_in_a_file(state: Mapping[str, Any]) -> Any:
    return json.loads(encoder(dict(state)))


async def test_tables_are_read_as_they_were_written(dialect: Dialect) -> None:
    state = as_in_a_file(state_of_models("library", "default"))
    assert schema_of_state(state, dialect) == of_models()
    assert len(of_models()) > 10


async def test_a_description_alone_is_nearly_complete(dialect: Dialect) -> None:
    described = schema_of_state(as_in_a_file(get_models_describe("library")), dialect)
    models = of_models()
    assert described.keys() == models.keys()
    for name, table in models.items():
        report, columns = described[name], [replace(item, filling="") for item in table.columns]
        assert {item.name: item.type for item in report.columns} == {item.name: item.type for item in columns}
        assert {item.name: item.null for item in report.columns} == {item.name: item.null for item in columns}
        assert {item.name: item.comment for item in report.columns} == {item.name: item.comment for item in columns}
        assert {item.name: item.generated for item in report.columns} == {item.name: item.generated for item in columns}
        assert (report.key, report.comment, report.model) == (table.key, table.comment, table.model)
        assert {item.identity for item in report.indexes} == {item.identity for item in table.indexes}
        assert {item.name for item in report.indexes} == {item.name for item in table.indexes}
        if table.model:  # those between two models were named by MySQL itself
            assert set(report.foreign_keys) == set(table.foreign_keys)


async def test_nothing_has_changed_between_the_same_models(dialect: Dialect) -> None:
    changes = diff_schemas(of_models(), of_models(), Renames(), dialect)
    assert (changes.created, changes.dropped, changes.changed) == ((), (), ())

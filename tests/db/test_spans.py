"""Statements are spans of a recorded trace, without their values, on every database."""

from __future__ import annotations

import asyncio

import pytest
from tortoise.connection import get_connection

from sanicbase.db import transaction
from sanicbase.db.engine.spans import describe_database, statement_span
from sanicbase.tracing import TracingOptions, current_recorder, open_tracing
from tests.db.library import Author
from tests.db.opening import Store, opened
from tests.tracing.collector import collecting

SECRET = "correct-horse-battery"
SYSTEMS = {"sqlite": "sqlite", "postgres": "postgresql", "aiomysql": "mysql", "asyncmy": "mysql"}


async def test_each_statement_of_a_recorded_trace_is_one_span(store: Store) -> None:
    with collecting() as collector:
        async with (
            open_tracing(TracingOptions(f"{collector.url}/v1/traces", 1.0, "library", "test")),
            opened(store, "tests.db.library"),
        ):
            recorder = current_recorder()
            assert recorder is not None
            await Author.create(id=1, name="before")  # belongs to no trace
            with recorder.root("request", "server"):
                async with transaction():
                    await Author.create(id=2, name=SECRET)
                assert await Author.filter(name=SECRET).count() == 1
                await asyncio.gather(*(Author.get_by_pk(number) for number in (1, 2, 3)))
                with pytest.raises(Exception, match="missing_table"):
                    await get_connection("default").execute_query(f"SELECT '{SECRET}' FROM missing_table")
    root = collector.named("request")
    statements = collector.children(root)
    assert [span.name for span in statements[:2]] == ["INSERT author", "SELECT author"]
    assert [span.name for span in statements if span.failed] == ["SELECT missing_table"]
    assert [span.name for span in statements[2:]].count("SELECT author") >= 3
    about = statements[0].attributes
    assert (about["db.system.name"], about["db.operation.name"], about["db.collection.name"]) == (
        SYSTEMS[store.kind],
        "INSERT",
        "author",
    )
    assert ("server.address" in about) == (store.kind != "sqlite")
    assert {span.kind for span in statements} == {"client"}
    assert len(collector.spans) == len(statements) + 1
    assert SECRET not in repr(collector.spans)


HIDDEN = [
    ("sqlite", f"SELECT 1 WHERE a = '{SECRET}'"),
    ("postgres", f"SELECT $tag${SECRET}$tag$, $${SECRET}$$, E'\\'{SECRET}'"),
    ("postgres", f"SELECT 'it''s', 'a\\', '{SECRET}' -- {SECRET}"),
    ("postgres", f"SELECT 'unfinished {SECRET}"),
    ("mysql", f"SELECT \"{SECRET}\", 'it\\'s {SECRET}' # {SECRET}"),
    ("mysql", f'SELECT /* {SECRET} */ "a""{SECRET}", \'{SECRET}'),
]


@pytest.mark.parametrize(("dialect", "query"), HIDDEN)
async def test_no_value_is_in_a_span(dialect: str, query: str) -> None:
    describe_database("hidden", dialect, namespace="shop")
    with collecting() as collector:
        async with open_tracing(TracingOptions(f"{collector.url}/v1/traces", 1.0, "library", "test")):
            recorder = current_recorder()
            assert recorder is not None
            with recorder.root("request", "server"), statement_span(recorder, "hidden", query):
                assert recorder.is_sampled()
    assert collector.named("SELECT").attributes["db.query.text"].startswith("SELECT")
    assert SECRET not in repr(collector.spans)

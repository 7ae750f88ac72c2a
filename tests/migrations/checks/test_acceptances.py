"""Findings that are accepted, in comments before the statements."""

from __future__ import annotations

import pytest

from tests.db.opening import Store
from tests.migrations.checks.shelf import codes, everything, filled
from tests.migrations.desk import DeskConfig, up, write

DROP = "ALTER TABLE pen DROP COLUMN note"
BACK = "ALTER TABLE pen ADD COLUMN note TEXT"
LOST = "-- accept: downgrade.loses-data (there is a dump)\n" + BACK


async def left(config: DeskConfig) -> list[tuple[str, int]]:
    return [code for code in codes(await everything(config)) if code[0] != "models.unwritten"]


async def test_a_finding_that_is_accepted(store: Store) -> None:
    config = await filled(store)
    write("1_1_drop", f"SELECT 1;\n-- accept: column.drop (nobody reads it)\n{DROP}", LOST)
    assert await left(config) == []
    assert await up(config) == 1


async def test_an_acceptance_is_of_its_statement(store: Store) -> None:
    config = await filled(store)
    write("1_1_drop", f"-- accept: column.drop (nobody reads it)\nSELECT 1;\n{DROP}", LOST)
    assert await left(config) == [("accept.unused", 1), ("column.drop", 2)]


async def test_an_acceptance_without_a_reason(store: Store) -> None:
    config = await filled(store)
    write("1_1_drop", f"-- accept: column.drop\n{DROP}", LOST)
    assert sorted(await left(config)) == [("accept.no-reason", 1), ("column.drop", 1)]


async def test_an_acceptance_that_only_filled_tables_need(store: Store) -> None:
    config = await filled(store, rows=False)
    write("1_1_drop", f"/* accept: column.drop (it is kept (elsewhere)) */ {DROP}", LOST)
    assert await left(config) == []


async def test_an_acceptance_of_the_whole_file(store: Store) -> None:
    config = await filled(store)
    write("1_1_add", "ALTER TABLE pen ADD COLUMN ink INT", "-- accept: downgrade.empty (we go forward only)")
    assert await left(config) == []
    write("1_2_more", "-- accept: number.twice (they are about other tables)\nSELECT 1", "SELECT 1")
    assert await left(config) == [("number.twice", 0)]  # of the other file


@pytest.mark.parametrize("text", ["-- accept column.drop (why)", "-- it accepts: column.drop (why)"])
async def test_other_comments_accept_nothing(store: Store, text: str) -> None:
    config = await filled(store)
    write("1_1_drop", f"{text}\n{DROP}", LOST)
    assert await left(config) == [("column.drop", 1)]

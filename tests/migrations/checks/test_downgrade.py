"""What the way back would cost."""

from __future__ import annotations

from tests.db.opening import Store
from tests.migrations.checks.shelf import everything, filled
from tests.migrations.desk import DeskConfig, write

ADD, DROP = "ALTER TABLE pen ADD COLUMN {}", "ALTER TABLE pen DROP COLUMN {}"


async def back(config: DeskConfig) -> list[tuple[str, int]]:
    """What is found about downgrades."""
    return [
        (finding.code, finding.statement) for finding in await everything(config) if finding.direction == "downgrade"
    ]


async def test_an_empty_downgrade(store: Store) -> None:
    config = DeskConfig.on(store)
    write("0_1_init", "CREATE TABLE pen (id INT)")
    assert await back(config) == []  # the first one has no way back
    write("1_1_add", ADD.format("ink INT"), "-- nothing")
    assert await back(config) == [("downgrade.empty", 0)]
    write("1_1_add", "", "")
    assert await back(config) == []


async def test_a_downgrade_that_drops_what_the_upgrade_has_made(store: Store) -> None:
    config = await filled(store)
    write("1_1_add", f"{ADD.format('ink INT')}; CREATE TABLE lid (size INT)", f"DROP TABLE lid; {DROP.format('ink')}")
    assert await back(config) == [("downgrade.loses-data", 1), ("downgrade.loses-data", 2)]


async def test_a_downgrade_that_makes_again_what_was_dropped(store: Store) -> None:
    config = await filled(store)
    write("1_1_drop", DROP.format("note"), ADD.format("note TEXT"))
    (finding,) = [item for item in await everything(config) if item.direction == "downgrade"]
    assert (finding.code, finding.statement) == ("downgrade.loses-data", 1)
    assert finding.sentence.startswith("The downgrade recreates pen.note without ")


async def test_a_downgrade_that_loses_nothing(store: Store) -> None:
    config = await filled(store)
    upgrade = "ALTER TABLE pen RENAME COLUMN name TO title; CREATE INDEX pen_title ON pen (title)"
    drop_index = "DROP INDEX pen_title" + " ON pen" * (store.kind == "aiomysql")
    write("1_1_rename", upgrade, f"{drop_index}; ALTER TABLE pen RENAME COLUMN title TO name")
    assert await back(config) == []

"""Migrations applied and taken back, on each database."""

from __future__ import annotations

from pathlib import Path

import pytest

from sanicbase.errors import MigrationError
from tests.db.opening import STORES, Store
from tests.migrations.desk import DeskConfig, Told, ask, down, standing, up, write

KEY = "id INT PRIMARY KEY"


@pytest.fixture(params=STORES)
def store(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """An empty database of each kind in turn, and a project without files."""
    monkeypatch.chdir(tmp_path)
    kind = request.param
    if kind == "sqlite":
        return Store(kind, f"sqlite://{tmp_path / 'desk.sqlite3'}")
    return Store(kind, request.getfixturevalue("postgres_url" if kind == "postgres" else "mysql_url"))


@pytest.fixture
def config(store: Store) -> DeskConfig:
    return DeskConfig.on(store)


async def names(config: DeskConfig) -> list[str]:
    return [row["name"] for row in await ask(config, "SELECT name FROM pen ORDER BY id")]


async def test_migrations_are_applied_once_in_order_and_taken_back(config: DeskConfig) -> None:
    write("0_20990101000000_init", f"CREATE TABLE pen ({KEY}, name VARCHAR(20)); INSERT INTO pen VALUES (1, 'a;b''%s')")
    write("1_19700101000000_more", "ALTER TABLE pen ADD ink INT", "ALTER TABLE pen DROP COLUMN ink")
    told = Told()
    assert await up(config, told=told) == 2
    assert [line for line in told.lines if line.startswith("up")] == [
        "up 0_20990101000000_init.py at 1",
        "up 1_19700101000000_more.py at 1",
    ]
    assert await ask(config, "SELECT name, ink FROM pen") == [{"name": "a;b'%s", "ink": None}]
    assert await up(config) == 0
    found = await standing(config)
    assert (found.applied, found.pending, found.begun, found.warnings()) == (
        ("0_20990101000000_init.py", "1_19700101000000_more.py"),
        [],
        None,
        [],
    )
    assert await down(config) == 1
    assert await ask(config, "SELECT * FROM pen") == [{"id": 1, "name": "a;b'%s"}]
    with pytest.raises(MigrationError, match=r"0_20990101000000_init\.py of desk has no way back"):
        await down(config)
    assert await up(config) == 1


async def test_failure_says_what_was_done_and_the_next_run_goes_on(config: DeskConfig, store: Store) -> None:
    write("0_1_init", f"CREATE TABLE pen ({KEY}, name VARCHAR(20)); INSERT INTO pen VALUES (1, 'a')")
    await up(config)
    adds, inserts = "ALTER TABLE pen ADD ink INT", "INSERT INTO pen (id, name) VALUES (2, 'b')"
    write("1_1_more", f"{adds}; {inserts}; INSERT INTO pen (id) VALUES (1); ALTER TABLE pen ADD cap INT")
    with pytest.raises(MigrationError) as caught:
        await up(config)
    said = str(caught.value)
    assert said.startswith("1_1_more.py of desk failed at statement 3 of 4: ")
    assert "INSERT INTO pen (id) VALUES (1)" in said
    assert said.endswith("sanicGuider migrate up desk" + (". It goes on at statement 3." if mysql(store) else ""))
    assert ("Statements 1 to 2 were carried out and stay." in said) == mysql(store)
    assert ("nothing of it was applied" in said) != mysql(store)
    assert await names(config) == (["a", "b"] if mysql(store) else ["a"])

    write("1_1_more", f"{adds}; {inserts}; INSERT INTO pen (id, name) VALUES (3, 'c'); ALTER TABLE pen ADD cap INT")
    told = Told()
    assert await up(config, told=told) == 1
    assert told.lines[0] == f"up 1_1_more.py at {3 if mysql(store) else 1}"
    assert await ask(config, "SELECT * FROM pen WHERE id = 3") == [{"id": 3, "name": "c", "ink": None, "cap": None}]
    assert await names(config) == ["a", "b", "c"]
    assert (await standing(config)).begun is None


def mysql(store: Store) -> bool:
    return store.kind in ("aiomysql", "asyncmy")

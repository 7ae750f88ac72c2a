"""Migrations of rows: in the transaction of the SQL or in batches of their own, and resumed behind the last one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sanicbase.errors import MigrationError
from tests.db import project as projects
from tests.db.opening import STORES, Store
from tests.docs.blocks import code
from tests.migrations.desk import FILE, DeskConfig, RecordingReport, ask, status, up, write

PENS = "CREATE TABLE pen (id {kind} PRIMARY KEY, name VARCHAR(40), slug VARCHAR(40)); {rows}"
SLUGS = """
async def slugs(db, rows):
    for row in rows:
        if row["name"] == {fails!r}:
            raise ValueError(row["name"])
        await db.execute_query(f"UPDATE pen SET slug = '{{row['name'].lower()}}' WHERE id = '{{row['id']}}'")


async def migrate_data(data):
    assert await data.batches("pen", slugs, where="slug IS NULL", columns=["name"], size=2) == {total}
"""
OUTSIDE = "DATA_IN_TRANSACTION = False"
KEYS = {
    "int": ("INT", ["1", "2", "3", "4", "5"]),
    "text": ("VARCHAR(9)", ["a", "b", "c", "d", "e"]),
    "uuid": ("{uuid}", [f"0000000{n}-0000-4000-8000-000000000000" for n in range(5)]),
}


@pytest.fixture(params=STORES[:3])
def store(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.chdir(tmp_path)
    kind = request.param
    if kind == "sqlite":
        return Store(kind, f"sqlite://{tmp_path / 'desk.sqlite3'}")
    return Store(kind, request.getfixturevalue("postgres_url" if kind == "postgres" else "mysql_url"))


@pytest.fixture
def config(store: Store) -> DeskConfig:
    return DeskConfig.on(store)


async def pens(config: DeskConfig, store: Store, key: str = "int") -> None:
    """Five pens without slugs."""
    kind, keys = KEYS[key]
    rows = "; ".join(
        f"INSERT INTO pen VALUES ('{key}', '{name}', NULL)" for key, name in zip(keys, "ABCDE", strict=True)
    )
    write("0_1_init", PENS.format(kind=kind.format(uuid="UUID" if store.kind == "postgres" else "CHAR(36)"), rows=rows))
    await up(config)


async def slugs(config: DeskConfig) -> str:
    return "".join(row["slug"] or "-" for row in await ask(config, "SELECT slug FROM pen ORDER BY id"))


@pytest.mark.parametrize(
    ("key", "head"),
    [("int", ""), *((key, OUTSIDE) for key in KEYS)],
    ids=["inside", *(f"outside-{key}" for key in KEYS)],
)
async def test_rows_are_migrated_in_batches(config: DeskConfig, store: Store, key: str, head: str) -> None:
    await pens(config, store, key)
    write("1_1_slugs", "ALTER TABLE pen ADD ink INT", head=head, tail=SLUGS.format(fails="", total=5))
    report = RecordingReport()
    assert await up(config, report=report) == 1
    assert await slugs(config) == "abcde"
    assert [line for line in report.lines if line.startswith("pen ")] == ["pen 2/5", "pen 4/5", "pen 5/5"]
    assert "2/2 migrate_data" in report.lines


async def test_inside_of_the_transaction_all_or_nothing(config: DeskConfig, store: Store) -> None:
    await pens(config, store)
    write("1_1_slugs", "ALTER TABLE pen ADD ink INT", tail=SLUGS.format(fails="D", total=5))
    with pytest.raises(MigrationError, match="failed at statement 2 of 2: ValueError: D"):
        await up(config)
    assert await slugs(config) == "-----"
    stays = store.kind in ("aiomysql", "asyncmy")  # as every change of a table does there
    assert ("ink" in (await ask(config, "SELECT * FROM pen"))[0]) == stays
    write("1_1_slugs", "ALTER TABLE pen ADD ink INT", tail=SLUGS.format(fails="", total=5))
    assert await up(config) == 1
    assert await slugs(config) == "abcde"


async def test_without_a_transaction_the_next_run_continues_after_the_last_batch(
    config: DeskConfig, store: Store
) -> None:
    await pens(config, store)
    write("1_1_slugs", "ALTER TABLE pen ADD ink INT", head=OUTSIDE, tail=SLUGS.format(fails="D", total=5))
    with pytest.raises(MigrationError, match=r"ValueError: D\n.*\nStatements 1 to 1 were executed and are kept"):
        await up(config)
    assert await slugs(config) == "ab---"
    interrupted = (await status(config)).interrupted
    assert interrupted is not None
    assert (interrupted.step, interrupted.state, json.loads(interrupted.position)) == (
        2,
        "failed",
        {"1:pen": [2, "int", "2"]},
    )
    await ask(config, "UPDATE pen SET slug = NULL WHERE id = 1")  # which is behind, and is not looked at again
    write("1_1_slugs", "ALTER TABLE pen ADD ink INT", head=OUTSIDE, tail=SLUGS.format(fails="", total=5))
    report = RecordingReport()
    assert await up(config, report=report) == 1
    assert report.lines == ["up 1_1_slugs.py at 2", "2/2 migrate_data", "pen 4/5", "pen 5/5"]
    assert await slugs(config) == "-bcde"


async def test_key_that_has_no_order_to_be_kept_is_an_error_message(config: DeskConfig, store: Store) -> None:
    await pens(config, store)
    tail = SLUGS.replace("where=", "key='price', where=").replace('columns=["name"], ', "").format(fails="", total=5)
    write("1_1_slugs", "ALTER TABLE pen ADD price FLOAT; UPDATE pen SET price = 1.5", tail=tail)
    with pytest.raises(MigrationError, match="by the column price, whose values are of the type float"):
        await up(config)


async def test_aerich_does_not_note_a_migration_without_its_rows(tmp_path: Path) -> None:
    project = projects.shop(tmp_path)
    project.shell("aerich init -t shop.config.migrate_db && aerich init-db")
    file = project.migrations()[0].with_name("1_1_rows.py")
    file.write_text(FILE.format(head="", up="", down="", tail="async def migrate_data(data):\n    pass"))
    with pytest.raises(
        AssertionError, match=r"1_1_rows\.py has a data migration, .* sanicGuider migrate up"
    ) as refused:
        project.aerich("upgrade")
    assert "Traceback" not in str(refused.value)
    assert "(1_1_rows.py). Run: sanicGuider migrate up shop" in project.start()
    assert len(projects.Store.embedded(project).ask("SELECT version FROM aerich")) == 1


@pytest.mark.parametrize("store", STORES[:3], indirect=True)
async def test_files_of_the_guide_work(config: DeskConfig) -> None:
    dropping, slugs = code("migrations", "python")
    write(
        "0_1_init",
        "CREATE TABLE article (id INT PRIMARY KEY, title VARCHAR(40)); INSERT INTO article VALUES (1, 'A B')",
    )
    write("1_1_slugs", "").write_text(slugs)
    assert await up(config) == 2
    assert await ask(config, "SELECT slug FROM article") == [{"slug": "a-b"}]
    write("2_1_dropping", "").write_text(dropping)
    assert await up(config) == 1
    assert await ask(config, "SELECT * FROM article") == [{"id": 1, "title": "A B"}]

"""Migrations applied and reverted, on each database."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from sanicbase.errors import MigrationError
from sanicbase.migrations.apply import apply
from sanicbase.migrations.selection import Options
from sanicbase.migrations.status import labels_of, migration_databases
from tests.db.opening import STORES, Store
from tests.migrations.desk import DeskConfig, RecordingReport, ask, down, status, up, write

KEY = "id INT PRIMARY KEY"


@pytest.fixture(params=STORES[:3])
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


async def test_a_file_for_another_kind_of_database_is_refused_before_anything_is_applied(
    config: DeskConfig, store: Store
) -> None:
    other = "mysql" if store.kind == "postgres" else "postgres"
    dialect = {"sqlite": "sqlite", "postgres": "postgres"}.get(store.kind, "mysql")
    write("0_1_init", f"CREATE TABLE pen ({KEY})", folder=dialect)
    write("1_1_more", "ALTER TABLE pen ADD ink INT", head=f'DIALECT = "{other}"', folder=dialect)
    with pytest.raises(MigrationError, match=rf"1_1_more\.py of desk is written for .* to migrations/{other}/desk"):
        await up(config)
    assert (await status(config)).applied == ()


async def test_a_note_about_a_file_for_another_kind_of_database_misses_no_file(config: DeskConfig) -> None:
    file = write("0_1_init", f"CREATE TABLE pen ({KEY})")
    assert await up(config) == 1
    other = "mysql" if config.DB_URL.startswith("postgres") else "postgres"
    moved = write("0_1_init", "", head=f'DIALECT = "{other}"', folder=other)
    file.unlink()
    assert (await status(config)).missing == []
    moved.unlink()
    assert (await status(config)).missing == ["0_1_init.py"]


async def test_migrations_are_applied_once_in_order_and_taken_back(config: DeskConfig) -> None:
    write("0_20990101000000_init", f"CREATE TABLE pen ({KEY}, name VARCHAR(20)); INSERT INTO pen VALUES (1, 'a;b''%s')")
    write("1_19700101000000_more", "ALTER TABLE pen ADD ink INT", "ALTER TABLE pen DROP COLUMN ink")
    report = RecordingReport()
    assert await up(config, report=report) == 2
    assert [line for line in report.lines if line.startswith("up")] == [
        "up 0_20990101000000_init.py at 1",
        "up 1_19700101000000_more.py at 1",
    ]
    assert await ask(config, "SELECT name, ink FROM pen") == [{"name": "a;b'%s", "ink": None}]
    assert await up(config) == 0
    state = await status(config)
    assert (state.applied, state.pending, state.interrupted, state.warnings()) == (
        ("0_20990101000000_init.py", "1_19700101000000_more.py"),
        [],
        None,
        [],
    )
    assert await down(config) == 1
    assert await ask(config, "SELECT * FROM pen") == [{"id": 1, "name": "a;b'%s"}]
    with pytest.raises(MigrationError, match=r"0_20990101000000_init\.py of desk cannot be reverted"):
        await down(config)
    assert await up(config) == 1


async def test_failure_reports_what_was_applied_and_the_next_run_resumes(config: DeskConfig, store: Store) -> None:
    write("0_1_init", f"CREATE TABLE pen ({KEY}, name VARCHAR(20)); INSERT INTO pen VALUES (1, 'a')")
    await up(config)
    adds, inserts = "ALTER TABLE pen ADD ink INT", "INSERT INTO pen (id, name) VALUES (2, 'b')"
    write("1_1_more", f"{adds}; {inserts}; INSERT INTO pen (id) VALUES (1); ALTER TABLE pen ADD cap INT")
    with pytest.raises(MigrationError) as excinfo:
        await up(config)
    message = str(excinfo.value)
    assert message.startswith("1_1_more.py of desk failed at statement 3 of 4: ")
    assert "INSERT INTO pen (id) VALUES (1)" in message
    assert message.endswith("sanicGuider migrate up desk" + (". It continues at statement 3." if mysql(store) else ""))
    assert ("Statements 1 to 2 were executed and are kept." in message) == mysql(store)
    assert ("nothing of it was applied" in message) != mysql(store)
    assert await names(config) == (["a", "b"] if mysql(store) else ["a"])

    write("1_1_more", f"{adds}; {inserts}; INSERT INTO pen (id, name) VALUES (3, 'c'); ALTER TABLE pen ADD cap INT")
    report = RecordingReport()
    assert await up(config, report=report) == 1
    assert report.lines[0] == f"up 1_1_more.py at {3 if mysql(store) else 1}"
    assert await ask(config, "SELECT * FROM pen WHERE id = 3") == [{"id": 3, "name": "c", "ink": None, "cap": None}]
    assert await names(config) == ["a", "b", "c"]
    assert (await status(config)).interrupted is None


def mysql(store: Store) -> bool:
    return store.kind in ("aiomysql", "asyncmy")


async def test_changed_files_are_reported(config: DeskConfig) -> None:
    first = write("0_1_init", f"CREATE TABLE pen ({KEY})")
    second = write("1_1_more", "ALTER TABLE pen ADD ink INT")
    await up(config)
    write("0_1_init", f"CREATE TABLE pen ({KEY}, name INT)")
    second.unlink()
    report = RecordingReport()
    assert await up(config, report=report) == 0
    assert [line.partition(". ")[0] for line in report.lines] == [
        "warning 1_1_more.py of desk is applied, but its file is missing",
        "warning 0_1_init.py of desk was changed after it was applied, and this database does not get the change",
    ]
    with pytest.raises(MigrationError, match=r"1_1_more\.py of desk cannot be reverted: its file is missing"):
        await down(config)
    first.write_text("# A comment is no change.\n" + write("0_1_init", f"CREATE TABLE pen ({KEY})").read_text())
    write("1_1_more", "ALTER TABLE pen ADD ink INT")
    assert (await status(config)).warnings() == []


async def test_file_that_comes_between_is_not_applied_unasked(config: DeskConfig) -> None:
    write("0_1_init", f"CREATE TABLE pen ({KEY})")
    write("2_1_more", "ALTER TABLE pen ADD ink INT")
    await up(config)
    between = write("1_1_between", "ALTER TABLE pen ADD cap INT")
    write("2_2_beside", "ALTER TABLE pen ADD nib INT")
    with pytest.raises(MigrationError, match=r"1_1_between\.py, 2_2_beside\.py of desk is not applied, but a later"):
        await up(config)
    assert between.is_file()
    assert await up(config, out_of_order=True) == 2


async def test_target_is_named_by_its_number_or_its_name(config: DeskConfig) -> None:
    for number in range(4):
        write(f"{number}_1_t", f"CREATE TABLE t{number} ({KEY})", f"DROP TABLE t{number}")
    assert await up(config, to="1") == 2
    assert await up(config, to="2_1_t.py") == 1
    with pytest.raises(MigrationError, match="desk has no migration 7"):
        await up(config, to="7")
    assert await down(config, to="0_1_t") == 2
    assert (await status(config)).applied == ("0_1_t.py",)
    with pytest.raises(MigrationError, match=r"2_1_t\.py is not applied"):
        await down(config, to="2")


async def test_a_service_without_migrations_gets_the_first_command(config: DeskConfig) -> None:
    async with migration_databases(config) as opened:
        label = replace(labels_of(opened)[0], needs_migrations=True)
        report = RecordingReport()
        assert await apply(opened, [label], Options(), report) == 0
        init = "sanicGuider migrate init desk"
        assert report.lines == [f"warning desk has no migrations yet. Create the first: {init}"]
    assert labels_of(config)[0].needs_migrations is False  # which has no models but aerich's


async def test_there_must_be_a_statement_to_skip(config: DeskConfig) -> None:
    write("0_1_init", f"CREATE TABLE pen ({KEY})")
    with pytest.raises(MigrationError, match="is partly applied, so there is no statement to skip"):
        await up(config, skip_statement=True)


async def test_fake_notes_and_does_nothing(config: DeskConfig) -> None:
    write("0_1_init", f"CREATE TABLE pen ({KEY})", "DROP TABLE pen")
    await ask(config, f"CREATE TABLE pen ({KEY})")
    assert await up(config, fake=True) == 1
    assert await down(config, fake=True) == 1
    assert await up(config, fake=True) == 1
    assert await ask(config, "SELECT * FROM pen") == []


async def test_two_services_on_one_database_keep_apart(config: DeskConfig, store: Store) -> None:
    class ShelfConfig(DeskConfig):
        SERVER_NAME = "shelf"

    shelf = ShelfConfig.on(store)
    write("0_1_init", f"CREATE TABLE pen ({KEY})", "DROP TABLE pen")
    write("0_1_init", f"CREATE TABLE book ({KEY})", "DROP TABLE book", label="shelf")
    write("1_1_more", "ALTER TABLE book ADD pages INT", label="shelf")
    assert (await up(config), await up(shelf)) == (1, 2)
    assert (await up(config), await up(shelf)) == (0, 0)
    assert await down(config) == 1
    assert await ask(shelf, "SELECT pages FROM book") == []
    assert ((await status(config)).applied, len((await status(shelf)).applied)) == ((), 2)


async def test_two_dialects_of_one_service_keep_apart(config: DeskConfig, store: Store, tmp_path: Path) -> None:
    other = "mysql" if store.kind == "sqlite" else "sqlite"
    write("0_1_init", f"CREATE TABLE pen ({KEY})", head=f'DIALECT = "{other}"')
    with pytest.raises(MigrationError, match=r"written for .* is .*: sanicGuider migrate init desk$"):
        await up(config)
    dialect = {"sqlite": "sqlite", "postgres": "postgres"}.get(store.kind, "mysql")
    write("0_2_init", f"CREATE TABLE pen ({KEY}, own INT)", folder=dialect)
    assert await up(config) == 1
    assert await ask(config, "SELECT own FROM pen") == []
    assert (tmp_path / "migrations" / "desk" / "0_1_init.py").is_file()


@pytest.mark.parametrize("store", STORES[:1], indirect=True)
async def test_sqlite_keeps_rows_that_refer_to_a_table_that_is_rebuilt(config: DeskConfig) -> None:
    write(
        "0_1_init",
        f"CREATE TABLE pen ({KEY}); CREATE TABLE cap (pen INT REFERENCES pen (id) ON DELETE CASCADE); "
        "INSERT INTO pen VALUES (1); INSERT INTO cap VALUES (1)",
    )
    rebuild = f"CREATE TABLE new ({KEY}, ink INT); {{copy}}; DROP TABLE pen; ALTER TABLE new RENAME TO pen"
    write("1_1_more", rebuild.format(copy="SELECT 1"))
    await up(config, to="0")
    with pytest.raises(MigrationError, match="Rows of cap would violate a foreign key"):
        await up(config)
    write("1_1_more", rebuild.format(copy="INSERT INTO new (id) SELECT id FROM pen"))
    await up(config)
    assert await ask(config, "SELECT pen, ink FROM cap JOIN pen ON pen.id = cap.pen") == [{"pen": 1, "ink": None}]

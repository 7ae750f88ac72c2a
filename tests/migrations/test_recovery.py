"""What was begun is finished, on the databases and in the modes where a migration is no single transaction."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from sanicbase.errors import MigrationError
from sanicbase.migrations import runner
from sanicbase.migrations.journal import Journal
from tests.db.opening import Store
from tests.migrations.desk import DeskConfig, RecordingReport, ask, down, status, up, write

OUTSIDE = "RUN_IN_TRANSACTION = False"


class Killed(BaseException):
    """The process ends here: nothing of ours is done any more."""


@pytest.fixture
def mysql(mysql_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DeskConfig:
    monkeypatch.chdir(tmp_path)
    return DeskConfig.on(Store("aiomysql", mysql_url))


@pytest.fixture
def postgres(postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DeskConfig:
    monkeypatch.chdir(tmp_path)
    return DeskConfig.on(Store("postgres", postgres_url))


def killed(monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, *, after: bool = False, at: int = 1) -> None:
    """End the run before or after the call of that name, the first or a later one."""
    original: Callable[..., Awaitable[Any]] = getattr(owner, name)
    calls = 0

    async def call(*args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == at and not after:
            raise Killed
        answer = await original(*args, **kwargs)
        if calls == at:
            raise Killed
        return answer

    monkeypatch.setattr(owner, name, call)


CHANGES = [
    "CREATE TABLE cap (id INT)",
    "ALTER TABLE pen ADD ink INT",
    "ALTER TABLE pen RENAME COLUMN name TO title",
    "ALTER TABLE pen MODIFY COLUMN title VARCHAR(20) NOT NULL COMMENT 'new'",
    "CREATE INDEX pen_title ON pen (title)",
    "ALTER TABLE pen RENAME TO pencil",
    "DROP TABLE cap",
]


@pytest.mark.xdist_group("mysql")
@pytest.mark.parametrize("step", range(1, len(CHANGES) + 1))
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
async def test_uncertain_statement_is_executed_once(
    mysql: DeskConfig, step: int, after: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed between a statement and its note, or between the note that it begins and the statement."""
    write("0_1_init", "CREATE TABLE pen (id INT, name VARCHAR(20)); INSERT INTO pen VALUES (1, 'a')")
    await up(mysql)
    write("1_1_more", "; ".join(CHANGES))
    with monkeypatch.context() as patched, pytest.raises(Killed):
        killed(patched, runner, "execute", after=after, at=step)
        await up(mysql)
    interrupted = (await status(mysql)).interrupted
    assert interrupted is not None
    assert (interrupted.step, interrupted.state, interrupted.statement) == (step, "started", CHANGES[step - 1])
    report = RecordingReport()
    assert await up(mysql, report=report) == 1
    goes_on = step + after
    assert [line for line in report.lines if "/7 " in line] == [
        f"{number}/7 {sql}" for number, sql in enumerate(CHANGES, 1) if number >= goes_on
    ]
    assert await ask(mysql, "SELECT * FROM pencil") == [{"id": 1, "title": "a", "ink": None}]
    assert await ask(mysql, "SHOW TABLES LIKE 'cap'") == []
    assert (await status(mysql)).interrupted is None


@pytest.mark.xdist_group("mysql")
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
async def test_rows_are_written_once(mysql: DeskConfig, after: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    write("0_1_init", "CREATE TABLE pen (id INT); INSERT INTO pen VALUES (1); SET @a = 7; INSERT INTO pen VALUES (@a)")
    with monkeypatch.context() as patched, pytest.raises(Killed):
        killed(patched, Journal, "mark_done", after=after, at=2)
        await up(mysql)
    assert await up(mysql) == 1
    assert await ask(mysql, "SELECT id FROM pen") == [{"id": 1}, {"id": 7}]


@pytest.mark.xdist_group("mysql")
async def test_variables_of_the_session_are_set_again(mysql: DeskConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    write("0_1_init", "SET @a = 7; CREATE TABLE pen (id INT); INSERT INTO pen VALUES (@a)")
    with monkeypatch.context() as patched, pytest.raises(Killed):
        killed(patched, runner, "execute", at=3)
        await up(mysql)
    assert await up(mysql) == 1
    assert await ask(mysql, "SELECT id FROM pen") == [{"id": 7}]


@pytest.mark.xdist_group("mysql")
async def test_executed_statements_must_not_be_changed(mysql: DeskConfig) -> None:
    write("0_1_init", "CREATE TABLE pen (id INT); ALTER TABLE pen ADD id INT")
    with pytest.raises(MigrationError, match=r"failed at statement 2 of 2: .*Duplicate column"):
        await up(mysql)
    write("0_1_init", "CREATE TABLE pen (id BIGINT); ALTER TABLE pen ADD ink INT")
    with pytest.raises(
        MigrationError,
        match=r"changed in a part that was executed. Statement 1 was: CREATE TABLE pen \(id INT\)\. Restore",
    ):
        await up(mysql)
    with pytest.raises(MigrationError, match=r"is partly applied: it stopped at statement 2. Finish it: .* migrate up"):
        await down(mysql)
    file = write("0_1_init", "CREATE TABLE pen (id INT); ALTER TABLE pen ADD ink INT")
    file.rename(file.with_name("0_1_other.py"))
    with pytest.raises(MigrationError, match=r"0_1_init\.py of desk is partly applied, and its file is missing"):
        await up(mysql)
    file.with_name("0_1_other.py").rename(file)
    assert await up(mysql) == 1


@pytest.mark.xdist_group("mysql")
async def test_statement_that_was_executed_by_hand_is_skipped(mysql: DeskConfig) -> None:
    script = "CREATE TABLE pen (id INT); ALTER TABLE pen ADD {}; ALTER TABLE pen ADD ink INT"
    write("0_1_init", script.format("id INT"))
    with pytest.raises(MigrationError):
        await up(mysql)
    write("0_1_init", script.format("cap INT"))  # what was done instead
    assert await up(mysql, skip_statement=True) == 1
    assert await ask(mysql, "SELECT ink FROM pen") == []


@pytest.mark.xdist_group("mysql")
async def test_uncertain_statement_that_was_executed_must_not_be_changed(
    mysql: DeskConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    write("0_1_init", "CREATE TABLE pen (id INT)")
    with monkeypatch.context() as patched, pytest.raises(Killed):
        killed(patched, runner, "execute", after=True)
        await up(mysql)
    write("0_1_init", "CREATE TABLE pen (id BIGINT)")
    with pytest.raises(MigrationError, match=r"Statement 1 was: CREATE TABLE pen \(id INT\)"):
        await up(mysql)
    write("0_1_init", "CREATE TABLE pen (id INT)")
    assert await up(mysql) == 1


@pytest.mark.xdist_group("postgres")
async def test_a_partly_applied_file_cannot_become_a_transaction(postgres: DeskConfig) -> None:
    write("0_1_init", "INSERT INTO pen VALUES (1); SELECT 1 / 0", head=OUTSIDE)
    await ask(postgres, "CREATE TABLE pen (id INT)")
    with pytest.raises(MigrationError, match="failed at statement 2"):
        await up(postgres)
    write("0_1_init", "INSERT INTO pen VALUES (1); SELECT 1")
    with pytest.raises(MigrationError, match=r"Statement 1 was: INSERT INTO pen VALUES \(1\)"):
        await up(postgres)
    assert await ask(postgres, "SELECT id FROM pen") == [{"id": 1}]


@pytest.mark.xdist_group("mysql")
async def test_downgrade_is_resumed_as_well(mysql: DeskConfig) -> None:
    write("0_1_init", "CREATE TABLE pen (id INT)", "ALTER TABLE pen DROP COLUMN ink; DROP TABLE pen")
    await up(mysql)
    with pytest.raises(MigrationError, match="failed at statement 1 of 2"):
        await down(mysql)
    with pytest.raises(MigrationError, match="Finish it: sanicGuider migrate down desk"):
        await up(mysql)
    await ask(mysql, "ALTER TABLE pen ADD ink INT")
    assert await down(mysql) == 1
    assert (await status(mysql)).applied == ()


@pytest.mark.xdist_group("mysql")
async def test_several_tables_in_one_statement_are_no_guess(mysql: DeskConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    write("0_1_init", "CREATE TABLE pen (id INT); CREATE TABLE cap (id INT)")
    await up(mysql)
    write("1_1_less", "DROP TABLE pen, cap")
    with monkeypatch.context() as patched, pytest.raises(Killed):
        killed(patched, runner, "execute")
        await up(mysql)
    await ask(mysql, "DROP TABLE pen")
    with pytest.raises(MigrationError, match="killed during DROP TABLE of several tables"):
        await up(mysql)
    await ask(mysql, "DROP TABLE cap")
    assert await up(mysql, skip_statement=True) == 1


@pytest.mark.xdist_group("postgres")
async def test_outside_of_a_transaction_each_statement_is_one(postgres: DeskConfig) -> None:
    write("0_1_init", "CREATE TABLE pen (id INT); INSERT INTO pen VALUES (1); SELECT 1 / 0", head=OUTSIDE)
    with pytest.raises(MigrationError, match=r"statement 3 of 3: .* by zero\n.*\nStatements 1 to 2 were executed"):
        await up(postgres)
    write("0_1_init", "CREATE TABLE pen (id INT); INSERT INTO pen VALUES (1); SELECT 1", head=OUTSIDE)
    report = RecordingReport()
    assert await up(postgres, report=report) == 1
    assert report.lines == ["up 0_1_init.py at 3", "3/3 SELECT 1"]
    assert await ask(postgres, "SELECT id FROM pen") == [{"id": 1}]


@pytest.mark.xdist_group("postgres")
async def test_a_partly_built_index_is_rebuilt(postgres: DeskConfig) -> None:
    write("0_1_init", "CREATE TABLE pen (id INT); INSERT INTO pen VALUES (1), (1)")
    await up(postgres)
    index = 'CREATE UNIQUE INDEX CONCURRENTLY "pen_ID" ON pen (id)'
    write("1_1_index", f"SET lock_timeout = '5s'; {index}", head=OUTSIDE)
    with pytest.raises(MigrationError, match="statement 2 of 2"):
        await up(postgres)
    valid = """SELECT indisvalid AS v FROM pg_index WHERE indexrelid = '"pen_ID"'::regclass"""
    assert [row["v"] for row in await ask(postgres, valid)] == [False]
    await ask(postgres, "DELETE FROM pen")
    assert await up(postgres) == 1
    assert await ask(postgres, valid) == [{"v": True}]


@pytest.mark.xdist_group("postgres")
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
async def test_uncertain_index_is_created_once(
    postgres: DeskConfig, after: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    write("0_1_init", "CREATE TABLE pen (id INT)")
    await up(postgres)
    write("1_1_index", "CREATE INDEX CONCURRENTLY pen_id ON pen (id); DROP INDEX CONCURRENTLY pen_id", head=OUTSIDE)
    for step in (1, 2):
        with monkeypatch.context() as patched, pytest.raises(Killed):
            # The first call of each statement is refused, since it is in a transaction.
            killed(patched, runner, "execute", after=after, at=2 if after else 2 * step)
            await up(postgres)
        interrupted = (await status(postgres)).interrupted
        assert interrupted is not None
        assert (interrupted.step, interrupted.state) == (step, "started")
    assert await up(postgres) == 1
    assert await ask(postgres, "SELECT 1 FROM pg_class WHERE relname = 'pen_id'") == []

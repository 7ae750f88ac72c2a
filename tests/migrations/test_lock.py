"""One process migrates and the others wait, for a limited time; a process that has died delays none of them."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest
from filelock import FileLock
from tortoise.connection import get_connection

from sanicbase.db.errors import DatabaseUnavailable
from sanicbase.migrations import lock
from sanicbase.migrations.apply import apply
from sanicbase.migrations.lock import MigrationLockTimeout, dialect_of, locked_sessions
from sanicbase.migrations.selection import Options
from sanicbase.migrations.statements import Dialect
from sanicbase.migrations.status import labels_of, migration_databases
from tests.db.opening import STORES, Store
from tests.migrations.desk import DeskConfig, RecordingReport, ask, up, write

SERVERS = STORES[1:]
TEN = 10


@pytest.fixture
def config(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DeskConfig:
    """An empty database of the kind that is asked for, and a project without files."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(lock, "POLL", 0.01)
    kind = request.param
    if kind == "sqlite":
        return DeskConfig.on(Store(kind, f"sqlite://{tmp_path / 'desk.sqlite3'}"))
    url = request.getfixturevalue("postgres_url" if kind == "postgres" else "mysql_url")
    return DeskConfig.on(Store(kind, url))


@pytest.mark.parametrize("config", SERVERS, indirect=True)
async def test_of_ten_at_once_one_applies_and_all_wait_for_it(config: DeskConfig) -> None:
    write("0_1_init", "CREATE TABLE pen (id INT); INSERT INTO pen VALUES (1)")
    assert await ten_at_once(config) == [0] * (TEN - 1) + [1]
    assert await ask(config, "SELECT id FROM pen") == [{"id": 1}]


async def ten_at_once(config: DeskConfig) -> list[int]:
    """How many migrations each of ten has applied, each in sessions of its own."""
    async with migration_databases(config) as opened:
        labels = labels_of(opened)
        return sorted(await asyncio.gather(*(apply(opened, labels, Options(), RecordingReport()) for _ in range(TEN))))


@pytest.mark.parametrize("config", SERVERS, indirect=True)
async def test_holder_that_hangs_is_named_when_the_time_is_over(config: DeskConfig) -> None:
    async with migration_databases(config):
        report, acquired, over = RecordingReport(), asyncio.get_running_loop().create_future(), asyncio.Event()

        async def hold() -> None:
            async with locked_sessions(["default"]) as sessions:
                acquired.set_result(await sessions["default"].execute_query_dict(PID[dialect_of(sessions["default"])]))
                await over.wait()

        holder = asyncio.create_task(hold())
        pid = (await acquired)[0]["pid"]
        with pytest.raises(MigrationLockTimeout) as excinfo:
            async with locked_sessions(["default"], seconds=0.5, on_wait=report.waiting):
                raise AssertionError("two have the lock")
        message = str(excinfo.value)
        assert f"the session {pid} from " in message
        assert "for longer than 0.5 seconds. Nothing was changed." in message
        assert message.endswith((f"SELECT pg_terminate_backend({pid})", f"KILL {pid}"))
        assert [line.partition(" from ")[0] for line in report.lines] == [f"waiting Waiting for the session {pid}"]
        over.set()
        await holder
        async with locked_sessions(["default"], seconds=0):
            pass


PID: dict[Dialect, str] = {"postgres": "SELECT pg_backend_pid() AS pid", "mysql": "SELECT CONNECTION_ID() AS pid"}
KILL: dict[Dialect, str] = {"postgres": "SELECT pg_terminate_backend({})", "mysql": "KILL {}"}


@pytest.mark.parametrize("config", SERVERS, indirect=True)
async def test_lock_ends_with_its_session_which_is_not_replaced(config: DeskConfig) -> None:
    async with migration_databases(config):
        client = get_connection("default")
        dialect = dialect_of(client)
        with pytest.raises(DatabaseUnavailable, match="The session was lost, with its locks"):
            async with locked_sessions(["default"]) as sessions:
                (row,) = await sessions["default"].execute_query_dict(PID[dialect])
                await client.execute_script(KILL[dialect].format(row["pid"]))
                with pytest.raises(DatabaseUnavailable):
                    async with asyncio.timeout(10):
                        while True:  # until it is noticed
                            await sessions["default"].execute_query("SELECT 1")
                await sessions["default"].execute_query("SELECT 1")
        async with locked_sessions(["default"]):
            pass


@pytest.mark.parametrize("config", ["sqlite"], indirect=True)
async def test_file_lock_is_waited_for_and_named(config: DeskConfig, tmp_path: Path) -> None:
    write("0_1_init", "CREATE TABLE pen (id INT)")
    report = RecordingReport()
    with (
        FileLock(tmp_path / "desk.lock"),
        pytest.raises(MigrationLockTimeout, match=r"another process has held .* fuser .*/desk\.lock"),
    ):
        await up(config, report=report, lock_timeout=0.05)
    assert report.lines == [f"waiting Waiting for another process, which is migrating {tmp_path}/desk.sqlite3."]
    assert await up(config) == 1


@pytest.mark.parametrize("config", ["postgres"], indirect=True)
@pytest.mark.xdist_group("postgres")
async def test_waiting_processes_do_not_block_an_index(config: DeskConfig) -> None:
    """CREATE INDEX CONCURRENTLY waits for every older snapshot, and a statement that waits for a lock has one."""
    write("0_1_init", "CREATE TABLE pen (id INT); INSERT INTO pen VALUES (1)")
    head = "RUN_IN_TRANSACTION = False"
    write("1_1_index", "CREATE INDEX CONCURRENTLY pen_id ON pen (id)", head=head)
    async with asyncio.timeout(30):
        assert await ten_at_once(config) == [0] * (TEN - 1) + [2]


@pytest.mark.parametrize("config", ["postgres"], indirect=True)
@pytest.mark.xdist_group("postgres")
async def test_wrong_clock_changes_nothing(config: DeskConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    write("0_20990101000000_init", "CREATE TABLE pen (id INT)")
    monkeypatch.setattr(time, "time", lambda: 0.0)
    assert await up(config) == 1
    write("1_19700101000000_more", "ALTER TABLE pen ADD ink INT")
    assert await up(config) == 1
    rows = await ask(config, "SELECT noted_at > now() - interval '1 hour' AS fresh FROM sanicbase_journal")
    assert [row["fresh"] for row in rows] == [True, True]

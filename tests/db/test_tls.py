"""TLS to real servers: what a URL asks for is had on every connection, or the start ends with a sentence."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, closing
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import pytest
from tortoise.connection import get_connection

from sanicbase import ResourceError
from sanicbase.db import Database
from sanicbase.db.errors import DatabaseTLSError
from sanicbase.testing.databases import ask_postgres
from sanicbase.testing.plugin import _or_skip
from sanicbase.testing.private_server import PrivateServer
from sanicbase.testing.servers import MYSQL_URL, POSTGRES_URL, private_mariadb, private_postgres
from tests.certificates import Files, make_certificates
from tests.db.opening import LibraryConfig, Store

MYSQL = pytest.mark.xdist_group("mysql")
DRIVERS = [
    pytest.param("postgres", marks=pytest.mark.xdist_group("postgres")),
    pytest.param("aiomysql", marks=MYSQL),
    pytest.param("asyncmy", marks=MYSQL),
]

# asyncpg leaves the socket to the garbage collection when a server refuses to speak TLS.
pytestmark = pytest.mark.filterwarnings("ignore:Exception ignored in. <:pytest.PytestUnraisableExceptionWarning")


@pytest.fixture(autouse=True)
def collected(frozen: None) -> Iterator[None]:
    """So that no other test is told of it."""
    yield
    gc.collect()


class Servers(NamedTuple):
    """The URLs of a server without TLS and of one with it, both at localhost, and the latter itself."""

    plain_url: str
    tls_url: str
    tls: PrivateServer


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="session")
def postgres_servers(files: Files, request: pytest.FixtureRequest) -> Iterator[Servers]:
    with ExitStack() as stack:
        plain = without_tls(stack, private_postgres, POSTGRES_URL, "postgres_server_url", request)
        server, url = stack.enter_context(_or_skip(private_postgres(certificate=files.server)))
        yield Servers(named(plain, "localhost"), named(url, "localhost"), server)


@pytest.fixture(scope="session")
def mysql_servers(files: Files, request: pytest.FixtureRequest) -> Iterator[Servers]:
    with ExitStack() as stack:
        plain = without_tls(stack, private_mariadb, MYSQL_URL, "mysql_server_url", request)
        server, url = stack.enter_context(_or_skip(private_mariadb(certificate=files.server)))
        yield Servers(f"{named(plain, 'localhost')}mysql", f"{named(url, 'localhost')}mysql", server)


def without_tls(stack: ExitStack, make: Any, variable: str, fixture: str, request: pytest.FixtureRequest) -> str:
    """The server of the other tests, unless it is one that was given, which may have TLS."""
    if variable not in os.environ:
        url: str = request.getfixturevalue(fixture)
        return url
    _, started = stack.enter_context(_or_skip(make()))
    return str(started)


@pytest.fixture(params=DRIVERS)
def driver(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def servers(driver: str, request: pytest.FixtureRequest) -> Servers:
    servers_of_driver: Servers = request.getfixturevalue(
        "postgres_servers" if driver == "postgres" else "mysql_servers"
    )
    return servers_of_driver


def named(url: str, host: str) -> str:
    """The URL with another name of the same machine."""
    return url.replace("127.0.0.1", host).replace("localhost", host)


def config(driver: str, url: str, **settings: Any) -> LibraryConfig:
    store = Store(driver, url)
    return LibraryConfig(DB_URL=url, DB_DRIVER=store.driver, CONNECT_TIMEOUT=10, **settings)


async def is_encrypted() -> bool:
    """Whether the server sees TLS on the connection that answers."""
    connection = get_connection("default")
    if connection.capabilities.dialect == "postgres":
        _, rows = await connection.execute_query("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()")
        return bool(rows[0]["ssl"])
    _, rows = await connection.execute_query("SHOW STATUS LIKE 'Ssl_cipher'")
    return bool(rows[0]["Value"])


@asynccontextmanager
async def opened(driver: str, url: str, **settings: Any) -> AsyncIterator[None]:
    async with Database(config(driver, url, **settings)):
        yield


async def outcome(driver: str, url: str) -> str:
    """`tls` or `plain`, or what the start ends with."""
    try:
        async with opened(driver, url):
            return "tls" if await is_encrypted() else "plain"
    except ResourceError as exc:
        sentence = str(exc)
    assert "LIBRARY_DB_URL" in sentence
    assert f":{urlsplit(url).password}@" not in sentence
    return next((name for name, text in SENTENCES.items() if text in sentence), sentence)


SENTENCES = {
    "no TLS": "cannot be used with TLS: the server does not support TLS. Switch TLS on in the server, or write ssl",
    "untrusted": "cannot be used with TLS: the server's certificate is not trusted: ",
    "other host": "cannot be used with TLS: the server's certificate is for another host: ",
}
UNCHECKED = ("no TLS", "tls", "tls", "tls")
CA_CHECKED = ("no TLS", "tls", "untrusted", "tls")
ALL_CHECKED = ("no TLS", "tls", "untrusted", "other host")
OF_THE_MACHINE = ("no TLS", "untrusted", "untrusted", "untrusted")
TABLE = {
    "sslmode=disable": ("plain",) * 4,
    "ssl=false": ("plain",) * 4,
    "ssl_mode=DISABLED&ssl_ca={ca}": ("plain",) * 4,
    "sslmode=prefer": ("plain", "tls", "tls", "tls"),
    "sslmode=allow": ("plain", "tls", "tls", "tls"),
    "ssl-mode=PREFERRED": ("plain", "tls", "tls", "tls"),
    "sslmode=require": UNCHECKED,
    "ssl_mode=REQUIRED": UNCHECKED,
    "ssl=true&ssl_verify_cert=false": UNCHECKED,
    "sslmode=require&sslrootcert={ca}": CA_CHECKED,
    "sslmode=verify-ca&sslrootcert={ca}": CA_CHECKED,
    "ssl_ca={ca}&ssl_check_hostname=false": CA_CHECKED,
    "sslmode=verify-full&sslrootcert={ca}": ALL_CHECKED,
    "ssl_mode=VERIFY_IDENTITY&ssl-ca={ca}": ALL_CHECKED,
    "ssl=1&sslrootcert={ca}": ALL_CHECKED,
    "ssl_ca={ca}": ALL_CHECKED,
    "ssl=true": OF_THE_MACHINE,
    "sslmode=verify-ca": OF_THE_MACHINE,
    "sslrootcert=system": OF_THE_MACHINE,
}


@pytest.mark.parametrize("options", TABLE)
async def test_each_option_means_the_same_for_every_driver(
    driver: str, options: str, servers: Servers, files: Files
) -> None:
    right, wrong = options.format(ca=files.ca), options.format(ca=files.other_ca)
    outcomes = (
        await outcome(driver, f"{servers.plain_url}?{right}"),
        await outcome(driver, f"{servers.tls_url}?{right}"),
        await outcome(driver, f"{servers.tls_url}?{wrong}"),
        await outcome(driver, f"{named(servers.tls_url, '127.0.0.1')}?{right}"),
    )
    assert outcomes == TABLE[options]


async def test_without_an_option_postgres_prefers_tls_and_mysql_does_not_use_it(driver: str, servers: Servers) -> None:
    assert await outcome(driver, servers.plain_url) == "plain"
    assert await outcome(driver, servers.tls_url) == ("tls" if driver == "postgres" else "plain")


async def test_credentials_say_it_like_a_url(driver: str, servers: Servers, files: Files) -> None:
    parts = urlsplit(servers.tls_url)
    engine = "tortoise.backends.asyncpg" if driver == "postgres" else "tortoise.backends.mysql"
    credentials = {"host": "localhost", "port": parts.port, "user": parts.username, "password": parts.password}
    credentials["database"] = parts.path[1:]
    for tls in ({"ssl": True, "ssl_ca": str(files.ca)}, {"ssl": {"ca": str(files.ca)}}, {"sslmode": "require"}):
        connection = {"engine": engine, "credentials": {**credentials, **tls}}
        async with opened(driver, "", DB_CONNECTIONS={"default": connection}):
            assert await is_encrypted()


@pytest.mark.xdist_group("postgres")
async def test_a_certificate_that_the_server_asks_for_is_shown(postgres_servers: Servers, files: Files) -> None:
    hba = postgres_servers.tls.directory / "data" / "pg_hba.conf"
    ask_postgres(postgres_servers.tls_url, "CREATE ROLE holder LOGIN")
    before = hba.read_text()
    hba.write_text(f"hostssl all holder all trust clientcert=verify-ca\nhost all holder all reject\n{before}")
    ask_postgres(postgres_servers.tls_url, "SELECT pg_reload_conf()")
    url = f"{postgres_servers.tls_url.replace('postgres:postgres@', 'holder@')}?sslmode=verify-full&ssl_ca={files.ca}"
    with pytest.raises(ResourceError, match="valid client certificate"):
        async with opened("postgres", url):
            pass
    async with opened("postgres", f"{url}&sslcert={files.client}&sslkey={files.client_key}"):
        assert await is_encrypted()


async def test_a_replica_without_the_tls_that_is_asked_for_is_left_out(
    driver: str, servers: Servers, files: Files, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "sanicbase.db")
    replica = f"{servers.plain_url}?sslmode=require"
    url = f"{servers.tls_url}?sslmode=verify-full&sslrootcert={files.ca}"
    async with opened(driver, url, DB_REPLICAS={"default": [replica]}):
        assert await is_encrypted()
    assert "default replica 1" in caplog.text
    assert "the server does not support TLS" in caplog.text


async def test_a_file_that_cannot_be_used_is_an_error_message(
    driver: str, servers: Servers, files: Files, tmp_path: Path
) -> None:
    (tmp_path / "text.pem").write_text("no certificate")
    wrong = {
        f"ssl_ca={tmp_path}/none.pem": f"the CA file {tmp_path}/none.pem does not exist",
        f"ssl_ca={tmp_path}/text.pem": f"the CA file {tmp_path}/text.pem has no certificate in PEM format",
        f"ssl_ca={tmp_path}": f"the CA file {tmp_path} cannot be read: Is a directory",
        f"ssl_cert={tmp_path}/none.pem": f"the certificate file {tmp_path}/none.pem does not exist",
        f"ssl_cert={files.client}&ssl_key={tmp_path}/none.pem": "none.pem does not exist",
        f"ssl_cert={files.client}&ssl_key={tmp_path}/text.pem": "text.pem is not valid PEM, or its password is wrong",
    }
    for options, sentence in wrong.items():
        with pytest.raises(ResourceError) as excinfo:
            async with opened(driver, f"{servers.tls_url}?{options}"):
                pass
        assert sentence in str(excinfo.value)
        assert "Correct LIBRARY_DB_URL." in str(excinfo.value)


async def test_a_socket_of_this_machine_needs_no_tls(driver: str, servers: Servers) -> None:
    directory, port = servers.tls.directory, servers.tls.port
    url = f"mysql://sanicbase:sanicbase@localhost/mysql?unix_socket={directory}/socket&ssl_mode=VERIFY_IDENTITY"
    if driver == "postgres":
        url = f"postgres:///postgres?user=postgres&host={directory}&port={port}&sslmode=verify-full"
    assert await outcome(driver, url) == "plain"


@MYSQL
@pytest.mark.parametrize("mysql_driver", ["aiomysql", "asyncmy"])
async def test_no_login_is_sent_if_a_proxy_hides_the_servers_tls(
    mysql_driver: str, mysql_servers: Servers, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "sanicbase.db")
    async with stripping_proxy(mysql_servers.tls.port) as proxy:
        url = mysql_servers.tls_url.replace(str(mysql_servers.tls.port), str(proxy.port))
        async with opened(mysql_driver, f"{url}?sslmode=require", DB_POOL_SIZE=2):
            connection = get_connection("default")
            proxy.strips = True
            async with connection.acquire_connection():
                with pytest.raises(DatabaseTLSError, match="does not support TLS"):
                    await connection.execute_query("SELECT 1")
            assert await is_encrypted()  # on the connection that was there before
            assert proxy.overheard == b""
            assert "does not answer: the server does not support TLS." in caplog.text


class StrippingProxy:
    """What lies between a client and a MySQL; when it `strips`, the server seems to have no TLS."""

    def __init__(self, port: int) -> None:
        self._server_port = port
        self.port = 0
        self.strips = False
        self.overheard = b""
        self._lines: set[asyncio.Task[None]] = set()

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        upstream, server = await asyncio.open_connection("127.0.0.1", self._server_port)
        stripped = self.strips
        if stripped:
            greeting = bytearray(await upstream.read(4096))
            # The version, the thread's number, 8 bytes of salt, a zero, and the flags, the lowest byte first.
            greeting[greeting.index(0, 5) + 1 + 4 + 8 + 1 + 1] &= ~(1 << 3)
            writer.write(greeting)
        ways = [self._copy(reader, server, overhear=stripped), self._copy(upstream, writer, overhear=False)]
        tasks = [asyncio.create_task(way) for way in ways]
        self._lines |= {*tasks}
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for end in (writer, server):
            end.transport.abort()

    async def _copy(self, source: asyncio.StreamReader, target: asyncio.StreamWriter, *, overhear: bool) -> None:
        try:
            while data := await source.read(65536):
                if overhear:
                    self.overheard += data
                target.write(data)
        except ConnectionError:
            pass

    async def close(self) -> None:
        for line in self._lines:
            line.cancel()
        await asyncio.gather(*self._lines, return_exceptions=True)


@asynccontextmanager
async def stripping_proxy(port: int) -> AsyncIterator[StrippingProxy]:
    proxy = StrippingProxy(port)
    server = await asyncio.start_server(proxy.accept, "127.0.0.1", 0)
    proxy.port = server.sockets[0].getsockname()[1]
    with closing(server):
        yield proxy
        await proxy.close()

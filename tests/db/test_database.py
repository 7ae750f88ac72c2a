"""Opening, pinging and closing databases inside a process, above all when that fails."""

from __future__ import annotations

import asyncio
import contextvars
import importlib
import os
import socket
import sys
import traceback
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import asyncpg  # type: ignore[import-untyped]
import pytest
from filelock import FileLock
from tortoise import Tortoise
from tortoise.connection import get_connection
from tortoise.context import TortoiseContext
from tortoise.models import Model

from sanicbase import Config, ConfigError, ResourceError, lifespan
from sanicbase.db import Database
from sanicbase.migrations import embedded, prepare_tables
from sanicbase.testing import free_port, wait_until
from sanicbase.testing.databases import ask_postgres
from sanicbase.testing.servers import POSTGRES_URL
from tests.db.project import ARTICLE, KINDS, SERVERS, WORD, Project, Store, shop

SECRET = "correct-horse-battery"
TIMEOUT = 1.0


class Service(Project):
    """A service whose package can be imported here, and a configuration to try things with."""

    def config(self, **settings: Any) -> Config:
        for key, value in self.env.items():
            if key.startswith(f"{self.name.upper()}_"):
                settings.setdefault(key.removeprefix(f"{self.name.upper()}_"), value)
        original = importlib.import_module(f"{self.name}.config").config
        config: Config = type(original)(**settings)
        return config

    def model(self, file: str, name: str) -> type[Model]:
        model: type[Model] = getattr(sys.modules[f"{self.name}.model_db.{file}"], name)
        return model


@pytest.fixture
def make_service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Makes services of different names, for a class of models has one table for the life of a process."""
    monkeypatch.syspath_prepend(str(tmp_path))
    names = []

    def make() -> Service:
        names.append(f"shop_{os.urandom(4).hex()}")
        return Service(shop(tmp_path, names[-1]).folder, names[-1])

    yield make
    for module in [module for module in sys.modules if module.split(".")[0] in names]:
        del sys.modules[module]


@pytest.fixture
def service(make_service: Any) -> Service:
    service: Service = make_service()
    return service


@contextmanager
def black_hole() -> Iterator[SimpleNamespace]:
    """A server that lets everybody in and never says a word."""
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        server.settimeout(TIMEOUT * 5)
        yield SimpleNamespace(port=server.getsockname()[1], server=server)


def assert_caller_hung_up(hole: SimpleNamespace) -> None:
    connection, _ = hole.server.accept()
    with closing(connection):
        connection.settimeout(TIMEOUT * 5)
        while connection.recv(4096):
            pass


async def assert_does_not_open(config: Config, setting: str, *reasons: str) -> None:
    """It ends in time, in a sentence that names the setting and no secret, and nothing is left behind."""
    with pytest.raises(ResourceError) as excinfo:
        async with asyncio.timeout(TIMEOUT + 2):
            await opened(config).__aenter__()
    sentence = str(excinfo.value)
    assert f"correct {config.env_prefix()}{setting}." in sentence
    for reason in reasons:
        assert reason in sentence
    assert SECRET not in "".join(traceback.format_exception(excinfo.value))
    assert asyncio.all_tasks() == {asyncio.current_task()}


def opened(config: Config) -> Database:
    """As the main process of the service opens it."""
    return Database(config, prepare=prepare_tables)


async def assert_opens(config: Config) -> None:
    async with opened(config) as database:
        await database.ping()


@pytest.mark.parametrize("kind", KINDS)
async def test_opens_pings_and_closes(service: Service, kind: str, request: pytest.FixtureRequest) -> None:
    store = Store.of(kind, service, request)
    config = service.config()
    for _ in range(2):
        async with opened(config) as database:
            await database.ping()
            # A handler runs in a task that knows nothing of the one that opened the databases.
            assert await contextvars.Context().run(asyncio.create_task, _query()) == 1
            assert kind == "embedded" or store.sessions() > 0
        assert kind == "embedded" or wait_until(lambda: store.sessions() == 0)


async def _query() -> int:
    count, _ = await get_connection("default").execute_query("SELECT 1")
    return count


@pytest.mark.parametrize("kind", SERVERS)
async def test_unknown_database_is_an_error_message(
    service: Service, kind: str, request: pytest.FixtureRequest
) -> None:
    store = Store.of(kind, service, request)
    url = urlsplit(store.where)
    wrong = url._replace(path="/no_such_database").geturl()
    await assert_does_not_open(service.config(DB_URL=wrong, CONNECT_TIMEOUT=TIMEOUT), "DB_URL", "no_such_database")
    await assert_opens(service.config())


@pytest.fixture
def user(postgres_server_url: str) -> Iterator[str]:
    """A user of PostgreSQL who must give a password, even where everybody else is trusted."""
    name = f"sanicbase_{os.urandom(4).hex()}"
    ask_postgres(postgres_server_url, f"CREATE ROLE {name} LOGIN PASSWORD '{SECRET}'")
    if POSTGRES_URL not in os.environ:
        file = ask_postgres(postgres_server_url, "SHOW hba_file")
        rules = f"ARRAY['host all {name} all scram-sha-256', 'host all all all trust']"
        ask_postgres(postgres_server_url, f"COPY (SELECT unnest({rules})) TO '{file}'")
        ask_postgres(postgres_server_url, "SELECT pg_reload_conf()")
    wait_until(lambda: not _welcome(postgres_server_url, name), what="PostgreSQL asking for a password")
    yield name
    ask_postgres(postgres_server_url, f"DROP ROLE {name}")


def _welcome(server: str, name: str) -> bool:
    try:
        ask_postgres(_as(server, name, "wrong"), "SELECT 1")
    except asyncpg.InvalidPasswordError:
        return False
    return True


def _as(url: str, name: str, password: str) -> str:
    parts = urlsplit(url)
    return parts._replace(netloc=f"{name}:{password}@{parts.hostname}:{parts.port}").geturl()


@pytest.mark.parametrize("kind", SERVERS)
async def test_the_message_of_a_wrong_password_does_not_contain_it(
    service: Service, kind: str, request: pytest.FixtureRequest
) -> None:
    store = Store.of(kind, service, request)
    name = str(request.getfixturevalue("user") if kind == "postgres" else urlsplit(store.where).username)
    wrong = _as(store.where, name, f"{SECRET}-wrong")
    await assert_does_not_open(service.config(DB_URL=wrong, CONNECT_TIMEOUT=TIMEOUT), "DB_URL", name)
    assert wait_until(lambda: store.sessions() == 0)
    await assert_opens(service.config())


@pytest.mark.xdist_group("postgres")
async def test_an_unreadable_table_is_not_reported_as_missing(
    service: Service, user: str, request: pytest.FixtureRequest
) -> None:
    store = Store.of("postgres", service, request)
    store.ask("CREATE TABLE article (id INT PRIMARY KEY, title VARCHAR(100))")
    with pytest.raises(ResourceError, match=r"cannot be read: .*permission denied.* Grant the account in .*DB_URL"):
        await assert_opens(service.config(DB_URL=_as(store.where, user, SECRET)))
    await assert_opens(service.config())


@pytest.mark.parametrize("scheme", ["postgres", "mysql"])
async def test_server_that_is_not_there_is_an_error_message(service: Service, scheme: str) -> None:
    url = f"{scheme}://someone:{SECRET}@127.0.0.1:{free_port()}/shop"
    config = service.config(DB_URL=url, CONNECT_TIMEOUT=TIMEOUT)
    await assert_does_not_open(config, "DB_URL", f"{scheme}://someone:***@127.0.0.1", "ConnectionRefusedError")
    await assert_opens(service.config())


@pytest.mark.parametrize("scheme", ["postgres", "mysql"])
async def test_server_that_never_answers_is_given_up_in_time(service: Service, scheme: str) -> None:
    with black_hole() as hole:
        url = f"{scheme}://someone:{SECRET}@127.0.0.1:{hole.port}/shop"
        config = service.config(DB_URL=url, CONNECT_TIMEOUT=TIMEOUT)
        await assert_does_not_open(config, "DB_URL", "no answer in time")
        assert_caller_hung_up(hole)
    await assert_opens(service.config())


@pytest.mark.parametrize("scheme", ["postgres", "mysql"])
async def test_opening_that_is_cancelled_leaves_nothing_open(service: Service, scheme: str) -> None:
    with black_hole() as hole:
        url = f"{scheme}://someone:{SECRET}@127.0.0.1:{hole.port}/shop"
        opening = asyncio.create_task(assert_opens(service.config(DB_URL=url)))
        hole.server.setblocking(False)
        connection, _ = await asyncio.get_running_loop().sock_accept(hole.server)
        opening.cancel()
        with pytest.raises(asyncio.CancelledError):
            await opening
        connection.settimeout(TIMEOUT * 5)
        with closing(connection):
            while connection.recv(4096):
                pass
    await assert_opens(service.config())


@pytest.mark.parametrize("kind", SERVERS)
async def test_database_is_closed_when_another_does_not_open(
    service: Service, kind: str, request: pytest.FixtureRequest
) -> None:
    store = Store.of(kind, service, request)
    url = f"{kind}://someone:{SECRET}@127.0.0.1:{free_port()}/shop"
    config = service.config(DB_CONNECTIONS={"log": url}, CONNECT_TIMEOUT=TIMEOUT)
    await assert_does_not_open(config, "DB_CONNECTIONS[log]")
    assert wait_until(lambda: store.sessions() == 0)
    config = service.config(DB_URL=url, DB_CONNECTIONS={"log": url}, CONNECT_TIMEOUT=TIMEOUT)
    await assert_does_not_open(config, "DB_URL", f"correct {config.env_prefix()}DB_CONNECTIONS[log].")


async def test_sqlite_file_that_cannot_be_made_is_an_error_message(service: Service) -> None:
    config = service.config(DB_URL="sqlite:///no_such_folder/shop.sqlite3")
    await assert_does_not_open(config, "DB_URL", "the folder /no_such_folder does not exist. Create it")
    await assert_opens(service.config())


@pytest.mark.parametrize("kind", SERVERS)
async def test_named_connection_takes_credentials(service: Service, kind: str, request: pytest.FixtureRequest) -> None:
    store = Store.of(kind, service, request)
    service.set(DB_URL="")
    parts = urlsplit(store.where)
    credentials: dict[str, Any] = {
        "host": parts.hostname,
        "port": parts.port,
        "user": parts.username,
        "password": parts.password,
        "database": parts.path[1:],
    }
    engine = {"postgres": "tortoise.backends.asyncpg", "mysql": "tortoise.backends.mysql"}[kind]
    log = {"engine": engine, "credentials": credentials}
    async with opened(service.config(DB_CONNECTIONS={"log": log}, DB_MODELS={"log": ["records"]})):
        store.ask("CREATE TABLE visit (id INT PRIMARY KEY, page VARCHAR(50))")
        await service.model("records", "Visit").create(id=1, page="/")
    assert store.ask("SELECT page FROM visit") == [("/",)]
    wrong = {"engine": engine, "credentials": {**credentials, "password": SECRET, "database": "no_such_database"}}
    config = service.config(DB_CONNECTIONS={"log": wrong}, DB_MODELS={"log": ["records"]}, CONNECT_TIMEOUT=TIMEOUT)
    await assert_does_not_open(config, "DB_CONNECTIONS[log]", f"{engine} at {parts.hostname}:{parts.port}")


@pytest.mark.parametrize(
    "log",
    [
        {"engine": "tortoise.backends.asyncpgg", "credentials": {}},
        {"engine": "tortoise.backends.mysql", "credentials": {"host": "127.0.0.1"}},
    ],
    ids=["engine", "credentials"],
)
async def test_connection_that_tortoise_does_not_understand_is_an_error_message(service: Service, log: object) -> None:
    config = service.config(DB_CONNECTIONS={"log": log})
    with pytest.raises(ResourceError, match=r"Tortoise cannot be set up for .*the credentials in .*DB_CONNECTIONS\."):
        await assert_opens(config)
    await assert_opens(service.config())


async def test_model_file_that_cannot_be_imported_is_an_error_message_with_the_cause(service: Service) -> None:
    service.write(f"{service.name}/model_db/records.py", "import no_such_package\n")
    with pytest.raises(ResourceError, match=r"model_db.records.*No module named 'no_such_package'"):
        await assert_opens(service.config())


@pytest.mark.parametrize("relation", ["ForeignKeyField", "OneToOneField", "ManyToManyField"])
async def test_relation_from_a_migrated_to_an_extra_model_is_refused(service: Service, relation: str) -> None:
    service.models("main", f'{ARTICLE}    word = fields.{relation}("{service.name}.Word")\n')
    with pytest.raises(ConfigError, match=r"Article\.word is a relation to Word, a model of MODEL_EXTRA"):
        await assert_opens(service.config())


@pytest.mark.parametrize("relation", ["ForeignKeyField", "ManyToManyField"])
async def test_relation_from_an_extra_to_a_migrated_model_is_fine(service: Service, relation: str) -> None:
    word = WORD.replace(
        "\n\n    class Meta", f'\n    article = fields.{relation}("{service.name}.Article")\n\n    class Meta'
    )
    service.models("extra", word)
    await assert_opens(service.config())


async def test_second_lifespan_is_refused_and_the_first_unharmed(service: Service, make_service: Any) -> None:
    first, other = service.config(REDIS_URL="redis://127.0.0.1:1"), make_service().config()
    async with opened(first):
        article = service.model("main", "Article")
        await article.create(title="one")
        for second in (service.config(), other):
            with pytest.raises(ResourceError, match=r"are already open, .* Close the other lifespan first"):
                await assert_opens(second)
            with pytest.raises(ResourceError, match="are already open"):
                async with lifespan(second):
                    pass
        assert await article.all().count() == 1
    await assert_opens(other)


async def test_a_foreign_context_is_an_error_message(service: Service) -> None:
    async with TortoiseContext():
        with pytest.raises(ResourceError, match=r"the code that called Tortoise\.init"):
            await assert_opens(service.config())
    await assert_opens(service.config())


async def test_another_service_can_be_opened_after_it(make_service: Any) -> None:
    for service in (make_service(), make_service()):
        async with opened(service.config()):
            assert "Aerich" in Tortoise.apps[service.name]
        assert {"aerich", "article"} < Store.embedded(service).tables()


async def test_tables_that_another_process_keeps_making_are_not_waited_for_for_ever(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded, "LOCK_TIMEOUT", 0.1)
    await assert_opens(service.config())
    file = Path(Store.embedded(service).where)
    with (
        FileLock(file.with_suffix(".lock")),
        pytest.raises(ResourceError, match=r"creating the tables of .* for 0\.1 seconds"),
    ):
        await assert_opens(service.config())
    await assert_opens(service.config())


async def test_of_two_that_open_at_once_one_is_refused(service: Service) -> None:
    async def hold() -> None:
        async with opened(service.config()):
            await wait.wait()

    wait = asyncio.Event()
    holders = [asyncio.create_task(hold()) for _ in range(2)]
    done, (winner,) = await asyncio.wait(holders, return_when=asyncio.FIRST_COMPLETED)
    assert isinstance(done.pop().exception(), ResourceError)
    wait.set()
    await winner


@pytest.mark.parametrize("kind", SERVERS)
async def test_statements_use_the_dialect_of_the_other_database(
    service: Service, kind: str, request: pytest.FixtureRequest
) -> None:
    embedded = service.config()
    store = Store.of(kind, service, request)
    store.ask("CREATE TABLE visit (id INT PRIMARY KEY, page VARCHAR(50))")
    for config in (embedded, service.config()):
        async with opened(config):
            await service.model("records", "Visit").create(id=1, page="/")
    assert store.ask("SELECT page FROM visit") == [("/",)]

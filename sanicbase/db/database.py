"""The databases of a process: opened, pinged and closed with its lifespan."""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from aerich.models import Aerich
from tortoise.backends.base.client import BaseDBAsyncClient
from tortoise.backends.base.executor import EXECUTOR_CACHE
from tortoise.backends.sqlite.client import SqliteClient
from tortoise.context import TortoiseContext, get_current_context
from tortoise.exceptions import ConfigurationError

from sanicbase.config import Config
from sanicbase.config.database_urls import embedded_name
from sanicbase.config.secrets import shown_connection
from sanicbase.db.engine.outage import reason
from sanicbase.db.errors import DatabaseTLSError
from sanicbase.db.model import DBModel
from sanicbase.db.observers import changed_with, open_models
from sanicbase.db.pages import check_lists
from sanicbase.db.references import check_references
from sanicbase.db.relations import check_relations, check_watched
from sanicbase.db.replication.replicas import Replicas, Router
from sanicbase.db.spawning import spawned_are_done
from sanicbase.db.values import fit_relations
from sanicbase.errors import ResourceError
from sanicbase.private_directory import access_problem, make_private_directory

__all__ = ["Database", "models_known"]

SPAWNED_TIMEOUT = 5.0  # seconds for what was spawned to end before the connections are closed


class Database:
    """Tortoise, with every connection of the configuration; one at a time in a process, for Tortoise is global.

    `prepare` is called when every database has answered: `sanicbase.migrations.prepare_tables`, which one process of a
    service passes, the main one. Without `connect` no database is asked for anything and `prepare` is not called, so a
    database that is away is DatabaseUnavailable for its queries only.

    Raises ResourceError when a database does not answer or another is open, ConfigError when models cannot be migrated
    apart or when writes to a watched one would not be seen, SanicBaseError for a list's filter that leads nowhere, and
    what `prepare` raises.
    """

    name = "database"

    def __init__(
        self, config: Config, *, connect: bool = True, prepare: Callable[[Config], Awaitable[None]] | None = None
    ) -> None:
        self._config = config
        self._prepare = prepare
        self._connect = connect
        self._context = TortoiseContext()
        self._opened = AsyncExitStack()
        self.replicas: Sequence[Replicas] = ()

    async def __aenter__(self) -> Self:
        _refuse_second()
        await self._init()  # which connects to nothing yet, so that there is nothing to close when it fails
        async with AsyncExitStack() as stack:
            stack.push_async_callback(self._context.close_connections)
            self.replicas = self._made_replicas()
            await self._check_all()
            for replicas in self.replicas:
                await stack.enter_async_context(replicas)
            stack.push_async_callback(spawned_are_done, SPAWNED_TIMEOUT)
            self._opened = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._opened.aclose()

    async def ping(self) -> None:
        """Ask every database for an answer. Raises ResourceError, with a sentence for each that gives none."""
        # All are waited for: one left behind by another's failure would open its connections after the close.
        answers = await asyncio.gather(*map(self._ping, self._config.databases()), return_exceptions=True)
        failures = [answer for answer in answers if answer is not None]
        if failures:
            raise ResourceError("\n".join(map(str, failures))) from failures[0]

    async def _init(self) -> None:
        _forget_earlier()
        self._prepare_folder()
        try:
            check_references(self._config)
            with self._context, warnings.catch_warnings():  # init itself looks for the current context
                # A file that is made for models has none at first.
                warnings.filterwarnings("ignore", "Module .* has no models", RuntimeWarning)
                routers: list[str | type] | None = [Router] if self._config.replicas() else None
                await self._context.init(config=self._config.tortoise(), routers=routers, _enable_global_fallback=True)
                for model in open_models():
                    if issubclass(model, DBModel):
                        fit_relations(model)
        except (ConfigurationError, ImportError, TypeError) as exc:
            # Of a model file that cannot be imported Tortoise says only that it was not found.
            cause = f" ({reason(exc)})" if isinstance(exc.__context__, ImportError) else ""
            raise ResourceError(
                f"Tortoise cannot be set up for {self._config.SERVER_NAME}: {str(exc).rstrip('.')}{cause}. Correct its "
                f"model files, or the engine and the credentials in {self._config.env_prefix()}DB_CONNECTIONS."
            ) from exc

    def _prepare_folder(self) -> None:
        if any(embedded_name(connection) is not None for connection in self._config.databases().values()):
            make_private_directory(self._config.private_dir(), setting=self._config.embedded_settings)

    async def _check_all(self) -> None:
        check_relations(self._config)
        check_lists()
        check_watched()
        if self._connect:
            await self.ping()
            if self._prepare is not None:
                await self._prepare(self._config)

    def _made_replicas(self) -> list[Replicas]:
        config, connections = self._config, self._context.connections
        return [
            Replicas(
                connections,
                name,
                made,
                max_lag=config.DB_REPLICA_MAX_LAG,
                timeout=config.CONNECT_TIMEOUT,
                connect=self._connect,
            )
            for name, made in config.replicas().items()
        ]

    async def _ping(self, name: str) -> None:
        connection: BaseDBAsyncClient = self._context.connections.get(name)
        if embedded_name(self._config.databases()[name]) is not None:
            self._refuse_closed(name, connection)  # the file is ours: one that can only be read is of no use
        try:
            async with asyncio.timeout(self._config.CONNECT_TIMEOUT):
                await connection.execute_query("SELECT 1")
        except Exception as exc:  # every driver raises its own kinds, some of them untranslated
            self._refuse_closed(name, connection)
            raise ResourceError(self._unreachable(name, exc)) from exc

    def _refuse_closed(self, name: str, connection: BaseDBAsyncClient) -> None:
        """Raise ResourceError when it is a file that this account cannot use, of which SQLite says only that it could
        not open it."""
        file = connection.filename if isinstance(connection, SqliteClient) else ":memory:"
        if file != ":memory:" and (refusal := access_problem(Path(file))):
            setting = self._setting(name)
            raise ResourceError(
                f"The SQLite database {file} cannot be used: {refusal.cause}. {refusal.remedy}, or correct {setting}."
            )

    def _setting(self, name: str) -> str:
        prefix = self._config.env_prefix()
        return f"{prefix}DB_URL" if name not in self._config.DB_CONNECTIONS else f"{prefix}DB_CONNECTIONS[{name}]"

    def _unreachable(self, name: str, error: BaseException) -> str:
        setting = self._setting(name)
        shown = shown_connection(self._config.databases()[name])
        if isinstance(error, DatabaseTLSError):
            cause, remedy = error.failure
            return f"The database {shown} cannot be used with TLS: {cause}. {remedy.format(setting=setting)}."
        return f"The database {shown} does not answer: {reason(error)}. Start it, or correct {setting}."


@asynccontextmanager
async def models_known(config: Config) -> AsyncIterator[None]:
    """Have Tortoise know the service's models, and connect to nothing: for what describes them."""
    database = Database(config)
    _refuse_second()
    await database._init()
    try:
        yield
    finally:
        await database._context.close_connections()


def _refuse_second() -> None:
    # Before anything is touched: setting the models up anew would take them from the one that has them open.
    if get_current_context() is not None:
        raise ResourceError(
            "The databases of this process are open already, and Tortoise knows one set of them. Close the other "
            "lifespan first, or whatever has called Tortoise.init."
        )


def _forget_earlier() -> None:
    """Forget what was worked out for the databases that this process had open before; Tortoise keeps it by names."""
    changed_with.cache_clear()  # models, which may have other relations now
    EXECUTOR_CACHE.clear()  # statements, which another database spells in another way
    Aerich._meta.app = None  # the other service's label, which would keep aerich's table out of this one's

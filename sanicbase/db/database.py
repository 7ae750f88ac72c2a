"""The databases of a process: opened, pinged and closed with its lifespan."""

from __future__ import annotations

import asyncio
import sys
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from tortoise.backends.base.client import BaseDBAsyncClient
from tortoise.backends.base.executor import EXECUTOR_CACHE
from tortoise.context import TortoiseContext, get_current_context
from tortoise.exceptions import ConfigurationError

from sanicbase.config import Config
from sanicbase.config.database_urls import embedded_name
from sanicbase.config.secrets import shown_connection
from sanicbase.db.background import wait_for_background_tasks
from sanicbase.db.engine.outage import reason
from sanicbase.db.engine.pooled import PooledClient, set_pool_gauges
from sanicbase.db.engine.watching import open_watch
from sanicbase.db.errors import DatabaseTLSError
from sanicbase.db.model import DBModel
from sanicbase.db.observers import open_models, watched_dependents
from sanicbase.db.pagination import check_list_queries
from sanicbase.db.references import check_references
from sanicbase.db.relations import check_relations, check_watched_models
from sanicbase.db.replication.replicas import Replicas, Router
from sanicbase.db.values import prepare_relations
from sanicbase.errors import ResourceError
from sanicbase.i18n import gettext as _
from sanicbase.metrics.sampling import sampled
from sanicbase.private_directory import access_problem, make_private_directory

__all__ = ["Database", "models_initialized"]

BACKGROUND_TASKS_TIMEOUT = 5.0  # seconds for background tasks to end before the connections are closed


class Database:
    """Tortoise with every configured connection; one at a time in a process, since Tortoise is global.

    `prepare` is called when every database has answered; the main process of a service passes
    `sanicbase.migrations.prepare_tables`. Without `connect` no connection is opened and `prepare` is not called;
    queries to an unreachable database raise DatabaseUnavailable. Without `aerich` migrations cannot be looked at; their
    modules are not imported.

    Raises ResourceError when a database does not answer or a Database is open already, ConfigError for relations that
    cannot be migrated or that change watched rows without a notification, SanicBaseError for a list's filter with an
    unknown target, and the errors of `prepare`.
    """

    name = "database"

    def __init__(
        self,
        config: Config,
        *,
        connect: bool = True,
        prepare: Callable[[Config], Awaitable[None]] | None = None,
        aerich: bool = True,
    ) -> None:
        self._config = config
        self._prepare = prepare
        self._connect = connect
        self._aerich = aerich
        self._context = TortoiseContext()
        self._stack = AsyncExitStack()
        self.replicas: Sequence[Replicas] = ()

    async def __aenter__(self) -> Self:
        _check_not_open()
        config = self._config
        await self._init()  # it does not connect yet, so a failure leaves nothing to close
        async with AsyncExitStack() as stack:
            watch = open_watch(
                slow=config.DB_SLOW_STATEMENT,
                repeats=config.DB_REPEATED_STATEMENTS if config.ENV != "prod" else 0,
                refuses=config.DB_REPEATED_STATEMENTS_FAIL,
            )
            stack.enter_context(watch)
            stack.push_async_callback(self._context.close_connections)
            self.replicas = self._create_replicas()
            await self._check_all()
            for replicas in self.replicas:
                await stack.enter_async_context(replicas)
            stack.push_async_callback(wait_for_background_tasks, BACKGROUND_TASKS_TIMEOUT)
            stack.enter_context(sampled(self._set_gauges))
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    async def ping(self) -> None:
        """Query every database. Raises ResourceError, with a sentence for each that does not answer."""
        # Await all: one abandoned after another's failure would connect after the close.
        answers = await asyncio.gather(*map(self._ping, self._config.databases()), return_exceptions=True)
        failures = [answer for answer in answers if answer is not None]
        if failures:
            raise ResourceError("\n".join(map(str, failures))) from failures[0]

    def _set_gauges(self) -> None:
        connections = self._context.connections.all()
        set_pool_gauges(client for client in connections if isinstance(client, PooledClient))

    async def _init(self) -> None:
        _clear_caches()
        self._prepare_folder()
        try:
            check_references(self._config)
            with self._context, warnings.catch_warnings():  # init uses the current context
                # A new model file has no models.
                warnings.filterwarnings("ignore", "Module .* has no models", RuntimeWarning)
                routers: list[str | type] | None = [Router] if self._config.replicas() else None
                config = self._config
                settings = config.tortoise() if self._aerich else config.tortoise_without_aerich()
                await self._context.init(config=settings, routers=routers, _enable_global_fallback=True)
                for model in open_models():
                    if issubclass(model, DBModel):
                        prepare_relations(model)
        except (ConfigurationError, ImportError, TypeError) as exc:
            # Tortoise reports a model file that cannot be imported as not found.
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
        check_list_queries()
        check_watched_models()
        if self._connect:
            await self.ping()
            if self._prepare is not None:
                await self._prepare(self._config)

    def _create_replicas(self) -> list[Replicas]:
        config, connections = self._config, self._context.connections
        return [
            Replicas(
                connections,
                name,
                credentials,
                max_lag=config.DB_REPLICA_MAX_LAG,
                timeout=config.CONNECT_TIMEOUT,
                connect=self._connect,
            )
            for name, credentials in config.replicas().items()
        ]

    async def _ping(self, name: str) -> None:
        connection: BaseDBAsyncClient = self._context.connections.get(name)
        if embedded_name(self._config.databases()[name]) is not None:
            self._check_access(name, connection)  # the file must be writable
        try:
            async with asyncio.timeout(self._config.CONNECT_TIMEOUT):
                await connection.execute_query("SELECT 1")
        except Exception as exc:  # drivers raise their own exceptions, some untranslated
            self._check_access(name, connection)
            raise ResourceError(self._connection_error(name, exc)) from exc

    def _check_access(self, name: str, connection: BaseDBAsyncClient) -> None:
        """Raise ResourceError when this account cannot use the file; SQLite only reports that it cannot open it."""
        file = getattr(connection, "filename", ":memory:")  # of SQLite, whose client may not be imported
        if file != ":memory:" and (refusal := access_problem(Path(file))):
            setting = self._setting(name)
            raise ResourceError(
                f"The SQLite database {file} cannot be used: {refusal.cause}. {refusal.remedy}, or correct {setting}."
            )

    def _setting(self, name: str) -> str:
        prefix = self._config.env_prefix()
        return f"{prefix}DB_URL" if name not in self._config.DB_CONNECTIONS else f"{prefix}DB_CONNECTIONS[{name}]"

    def _connection_error(self, name: str, error: BaseException) -> str:
        setting = self._setting(name)
        address = shown_connection(self._config.databases()[name])
        if isinstance(error, DatabaseTLSError):
            cause, remedy = error.failure
            return _(
                "The database {address} cannot be used with TLS: {cause}. {remedy}.",
                address=address,
                cause=cause,
                remedy=remedy.format(setting=setting),
            )
        return _(
            "The database {address} does not answer: {cause}. Start it, or correct {setting}.",
            address=address,
            cause=_(reason(error)),
            setting=setting,
        )


@asynccontextmanager
async def models_initialized(config: Config) -> AsyncIterator[None]:
    """Initialize the service's models in Tortoise without connecting, to describe them."""
    database = Database(config)
    _check_not_open()
    await database._init()
    try:
        yield
    finally:
        await database._context.close_connections()


def _check_not_open() -> None:
    # Before anything else: initializing the models again would take them from the open Database.
    if get_current_context() is not None:
        raise ResourceError(
            "The databases of this process are already open, and Tortoise supports only one set of them. Close the "
            "other lifespan first, or the code that called Tortoise.init."
        )


def _clear_caches() -> None:
    """Clear caches from earlier databases of this process; Tortoise keys them by names."""
    watched_dependents.cache_clear()  # relations may have changed
    EXECUTOR_CACHE.clear()  # statements differ between databases
    if aerich := sys.modules.get("aerich.models"):
        aerich.Aerich._meta.app = None  # else aerich's table would keep the label of another service

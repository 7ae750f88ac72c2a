"""The lifespan: the resources of a process are opened in order, pinged, and closed in reverse. HTTP, WebSockets,
scripts, the shell and tests all open a service through it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from types import TracebackType
from typing import Protocol, Self

from sanicbase.brokers import broker_of
from sanicbase.cache.resource import CacheModels
from sanicbase.config import Config
from sanicbase.db import Database
from sanicbase.process.role import is_main_process
from sanicbase.rc import RedisClients
from sanicbase.tracing import TracingOptions, open_tracing
from sanicbase.valkey.embedded import EmbeddedValkey

__all__ = ["EmbeddedStore", "Resource", "embedded_valkey", "lifespan"]


class Resource(Protocol):
    """A resource of a lifespan: an async context manager with a name and a health check.

    `ping` returns when the resource can be used, and raises otherwise. The first start calls it after opening, and
    aborts when it fails; health checks call it at any time. A resource that the service can do without for a while has
    the attribute `critical = False`.

    Connect in the background or on first use, not in `__aenter__`, if a server may be unavailable: a worker that
    replaces a dead one opens each resource without a ping, and fails only when `__aenter__` raises.
    """

    @property
    def name(self) -> str: ...

    async def __aenter__(self) -> object: ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> bool | None: ...

    async def ping(self) -> None: ...


class EmbeddedStore:
    """The embedded Valkey of the project. Main processes run it, and workers only use it."""

    name = "embedded valkey"

    def __init__(self, config: Config) -> None:
        self._valkey = embedded_valkey(config)

    async def __aenter__(self) -> Self:
        await self._valkey.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await asyncio.to_thread(self._valkey.stop)

    async def ping(self) -> None:
        """Does nothing: the Redis clients ping the server."""


def embedded_valkey(config: Config) -> EmbeddedValkey:
    """The embedded Valkey of the service's project, not started."""
    setting = f"{config.env_prefix()}REDIS_URL"
    return EmbeddedValkey(config.private_dir(), setting=setting, stores=config.embedded_settings)


@asynccontextmanager
async def lifespan(config: Config, *extra: Resource, check: bool = True) -> AsyncIterator[Sequence[Resource]]:
    """Open the service's databases, its Redis and `extra`, in this order; yield them; close them in reverse.

    The open resources are also closed when a later one fails or the caller is cancelled. Raises what a resource
    raises, which is ResourceError for those of sanicbase. Without `check` no resource has to answer: while a server is
    unavailable, the calls that need it fail, and so does the `ping` of its resource.
    """
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(open_tracing(_tracing(config)))
        opened: list[Resource] = []
        for resource in (*_built_in(config, check=check), *extra):
            await stack.enter_async_context(resource)
            if check:
                await resource.ping()
            opened.append(resource)
        replicas = (replica for resource in opened if isinstance(resource, Database) for replica in resource.replicas)
        yield (*opened, *replicas)


def _tracing(config: Config) -> TracingOptions | None:
    if not config.TRACING_ENDPOINT:
        return None
    return TracingOptions(config.TRACING_ENDPOINT, config.TRACING_RATIO, config.SERVER_NAME, config.ENV)


def _built_in(config: Config, *, check: bool) -> list[Resource]:
    main = is_main_process()
    stores: list[Resource] = [EmbeddedStore(config)] if main and config.uses_embedded_redis else []
    redis = RedisClients(config, embedded_valkey(config).url)
    database = Database(config, connect=check, prepare=_prepare_tables if main else None, aerich=main)
    brokers = [broker_of(config)] if config.JOBS_URL else []
    return [*stores, database, redis, *brokers, CacheModels(config, connect=check)]


async def _prepare_tables(config: Config) -> None:
    from sanicbase.migrations import prepare_tables  # 60 modules that workers do not need

    await prepare_tables(config)

"""The cache models of a service, opened and closed with its lifespan."""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
import pkgutil
from collections.abc import Iterable
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Self

from sanicbase.cache.model import RCModel, declared
from sanicbase.cache.opened import OpenCache
from sanicbase.cache.store import Store
from sanicbase.cache.trust import START, Trust
from sanicbase.config import Config
from sanicbase.db.observers import open_models
from sanicbase.db.spawning import spawned_are_done
from sanicbase.errors import ConfigError, NotOpenError, ResourceError
from sanicbase.rc.clients import get_redis

__all__ = ["Caches", "import_cache_models", "open_caches", "shortest_closed_ttl"]

MARGIN = 1.0  # seconds that a commit may take besides the statement timeout
SPAWNED_TIMEOUT = 5.0  # seconds for what was spawned to end
COUNT_EVERY = 1.0  # seconds between two sums of what was counted


class Caches:
    """Every RCModel in the service's `model_rc`, and any other whose models are open.

    Opened after the databases and Redis. All processes of a service open all of them, so that each hears of its own
    writes. Without `connect`, opening does not wait for a Redis that is away. Raises ConfigError when the times do not
    fit each other.
    """

    name = "cache models"
    critical = False  # they read the database when Redis is away

    def __init__(self, config: Config, *, connect: bool = True) -> None:
        self._config = config
        self._connect = connect
        self._stack = AsyncExitStack()
        self._trusts: dict[str, Trust] = {}
        self._open: dict[type[RCModel], OpenCache] = {}

    async def __aenter__(self) -> Self:
        import_cache_models(self._config)
        async with AsyncExitStack() as stack:
            for cls in _distinct(self._present()):
                await self._open_class(stack, cls)
            if self._open:
                counting = asyncio.create_task(self._keep_counting(), name="counters of cache models")
                stack.push_async_callback(_ended, counting)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await spawned_are_done(SPAWNED_TIMEOUT)  # they may write, and somebody must hear of it
        await self._stack.aclose()

    async def ping(self) -> None:
        """Raises ResourceError while a Redis is not to be trusted, so that every read costs the database one."""
        away = [name for name, trust in self._trusts.items() if trust.epoch is None]
        if away:
            raise ResourceError(f"Cache models read the database, as the Redis {', '.join(away)} does not answer.")

    def _present(self) -> list[type[RCModel]]:
        """The classes whose models this process has open."""
        models = set(open_models())
        return [cls for cls in declared if cls._options.watches.keys() <= models and not self._is_foreign(cls)]

    def _is_foreign(self, cls: type[RCModel]) -> bool:
        """Whether it is kept in Redis alone, by another service: no model tells, and tests import several services."""
        service, _, rest = cls.__module__.partition(".")
        return not cls._options.watches and rest.startswith("model_rc") and service != self._config.SERVER_NAME

    async def _open_class(self, stack: AsyncExitStack, cls: type[RCModel]) -> None:
        stack.callback(setattr, cls, "_opened", None)
        options = cls._options
        if options.source is None and not cls._loads():
            cls._opened = Store(cls, options)
            return
        self._check_times(cls)
        trust = await self._trust(stack, options.connection)
        load = cls.load if options.source is None else None
        commit = self._config.DB_STATEMENT_TIMEOUT + MARGIN
        opened = OpenCache(cls, options, load, trust, life=self._config.CACHE_CLOSED_TTL, commit=commit)
        stack.push_async_callback(opened.close)
        opened.watch()
        cls._opened = self._open[cls] = opened

    async def _trust(self, stack: AsyncExitStack, connection: str) -> Trust:
        if connection not in self._trusts:
            config = self._config
            try:
                get_redis(connection)
            except NotOpenError as exc:
                raise ConfigError(f"Cache models need one server, or Sentinels. {exc}") from exc
            settle, commit = config.CACHE_CLOSED_TTL, config.DB_STATEMENT_TIMEOUT + MARGIN
            start = START if self._connect else 0.0
            made = Trust(connection, timeout=config.CACHE_TIMEOUT, settle=settle, settle_intact=commit, start=start)
            self._trusts[connection] = await stack.enter_async_context(made)
        return self._trusts[connection]

    def _check_times(self, cls: type[RCModel]) -> None:
        prefix, statement = self._config.env_prefix(), self._config.DB_STATEMENT_TIMEOUT
        if (least := shortest_closed_ttl(self._config)) > self._config.CACHE_CLOSED_TTL:
            raise ConfigError(
                f"{prefix}CACHE_CLOSED_TTL is {self._config.CACHE_CLOSED_TTL:g} seconds, and a statement may take "
                f"{statement:g}: what is written would be open before it is committed. Set it to "
                f"{least:g} or more, or shorten {prefix}DB_STATEMENT_TIMEOUT."
            )
        ttl = cls._options.ttl
        if ttl is not None and ttl < statement:
            raise ConfigError(
                f"{cls.__name__}.Meta.ttl is {ttl:g} seconds, and loading an entry may take {statement:g}. Set it to "
                f"that or more, or shorten {prefix}DB_STATEMENT_TIMEOUT."
            )

    async def _keep_counting(self) -> None:
        while True:
            await asyncio.sleep(COUNT_EVERY)
            for opened in self._open.values():
                await opened.count()


def shortest_closed_ttl(config: Config) -> float:
    """The seconds that CACHE_CLOSED_TTL has to be: a written key is closed until its statement is committed."""
    return config.DB_STATEMENT_TIMEOUT + 2 * MARGIN


def open_caches() -> list[type[RCModel]]:
    """The classes with a source or a load that are open, in the order of their names."""
    found = [cls for cls in declared if isinstance(cls._opened, OpenCache)]
    return sorted(found, key=lambda cls: cls.__name__)


def import_cache_models(config: Config) -> None:
    """The modules of the service's `model_rc`, if there is one: one that nobody imports would not hear of writes."""
    service, package = config.SERVER_NAME, f"{config.SERVER_NAME}.model_rc"
    if importlib.util.find_spec(service) is None or importlib.util.find_spec(package) is None:
        return
    found = importlib.import_module(package)
    for module in pkgutil.walk_packages(getattr(found, "__path__", ()), f"{package}."):
        importlib.import_module(module.name)


def _distinct(classes: Iterable[type[RCModel]]) -> list[type[RCModel]]:
    """The classes in the order of their names. Raises ConfigError when two of them would share their keys."""
    named: dict[str, type[RCModel]] = {}
    for cls in classes:
        other = named.setdefault(cls.__name__, cls)
        if other is not cls:
            both = " and ".join(sorted(f"{each.__module__}.{each.__qualname__}" for each in (cls, other)))
            raise ConfigError(f"Two cache models have one name, and so one place in Redis: {both}. Rename one of them.")
    return [named[name] for name in sorted(named)]


async def _ended(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)

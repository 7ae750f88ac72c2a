"""The cache models of a service, a resource of its lifespan."""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
import pkgutil
from collections.abc import Iterable
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Self

from sanicbase.cache.audit import Sampler
from sanicbase.cache.epoch import START_TIMEOUT, EpochClient
from sanicbase.cache.local import LocalLimits
from sanicbase.cache.model import RCModel, cache_models
from sanicbase.cache.model_cache import ModelCache
from sanicbase.cache.store import Store
from sanicbase.config import Config
from sanicbase.db.background import wait_for_background_tasks
from sanicbase.db.observers import open_models
from sanicbase.errors import ConfigError, NotOpenError, ResourceError
from sanicbase.i18n import gettext as _
from sanicbase.metrics.sampling import sampled
from sanicbase.rc.clients import get_redis

__all__ = ["CacheModels", "import_cache_models", "min_closed_ttl", "open_cache_models"]

MARGIN = 1.0  # seconds that a commit may take in addition to the statement timeout
BACKGROUND_TASKS_TIMEOUT = 5.0  # seconds for background tasks to end
STATS_INTERVAL = 1.0  # seconds


class CacheModels:
    """Every RCModel in the service's `model_rc`, and others whose models are open.

    Opened after the databases and Redis, in every process of a service, so that the writes of each process invalidate
    entries. Without `connect`, opening does not wait for Redis. Raises ConfigError for timeouts that contradict each
    other.
    """

    name = "cache models"
    critical = False  # they read the database without Redis

    def __init__(self, config: Config, *, connect: bool = True) -> None:
        self._config = config
        self._connect = connect
        self._stack = AsyncExitStack()
        self._limits = LocalLimits(config.CACHE_LOCAL_ENTRIES, config.CACHE_LOCAL_BYTES, config.CACHE_LOCAL_MAX_LAG)
        self._sampler: Sampler | None = None
        self._epoch_clients: dict[str, EpochClient] = {}
        self._open: dict[type[RCModel], ModelCache] = {}

    async def __aenter__(self) -> Self:
        import_cache_models(self._config)
        self._sampler = Sampler(self._config.CACHE_AUDIT_RATE) if self._config.CACHE_AUDIT_RATE else None
        async with AsyncExitStack() as stack:
            for cls in _check_names(self._classes_to_open()):
                await self._open_class(stack, cls)
            if self._sampler is not None:
                stack.push_async_callback(self._sampler.close)
            if self._open:
                flushing = asyncio.create_task(self._flush_stats(), name="counters of cache models")
                stack.push_async_callback(_cancel, flushing)
                stack.enter_context(sampled(self._publish_stats))
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await wait_for_background_tasks(BACKGROUND_TASKS_TIMEOUT)  # their writes must invalidate as well
        await self._stack.aclose()

    async def ping(self) -> None:
        """Raises ResourceError while a Redis is unavailable and reads go to the database."""
        unavailable = [name for name, epoch_client in self._epoch_clients.items() if epoch_client.epoch is None]
        if unavailable:
            raise ResourceError(f"Cache models read the database: the Redis {', '.join(unavailable)} does not answer.")

    def _classes_to_open(self) -> list[type[RCModel]]:
        """The classes whose models are open in this process."""
        models = set(open_models())
        return [cls for cls in cache_models if cls._options.watches.keys() <= models and not self._is_foreign(cls)]

    def _is_foreign(self, cls: type[RCModel]) -> bool:
        """Whether the class is stored in Redis only and belongs to another service; tests import several services."""
        service, _, rest = cls.__module__.partition(".")
        return not cls._options.watches and rest.startswith("model_rc") and service != self._config.SERVER_NAME

    async def _open_class(self, stack: AsyncExitStack, cls: type[RCModel]) -> None:
        stack.callback(setattr, cls, "_opened", None)
        options = cls._options
        if options.source is None and not cls._loads():
            cls._opened = Store(cls, options)
            return
        self._check_times(cls)
        epoch_client = await self._epoch_client(stack, options.connection)
        load = cls.load if options.source is None else None
        commit = self._config.DB_STATEMENT_TIMEOUT + MARGIN
        model_cache = ModelCache(
            cls,
            options,
            load,
            epoch_client,
            life=self._config.CACHE_CLOSED_TTL,
            commit=commit,
            local=self._limits,
            sampler=self._sampler,
        )
        stack.push_async_callback(model_cache.close)
        model_cache.watch()
        cls._opened = self._open[cls] = model_cache

    async def _epoch_client(self, stack: AsyncExitStack, connection: str) -> EpochClient:
        if connection not in self._epoch_clients:
            config = self._config
            try:
                get_redis(connection)
            except NotOpenError as exc:
                raise ConfigError(_("Cache models need one server, or Sentinels. {error}", error=exc)) from exc
            settle, commit = config.CACHE_CLOSED_TTL, config.DB_STATEMENT_TIMEOUT + MARGIN
            start = START_TIMEOUT if self._connect else 0.0
            client = EpochClient(
                connection, timeout=config.CACHE_TIMEOUT, settle=settle, settle_intact=commit, start=start
            )
            self._epoch_clients[connection] = await stack.enter_async_context(client)
        return self._epoch_clients[connection]

    def _check_times(self, cls: type[RCModel]) -> None:
        prefix, statement = self._config.env_prefix(), self._config.DB_STATEMENT_TIMEOUT
        if (min_ttl := min_closed_ttl(self._config)) > self._config.CACHE_CLOSED_TTL:
            raise ConfigError(
                _(
                    "{prefix}CACHE_CLOSED_TTL is {ttl:g} seconds, and a statement may take {statement:g}: a key could "
                    "open before its write is committed. Set it to {min_ttl:g} or more, or lower "
                    "{prefix}DB_STATEMENT_TIMEOUT.",
                    prefix=prefix,
                    ttl=self._config.CACHE_CLOSED_TTL,
                    statement=statement,
                    min_ttl=min_ttl,
                )
            )
        ttl = cls._options.ttl
        if ttl is not None and ttl < statement:
            raise ConfigError(
                _(
                    "{cls}.Meta.ttl is {ttl:g} seconds, and loading an entry may take {statement:g}. Set it to that or "
                    "more, or lower {prefix}DB_STATEMENT_TIMEOUT.",
                    cls=cls.__name__,
                    ttl=ttl,
                    statement=statement,
                    prefix=prefix,
                )
            )

    def _publish_stats(self) -> None:
        for model_cache in self._open.values():
            model_cache.publish()

    async def _flush_stats(self) -> None:
        while True:
            await asyncio.sleep(STATS_INTERVAL)
            for model_cache in self._open.values():
                await model_cache.count()


def min_closed_ttl(config: Config) -> float:
    """The minimum of CACHE_CLOSED_TTL in seconds: a written key stays closed until its statement is committed."""
    return config.DB_STATEMENT_TIMEOUT + 2 * MARGIN


def open_cache_models() -> list[type[RCModel]]:
    """The open classes with a source or a load, by name."""
    classes = [cls for cls in cache_models if isinstance(cls._opened, ModelCache)]
    return sorted(classes, key=lambda cls: cls.__name__)


def import_cache_models(config: Config) -> None:
    """Import the service's `model_rc`, if there is one: classes that are not imported would miss writes."""
    service, package = config.SERVER_NAME, f"{config.SERVER_NAME}.model_rc"
    if importlib.util.find_spec(service) is None or importlib.util.find_spec(package) is None:
        return
    model_rc = importlib.import_module(package)
    for module in pkgutil.walk_packages(getattr(model_rc, "__path__", ()), f"{package}."):
        importlib.import_module(module.name)


def _check_names(classes: Iterable[type[RCModel]]) -> list[type[RCModel]]:
    """The classes by name. Raises ConfigError when two classes would share their keys."""
    named: dict[str, type[RCModel]] = {}
    for cls in classes:
        other = named.setdefault(cls.__name__, cls)
        if other is not cls:
            both = _(" and ").join(sorted(f"{model.__module__}.{model.__qualname__}" for model in (cls, other)))
            raise ConfigError(
                _("Two cache models have the same name, and so the same keys: {both}. Rename one of them.", both=both)
            )
    return [named[name] for name in sorted(named)]


async def _cancel(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)

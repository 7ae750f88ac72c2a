"""Named Redis clients of a process: redis-py's own, opened, pinged and closed with the lifespan."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Any, Self, TypeVar

from redis.asyncio import BlockingConnectionPool, Redis, RedisCluster
from redis.asyncio.connection import AbstractConnection, SSLConnection
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel
from redis.backoff import ExponentialWithJitterBackoff, NoBackoff

from sanicbase.config import Config
from sanicbase.config.redis_urls import RedisPlace, parse_redis_url
from sanicbase.errors import NotOpenError, ResourceError
from sanicbase.rc.cluster import BoundedCluster
from sanicbase.rc.connections import SentinelPool, fit, sentinel_connection
from sanicbase.rc.greeting import Greeter
from sanicbase.rc.wakeups import Wakeups

__all__ = [
    "RedisClients",
    "any_client",
    "get_blocking_redis",
    "get_redis",
    "get_redis_cluster",
    "get_wakeups",
    "impatient_redis",
    "namespace",
]

RETRIES = 10
BACKOFF = ExponentialWithJitterBackoff(base=0.01, cap=1)

Client = TypeVar("Client", Redis, BoundedCluster, Wakeups)
Greet = Callable[[AbstractConnection], Awaitable[None]]

# One lifespan at a time owns these; it fills them when it opens and empties them when it closes.
_clients: dict[str, Redis] = {}
_blocking: dict[str, Redis] = {}
_clusters: dict[str, BoundedCluster] = {}
_wakeups: dict[str, Wakeups] = {}
_namespace: list[str] = []
_opened: list[RedisClients] = []


def get_redis(name: str = "default") -> Redis:
    """The client of that name, redis-py's own, which returns bytes: of a server, or of the master that Sentinels name.

    Its pool is bounded: a caller waits for a connection, CONNECT_TIMEOUT seconds at most. Raises NotOpenError outside a
    lifespan, for a name that is not configured, and for that of a Cluster.
    """
    return _get(_clients, name, f"get_redis_cluster({name!r})")


def get_blocking_redis(name: str = "default") -> Redis:
    """The client for commands that wait, such as `blpop` and `xread(block=…)`: it has no timeout on the socket, and a
    pool of its own, so that waiting commands do not hold up the others. Otherwise as `get_redis`."""
    return _get(_blocking, name, f"get_redis_cluster({name!r})")


def get_redis_cluster(name: str = "default") -> RedisCluster:
    """The client of the Cluster of that name, redis-py's own, which returns bytes.

    REDIS_POOL_SIZE commands are under way at once, others wait, CONNECT_TIMEOUT seconds at most. Raises NotOpenError
    outside a lifespan, for a name that is not configured, and for one that is no Cluster.
    """
    return _get(_clusters, name, f"get_redis({name!r})")


def any_client(name: str) -> Redis | RedisCluster:
    """The client of that name, of either kind. Raises NotOpenError as `get_redis`."""
    return _clusters[name] if name in _clusters else get_redis(name)


def get_wakeups(name: str = "default") -> Wakeups:
    """What wakes those that wait on that Redis. Raises NotOpenError outside a lifespan."""
    return _get(_wakeups, name, f"get_redis_cluster({name!r})")


def impatient_redis(name: str, *, timeout: float, greet: Greet | None = None) -> Redis:
    """Another client of that name, which its maker closes, and who bounds how long an answer may take.

    It waits `timeout` seconds for a connection, and tries once. `greet` is awaited with each connection that it makes,
    before anything else is said. Raises NotOpenError as `get_redis`.
    """
    get_redis(name)
    return _opened[0].impatient(name, timeout, greet)


def namespace() -> str:
    """What the keys of the open service begin with: its name. Raises NotOpenError outside a lifespan."""
    if not _namespace:
        raise NotOpenError("Redis is not open. Use it inside `async with lifespan(config)`, or in a running service.")
    return _namespace[0]


class RedisClients:
    """Every Redis of the configuration; `embedded_url` is where the project's own listens."""

    name = "redis"
    critical = False  # cache models read the database when it is away

    def __init__(self, config: Config, embedded_url: str) -> None:
        self._config = config
        self._urls = config.redis_urls(embedded_url)
        self._sentinels: list[Sentinel] = []
        self._greeters: dict[str, Greeter] = {}

    async def __aenter__(self) -> Self:
        if _namespace:
            raise ResourceError("Redis is already open in this process: one lifespan at a time.")
        for name, url in self._urls.items():
            place = parse_redis_url(url)
            greeter = Greeter(url, place, self._setting(name), timeout=self._config.CONNECT_TIMEOUT)
            if place.kind == "cluster":
                greeter.cluster = _clusters[name] = self._cluster(place)
            else:
                sentinel = greeter.sentinel = self._sentinel(place)
                greeter.service = place.service
                greeter.client = _clients[name] = self._client(place, sentinel, self._config.CONNECT_TIMEOUT)
                _blocking[name] = self._client(place, sentinel, None)
                _wakeups[name] = await Wakeups(_clients[name]).__aenter__()
            self._greeters[name] = greeter
        _namespace.append(self._config.SERVER_NAME)
        _opened.append(self)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await asyncio.gather(*(wakeups.__aexit__(kind, error, trace) for wakeups in _wakeups.values()))
        asked = [client for sentinel in self._sentinels for client in sentinel.sentinels]
        clients, clusters = [*_clients.values(), *_blocking.values(), *asked], [*_clusters.values()]
        for named in (_clients, _blocking, _clusters, _wakeups, _namespace, _opened, self._sentinels, self._greeters):
            named.clear()
        closing = [client.aclose(close_connection_pool=True) for client in clients]
        await asyncio.gather(*closing, *(cluster.end() for cluster in clusters))

    async def ping(self) -> None:
        """Ask every server for an answer.

        Raises ResourceError when one does not answer, refuses the password, or is older than Redis 6; when no Sentinel
        names a master; when a Cluster has slots that nobody serves.
        """
        await asyncio.gather(*(greeter.greet() for greeter in self._greeters.values()))

    async def greet(self, name: str) -> None:
        """Ask the server of that name alone; raises as `ping`."""
        await self._greeters[name].greet()

    def impatient(self, name: str, timeout: float, greet: Greet | None) -> Redis:
        """See `impatient_redis`."""
        place = parse_redis_url(self._urls[name])
        # Its maker bounds each request as a whole, so redis-py need not bound each step of it.
        once = {"timeout": timeout, "socket_connect_timeout": timeout, "retry": Retry(NoBackoff(), 0)}
        place.options.update(once, socket_timeout=None)
        if greet:
            place.options["redis_connect_func"] = greet
        return self._client(place, self._sentinel(place), timeout)

    def _client(self, place: RedisPlace, sentinel: Sentinel | None, socket_timeout: float | None) -> Redis:
        if sentinel is None:
            return Redis.from_pool(self._pool(place.connection, place.options, socket_timeout))
        options = self._common(socket_timeout) | {"connection_class": sentinel_connection(place.connection)}
        client: Redis = sentinel.master_for(
            place.service, connection_pool_class=SentinelPool, **{**options, **place.options}
        )
        return client

    def _sentinel(self, place: RedisPlace) -> Sentinel | None:
        if place.kind != "sentinel":
            return None
        sentinel = Sentinel([])
        for host, port in place.addresses:
            options = {**place.sentinel_options, "host": host, "port": port, "retry": None}
            sentinel.sentinels.append(
                Redis.from_pool(self._pool(place.connection, options, self._config.CONNECT_TIMEOUT))
            )
        self._sentinels.append(sentinel)
        return sentinel

    def _cluster(self, place: RedisPlace) -> BoundedCluster:
        common = self._common(self._config.CONNECT_TIMEOUT)
        options = {name: common[name] for name in ("socket_timeout", "socket_connect_timeout", "client_name")}
        return BoundedCluster(
            place.addresses,
            limit=place.options.pop("max_connections", self._config.REDIS_POOL_SIZE),
            timeout=place.options.pop("timeout", self._config.CONNECT_TIMEOUT),
            backoff=BACKOFF,
            retries=RETRIES,
            ssl=issubclass(place.connection, SSLConnection),
            **{**options, **place.options},
        )

    def _pool(
        self, connection: type[AbstractConnection], options: dict[str, Any], socket_timeout: float | None
    ) -> BlockingConnectionPool:
        given = {**self._common(socket_timeout), **options}
        return BlockingConnectionPool(connection_class=fit(connection), **given)

    def _common(self, socket_timeout: float | None) -> dict[str, Any]:
        """What every client is given; the URL's own options go before it. redis-py neither retries nor waits for a
        free connection unless it is told to."""
        return {
            "max_connections": self._config.REDIS_POOL_SIZE,
            "timeout": self._config.CONNECT_TIMEOUT,
            "socket_connect_timeout": self._config.CONNECT_TIMEOUT,
            "socket_timeout": socket_timeout,
            "retry": Retry(BACKOFF, RETRIES),
            "client_name": self._config.SERVER_NAME,
        }

    def _setting(self, name: str) -> str:
        prefix = self._config.env_prefix()
        return f"{prefix}REDIS_CONNECTIONS[{name}]" if name in self._config.REDIS_CONNECTIONS else f"{prefix}REDIS_URL"


def _get(clients: dict[str, Client], name: str, other: str) -> Client:
    if name in clients:
        return clients[name]
    if name in _clients or name in _clusters:
        kind = "a Cluster" if name in _clusters else "no Cluster"
        raise NotOpenError(f"The Redis named {name!r} is {kind}: use {other}.")
    if named := sorted({*_clients, *_clusters}):
        raise NotOpenError(f"There is no Redis named {name!r}; REDIS_CONNECTIONS has {', '.join(named)}.")
    raise NotOpenError("Redis is not open. Use it inside `async with lifespan(config)`, or in a running service.")

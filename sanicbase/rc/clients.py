"""The named Redis clients of a process: redis-py's own, opened, pinged and closed with the lifespan."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from types import TracebackType
from typing import Any, Self, TypeVar

from redis.asyncio import BlockingConnectionPool, Redis, RedisCluster
from redis.asyncio.connection import AbstractConnection, SSLConnection
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel
from redis.backoff import ExponentialWithJitterBackoff, NoBackoff
from redis.driver_info import DriverInfo
from redis.maint_notifications import MaintNotificationsConfig

from sanicbase.config import Config
from sanicbase.config.redis_urls import RedisAddress, parse_redis_url
from sanicbase.errors import NotOpenError, ResourceError
from sanicbase.metrics import Gauge
from sanicbase.metrics.sampling import sampled
from sanicbase.rc.cluster import BoundedCluster
from sanicbase.rc.connections import (
    RetryUnlessRefused,
    SentinelPool,
    cancellation_safe,
    sentinel_connection_class,
)
from sanicbase.rc.handshake import Handshake
from sanicbase.rc.metered import client_class, request_times
from sanicbase.rc.notifier import Notifier

__all__ = [
    "RedisClients",
    "any_client",
    "get_blocking_redis",
    "get_notifier",
    "get_redis",
    "get_redis_cluster",
    "has_client",
    "low_timeout_redis",
    "namespace",
    "quick_client",
]

CONNECTIONS = Gauge(
    "sanicbase_redis_pool_connections", "Connections to a Redis, `in_use` or `idle`.", ["redis", "state"]
)
RETRIES = 10
BACKOFF = ExponentialWithJitterBackoff(base=0.01, cap=1)
DRIVER = DriverInfo()  # else redis-py reads its version from a file for each connection

Client = TypeVar("Client", Redis, BoundedCluster, Notifier)
OnConnect = Callable[[AbstractConnection], Awaitable[None]]

# One lifespan at a time owns these: it fills them when it opens, and empties them when it closes.
_clients: dict[str, Redis] = {}
_blocking: dict[str, Redis] = {}
_clusters: dict[str, BoundedCluster] = {}
_notifiers: dict[str, Notifier] = {}
_quick: dict[str, Redis] = {}
_namespace: list[str] = []
_opened: list[RedisClients] = []


def get_redis(name: str = "default") -> Redis:
    """redis-py's client of that name, for a server or for the master that Sentinels name. It returns bytes.

    The pool is bounded: a caller waits up to CONNECT_TIMEOUT seconds for a connection. Raises NotOpenError outside a
    lifespan, for a name that is not configured, and for a Cluster.
    """
    return _get(_clients, name, f"get_redis_cluster({name!r})")


def get_blocking_redis(name: str = "default") -> Redis:
    """The client for blocking commands, such as `blpop` and `xread(block=…)`: without a socket timeout, and with a
    separate pool, so that they do not occupy the connections of other commands. Raises as `get_redis`."""
    return _get(_blocking, name, f"get_redis_cluster({name!r})")


def get_redis_cluster(name: str = "default") -> RedisCluster:
    """redis-py's client of the Cluster of that name. It returns bytes.

    REDIS_POOL_SIZE commands run at once; others wait up to CONNECT_TIMEOUT seconds. Raises NotOpenError outside a
    lifespan, for a name that is not configured, and for one that is not a Cluster.
    """
    return _get(_clusters, name, f"get_redis({name!r})")


def any_client(name: str) -> Redis | RedisCluster:
    """The client of that name, of either kind. Raises NotOpenError as `get_redis`."""
    return _clusters[name] if name in _clusters else get_redis(name)


def has_client(name: str) -> bool:
    """Whether a Redis of that name is open."""
    return name in _clients or name in _clusters


def get_notifier(name: str = "default") -> Notifier:
    """The notifier of that Redis. Raises NotOpenError outside a lifespan."""
    return _get(_notifiers, name, f"get_redis_cluster({name!r})")


def low_timeout_redis(
    name: str, *, timeout: float, on_connect: OnConnect | None = None, in_thread: bool = False
) -> Redis:
    """A separate client of that name that waits `timeout` seconds for a connection and does not retry.

    The caller closes it, and bounds the time of each request. `on_connect` is awaited with each new connection before
    its first command. `in_thread` is for a client of another thread than the lifespan's, whose requests are not
    counted. Raises as `get_redis`.
    """
    get_redis(name)
    return _opened[0].low_timeout(name, timeout, on_connect, Redis if in_thread else client_class(name))


def quick_client(timeout: float, name: str = "default") -> Redis | RedisCluster:
    """A client of that name for callers that would rather do without Redis than wait: shared, closed with the lifespan,
    waiting `timeout` seconds for a connection and without retries. A Cluster has its one client, so the caller bounds
    the time of each request. Raises NotOpenError as `get_redis`."""
    if name in _clusters:
        return _clusters[name]
    if name not in _quick:
        _quick[name] = low_timeout_redis(name, timeout=timeout)
    return _quick[name]


def namespace() -> str:
    """The prefix of the service's keys: its name. Raises NotOpenError outside a lifespan."""
    if not _namespace:
        raise NotOpenError("Redis is not open. Use it inside `async with lifespan(config)`, or in a running service.")
    return _namespace[0]


class RedisClients:
    """Every configured Redis; `embedded_url` is the address of the embedded one."""

    name = "redis"
    critical = False  # cache models read the database without it

    def __init__(self, config: Config, embedded_url: str) -> None:
        self._config = config
        self._urls = config.redis_urls(embedded_url)
        self._sentinels: list[Sentinel] = []
        self._handshakes: dict[str, Handshake] = {}
        self._sampling = ExitStack()

    async def __aenter__(self) -> Self:
        if _namespace:
            raise ResourceError("Redis is already open in this process: one lifespan at a time.")
        for name, url in self._urls.items():
            address = parse_redis_url(url)
            handshake = Handshake(url, address, self._setting(name), timeout=self._config.CONNECT_TIMEOUT)
            if address.kind == "cluster":
                handshake.cluster = _clusters[name] = self._cluster(name, address)
            else:
                sentinel = handshake.sentinel = self._sentinel(address)
                handshake.service = address.service
                plain, blocking = client_class(name), client_class(name, blocks=True)
                handshake.client = _clients[name] = self._client(plain, address, sentinel, self._config.CONNECT_TIMEOUT)
                _blocking[name] = self._client(blocking, address, sentinel, None)
                _notifiers[name] = await Notifier(_clients[name]).__aenter__()
            self._handshakes[name] = handshake
        _namespace.append(self._config.SERVER_NAME)
        _opened.append(self)
        self._sampling.enter_context(sampled(_set_gauges))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._sampling.close()
        await asyncio.gather(*(notifier.__aexit__(kind, error, trace) for notifier in _notifiers.values()))
        sentinel_clients = [client for sentinel in self._sentinels for client in sentinel.sentinels]
        clients = [*_clients.values(), *_blocking.values(), *_quick.values(), *sentinel_clients]
        clusters = [*_clusters.values()]
        for named in (
            _clients,
            _blocking,
            _quick,
            _clusters,
            _notifiers,
            _namespace,
            _opened,
            self._sentinels,
            self._handshakes,
        ):
            named.clear()
        closing = [client.aclose(close_connection_pool=True) for client in clients]
        await asyncio.gather(*closing, *(cluster.close_connections() for cluster in clusters))

    async def ping(self) -> None:
        """Check every server.

        Raises ResourceError when one does not answer, refuses the password or is older than Redis 6, when no Sentinel
        names a master, and when a Cluster has slots that no node serves.
        """
        await asyncio.gather(*(handshake.run() for handshake in self._handshakes.values()))

    async def check(self, name: str) -> None:
        """Check the server of that name. Raises as `ping`."""
        await self._handshakes[name].run()

    def low_timeout(self, name: str, timeout: float, on_connect: OnConnect | None, kind: type[Redis]) -> Redis:
        """See `low_timeout_redis`."""
        address = parse_redis_url(self._urls[name])
        # The caller bounds each request as a whole, so redis-py need not bound its steps.
        single_try = {"timeout": timeout, "socket_connect_timeout": timeout, "retry": Retry(NoBackoff(), 0)}
        address.options.update(single_try, socket_timeout=None)
        if on_connect:
            address.options["redis_connect_func"] = on_connect
        return self._client(kind, address, self._sentinel(address), timeout)

    def _client(
        self, kind: type[Redis], address: RedisAddress, sentinel: Sentinel | None, socket_timeout: float | None
    ) -> Redis:
        if sentinel is None:
            return kind.from_pool(self._pool(address.connection, address.options, socket_timeout))
        options = self._common(socket_timeout) | {"connection_class": sentinel_connection_class(address.connection)}
        client: Redis = sentinel.master_for(
            address.service, redis_class=kind, connection_pool_class=SentinelPool, **{**options, **address.options}
        )
        return client

    def _sentinel(self, address: RedisAddress) -> Sentinel | None:
        if address.kind != "sentinel":
            return None
        sentinel = Sentinel([])
        for host, port in address.addresses:
            options = {**address.sentinel_options, "host": host, "port": port, "retry": None}
            sentinel.sentinels.append(
                Redis.from_pool(self._pool(address.connection, options, self._config.CONNECT_TIMEOUT))
            )
        self._sentinels.append(sentinel)
        return sentinel

    def _cluster(self, name: str, address: RedisAddress) -> BoundedCluster:
        common = self._common(self._config.CONNECT_TIMEOUT)
        names = ("socket_timeout", "socket_connect_timeout", "client_name", "driver_info", "maint_notifications_config")
        options = {name: common[name] for name in names}
        return BoundedCluster(
            address.addresses,
            limit=address.options.pop("max_connections", self._config.REDIS_POOL_SIZE),
            timeout=address.options.pop("timeout", self._config.CONNECT_TIMEOUT),
            backoff=BACKOFF,
            retries=RETRIES,
            times=request_times(name),
            ssl=issubclass(address.connection, SSLConnection),
            **{**options, **address.options},
        )

    def _pool(
        self, connection: type[AbstractConnection], options: dict[str, Any], socket_timeout: float | None
    ) -> BlockingConnectionPool:
        settings = {**self._common(socket_timeout), **options}
        return BlockingConnectionPool(connection_class=cancellation_safe(connection), **settings)

    def _common(self, socket_timeout: float | None) -> dict[str, Any]:
        """Options of every client, which those of the URL override. By default redis-py neither retries nor waits for a
        free connection, and asks each new connection for notifications that only Redis Enterprise knows."""
        return {
            "max_connections": self._config.REDIS_POOL_SIZE,
            "timeout": self._config.CONNECT_TIMEOUT,
            "socket_connect_timeout": self._config.CONNECT_TIMEOUT,
            "socket_timeout": socket_timeout,
            "retry": RetryUnlessRefused(BACKOFF, RETRIES),
            "client_name": self._config.SERVER_NAME,
            "driver_info": DRIVER,
            "maint_notifications_config": MaintNotificationsConfig(enabled=False),
        }

    def _setting(self, name: str) -> str:
        prefix = self._config.env_prefix()
        return f"{prefix}REDIS_CONNECTIONS[{name}]" if name in self._config.REDIS_CONNECTIONS else f"{prefix}REDIS_URL"


def _set_gauges() -> None:
    """Set the gauges of the pools, without those of blocking commands."""
    for name, client in _clients.items():
        (idle, _), (in_use, _) = client.connection_pool.get_connection_count()
        CONNECTIONS.set(idle, name, "idle")
        CONNECTIONS.set(in_use, name, "in_use")


def _get(clients: dict[str, Client], name: str, other: str) -> Client:
    if name in clients:
        return clients[name]
    if name in _clients or name in _clusters:
        kind = "a Cluster" if name in _clusters else "not a Cluster"
        raise NotOpenError(f"The Redis named {name!r} is {kind}. Use {other}.")
    if named := sorted({*_clients, *_clusters}):
        raise NotOpenError(f"No Redis is named {name!r}. REDIS_CONNECTIONS has {', '.join(named)}.")
    raise NotOpenError("Redis is not open. Use it inside `async with lifespan(config)`, or in a running service.")

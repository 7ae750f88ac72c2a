"""Named Redis clients of a process: redis-py's own, opened, pinged and closed with the lifespan."""

from __future__ import annotations

import asyncio
import sys
from types import TracebackType
from typing import Any, Self

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.connection import AbstractConnection
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialWithJitterBackoff
from redis.exceptions import AuthenticationError, RedisError, ResponseError

from sanicbase.config import Config
from sanicbase.config.stores import hide_password
from sanicbase.errors import NotOpenError, ResourceError

__all__ = ["RedisClients", "get_blocking_redis", "get_redis", "namespace"]

OLDEST = 6
RETRIES = 10

# One lifespan at a time owns these; it fills them when it opens and empties them when it closes.
_clients: dict[str, Redis] = {}
_blocking: dict[str, Redis] = {}
_namespace: list[str] = []


def get_redis(name: str = "default") -> Redis:
    """The client of that name, redis-py's own, which returns bytes. Raises NotOpenError outside a lifespan.

    Its pool is bounded: a caller waits for a connection, CONNECT_TIMEOUT seconds at most.
    """
    return _get(_clients, name)


def get_blocking_redis(name: str = "default") -> Redis:
    """The client for commands that wait, such as `blpop` and `xread(block=…)`: it has no timeout on the socket, and a
    pool of its own, so that waiting commands do not hold up the others. Raises NotOpenError outside a lifespan."""
    return _get(_blocking, name)


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

    async def __aenter__(self) -> Self:
        if _clients:
            raise ResourceError("Redis is already open in this process: one lifespan at a time.")
        for name, url in self._urls.items():
            _clients[name] = self._client(url, socket_timeout=self._config.CONNECT_TIMEOUT)
            _blocking[name] = self._client(url, socket_timeout=None)
        _namespace.append(self._config.SERVER_NAME)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        clients = [*_clients.values(), *_blocking.values()]
        _clients.clear()
        _blocking.clear()
        _namespace.clear()
        await asyncio.gather(*(client.aclose(close_connection_pool=True) for client in clients))

    async def ping(self) -> None:
        """Ask every server for an answer.

        Raises ResourceError when one does not answer, refuses the password, or is older than Redis 6.
        """
        await asyncio.gather(*(self._greet(name) for name in self._urls))

    def _client(self, url: str, *, socket_timeout: float | None) -> Redis:
        # from_url neither retries nor waits for a free connection unless it is told to.
        pool = BlockingConnectionPool.from_url(
            url,
            max_connections=self._config.REDIS_POOL_SIZE,
            timeout=self._config.CONNECT_TIMEOUT,
            socket_connect_timeout=self._config.CONNECT_TIMEOUT,
            socket_timeout=socket_timeout,
            retry=Retry(ExponentialWithJitterBackoff(base=0.01, cap=1), RETRIES),
            client_name=self._config.SERVER_NAME,
        )
        if sys.version_info < (3, 12):
            pool.connection_class = _keeping_cancellation(pool.connection_class)
        return Redis.from_pool(pool)

    async def _greet(self, name: str) -> None:
        """HELLO answers every account and names the version; a server that does not know it is older than 6."""
        try:
            async with asyncio.timeout(self._config.CONNECT_TIMEOUT):
                await _clients[name].execute_command("HELLO")
        except AuthenticationError as exc:
            raise ResourceError(self._sentence(name, f"refuses the password ({exc})", "Correct")) from exc
        except ResponseError as exc:
            old = "unknown command" in str(exc).lower()
            reason = f"is older than Redis {OLDEST}" if old else f"refuses the connection ({exc})"
            raise ResourceError(self._sentence(name, reason, "Upgrade it, or correct" if old else "Correct")) from exc
        except (RedisError, OSError, TimeoutError) as exc:
            reason = f"does not answer: {str(exc).rstrip('.') or 'no answer in time'}"
            raise ResourceError(self._sentence(name, reason, "Start it, or correct")) from exc

    def _sentence(self, name: str, what: str, remedy: str) -> str:
        prefix = self._config.env_prefix()
        named = name in self._config.REDIS_CONNECTIONS
        setting = f"{prefix}REDIS_CONNECTIONS[{name}]" if named else f"{prefix}REDIS_URL"
        return f"The Redis {hide_password(self._urls[name])} {what}. {remedy} {setting}."


def _keeping_cancellation(connection: type[AbstractConnection]) -> type[AbstractConnection]:
    """Before Python 3.12 `asyncio.wait_for`, by which redis-py sends, may finish and forget that it was cancelled
    (https://github.com/python/cpython/issues/86296). The caller would go on, deaf to its cancellation."""

    class Keeping(connection):  # type: ignore[valid-type, misc]
        async def send_packed_command(self, *args: Any, **kwargs: Any) -> None:
            task = asyncio.current_task()
            before = task.cancelling() if task else 0
            await super().send_packed_command(*args, **kwargs)
            if task and task.cancelling() > before:
                await self.disconnect(nowait=True)  # the answer of what was sent is nobody's
                raise asyncio.CancelledError

    return Keeping


def _get(clients: dict[str, Redis], name: str) -> Redis:
    if name in clients:
        return clients[name]
    if clients:
        raise NotOpenError(f"There is no Redis named {name!r}; REDIS_CONNECTIONS has {', '.join(sorted(clients))}.")
    raise NotOpenError("Redis is not open. Use it inside `async with lifespan(config)`, or in a running service.")

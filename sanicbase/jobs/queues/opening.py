"""The queues of a service, in its Redis or in the broker of JOBS_URL."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from redis.asyncio import Redis, RedisCluster
from redis.asyncio.sentinel import SentinelConnectionPool

from sanicbase.brokers import get_broker
from sanicbase.errors import ConfigError, ResourceError
from sanicbase.i18n import gettext as _
from sanicbase.jobs.message import JobMessage
from sanicbase.jobs.queues.inspection import Inspection
from sanicbase.jobs.queues.interface import UNREACHED, Queue
from sanicbase.jobs.queues.orders import Orders
from sanicbase.jobs.queues.redis_queue import RedisQueue
from sanicbase.rc.clients import any_client, get_blocking_redis, has_client, low_timeout_redis, namespace

__all__ = ["check_unique", "inspect_queue", "open_queue", "redis_of_jobs", "send", "short_lived_queue"]

SHORT_TIMEOUT = 2.0  # seconds


def open_queue(name: str) -> Queue:
    """The queue of that name, where the service has its jobs. Raises NotOpenError outside a lifespan."""
    broker = get_broker()
    if broker is None:
        return _redis_queue(name)
    if broker.server == "RabbitMQ":
        from sanicbase.brokers.rabbitmq import RabbitBroker
        from sanicbase.jobs.queues.rabbitmq_queue import RabbitQueue

        assert isinstance(broker, RabbitBroker)  # noqa: S101  (for mypy)
        return RabbitQueue(broker, namespace(), name, _orders(name))
    from sanicbase.brokers.jetstream import NatsBroker
    from sanicbase.jobs.queues.nats_queue import NatsQueue

    assert isinstance(broker, NatsBroker)  # noqa: S101  (for mypy)
    return NatsQueue(broker, namespace(), name, _orders(name))


def inspect_queue(name: str) -> Inspection:
    """The queue of that name, seen from outside. Raises NotOpenError outside a lifespan."""
    broker = get_broker()
    if broker is None:
        from sanicbase.jobs.queues.redis_inspection import RedisInspection

        return RedisInspection(*redis_of_jobs(), namespace(), name)
    if broker.server == "RabbitMQ":
        from sanicbase.brokers.rabbitmq import RabbitBroker
        from sanicbase.jobs.queues.rabbitmq_inspection import RabbitInspection

        assert isinstance(broker, RabbitBroker)  # noqa: S101  (for mypy)
        return RabbitInspection(broker, namespace(), name, _orders(name))
    from sanicbase.brokers.jetstream import NatsBroker
    from sanicbase.jobs.queues.nats_inspection import NatsInspection

    assert isinstance(broker, NatsBroker)  # noqa: S101  (for mypy)
    return NatsInspection(broker, namespace(), name, _orders(name))


def _orders(name: str) -> Orders:
    return Orders(redis_of_jobs()[0], namespace(), name)


def redis_of_jobs() -> tuple[Redis | RedisCluster, Redis | RedisCluster]:
    """The Redis named `jobs` if there is one, else the default one; and its client for commands that block."""
    connection, client = _connection_of_jobs()
    # A Cluster has no second client; its commands may block for less than their socket timeout.
    return client, client if isinstance(client, RedisCluster) else get_blocking_redis(connection)


_redis_queues: dict[str, RedisQueue] = {}  # of the last lifespan


def _redis_queue(name: str) -> RedisQueue:
    """The queue in Redis of this lifespan; the same object for every job that is enqueued."""
    _connection, client = _connection_of_jobs()
    queue = _redis_queues.get(name)
    if queue is None or not queue.uses(client):
        queue = _redis_queues[name] = RedisQueue(*redis_of_jobs(), namespace(), name)
    return queue


def _connection_of_jobs() -> tuple[str, Redis | RedisCluster]:
    name = "jobs" if has_client("jobs") else "default"
    return name, any_client(name)


@asynccontextmanager
async def short_lived_queue(name: str) -> AsyncIterator[RedisQueue | None]:
    """The queue of that name with a connection of its own, for another event loop than the lifespan's; None unless it
    is in a plain Redis."""
    connection, client = _connection_of_jobs()
    if get_broker() is not None or isinstance(client, RedisCluster):
        yield None
        return
    if isinstance(client.connection_pool, SentinelConnectionPool):
        yield None
        return
    own = low_timeout_redis(connection, timeout=SHORT_TIMEOUT, in_thread=True)
    try:
        async with asyncio.timeout(SHORT_TIMEOUT):
            yield RedisQueue(own, own, namespace(), name)
    finally:
        await own.aclose(close_connection_pool=True)


def check_unique(job: str) -> None:
    """Raise ConfigError unless the service's jobs may be `unique`: only Redis decides and adds in one step."""
    if (broker := get_broker()) is not None:
        raise ConfigError(
            _(
                "The job {name} is `unique`, but {server} has no unique jobs. Remove `unique`, or leave JOBS_URL empty "
                "to have the jobs in Redis.",
                name=job,
                server=broker.server,
            )
        )


async def send(queue: str, message: JobMessage) -> str:
    """Send the message. Returns the id of the job that waits. Raises ResourceError when there is no response."""
    opened = open_queue(queue)
    try:
        return await opened.push(message)
    except UNREACHED as exc:
        raise ResourceError(
            f"The job {message.task_name} was not enqueued, because {opened.server} does not answer ({exc!r}). Enqueue "
            "it inside a transaction: then it waits in the outbox."
        ) from exc

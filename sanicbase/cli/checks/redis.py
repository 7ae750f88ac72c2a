"""Checks that Redis keeps the data that the service stores there."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from redis.asyncio import Redis, RedisCluster
from redis.exceptions import RedisClusterException, RedisError

from sanicbase.cli.checks.findings import Finding, clock_findings, findings_of_error, measure_drift
from sanicbase.config import Config
from sanicbase.config.database_urls import EMBEDDED
from sanicbase.errors import SanicBaseError
from sanicbase.i18n import gettext as _
from sanicbase.rc.clients import RedisClients, any_client
from sanicbase.rc.handshake import MIN_VERSION

__all__ = ["Facts", "Usage", "check_redis", "evaluate"]

POOLS = 2  # of each process: one for blocking commands, one for all others


@dataclass(frozen=True)
class Usage:
    """The data that the service stores in one Redis."""

    timers: bool = False
    caches: bool = False
    stores: bool = False
    """Whether there are cache models without a source, whose only copy is in Redis."""
    has_ttl: bool = False
    """Whether some or all of them have a time to live."""


@dataclass(frozen=True)
class Facts:
    """What a server reports about itself; None for what it does not report, as some hosted servers."""

    version: str | None
    policy: str | None
    bounded: bool
    persistent: bool | None
    clients: int | None
    drift: float
    """The seconds by which its clock is ahead of this machine's."""


async def check_redis(
    config: Config, uses: Mapping[str, Usage], processes: int, now: Callable[[], float] = time.time
) -> AsyncIterator[Finding]:
    """Connect to each configured server except the embedded one, and check it.

    `uses` has the names of the servers as keys.
    """
    named = [name for name, url in config.redis_urls(EMBEDDED).items() if url != EMBEDDED]
    clients = RedisClients(config, "redis://127.0.0.1:1")
    if not named:
        return
    async with clients:
        for name in named:
            try:
                await clients.check(name)
                for server, facts in await _servers(name, now):
                    for finding in evaluate(server, facts, config, uses.get(name, Usage()), processes):
                        yield finding
            except SanicBaseError as exc:
                for finding in findings_of_error("redis.away", exc):
                    yield finding
            except (RedisError, RedisClusterException, OSError) as exc:
                yield _unknown(name, exc)


def _unknown(name: str, error: Exception) -> Finding:
    return Finding(
        "redis.unknown",
        "warning",
        _("The Redis {name} does not report its configuration: {error}", name=name, error=error),
        _("Allow the account INFO and TIME."),
    )


def evaluate(name: str, facts: Facts, config: Config, uses: Usage, processes: int) -> Iterator[Finding]:
    """The findings about a server from its facts and its use."""
    if facts.version and int(facts.version.partition(".")[0]) < MIN_VERSION:
        yield Finding(
            "redis.version",
            "error",
            _("The version of the Redis {name} is {version}.", name=name, version=facts.version),
            _("Upgrade it to {oldest} or later.", oldest=MIN_VERSION),
        )
    if facts.bounded and _evicts(facts.policy or "", uses):
        yield Finding(
            "redis.eviction",
            "error",
            _(
                "The Redis {name} evicts keys when it is full ({policy}), and stores timers or entries without "
                "another copy.",
                name=name,
                policy=facts.policy,
            ),
            _("Set maxmemory-policy noeviction."),
        )
    if facts.bounded and facts.policy == "noeviction" and uses.caches and not (uses.timers or uses.stores):
        yield Finding(
            "redis.full",
            "warning",
            _("The Redis {name} refuses writes when it is full.", name=name),
            _("For a cache, set maxmemory-policy volatile-lru."),
        )
    if uses.stores and facts.persistent is False:
        yield Finding(
            "redis.persistence",
            "warning",
            _("The Redis {name} has no persistence and loses all data when it stops.", name=name),
            _("Set appendonly yes, because it has the only copy."),
        )
    yield from _connections(name, facts, config, processes)
    yield from clock_findings(name, facts.drift)


def _evicts(policy: str, uses: Usage) -> bool:
    """Whether that policy evicts keys without another copy. Keys of timers have a time to live."""
    return (policy.startswith("allkeys") and (uses.timers or uses.stores)) or (
        policy.startswith("volatile") and (uses.timers or uses.has_ttl)
    )


def _connections(name: str, facts: Facts, config: Config, processes: int) -> Iterator[Finding]:
    needed_connections = POOLS * config.REDIS_POOL_SIZE * processes
    if facts.clients and needed_connections > facts.clients:
        yield Finding(
            "redis.connections",
            "warning",
            _(
                "{processes} processes may open {wanted} connections to {name}, which allows {clients}.",
                processes=processes,
                wanted=needed_connections,
                name=name,
                clients=facts.clients,
            ),
            _("Lower {prefix}REDIS_POOL_SIZE or raise maxclients.", prefix=config.env_prefix()),
        )


async def _servers(name: str, now: Callable[[], float]) -> list[tuple[str, Facts]]:
    """The facts of each server of that name: one, or the primaries of a Cluster."""
    client = any_client(name)
    if not isinstance(client, RedisCluster):
        return [(name, await _facts(client, now))]
    return [(f"{name} ({node.name})", await _facts(client, now, target_nodes=node)) for node in client.get_primaries()]


async def _facts(client: Redis | RedisCluster, now: Callable[[], float], **target: Any) -> Facts:
    _, drift = await measure_drift(
        client.time(**target), lambda timestamp: int(timestamp[0]) + int(timestamp[1]) / 1e6, now
    )
    info = await client.info(**target)
    return Facts(
        version=info.get("redis_version"),
        policy=info.get("maxmemory_policy"),
        bounded=bool(info.get("maxmemory")),
        persistent=await _is_persistent(client, info, **target),
        clients=info.get("maxclients"),
        drift=drift,
    )


async def _is_persistent(client: Redis | RedisCluster, info: Mapping[str, Any], **target: Any) -> bool | None:
    """Whether it saves its data to disk; None when it does not report that."""
    if info.get("aof_enabled"):
        return True
    try:
        return bool((await client.config_get("save", **target))["save"])
    except (RedisError, KeyError):
        return None

"""Whether Redis keeps what the service keeps there."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from typing import Any

from redis.asyncio import Redis, RedisCluster
from redis.exceptions import RedisClusterException, RedisError

from sanicbase.cli.doctoring.finding import Finding
from sanicbase.config import Config
from sanicbase.config.stores import EMBEDDED
from sanicbase.errors import SanicBaseError
from sanicbase.rc.clients import RedisClients, any_client
from sanicbase.rc.greeting import OLDEST
from sanicbase.terminal import say

__all__ = ["Facts", "Uses", "judge", "look_at_redis"]

DRIFT = 1.0  # seconds that two clocks may differ


@dataclass(frozen=True)
class Uses:
    """What the service keeps in Redis."""

    timers: bool = False
    caches: bool = False
    stores: bool = False
    """Whether there are cache models without a source, of which Redis has the only copy."""


@dataclass(frozen=True)
class Facts:
    """What a server says of itself."""

    version: str
    policy: str
    bounded: bool
    persistent: bool
    clients: int
    clock: float


async def look_at_redis(
    config: Config, uses: Uses, processes: int, now: Callable[[], float] = time.time
) -> AsyncIterator[Finding]:
    """Reach each server of the configuration, and ask it; the embedded one is as it should be."""
    named = {name: url for name, url in config.redis_urls(EMBEDDED).items() if url != EMBEDDED}
    prefix, clients = config.env_prefix(), RedisClients(config, "redis://127.0.0.1:1")
    if not named:
        return
    try:
        async with clients:
            for name in named:
                for server, facts in await _servers(name):
                    for finding in judge(server, facts, config, uses, processes, now()):
                        yield finding
    except (SanicBaseError, RedisError, RedisClusterException, OSError) as exc:
        yield Finding(
            "redis.away",
            "error",
            say(f"Redis does not answer: {exc}", f"Redis 没有响应：{exc}"),
            say(
                f"Start it, or correct {prefix}REDIS_URL.",
                f"请启动它，或更正 {prefix}REDIS_URL。",
            ),
        )


def judge(name: str, facts: Facts, config: Config, uses: Uses, processes: int, now: float) -> Iterator[Finding]:
    """What is wrong with a server that says this of itself, for what it is used for."""
    if int(facts.version.partition(".")[0]) < OLDEST:
        yield Finding(
            "redis.version",
            "error",
            say(f"The Redis {name} is {facts.version}.", f"Redis {name} 的版本是 {facts.version}。"),
            say(f"Upgrade it to {OLDEST} or later.", f"请升级到 {OLDEST} 或更高。"),
        )
    if facts.bounded and facts.policy.startswith("allkeys") and (uses.timers or uses.stores):
        yield Finding(
            "redis.eviction",
            "error",
            say(
                f"The Redis {name} forgets any key ({facts.policy}), and holds timers or entries with no other copy.",
                f"Redis {name} 会淘汰任意键（{facts.policy}），而定时任务或唯一的数据就在里面。",
            ),
            say("Set maxmemory-policy noeviction.", "请设置 maxmemory-policy noeviction。"),
        )
    if facts.bounded and facts.policy == "noeviction" and uses.caches and not (uses.timers or uses.stores):
        yield Finding(
            "redis.full",
            "warning",
            say(f"The Redis {name} refuses writes when it is full.", f"Redis {name} 写满后会拒绝写入。"),
            say("For a cache alone: maxmemory-policy volatile-lru.", "只作缓存时：maxmemory-policy volatile-lru。"),
        )
    if uses.stores and not facts.persistent:
        yield Finding(
            "redis.persistence",
            "warning",
            say(f"The Redis {name} loses everything when it ends.", f"Redis {name} 一停，数据就全部丢失。"),
            say("Set appendonly yes: it has the only copy.", "请设置 appendonly yes：数据只此一份。"),
        )
    yield from _limits(name, facts, config, processes, now)


def _limits(name: str, facts: Facts, config: Config, processes: int, now: float) -> Iterator[Finding]:
    wanted = config.REDIS_POOL_SIZE * processes
    if facts.clients and wanted > facts.clients:
        yield Finding(
            "redis.connections",
            "warning",
            say(
                f"{processes} processes may open {wanted} connections to {name}, which takes {facts.clients}.",
                f"{processes} 个进程最多向 {name} 打开 {wanted} 个连接，而它只接受 {facts.clients} 个。",
            ),
            say(
                f"Lower {config.env_prefix()}REDIS_POOL_SIZE or raise maxclients.",
                f"请调小 {config.env_prefix()}REDIS_POOL_SIZE，或调大 maxclients。",
            ),
        )
    if abs(drift := facts.clock - now) > DRIFT:
        yield Finding(
            "clock.difference",
            "warning",
            say(f"The clock of {name} differs by {drift:+.1f} s.", f"{name} 的时钟相差 {drift:+.1f} 秒。"),
            say("Have both machines keep time by NTP.", "请让两台机器都用 NTP 对时。"),
        )


async def _servers(name: str) -> list[tuple[str, Facts]]:
    """What each server of that name says of itself: one, or the primaries of a Cluster."""
    client = any_client(name)
    if not isinstance(client, RedisCluster):
        return [(name, await _facts(client))]
    await client.initialize()  # who its primaries are
    return [(f"{name} ({node.name})", await _facts(client, target_nodes=node)) for node in client.get_primaries()]


async def _facts(client: Redis | RedisCluster, **target: Any) -> Facts:
    info = await client.info(**target)
    seconds, micros = await client.time(**target)
    started = int(seconds) - int(info.get("uptime_in_seconds", 0)) + 1  # at its start Redis says that it has just saved
    return Facts(
        version=str(info.get("redis_version", "0.0")),
        policy=str(info.get("maxmemory_policy", "")),
        bounded=bool(info.get("maxmemory")),
        persistent=bool(info.get("aof_enabled")) or int(info.get("rdb_last_save_time", 0)) > started,
        clients=int(info.get("maxclients", 0)),
        clock=int(seconds) + int(micros) / 1e6,
    )

"""A library with its cache models open, and what it says to Redis."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from redis.asyncio import Redis
from tortoise import Tortoise
from tortoise.connection import get_connection

from sanicbase import lifespan
from sanicbase.cache import scripts
from tests.db.opening import LibraryConfig

__all__ = ["commands", "library", "past_the_model", "settled"]

NAMES = {
    hashlib.sha1(getattr(scripts, name).encode(), usedforsecurity=False).hexdigest(): name for name in scripts.__all__
}

BESIDES = ("PING", "HEARTBEAT", "HINCRBY", "HELLO", "CLIENT")  # a thread sends heartbeats on its own connection


async def settled(redis_url: str) -> None:
    """Leave an epoch in an empty Redis, as the last process of a service does: else the first one waits for others."""
    async with Redis.from_url(redis_url) as redis:
        if not await redis.exists("library:rc:server"):
            await redis.set("library:rc:server", (await redis.info("server"))["run_id"])
            await redis.set("library:rc:epoch", "m12345678", ex=600)


@asynccontextmanager
async def library(
    db_url: str,
    redis_url: str,
    *,
    primary: str = "",
    schema: bool = True,
    models: str = "tests.db.library",
    **settings: Any,
) -> AsyncIterator[None]:
    """These models open on this database and this Redis, of which `primary` is the server where that is another URL."""
    await settled(primary or redis_url)
    settings = {"CACHE_TIMEOUT": 5, **settings}  # a machine that is busy elsewhere is no Redis that is away
    config = LibraryConfig(DB_URL=db_url, REDIS_URL=redis_url, MODULES=[models], **settings)
    async with lifespan(config):
        if schema:
            await Tortoise.generate_schemas()
        yield


@asynccontextmanager
async def commands(redis_url: str) -> AsyncIterator[list[str]]:
    """The commands that Redis is sent in the block, scripts by their names; without beats, counters and greetings."""
    sent: list[str] = []
    async with Redis.from_url(redis_url, protocol=2) as redis, redis.monitor() as monitor:
        listening = asyncio.create_task(_listen(monitor, sent))
        try:
            yield sent
            await redis.ping()  # what was sent before it was heard before it
            for _ in range(200):
                if "PING" in sent:
                    break
                await asyncio.sleep(0.01)
            sent[:] = [command for command in sent if command not in BESIDES]
        finally:
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)


async def _listen(monitor: Any, sent: list[str]) -> None:
    async for line in monitor.listen():
        if line["client_type"] == "lua":
            continue
        name, *rest = line["command"].split(" ")
        sent.append(NAMES.get(rest[0], name) if name.upper() == "EVALSHA" else name.upper())


async def past_the_model(statement: str, *values: object) -> None:
    """Run a statement of which no model hears."""
    await get_connection("default").execute_query(statement, list(values))

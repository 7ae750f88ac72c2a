"""The outbox while Redis has a replica: a row stays until the replica, which may be promoted, has its job."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from redis.asyncio import Redis
from tortoise import Tortoise

from sanicbase import lifespan, transaction
from sanicbase.jobs import outbox
from sanicbase.jobs.message import Labels
from sanicbase.jobs.outbox import _Relay
from sanicbase.jobs.queues.redis_queue import RedisQueue
from sanicbase.testing import wait_until
from sanicbase.testing.databases import ask_redis
from sanicbase.testing.plugin import _or_skip
from sanicbase.testing.private_server import PrivateServer
from tests.db.outages import Proxy, proxied
from tests.jobs.ordering import OrderingConfig, Outbox
from tests.jobs.test_outbox import mail, waiting
from tests.rc.kinds import server, url


@dataclass
class Replicated:
    """A primary, and a replica that follows it through a proxy."""

    primary: PrivateServer
    replica: PrivateServer
    link: Proxy


@pytest.fixture
async def replicated() -> AsyncIterator[Replicated]:
    with ExitStack() as stack:
        primary = stack.enter_context(_or_skip(server("--repl-diskless-sync-delay", "0")))
        async with proxied(url(primary)) as link:
            master = f"127.0.0.1 {urlsplit(link.url).port}"
            replica = await asyncio.to_thread(stack.enter_context, _or_skip(server("--replicaof", master)))
            await asyncio.to_thread(wait_until, lambda: follows(replica), 30, what="a replica that follows")
            yield Replicated(primary, replica, link)


def follows(replica: PrivateServer) -> bool:
    return bool(ask_redis(url(replica), "INFO", "replication")["master_link_status"] == "up")  # type: ignore[index]


@pytest.fixture
async def relay(monkeypatch: pytest.MonkeyPatch) -> _Relay:
    """The relay, which moves rows only when a test tells it to."""
    monkeypatch.setattr(outbox._Relay, "wake", lambda relay: None)
    outbox._relays.clear()
    return outbox._relay_of(Outbox)


@pytest.fixture
async def shop(
    replicated: Replicated, relay: _Relay, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Replicated]:
    """A service whose jobs are in the primary, and which has sent one that the replica has."""
    monkeypatch.chdir(tmp_path)
    config = OrderingConfig(DB_URL="sqlite://shop.sqlite3", REDIS_URL=url(replicated.primary))
    async with lifespan(config, check=False):
        await Tortoise.generate_schemas()
        async with transaction():
            await mail.enqueue(1)
        await relay.drain()
        assert await Outbox.all().count() == 0
        yield replicated


async def test_a_row_stays_until_a_replica_has_its_job(
    shop: Replicated, relay: _Relay, caplog: pytest.LogCaptureFixture
) -> None:
    shop.link.flows.clear()
    async with transaction():
        await mail.enqueue(2)
    await relay.drain()
    assert await Outbox.all().count() == 1
    assert await waiting() == 2
    assert "no replica of it has the jobs yet" in caplog.text
    shop.link.flows.set()
    await relay.drain()
    assert await Outbox.all().count() == 0
    assert await waiting() == 2, "the job was sent twice, and is there once"


@pytest.mark.parametrize("confirms", [True, False])
async def test_a_job_that_a_promoted_replica_lacks_is_in_the_outbox(
    confirms: bool, shop: Replicated, relay: _Relay, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not confirms:  # the job would be lost
        monkeypatch.setattr(RedisQueue, "confirm", trust)
    shop.link.flows.clear()
    async with transaction():
        job_id = await mail.enqueue(2)
    await relay.drain()
    shop.primary.end()
    shop.link.reset_all()
    await asyncio.to_thread(ask_redis, url(shop.replica), "REPLICAOF", "NO", "ONE")
    assert await Outbox.all().count() == confirms
    async with Redis.from_url(url(shop.replica)) as client:
        promoted = RedisQueue(client, client, "shop", "default")
        assert await promoted.lengths() == {"waiting": 1, "running": 0, "delayed": 0, "dead": 0}
        monkeypatch.undo()
        assert not await promoted.confirm([job_id], known_for=1000)


async def test_an_account_without_the_command_info_confirms_what_redis_has(replicated: Replicated) -> None:
    address = url(replicated.primary)
    ask_redis(address, "ACL", "SETUSER", "ann", "on", "nopass", "~*", "&*", "+@all", "-info")
    async with Redis.from_url(address.replace("://", "://ann:x@")) as client:
        queue = RedisQueue(client, client, "shop", "default")
        job_id = await queue.push_data("1" * 32, b"{}", Labels())
        assert await queue.confirm([job_id], known_for=1000)
        assert not await queue.confirm(["2" * 32], known_for=1000)


async def trust(queue: RedisQueue, job_ids: Sequence[str], *, known_for: int) -> bool:
    return True

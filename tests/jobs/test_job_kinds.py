"""Jobs behind Sentinels and on a Cluster, also while a master is replaced."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from sanicbase import Config, get_redis, job, lifespan
from sanicbase.jobs import Job
from sanicbase.jobs.queues.opening import open_queue
from sanicbase.jobs.queues.redis_queue import RedisQueue
from sanicbase.testing.plugin import _or_skip
from tests.jobs.running import until, working
from tests.rc import kinds

ran: list[int] = []


class ShopConfig(Config):
    SERVER_NAME = "shop"


@job(name="note", retries=3, backoff=0.05, unique=["value"])
async def note(value: int) -> None:
    ran.append(value)
    if ran.count(value) == 1:
        raise LookupError


@job(name="mail", queue="mail")
async def mail(value: int) -> None:
    ran.append(-value)


@pytest.fixture(autouse=True)
def nothing_has_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    ran.clear()


async def fill(*jobs: Job[[int]]) -> None:
    for value in range(1, 6):
        for declared in jobs:
            await declared.enqueue(value)
            await declared.delayed(0.1).enqueue(value + 10)


async def empty(queue: str) -> bool:
    opened = open_queue(queue)
    assert isinstance(opened, RedisQueue)
    return not await opened._redis.exists(opened.stream) or not await opened._redis.xlen(opened.stream)


async def run_all(url: str) -> None:
    config = ShopConfig(REDIS_URL=url)
    async with lifespan(config):
        await fill(note, mail)
        assert await note.enqueue(1) == await note.enqueue(1)
        async with working(config, note, mail):
            await until(lambda: len(ran) == 30)
        assert sorted(ran) == sorted([*range(-15, -10), *range(-5, 0), *2 * [*range(1, 6), *range(11, 16)]])
        assert [await empty("default"), await empty("mail")] == [True, True]


async def test_a_cluster_has_jobs_that_run_again_wait_and_are_unique() -> None:
    with _or_skip(kinds.single_node_cluster()) as url:
        await run_all(url)


@pytest.mark.long
async def test_a_cluster_of_several_nodes_has_its_queues_on_any_of_them() -> None:
    with _or_skip(kinds.cluster()) as cluster:
        await run_all(cluster.url)


@pytest.mark.long
async def test_jobs_behind_sentinels_run_while_the_master_is_replaced() -> None:
    with _or_skip(kinds.sentinels()) as sentinels:
        config = ShopConfig(REDIS_URL=sentinels.url)
        async with lifespan(config):
            await run_while(config, sentinels)


async def run_while(config: Config, sentinels: kinds.Sentinels) -> None:
    await fill(mail)
    await get_redis().wait(1, 5000)
    async with working(config, mail):
        await until(lambda: len(ran) == 10)
        await asyncio.to_thread(sentinels.fail_over)
        await mail.enqueue(99)
        await until(lambda: -99 in ran, 60)

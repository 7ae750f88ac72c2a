"""When a writer may go on without Redis: after a silence, and not after a stop of its own."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import time
from collections.abc import AsyncIterator

import pytest

from sanicbase import get_redis
from sanicbase.rc.cache.trust import PULSE, Trust
from sanicbase.testing.private_server import PrivateServer
from tests.rc import kinds
from tests.rc.conftest import Opened

BLOCKED = PULSE + 0.6  # seconds: longer than the silence after which an epoch has ended


@pytest.fixture
async def trust(opened: Opened, redis_url: str) -> AsyncIterator[Trust]:
    async with opened(redis_url), Trust("default", timeout=0.1, settle=3.0, settle_intact=2.0) as trust:
        yield trust


async def test_a_writer_whose_loop_was_blocked_asks_again(trust: Trust) -> None:
    sent = 0

    async def ping() -> object:
        nonlocal sent
        sent += 1
        if sent == 1:
            asyncio.get_running_loop().call_soon(time.sleep, BLOCKED)
        return await trust.writing.ping()

    assert await trust.insisted(ping)
    assert sent == 2


async def test_what_was_silent_before_a_stop_is_asked_after_it(trust: Trust) -> None:
    server = (await get_redis().info("server"))["process_id"]
    os.kill(server, signal.SIGSTOP)
    try:
        async with asyncio.timeout(5):
            while trust.epoch is not None:
                await asyncio.sleep(0.01)
    finally:
        os.kill(server, signal.SIGCONT)
    time.sleep(BLOCKED)  # noqa: ASYNC251  (as if the process were stopped)
    assert await trust.insisted(trust.writing.ping)


async def test_a_silence_that_was_asked_into_ends_the_asking(trust: Trust) -> None:
    server = (await get_redis().info("server"))["process_id"]
    os.kill(server, signal.SIGSTOP)
    try:
        begun = time.monotonic()
        assert not await trust.insisted(trust.writing.ping)
        first = time.monotonic() - begun
        assert not await trust.insisted(trust.writing.ping)  # the beats have asked meanwhile
        second = time.monotonic() - begun - first
    finally:
        os.kill(server, signal.SIGCONT)
    assert first > PULSE
    assert second < first / 2


async def test_one_that_is_opened_without_redis_believes_the_first_beat(
    opened: Opened, own_redis: PrivateServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "sanicbase.rc")
    async with opened(kinds.url(own_redis)):
        with own_redis.frozen():
            trust = await Trust("default", timeout=0.1, settle=3.0, start=0.0).__aenter__()
            assert [trust.epoch] == [None]
        try:
            async with asyncio.timeout(20):
                while trust.epoch is None:
                    await asyncio.sleep(0.01)
        finally:
            await trust.__aexit__()
    away, back, *_ = [record.getMessage() for record in caplog.records]  # a busy machine may be late again
    assert away == "The Redis default does not answer (no answer since the start): cache models read the database."
    assert back.startswith("The Redis default answers; ")

"""When a writer may go on without Redis: after a silence, and not after a stop of its own."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import time
from collections.abc import AsyncIterator

import pytest

from sanicbase import ResourceError, get_redis
from sanicbase.cache.epoch import EPOCH_TTL, EpochClient
from sanicbase.testing.private_server import PrivateServer
from tests.rc import kinds
from tests.rc.conftest import Opened

BLOCKED = EPOCH_TTL + 0.6  # seconds: longer than the silence after which an epoch has ended


@pytest.fixture
async def client(opened: Opened, redis_url: str) -> AsyncIterator[EpochClient]:
    async with opened(redis_url), EpochClient("default", timeout=0.1, settle=3.0, settle_intact=2.0) as client:
        yield client


async def test_a_writer_whose_loop_was_blocked_asks_again(client: EpochClient) -> None:
    sent = 0

    async def ping() -> object:
        nonlocal sent
        sent += 1
        if sent == 1:
            asyncio.get_running_loop().call_soon(time.sleep, BLOCKED)
        return await client.writing.ping()

    assert await client.request_until_answered(ping)
    assert sent == 2


async def test_a_server_that_was_silent_before_a_stop_is_asked_after_it(client: EpochClient) -> None:
    server = (await get_redis().info("server"))["process_id"]
    os.kill(server, signal.SIGSTOP)
    try:
        async with asyncio.timeout(5):
            while client.epoch is not None:
                await asyncio.sleep(0.01)
    finally:
        os.kill(server, signal.SIGCONT)
    time.sleep(BLOCKED)  # noqa: ASYNC251  (as if the process were stopped)
    assert await client.request_until_answered(client.writing.ping)


async def test_requests_until_answered_end_when_the_server_is_silent(client: EpochClient) -> None:
    server = (await get_redis().info("server"))["process_id"]
    os.kill(server, signal.SIGSTOP)
    try:
        begun = time.monotonic()
        assert not await client.request_until_answered(client.writing.ping)
        first = time.monotonic() - begun
        assert not await client.request_until_answered(client.writing.ping)  # the beats have asked meanwhile
        second = time.monotonic() - begun - first
    finally:
        os.kill(server, signal.SIGCONT)
    assert first > EPOCH_TTL
    assert second < first / 2


async def test_a_client_opened_without_redis_trusts_the_first_heartbeat(
    opened: Opened, own_redis: PrivateServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "sanicbase.cache")
    async with opened(kinds.url(own_redis)):
        with own_redis.frozen():
            client = await EpochClient("default", timeout=0.1, settle=3.0, settle_intact=2.0, start=0.0).__aenter__()
            assert [client.epoch] == [None]
        try:
            async with asyncio.timeout(20):
                while client.epoch is None:
                    await asyncio.sleep(0.01)
        finally:
            await client.__aexit__()
    messages = [record.getMessage() for record in caplog.records if record.name == "sanicbase.cache"]
    away, back, *_ = messages  # a busy machine may be late again
    assert away == "The Redis default does not answer (no answer since the start): cache models read the database."
    assert back.startswith("The Redis default answers; ")


@pytest.fixture
async def patient(opened: Opened, redis_url: str) -> AsyncIterator[EpochClient]:
    """One that a busy machine does not take for a Redis that is away."""
    async with opened(redis_url), EpochClient("default", timeout=5.0, settle=3.0, settle_intact=2.0) as client:
        yield client


async def test_heartbeats_continue_while_the_event_loop_is_blocked(
    patient: EpochClient, caplog: pytest.LogCaptureFixture
) -> None:
    epoch = patient.epoch
    time.sleep(2 * EPOCH_TTL)  # noqa: ASYNC251  (as if a handler took so long)
    assert patient.epoch == epoch == await get_redis().get(patient.keys[0])
    assert [record.getMessage() for record in caplog.records if record.name.startswith("sanicbase")] == []


async def test_a_stall_of_the_whole_process_is_logged_as_such(
    patient: EpochClient, caplog: pytest.LogCaptureFixture
) -> None:
    await patient._heartbeat_thread.close()  # as if all threads were stopped
    await patient._send_heartbeat()
    time.sleep(BLOCKED)  # noqa: ASYNC251
    await patient._send_heartbeat()
    assert "this process was stopped for 1." in caplog.text
    assert "emptied" not in caplog.text


async def test_an_emptied_redis_is_logged_as_one(patient: EpochClient, caplog: pytest.LogCaptureFixture) -> None:
    await patient._heartbeat_thread.close()
    await get_redis().flushdb()
    await patient._send_heartbeat()
    assert "it was emptied, so all entries are invalid" in caplog.text


async def test_a_writer_whose_requests_fail_while_heartbeats_succeed_is_refused(client: EpochClient) -> None:
    """It takes its own silence for nothing more: others may read what it would leave open."""

    async def lost() -> object:
        raise TimeoutError

    with pytest.raises(ResourceError, match="does not accept the invalidation"):
        await client.request_until_answered(lost)

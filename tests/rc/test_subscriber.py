"""The subscriber: what it hears, and that it comes back and says so."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from redis.asyncio import Redis, RedisCluster

from sanicbase.errors import ResourceError
from sanicbase.rc import subscriber as module
from sanicbase.rc.subscriber import Subscriber
from sanicbase.testing import free_port
from tests.ws.restartable import restartable_redis


async def until(fact: Callable[[], object]) -> None:
    async with asyncio.timeout(10):
        while not fact():
            await asyncio.sleep(0.005)


class RecordingSubscriber:
    """A subscriber, and the messages that it received."""

    def __init__(self, redis: Redis | RedisCluster) -> None:
        self.messages: list[tuple[str, bytes]] = []
        self.gaps = 0
        self.subscriber = Subscriber(redis, lambda channel, data: self.messages.append((channel, data)), self.gap)

    def gap(self) -> None:
        self.gaps += 1


@asynccontextmanager
async def listening(url: str) -> AsyncIterator[tuple[RecordingSubscriber, Redis]]:
    async with Redis.from_url(url, socket_timeout=5) as redis:
        recording = RecordingSubscriber(redis)
        async with recording.subscriber:
            yield recording, redis


async def test_messages_after_subscribing_are_received_in_order(redis_url: str) -> None:
    async with listening(redis_url) as (recording, redis):
        await recording.subscriber.subscribe("a")
        for number in range(100):
            await redis.publish("a", b"%d" % number)
            await redis.publish("b", b"not subscribed")
        await until(lambda: len(recording.messages) == 100)
    assert recording.messages == [("a", b"%d" % number) for number in range(100)]
    assert recording.gaps == 0


async def test_it_takes_one_connection_for_all_channels_and_none_for_no_channel(redis_url: str) -> None:
    async with listening(redis_url) as (recording, redis):
        assert await redis.client_list(_type="pubsub") == []
        await asyncio.gather(*(recording.subscriber.subscribe(f"channel {number}") for number in range(200)))
        assert len(await redis.client_list(_type="pubsub")) == 1
        assert len(await redis.pubsub_channels("channel *")) == 200


async def test_any_order_of_subscribing_and_unsubscribing_ends_as_asked(redis_url: str) -> None:
    chance = random.Random(1)
    async with listening(redis_url) as (recording, redis):
        subscriber = recording.subscriber
        await subscriber.subscribe("always")
        for number in range(200):
            subscriber.unsubscribe("a")
            await asyncio.sleep(chance.choice([0, 0, 0.001]))
            await subscriber.subscribe("a")
            assert await redis.publish("a", b"%d" % number) == 1
            await until(lambda: recording.messages[-1:] == [("a", b"%d" % number)])  # noqa: B023
        subscriber.unsubscribe("a")
        while await redis.publish("a", b"y"):
            await asyncio.sleep(0.001)


async def test_a_reader_that_raises_receives_the_next_message(redis_url: str, caplog: pytest.LogCaptureFixture) -> None:
    messages = []

    def receive(channel: str, data: bytes) -> None:
        messages.append(data)
        raise RuntimeError("no")

    async with Redis.from_url(redis_url) as redis, Subscriber(redis, receive) as subscriber:
        await subscriber.subscribe("a")
        await redis.publish("a", b"1")
        await redis.publish("a", b"2")
        await until(lambda: messages == [b"1", b"2"])
    assert "could not be handled" in caplog.text


async def test_a_killed_connection_is_restored_and_lost_messages_are_reported(redis_url: str) -> None:
    async with listening(redis_url) as (recording, redis):
        await recording.subscriber.subscribe("a")
        await recording.subscriber.subscribe("b")
        (client,) = await redis.client_list(_type="pubsub")
        await redis.client_kill_filter(_id=client["id"])
        await until(lambda: recording.gaps)
        # From the moment that it is told nothing is missed, on any channel.
        assert await redis.publish("a", b"again") == await redis.publish("b", b"again") == 1
        await until(lambda: len(recording.messages) == 2)
        assert recording.gaps == 1


async def test_a_server_that_does_not_respond_is_disconnected(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A network that swallows everything ends no connection."""
    monkeypatch.setattr(module, "PING_AFTER", 0.2)
    host, port = redis_url.removeprefix("redis://").split("/")[0].split(":")
    deaf = asyncio.Event()
    answers = 0

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        swallow = not deaf.is_set()
        server_reader, server_writer = await asyncio.open_connection(host, int(port))

        async def copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
            nonlocal answers
            while data := await source.read(65536):
                answers += source is server_reader
                if not (swallow and deaf.is_set()):
                    target.write(data)

        copies = [asyncio.create_task(copy(reader, server_writer)), asyncio.create_task(copy(server_reader, writer))]
        await asyncio.wait(copies, return_when=asyncio.FIRST_COMPLETED)
        for task, end in zip(copies, (server_writer, writer), strict=True):
            task.cancel()
            end.transport.abort()

    async with await asyncio.start_server(relay, "127.0.0.1", 0) as proxy:
        proxied = f"redis://127.0.0.1:{proxy.sockets[0].getsockname()[1]}/0"
        async with listening(proxied) as (recording, _), Redis.from_url(redis_url) as redis:
            await recording.subscriber.subscribe("a")
            subscribed = answers
            await until(lambda: answers >= subscribed + 2)  # pings, for a quiet connection is kept
            assert recording.gaps == 0
            deaf.set()
            await until(lambda: recording.gaps)
            await redis.publish("a", b"through another connection")
            await until(lambda: recording.messages)


async def test_an_unavailable_server_is_reported_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CONFIRM_TIMEOUT", 0.2)
    async with listening(f"redis://127.0.0.1:{free_port()}/0") as (recording, _):
        with pytest.raises(ResourceError, match="did not confirm"):
            await recording.subscriber.subscribe("a")


async def test_a_restarted_server_is_found_again() -> None:
    with restartable_redis() as server:
        async with listening(server.url) as (recording, redis):
            await recording.subscriber.subscribe("a")
            server.kill()
            await asyncio.to_thread(server.start)
            await until(lambda: recording.gaps)
            assert await redis.publish("a", b"again") == 1
            await until(lambda: recording.messages == [("a", b"again")])


async def test_a_caller_that_is_cancelled_while_it_subscribes_knows_it(redis_url: str) -> None:
    async with listening(redis_url) as (recording, _):
        for number in range(300):
            subscribing = asyncio.create_task(recording.subscriber.subscribe(f"channel {number}"))
            for _ in range(number % 60):
                await asyncio.sleep(0)
            was_cancelled = subscribing.cancel()
            await asyncio.wait({subscribing})
            assert subscribing.cancelled() == was_cancelled
